"""Static checks of a microbenchmark's machine code: what it measures is there, as often as claimed, and in a chain."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from bench.micro.listing import Line, Listing

# Instructions of the same opcode that the loop itself may need: a counter, a constant moved to a register.
SPARE = 3
_REGISTER = re.compile(r"\bU?R\d+")


@dataclass(frozen=True)
class Claim:
    """`opcode` (a pattern for the start of it) stands in an innermost loop, `each` times for each step of UNROLL.

    chained: each takes its source from what the one before has written. rare: a pattern of what may stand there once
    and not more often, such as the wait for all of them.
    """

    opcode: str
    each: int = 1
    chained: bool = False
    rare: str = ""


def faults(listing: Listing, claim: Claim, steps: int) -> list[str]:
    """What is not as claimed, in words; `steps` is UNROLL."""
    wanted = claim.each * steps
    whole = min(listing.loops(), key=lambda body: abs(len(_of(body, claim.opcode)) - wanted), default=())
    best = _of(whole, claim.opcode)
    if not wanted <= len(best) <= wanted + SPARE:
        return [f"{len(best)} {claim.opcode} in a loop, and not {wanted}"]
    if claim.chained and (broken := _breaks(best)) > SPARE:
        return [f"{broken} of {len(best)} {claim.opcode} do not wait for the one before"]
    if claim.rare and len(_of(whole, claim.rare)) > 1:
        return [f"{len(_of(whole, claim.rare))} {claim.rare} in a loop, and not 1"]
    return []


def _of(body: Sequence[Line], opcode: str) -> list[Line]:
    return [line for line in body if re.match(opcode, line.opcode)]


def _breaks(lines: list[Line]) -> int:
    return sum(not _follows(one, other) for one, other in itertools.pairwise(lines))


def _follows(one: Line, other: Line) -> bool:
    """The first register of an instruction is what it writes; a shuffle has a predicate before it."""
    written, read = _registers(one)[:1], _registers(other)[1:]
    return bool(written) and written[0] in read


def _registers(line: Line) -> list[str]:
    return _REGISTER.findall(" ".join(line.operands))
