"""Static checks of a microbenchmark's machine code: what it measures is there, as often as claimed, and in a chain."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from bench.micro.listing import Line, Listing

# Instructions of the same opcode that the loop itself may need: a counter, a constant moved to a register.
SPARE = 3
_REGISTER = re.compile(r"\bU?R\d+")


@dataclass(frozen=True)
class Claim:
    """`opcode` (a pattern for the start of it) stands in an innermost loop, `each` times for each step of UNROLL.

    chained: each takes its source from what the one before has written.
    """

    opcode: str
    each: int = 1
    chained: bool = False


def faults(listing: Listing, claim: Claim, steps: int) -> list[str]:
    """What is not as claimed, in words; `steps` is UNROLL."""
    wanted = claim.each * steps
    bodies = [[line for line in body if re.match(claim.opcode, line.opcode)] for body in listing.loops()]
    best = min(bodies, key=lambda body: abs(len(body) - wanted), default=[])
    if not wanted <= len(best) <= wanted + SPARE:
        return [f"{len(best)} {claim.opcode} in a loop, and not {wanted}"]
    if claim.chained and (broken := _breaks(best)) > SPARE:
        return [f"{broken} of {len(best)} {claim.opcode} do not wait for the one before"]
    return []


def _breaks(lines: list[Line]) -> int:
    return sum(not _follows(one, other) for one, other in itertools.pairwise(lines))


def _follows(one: Line, other: Line) -> bool:
    """The first register of an instruction is what it writes; a shuffle has a predicate before it."""
    written, read = _registers(one)[:1], _registers(other)[1:]
    return bool(written) and written[0] in read


def _registers(line: Line) -> list[str]:
    return _REGISTER.findall(" ".join(line.operands))
