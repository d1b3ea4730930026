"""Inputs beside a task's own: its distributions moved, spread, tied and sorted, each within the bounds that it states.

A kernel that is right for the inputs it is timed with alone (which leaves the maximum of a softmax out, begins a
maximum with 0, or counts in eight bits) is wrong for one of these. A normal distribution has no bounds, so its values
become as large as a kernel in that format may be asked to take; all others stay between `low` and `high`. How far the
values move is this project's choice: 32 times the deviation lets exp overflow in fp32, and the mean is six deviations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from backends.run.inputs import DTYPES, draw, draw_inputs, generator_of
from ir.argument import Argument
from ir.task import MIXED, Sizes, Task

# Deviation of what is spread, and of what is moved by _SHIFT deviations, in formats of a range like that of fp32.
_WIDE, _MOVED, _SHIFT = 32.0, 32.0, 6.0
# The same in formats that end at 65504 or below, where products are added up too.
_NARROW_WIDE, _NARROW_MOVED = 8.0, 1.0
_NARROW = (torch.float16, torch.float8_e4m3fn, torch.float8_e5m2)
# Of a bounded range, the part at its end from which moved values are.
_END = 0.125

_BY_ROWS = ("normal", "uniform", "integers")

Moved = Callable[[torch.Tensor], torch.Tensor]
Inputs = Mapping[str, torch.Tensor]


def draw_regime(task: Task, sizes: Sizes, seed: int, regime: str) -> dict[str, torch.Tensor]:
    """Argument name -> contiguous CPU tensor as `draw_inputs` gives it; `regime`: one of `ir.task.REGIMES` or MIXED."""
    values = task.values(sizes)
    if regime == MIXED:
        return _mixed(task, draw_inputs(task, sizes, seed), [draw_regime(task, sizes, seed, r) for r in task.regimes])
    return {a.name: _drawn(a, values, generator_of(seed, f"{regime} {a.name}"), regime) for a in task.inputs}


def _mixed(task: Task, own: Inputs, regimes: Sequence[Inputs]) -> dict[str, torch.Tensor]:
    """A row, or of a vector an element, of one regime after the other; what is no field of values as it is."""
    found = {name: x.clone() for name, x in own.items()}
    for a in (a for a in task.inputs if a.role != "scratch" and a.distribution.kind in _BY_ROWS and a.shape):
        for number, drawn in enumerate(regimes):
            found[a.name][number :: len(regimes)] = drawn[a.name][number :: len(regimes)]
    return found


def _drawn(argument: Argument, values: Sizes, generator: torch.Generator, regime: str) -> torch.Tensor:
    found = draw(argument, values, generator)
    kind = argument.distribution.kind
    if argument.role == "scratch" or kind not in _MOVES or not found.numel():
        return found
    moved = _MOVES[kind](argument, values)[regime](found.to(torch.float64))
    return moved.to(DTYPES[argument.dtype]).contiguous()


def _equal(x: torch.Tensor) -> torch.Tensor:
    """The first element of each row, for all of the row; of a vector, for all of it."""
    return x[..., :1].expand(x.shape)


def _equal_quarters(x: torch.Tensor) -> torch.Tensor:
    """The same in quarters: the sum of many equal numbers is exact then, where else errors would add up."""
    return _equal((4 * x).round() / 4)


def _sorted(x: torch.Tensor) -> torch.Tensor:
    return x.sort(-1).values


def _of_normal(argument: Argument, _values: Sizes) -> Mapping[str, Moved]:
    narrow = DTYPES[argument.dtype] in _NARROW
    wide, moved = (_NARROW_WIDE, _NARROW_MOVED) if narrow else (_WIDE, _MOVED)
    return {
        "high": lambda x: moved * (x + _SHIFT),
        "low": lambda x: moved * (x - _SHIFT),
        "wide": lambda x: wide * x,
        "equal": _equal_quarters,
        "sorted": _sorted,
    }


def _of_uniform(argument: Argument, values: Sizes) -> Mapping[str, Moved]:
    low, high = argument.distribution.bounds(values)
    return {
        "high": lambda x: high - _END * (high - x),
        "low": lambda x: low + _END * (x - low),
        "wide": lambda x: torch.where(x < (low + high) / 2, low, high - _END * (high - x)),
        "equal": _equal,
        "sorted": _sorted,
    }


def _of_integers(argument: Argument, values: Sizes) -> Mapping[str, Moved]:
    low, high = argument.distribution.bounds(values)
    return {
        "high": lambda x: high - 1 - ((high - 1 - x) * _END).floor(),
        "low": lambda x: low + ((x - low) * _END).floor(),
        "wide": lambda x: torch.where(x < (low + high) / 2, low, high - 1),
        "equal": _equal,
        "sorted": _sorted,
    }


def _of_offsets(_argument: Argument, _values: Sizes) -> Mapping[str, Moved]:
    """Ends of groups: all in the first group, all in the last, or as they come."""
    return {
        "high": lambda x: torch.where(torch.arange(len(x)) == 0, x, x[-1]),
        "low": lambda x: torch.where(torch.arange(len(x)) == len(x) - 1, x, torch.zeros_like(x)),
        "wide": _sorted,
        "equal": _sorted,
        "sorted": _sorted,
    }


_MOVES: Mapping[str, Callable[[Argument, Sizes], Mapping[str, Moved]]] = {
    "normal": _of_normal,
    "uniform": _of_uniform,
    "integers": _of_integers,
    "offsets": _of_offsets,
}
