"""What the kernels of this folder compute, in PyTorch."""

import torch


def gemm(A: torch.Tensor, B: torch.Tensor, C: torch.Tensor, alpha: float, beta: float) -> dict[str, torch.Tensor]:
    """Return `C`: alpha A B + beta C."""
    return {"C": alpha * A @ B + beta * C}


def product(P: torch.Tensor, Q: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return `R`: P Q."""
    return {"R": P @ Q}


def transpose(idata: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return `odata`: the transposed matrix."""
    return {"odata": idata.T.contiguous()}


def block_sums(g_idata: torch.Tensor, CHUNK: int) -> dict[str, torch.Tensor]:
    """Return `g_odata`: the sum of each chunk."""
    padded = torch.nn.functional.pad(g_idata, (0, -len(g_idata) % CHUNK))
    return {"g_odata": padded.reshape(-1, CHUNK).sum(1)}


def total(data: torch.Tensor, result: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return `result`, with the sum of all elements added to it."""
    return {"result": result + data.sum()}


def softmax(inp: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return `out`: the softmax of each row."""
    return {"out": torch.softmax(inp, 1)}


def layer_norm(inp: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return `out`: each row with mean 0 and deviation 1, scaled and shifted."""
    return {"out": torch.nn.functional.layer_norm(inp, inp.shape[1:], gamma, beta, 1e-5)}


def histogram(values: torch.Tensor, bins: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return `bins`, with the number of each value's occurrences added."""
    return {"bins": bins + torch.bincount(values.long(), minlength=len(bins)).to(bins.dtype)}


def jacobi(old: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return `fresh`: inside, the mean of four neighbours; at the rim, 0."""
    fresh = torch.zeros_like(old)
    fresh[1:-1, 1:-1] = 0.25 * (old[:-2, 1:-1] + old[2:, 1:-1] + old[1:-1, :-2] + old[1:-1, 2:])
    return {"fresh": fresh}


def heat(T: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return `T_new`: a step of the heat equation inside, the old values at the rim."""
    fresh = T.clone()
    middle, c = T[1:-1, 1:-1, 1:-1], 0.1
    around = T[:-2, 1:-1, 1:-1] + T[2:, 1:-1, 1:-1] + T[1:-1, :-2, 1:-1] + T[1:-1, 2:, 1:-1]
    around = around + T[1:-1, 1:-1, :-2] + T[1:-1, 1:-1, 2:]
    fresh[1:-1, 1:-1, 1:-1] = middle + c * (around - 6 * middle)
    return {"T_new": fresh}


def gemv(M: torch.Tensor, v: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return `out`: M v."""
    return {"out": M @ v}


def product_of_halves(A: torch.Tensor, B: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return `C`: A B."""
    return {"C": A @ B}


def batched(lhs: torch.Tensor, rhs: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return `out`: the product of each pair."""
    return {"out": lhs @ rhs}
