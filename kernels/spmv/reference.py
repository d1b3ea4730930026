"""Product of a sparse matrix and a vector in PyTorch, in the inputs' own precision."""

import torch


def reference(
    offsets: torch.Tensor, columns: torch.Tensor, values: torch.Tensor, x: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return `y` (rows): y[i] = sum over j from offsets[i] to offsets[i + 1] of values[j] * x[columns[j]].

    A column may occur several times in a row.
    """
    rows = torch.repeat_interleave(torch.arange(len(offsets) - 1), offsets.diff().long())
    y = torch.zeros(len(offsets) - 1, dtype=values.dtype)
    return {"y": y.index_add_(0, rows, values * x[columns.long()])}
