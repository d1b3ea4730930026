"""Small machine code for tests: a line is an instruction with its control bits before it.

`[W-:R0:WAIT05:S2:Y] FFMA R0, R1, R2, R3`: write scoreboard, read scoreboard, scoreboards waited for, stall, yield;
each part may be left out. A blank line ends a basic block.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from backends.machines import load_machine
from backends.model.parameters import SmParameters
from backends.model.sm.costs import MemoryCost
from backends.model.sm.result import SmResult
from backends.model.sm.simulate import simulate
from backends.model.sm.trace import Repeat, Run, WarpTrace
from backends.sass.flow import Block
from backends.sass.function import Function, function_of
from backends.sass.listing import Line, Listing

_LINE = re.compile(r"(?:\[(?P<control>[^\]]*)\] )?(?P<text>.*)")


def _encoding(control: str) -> int:
    stall, yields, write, read, waits, reuse = 1, False, 7, 7, 0, 0
    for part in filter(None, control.split(":")):
        match part[0], part[1:]:
            case "S", digits:
                stall = int(digits)
            case "Y", _:
                yields = True
            case "W", digits if digits.startswith("AIT"):
                waits = sum(1 << int(k) for k in digits[3:])
            case "W", digits:
                write = int(digits)
            case "R", digits:
                read = int(digits)
            case "U", digits:
                reuse = sum(1 << int(k) for k in digits)
    bits = stall | (not yields) << 4 | write << 5 | read << 8 | waits << 11 | reuse << 17
    return bits << 105


def function(text: str, architecture: str = "sm_86") -> Function:
    """The function of the text, its blocks numbered from 0."""
    blocks = [[line.strip() for line in block.splitlines() if line.strip()] for block in text.strip().split("\n\n")]
    rows = [_LINE.fullmatch(line) for block in blocks for line in block]
    lines = [
        Line(16 * i, row["text"].strip(), _encoding(row["control"] or ""), (), None)
        for i, row in enumerate(rows)
        if row
    ]
    code = function_of(Listing(lines, {}), "test", architecture).instructions
    ends = [sum(len(block) for block in blocks[: i + 1]) for i in range(len(blocks))]
    starts = [0, *ends[:-1]]
    found = tuple(Block(i, first, last, ()) for i, (first, last) in enumerate(zip(starts, ends, strict=True)))
    return Function("test", architecture, code, found, ())


def parameters(machine: str = "a6000", **overrides: float) -> SmParameters:
    return SmParameters(load_machine(machine), overrides)


def run(
    code: str | Function,
    warps: int | Sequence[WarpTrace] = 1,
    machine: str = "a6000",
    costs: dict[int, MemoryCost] | None = None,
    **options: object,
) -> SmResult:
    """Simulate one CTA of warps that all execute block 0, or of these traces."""
    known = function(code, load_machine(machine).architecture) if isinstance(code, str) else code
    traces = tuple([(Run((0,)),)] * warps if isinstance(warps, int) else warps)
    options.setdefault("timeline", 100_000)
    return simulate(known, [traces], costs or {}, parameters(machine), **options)  # type: ignore[arg-type]


def loop(count: int, *blocks: int) -> Repeat:
    return Repeat((Run(blocks or (0,)),), count)


def issue_cycles(result: SmResult, instruction: int) -> list[int]:
    """When each warp issued the instruction, by warp."""
    issues = sorted(result.timeline, key=lambda issue: (issue.cta, issue.warp, issue.cycle))
    return [issue.cycle for issue in issues if issue.instruction == instruction]
