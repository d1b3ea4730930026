"""What a task's kernel should have computed, and how far from it a right kernel may be.

The reference runs twice: in fp64, which is taken as the truth, and in the precision of the inputs. An error is always
relative to the output's scale, its largest finite magnitude in fp64. With u the unit roundoff of a format, the error
allowed is

    2 u(output) + 32 u(sums) + 2 e,      sums in fp32, or in fp64 for an fp64 output,

where e is the error of the reference itself in working precision: the result is rounded once (and may be rounded the
other way), sums of a few hundred terms in another order and approximate functions such as `ex2.approx` (2 ulp) leave a
few units, and a kernel may lose twice what PyTorch loses in the same precision. The factors 2, 32 and 2 are this
project's choice. Integers must be equal. A task may state its own tolerance.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from backends.compilers.python_source import import_file
from backends.run.inputs import DTYPES
from backends.run.outcome import Comparison, Element
from ir.diagnostics import Location, fail
from ir.task import Argument, Sizes, Task

_NARROW = (torch.float8_e4m3fn, torch.float8_e5m2)
_ROUNDINGS, _SUM_ROUNDINGS, _REFERENCE_ERRORS = 2.0, 32.0, 2.0
_WORST = 3


@dataclass(frozen=True)
class Expected:
    """The right value of one output, in fp64 (integers as they are), and the largest error allowed over its scale."""

    value: torch.Tensor
    tolerance: float


def expected_outputs(task: Task, sizes: Sizes, inputs: Mapping[str, torch.Tensor]) -> dict[str, Expected]:
    """Output name -> what is expected.

    Raises UserError: what importing the reference raises, `bad-reference` where it fails in fp64, or returns no
    tensor of the output's shape.
    """
    exact = _outputs(task, sizes, {name: _widened(x, torch.float64) for name, x in inputs.items()})
    working = _working(task, sizes, inputs) if task.tolerance is None else {}
    return {a.name: Expected(exact[a.name], _tolerance(task, a, exact[a.name], working)) for a in task.outputs}


def compare(name: str, got: torch.Tensor, expected: Expected) -> Comparison:
    """One output of a kernel against what is expected; elements that are not finite must be the same ones.

    A NaN that the reference does not have is wrong whatever the tolerance.
    """
    want = expected.value.to(got.dtype).double() if _overflows(got, expected.value) else expected.value.double()
    scale = _scale(expected.value)
    error = _errors(got.double(), want) / (scale or 1.0)
    if not scale:
        error = torch.where(error == 0, error, math.inf)
    bad = ~(error <= expected.tolerance)
    largest = float(error.max()) if error.numel() else 0.0
    return Comparison(
        name,
        largest if math.isfinite(largest) else None,
        expected.tolerance,
        scale,
        int(bad.sum()),
        got.numel(),
        _worst(got, want, error, int(bad.sum())),
    )


def _errors(got: torch.Tensor, want: torch.Tensor) -> torch.Tensor:
    """|got - want|; infinite where only one is finite or they are other infinities, 0 where they are the same one."""
    same = (got == want) | (got.isnan() & want.isnan())
    error = (got - want).abs().nan_to_num(nan=math.inf, posinf=math.inf)
    return torch.where(same, 0.0, error)


def _overflows(got: torch.Tensor, want: torch.Tensor) -> bool:
    """Whether the right value is beyond the range of the output's format somewhere."""
    return got.dtype.is_floating_point and bool((want.isfinite() & (want.abs() > torch.finfo(got.dtype).max)).any())


def _worst(got: torch.Tensor, want: torch.Tensor, error: torch.Tensor, wrong: int) -> tuple[Element, ...]:
    count = min(wrong, _WORST)
    order = error.reshape(-1).argsort(descending=True, stable=True)[:count].tolist()
    places = [tuple(int(i) for i in torch.unravel_index(torch.tensor(n), got.shape)) for n in order]
    return tuple(Element(place, float(got[place]), float(want[place])) for place in places)


def _scale(want: torch.Tensor) -> float:
    finite = want[want.isfinite()].double()
    return float(finite.abs().max()) if finite.numel() else 0.0


def _tolerance(task: Task, argument: Argument, exact: torch.Tensor, working: Mapping[str, torch.Tensor]) -> float:
    if task.tolerance is not None:
        return task.tolerance
    dtype = DTYPES[argument.dtype]
    if not dtype.is_floating_point:
        return 0.0
    sums = torch.float64 if dtype == torch.float64 else torch.float32
    own = _own_error(exact, working.get(argument.name))
    return _ROUNDINGS * _roundoff(dtype) + _SUM_ROUNDINGS * _roundoff(sums) + _REFERENCE_ERRORS * own


def _roundoff(dtype: torch.dtype) -> float:
    """Unit roundoff: half the distance from 1 to the next number."""
    return float(torch.finfo(dtype).eps) / 2


def _own_error(exact: torch.Tensor, working: torch.Tensor | None) -> float:
    """The reference's error in working precision over the scale; elements that overflow there count for nothing."""
    scale = _scale(exact)
    if working is None or not scale:
        return 0.0
    error = _errors(working.double(), exact.double())
    error = error[error.isfinite()]
    return float(error.max()) / scale if error.numel() else 0.0


# The reference.


def _working(task: Task, sizes: Sizes, inputs: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
    """The outputs in the precision of the inputs; empty where PyTorch lacks an operation on the CPU for it."""
    widened = {name: _widened(x, torch.float32) if x.dtype in _NARROW else x.clone() for name, x in inputs.items()}
    try:
        found: Mapping[str, torch.Tensor] = _call(task, sizes, widened)
    except (RuntimeError, NotImplementedError):
        return {}
    return found


def _outputs(task: Task, sizes: Sizes, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    place = Location(str(task.reference_file))
    try:
        found = _call(task, sizes, inputs)
    except (RuntimeError, TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
        raise fail("bad-reference", f"`{task.reference_function}` fails: {error}", place) from error
    return {a.name: _checked(task, a, sizes, found) for a in task.outputs}


def _checked(task: Task, argument: Argument, sizes: Sizes, found: Any) -> torch.Tensor:
    value = found.get(argument.name) if isinstance(found, Mapping) else None
    shape = argument.shape_at(task.values(sizes))
    if isinstance(value, torch.Tensor) and tuple(value.shape) == shape:
        return value
    what = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else "no tensor"
    message = f"`{task.reference_function}` returns {what} for `{argument.name}`, which has the shape {shape}"
    raise fail("bad-reference", message, Location(str(task.reference_file)), "return a dict from output to tensor")


def _call(task: Task, sizes: Sizes, inputs: Mapping[str, torch.Tensor]) -> Any:
    """The reference on those of the inputs, scalars and constants that its parameters name."""
    function = getattr(import_file(task.reference_file), task.reference_function, None)
    if function is None:
        raise fail("bad-reference", f"there is no `{task.reference_function}`", Location(str(task.reference_file)))
    values = task.values(sizes)
    scalars = {a.name: a.value_at(values) for a in task.arguments if a.kind == "scalar"}
    known = {**task.constants, **sizes, **scalars, **inputs}
    with torch.no_grad():
        return function(**{name: known[name] for name in inspect.signature(function).parameters if name in known})


def _widened(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A copy, with floating-point numbers in `dtype`: a reference may write to what it is given."""
    return tensor.to(dtype) if tensor.dtype.is_floating_point and tensor.dtype != dtype else tensor.clone()
