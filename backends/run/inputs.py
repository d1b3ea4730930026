"""Tensors for a task's arguments: drawn from their distributions, the same for the same seed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ir.argument import Argument, Distribution
from ir.task import Sizes, Task

DTYPES = {
    "fp64": torch.float64, "fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16,
    "fp8e4nv": torch.float8_e4m3fn, "fp8e5": torch.float8_e5m2,
    "i64": torch.int64, "i32": torch.int32, "i16": torch.int16, "i8": torch.int8, "u8": torch.uint8, "i1": torch.bool,
}  # fmt: skip


def draw_inputs(task: Task, sizes: Sizes, seed: int) -> dict[str, torch.Tensor]:
    """Argument name -> contiguous CPU tensor, for each tensor or descriptor that the kernel reads.

    Each argument has a stream of its own, so that adding one leaves the others as they are. Raises MemoryError.
    """
    values = task.values(sizes)
    try:
        return {a.name: draw(a, values, generator_of(seed, a.name)) for a in task.inputs}
    except RuntimeError as error:
        if "allocate memory" not in str(error):
            raise
        raise MemoryError(f"the inputs of {dict(sizes)} do not fit the host's memory") from error


def draw(argument: Argument, values: Sizes, generator: torch.Generator) -> torch.Tensor:
    """A tensor of the argument's shape and dtype, filled by its distribution."""
    shape = argument.shape_at(values)
    filled = _FILLS[argument.distribution.kind](argument.distribution, shape, values, generator)
    drawn: torch.Tensor = filled.to(DTYPES[argument.dtype]).contiguous()
    return drawn


def as_bytes(tensor: torch.Tensor) -> NDArray[np.uint8]:
    """The bytes of a contiguous CPU tensor, shape (nbytes,); they share its memory."""
    data: NDArray[np.uint8] = tensor.detach().reshape(-1).view(torch.uint8).numpy()
    return data


def from_bytes(data: NDArray[np.uint8], dtype: torch.dtype, shape: tuple[int, ...]) -> torch.Tensor:
    """The tensor that these bytes are."""
    return torch.from_numpy(data).view(dtype).reshape(shape)


def generator_of(seed: int, name: str) -> torch.Generator:
    """The stream of one argument; PyTorch's generator on the CPU heeds 32 bits of its seed."""
    digest = hashlib.blake2b(f"{seed} {name}".encode(), digest_size=4).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little"))


def _normal(_d: Distribution, shape: tuple[int, ...], _v: Sizes, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(shape, generator=generator)


def _uniform(d: Distribution, shape: tuple[int, ...], values: Sizes, generator: torch.Generator) -> torch.Tensor:
    low, high = d.bounds(values)
    return low + (high - low) * torch.rand(shape, generator=generator)


def _integers(d: Distribution, shape: tuple[int, ...], values: Sizes, generator: torch.Generator) -> torch.Tensor:
    low, high = d.bounds(values)
    return torch.randint(int(low), int(high), shape, generator=generator)


def _offsets(d: Distribution, shape: tuple[int, ...], values: Sizes, generator: torch.Generator) -> torch.Tensor:
    _, high = d.bounds(values)
    cuts = torch.randint(0, int(high) + 1, (max(shape[0] - 2, 0),), generator=generator).sort().values
    return torch.cat([torch.tensor([0]), cuts, torch.tensor([int(high)])])[: shape[0]]


def _zeros(_d: Distribution, shape: tuple[int, ...], _v: Sizes, _generator: torch.Generator) -> torch.Tensor:
    return torch.zeros(shape)


_FILLS: dict[str, Callable[[Distribution, tuple[int, ...], Any, torch.Generator], torch.Tensor]] = {
    "normal": _normal,
    "uniform": _uniform,
    "integers": _integers,
    "offsets": _offsets,
    "zeros": _zeros,
}
