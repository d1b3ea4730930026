"""What a task's kernel should have computed, and how far from it a right kernel may be.

The reference runs twice: in fp64, which is taken as the truth, and in the precision of the inputs. An error is always
relative to the output's scale, its largest finite magnitude in fp64. With u the unit roundoff of a format, the error
allowed is

    2 u(output) + max(32, 2 sqrt(n)) u(sums) + 2 e,      sums in fp32, or in fp64 for an fp64 output,

where n is the largest extent of a tensor, which is as long as a sum along an axis can be, and e the error of the
reference itself in working precision. The result is rounded once (and may be rounded the other way); sums of a few
hundred terms in another order and approximate functions such as `ex2.approx` (2 ulp) leave a few units; n roundings
one after another add up to about sqrt(n) (Higham, Accuracy and Stability of Numerical Algorithms, section 4.2), where
PyTorch sums in pairs; and a kernel may lose twice what PyTorch loses in the same precision. The factors are this
project's choice. Integers must be equal. A task may state its own tolerance.

For inputs beside the task's own (`backends.run.regimes`) the larger of 8 s and 2 sqrt(n) p is added. s is what it does
to the outputs that each input is off by one rounding of the sums' format, up or down at random: of a kernel that is
right for inputs so near by, nothing more can be asked. p is the same with all positive inputs rounded up: in a sum of
sorted numbers, partial sums are as large as that of the positive ones, and each addition rounds such a number, however
small the result. Where the reference is not finite there, leaves the output's format or loses more than 1/128 itself,
there is nothing to compare with.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from backends.compilers.python_source import import_file
from backends.run.inputs import DTYPES
from backends.run.outcome import Comparison, Element
from ir.argument import Argument
from ir.diagnostics import Location, UserError, fail
from ir.task import Sizes, Task

_NARROW = (torch.float8_e4m3fn, torch.float8_e5m2)
_ROUNDINGS, _SUM_ROUNDINGS, _REFERENCE_ERRORS = 2.0, 32.0, 2.0
_LONG_SUM_ROUNDINGS = 2.0
_INPUT_ROUNDINGS, _UNSOUND = 8.0, 1 / 128
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
    terms = _terms(task, sizes)
    return {a.name: Expected(exact[a.name], _tolerance(task, a, terms, exact[a.name], working)) for a in task.outputs}


def expected_elsewhere(task: Task, sizes: Sizes, inputs: Mapping[str, torch.Tensor]) -> dict[str, Expected] | None:
    """The same for inputs of a regime; None where the reference is not sound on them."""
    try:
        exact = _outputs(task, sizes, {name: _widened(x, torch.float64) for name, x in inputs.items()})
        near = _outputs(task, sizes, {name: _rounded_off(x) for name, x in inputs.items()})
        above = _outputs(task, sizes, {name: _rounded_up(x) for name, x in inputs.items()})
    except UserError:
        return None
    working, terms = _working(task, sizes, inputs), _terms(task, sizes)
    found = {}
    for a in task.outputs:
        values = (exact[a.name], near[a.name], above[a.name], working.get(a.name, exact[a.name]))
        own = _own_error(exact[a.name], working.get(a.name))
        if own > _UNSOUND or not all(_fits(value, DTYPES[a.dtype]) for value in values):
            return None
        derived = _derived_tolerance(DTYPES[a.dtype], terms, own)
        derived += max(
            _INPUT_ROUNDINGS * _own_error(exact[a.name], near[a.name]),
            _LONG_SUM_ROUNDINGS * math.sqrt(terms) * _own_error(exact[a.name], above[a.name]),
        )
        found[a.name] = Expected(exact[a.name], max(derived, task.tolerance or 0.0))
    return found


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
    places = [tuple(int(i) for i in np.unravel_index(n, tuple(got.shape))) for n in order]
    return tuple(Element(place, float(got[place]), float(want[place])) for place in places)


def _scale(want: torch.Tensor) -> float:
    finite = want[want.isfinite()].double()
    return float(finite.abs().max()) if finite.numel() else 0.0


def _tolerance(
    task: Task, argument: Argument, terms: int, exact: torch.Tensor, working: Mapping[str, torch.Tensor]
) -> float:
    if task.tolerance is not None:
        return task.tolerance
    return _derived_tolerance(DTYPES[argument.dtype], terms, _own_error(exact, working.get(argument.name)))


def _terms(task: Task, sizes: Sizes) -> int:
    """The largest extent of a tensor."""
    values = task.values(sizes)
    return max((n for a in task.arguments for n in a.shape_at(values)), default=1)


def _derived_tolerance(dtype: torch.dtype, terms: int, own: float) -> float:
    if not dtype.is_floating_point:
        return 0.0
    sums = torch.float64 if dtype == torch.float64 else torch.float32
    roundings = max(_SUM_ROUNDINGS, _LONG_SUM_ROUNDINGS * math.sqrt(terms))
    return _ROUNDINGS * _roundoff(dtype) + roundings * _roundoff(sums) + _REFERENCE_ERRORS * own


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


def _fits(value: torch.Tensor, dtype: torch.dtype) -> bool:
    """Whether all of it is finite, and within a format's range."""
    return bool(value.isfinite().all()) and not _overflows(torch.empty(0, dtype=dtype), value)


def _rounded_off(tensor: torch.Tensor) -> torch.Tensor:
    """In fp64, each element off by one rounding up or down of the format that sums are in; integers as they are."""
    return _off_by(tensor, torch.randint(0, 2, tensor.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1)


def _rounded_up(tensor: torch.Tensor) -> torch.Tensor:
    """In fp64, each positive element off by one rounding up of that format, the others as they are."""
    return _off_by(tensor, tensor > 0)


def _off_by(tensor: torch.Tensor, roundings: torch.Tensor) -> torch.Tensor:
    if not tensor.dtype.is_floating_point:
        return tensor.clone()
    sums = torch.float64 if tensor.dtype == torch.float64 else torch.float32
    return tensor.to(torch.float64) * (1 + _roundoff(sums) * roundings.to(torch.float64))


# The reference.


def _working(task: Task, sizes: Sizes, inputs: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
    """The outputs in the precision of the inputs; empty where PyTorch lacks an operation on the CPU for it."""
    widened = {name: _widened(x, torch.float32) if x.dtype in _NARROW else x.clone() for name, x in inputs.items()}
    try:
        found: Mapping[str, torch.Tensor] = call_reference(task, sizes, widened)
    except (RuntimeError, NotImplementedError):
        return {}
    return found


def _outputs(task: Task, sizes: Sizes, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    place = Location(str(task.reference_file))
    try:
        found = call_reference(task, sizes, inputs)
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


def call_reference(task: Task, sizes: Sizes, inputs: Mapping[str, torch.Tensor]) -> Any:
    """What the reference returns for those of the inputs, scalars and constants that its parameters name.

    Raises UserError: what importing it raises, `bad-reference` where it is not there; and whatever it raises.
    """
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
