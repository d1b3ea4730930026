"""Does a task tell right from wrong? Answers that a broken or lazy kernel might give must be found out.

Each mutation is put in place of one output, and compared as a kernel's output would be. It must be found wrong at some
size of the task, or the task does not depend on what the mutation spoils. And each input must matter to some output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from backends.run.inputs import draw_inputs
from backends.run.oracle import Expected, compare, expected_outputs

if TYPE_CHECKING:
    from ir.task import Sizes, Task

# Of the elements at the end that a truncated answer lacks.
_LOST_SHARE = 8
# Unit roundoff of bfloat16, with a margin: a coarser tolerance cannot tell its rounding.
_COARSE = 2.0**-10


@dataclass(frozen=True)
class Case:
    """One size with the right answers for two draws of the inputs. is_derived: the task states no tolerance."""

    sizes: Sizes
    inputs: Mapping[str, torch.Tensor]
    expected: Mapping[str, Expected]
    others: Mapping[str, Expected]
    is_derived: bool = True


@dataclass(frozen=True)
class Finding:
    """What came of one mutation of one output (or of an input, if that is ignored): found out at `found` of `tried`."""

    output: str
    mutation: str
    found: int
    tried: int

    @property
    def passed(self) -> bool:
        """Whether the task found it out."""
        return self.found > 0


def check_oracle(task: Task, seed: int = 0) -> Iterator[Finding]:
    """A finding for each output and each mutation that makes sense for it, over the search and verify sizes.

    Raises UserError `bad-reference` as the reference does.
    """
    cases = [_case(task, sizes, seed) for sizes in (*task.sizes["search"], *task.sizes["verify"])]
    for argument in task.outputs:
        for name, mutate in MUTATIONS.items():
            outcomes = [o for case in cases if (o := _outcome(mutate, case, argument.name)) is not None]
            if outcomes:
                yield Finding(argument.name, name, sum(outcomes), len(outcomes))
    for argument in task.inputs:
        if argument.role != "scratch" and argument.distribution.kind != "zeros":
            yield from _ignored(task, cases, argument.name, seed)


def _ignored(task: Task, cases: Sequence[Case], name: str, seed: int) -> Iterator[Finding]:
    """Whether an input matters, up to the first size at which it does, small ones first."""
    tried = 0
    for case in sorted(cases, key=lambda c: sum(x.numel() for x in c.inputs.values())):
        found = _matters(task, case, name, seed)
        tried += found is not None
        if found:
            break
    if tried:
        yield Finding(name, "ignored", int(bool(found)), tried)


def _case(task: Task, sizes: Sizes, seed: int) -> Case:
    inputs = draw_inputs(task, sizes, seed)
    others = expected_outputs(task, sizes, draw_inputs(task, sizes, seed + 1))
    return Case(sizes, inputs, expected_outputs(task, sizes, inputs), others, task.tolerance is None)


def _matters(task: Task, case: Case, name: str, seed: int) -> bool | None:
    """Whether another draw of one input is seen in some output; None where there is nothing to be drawn."""
    if not case.inputs[name].numel():
        return None
    changed = {**case.inputs, name: draw_inputs(task, case.sizes, seed + 1)[name]}
    got = {output: e.value for output, e in expected_outputs(task, case.sizes, changed).items()}
    return any(not compare(output, got[output], e).passed for output, e in case.expected.items())


def _outcome(mutate: Callable[[Case, str], torch.Tensor | None], case: Case, output: str) -> bool | None:
    """Whether it was found out; None where there is no such answer."""
    right = case.expected[output].value
    wrong = mutate(case, output)
    if wrong is None or not right.numel():
        return None
    return not compare(output, wrong.to(right.dtype).contiguous(), case.expected[output]).passed


def _zeros(case: Case, output: str) -> torch.Tensor:
    return torch.zeros_like(case.expected[output].value)


def _constant(case: Case, output: str) -> torch.Tensor | None:
    """The constant that is least wrong, halfway between the extremes; one element is a constant anyway."""
    value = case.expected[output].value.double()
    if value.numel() < 2:
        return None
    middle = (value.nan_to_num().min() + value.nan_to_num().max()) / 2
    return torch.full_like(value, float(middle)).to(case.expected[output].value.dtype)


def _of_other_inputs(case: Case, output: str) -> torch.Tensor:
    return case.others[output].value


def _transposed(case: Case, output: str) -> torch.Tensor | None:
    value = case.expected[output].value
    is_matrix = value.dim() >= 2 and min(value.shape[-2:]) > 1
    return value.transpose(-1, -2).reshape(value.shape) if is_matrix else None


def _truncated(case: Case, output: str) -> torch.Tensor:
    """The last eighth (at least one element) was not computed."""
    value = case.expected[output].value.clone().reshape(-1)
    value[value.numel() - -(-value.numel() // _LOST_SHARE) :] = 0
    return value.reshape(case.expected[output].value.shape)


def _unchanged(case: Case, output: str) -> torch.Tensor | None:
    return case.inputs.get(output)


def _shifted(case: Case, output: str) -> torch.Tensor | None:
    """Each element where the next one belongs."""
    value = case.expected[output].value
    return value.reshape(-1).roll(1).reshape(value.shape) if value.numel() > 1 else None


def _without_edge(case: Case, output: str) -> torch.Tensor | None:
    """The last row, column, ... was not computed."""
    value = case.expected[output].value.clone()
    if min(value.shape, default=1) < 2:
        return None
    for axis in range(value.dim()):
        value.select(axis, -1).zero_()
    return value


def _poison(case: Case, output: str) -> torch.Tensor:
    """What memory holds before a launch: bytes 255."""
    value = case.expected[output].value
    return torch.full_like(value, torch.nan if value.dtype.is_floating_point else -1)


def _one_not_a_number(case: Case, output: str) -> torch.Tensor | None:
    value = case.expected[output].value.clone()
    if not value.dtype.is_floating_point:
        return None
    value.reshape(-1)[0] = torch.nan
    return value


def _coarser(case: Case, output: str) -> torch.Tensor | None:
    """Rounded to eight bits of mantissa where it has more: who states a tolerance may mean that to pass."""
    value = case.expected[output].value
    is_rounded = case.is_derived and case.expected[output].tolerance < _COARSE
    return value.to(torch.bfloat16).to(value.dtype) if value.dtype.is_floating_point and is_rounded else None


def _not_a_number(case: Case, output: str) -> torch.Tensor | None:
    value = case.expected[output].value
    return torch.full_like(value, torch.nan) if value.dtype.is_floating_point else None


MUTATIONS: Mapping[str, Callable[[Case, str], torch.Tensor | None]] = {
    "zeros": _zeros,
    "constant": _constant,
    "input-independent": _of_other_inputs,
    "transposed": _transposed,
    "truncated": _truncated,
    "unchanged": _unchanged,
    "not-a-number": _not_a_number,
    "one-not-a-number": _one_not_a_number,
    "shifted": _shifted,
    "without-edge": _without_edge,
    "poison": _poison,
    "coarser": _coarser,
}
