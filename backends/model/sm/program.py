"""Machine code and traces made ready for the simulator: one record for each instruction, one node for each step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from backends.compilers.architecture import capability_of
from backends.model.parameters import SmParameters
from backends.model.sm.banks import bank_reads
from backends.model.sm.classes import DEFAULT, OpClass, classify
from backends.model.sm.costs import BarrierUse, MemoryCost, TensorShape
from backends.model.sm.result import (
    LG_THROTTLE,
    LONG_SCOREBOARD,
    MATH_PIPE_THROTTLE,
    MIO_THROTTLE,
    SHORT_SCOREBOARD,
    STALLS,
)
from backends.model.sm.trace import Run, Step, WarpTrace
from backends.sass.function import Function
from backends.sass.instruction import Instruction
from backends.sass.opcodes import pipe_cycles
from ir.diagnostics import Diagnostic

PIPES = (
    "none", "fma", "fmaheavy", "fp16", "fp16mma", "fp64", "alu", "int", "xu", "uniform", "control", "tensor", "tmem",
    "lsu",
)  # fmt: skip
LSU = PIPES.index("lsu")
_FAR = frozenset(["global", "async_copy"])
# Modifiers of a multiplication that gives more than the low half.
_WIDE = frozenset(["WIDE", "HI"])
# Pipes whose queue is that of the memory instructions, in Nsight Compute's terms.
_MIO_PIPES = frozenset(["lsu", "xu"])
# Pipes of fixed latency, whose instructions must have their operands in time.
_BANKED = frozenset(["fma", "fmaheavy", "fp16", "fp16mma", "alu", "int"])
INSTRUCTION_BYTES = 16


class Record:
    """One instruction, with what its issue needs at hand and what was counted of it."""

    __slots__ = (
        "action",
        "banked",
        "barrier",
        "carry",
        "cost",
        "details",
        "even",
        "far_carry",
        "hold",
        "index",
        "instruction",
        "interval",
        "issues",
        "l1_carry",
        "l2_carry",
        "latency",
        "odd",
        "part_carry",
        "pipe",
        "read_scoreboard",
        "shape",
        "stalls",
        "step",
        "throttle",
        "waits",
        "waits_for",
        "war",
        "write_scoreboard",
        "yields",
    )

    def __init__(self, instruction: Instruction, reads: tuple[int, int]) -> None:
        control = instruction.control
        self.instruction = instruction
        self.index = instruction.index
        self.yields = control.yields
        # A warp that yields is not chosen in the next cycle.
        self.step = max(control.stall, 2 if control.yields else 1)
        self.waits = control.waits
        self.write_scoreboard = -1 if control.write_scoreboard is None else control.write_scoreboard
        self.read_scoreboard = -1 if control.read_scoreboard is None else control.read_scoreboard
        self.even, self.odd = reads
        self.banked = max(reads) > 1
        self.action: Callable[..., None] | None = None
        self.pipe = 0
        self.interval: float = 1
        self.latency = 0
        self.war = 0
        self.hold: float = 0.0
        self.throttle = MATH_PIPE_THROTTLE
        self.waits_for = SHORT_SCOREBOARD
        self.cost: MemoryCost | None = None
        self.barrier: BarrierUse | None = None
        self.shape: TensorShape | None = None
        self.details: Any = None
        # Parts of a request that were left over: costs are averages, requests are whole.
        self.carry = self.part_carry = self.l1_carry = self.l2_carry = self.far_carry = 0.0
        self.issues: float = 0
        self.stalls: list[float] = [0] * len(STALLS)


class Loop:
    """A repeated body. `per_turn`: executions in one turn of the instructions that use mbarriers.

    length: instructions in one turn.
    """

    __slots__ = ("body", "count", "length", "per_turn")

    def __init__(self, body: list[Node], count: int) -> None:
        self.body = body
        self.count: int = count
        self.per_turn = _uses(body)
        self.length: int = sum(n.count * n.length if isinstance(n, Loop) else len(n) for n in body)


Node: TypeAlias = list[Record] | Loop


def _uses(body: list[Node]) -> Counter[Record]:
    found: Counter[Record] = Counter()
    for node in body:
        if isinstance(node, Loop):
            found.update({record: n * node.count for record, n in node.per_turn.items()})
        else:
            found.update(record for record in node if record.barrier)
    return found


class Program:
    """The records of a function, and the traces of its warps over them; equal traces are prepared once."""

    def __init__(
        self,
        function: Function,
        costs: Mapping[int, MemoryCost],
        barriers: Mapping[int, BarrierUse],
        shapes: Mapping[int, TensorShape],
        parameters: SmParameters,
    ) -> None:
        self.function = function
        self.parameters = parameters
        self.capability = capability_of(function.architecture)
        self.assumptions: dict[tuple[str, str], Diagnostic] = {}
        self.costs, self.barriers, self.shapes = costs, barriers, shapes
        reads = bank_reads(function.instructions)
        self.records = [Record(i, r) for i, r in zip(function.instructions, reads, strict=True)]
        for record in self.records:
            self._classify(record)
        self._traces: dict[WarpTrace, list[Node]] = {}
        self._runs: dict[tuple[int, ...], list[Record]] = {}

    def assume(self, record: Record, rule: str, message: str, remedy: str = "") -> None:
        """Note once for each opcode that the model takes a default."""
        instruction = record.instruction
        key = (rule, instruction.opcode)
        if key not in self.assumptions:
            self.assumptions[key] = Diagnostic(rule, f"`{instruction.text}`: {message}", instruction.location, remedy)

    def trace(self, trace: WarpTrace) -> list[Node]:
        """The nodes of a warp's trace."""
        if trace not in self._traces:
            self._traces[trace] = self._nodes(trace)
        return self._traces[trace]

    def _nodes(self, steps: tuple[Step, ...]) -> list[Node]:
        nodes: list[Node] = []
        for step in steps:
            node: Node = self._run(step.blocks) if isinstance(step, Run) else Loop(self._nodes(step.body), step.count)
            if node if isinstance(node, list) else node.body and node.count:
                nodes.append(node)
        return nodes

    def _run(self, blocks: tuple[int, ...]) -> list[Record]:
        if blocks not in self._runs:
            found = [self.function.blocks[number] for number in blocks]
            self._runs[blocks] = [record for block in found for record in self.records[block.first : block.last]]
        return self._runs[blocks]

    def _classify(self, record: Record) -> None:
        # The actions import what a record is.
        from backends.model.sm.actions import ACTIONS

        instruction = record.instruction
        found = classify(instruction.opcode)
        if found is None:
            message = f"unknown opcode, taken for {DEFAULT.pipe} work of {DEFAULT.latency}"
            self.assume(record, "unknown-opcode", message, "add it to the table of opcode classes")
        kind = found or DEFAULT
        pipe, record.interval = self._pipe(instruction, kind)
        record.pipe = PIPES.index(pipe)
        if pipe not in _BANKED:
            record.even, record.odd, record.banked = 0, 0, False
        record.latency = self.parameters.cycles(kind.latency) if kind.latency else 0
        record.cost = self.costs.get(record.index)
        record.barrier = self.barriers.get(record.index)
        record.shape = self.shapes.get(record.index)
        throttle = MIO_THROTTLE if kind.pipe in _MIO_PIPES else MATH_PIPE_THROTTLE
        record.throttle = LG_THROTTLE if kind.action in _FAR else throttle
        record.waits_for = LONG_SCOREBOARD if kind.action in _FAR else SHORT_SCOREBOARD
        prepare, record.action = ACTIONS[kind.action]
        if prepare is not None:
            prepare(self, record)

    def _pipe(self, instruction: Instruction, kind: OpClass) -> tuple[str, float]:
        """(pipe, cycles): what the assembler's stall counts tell of fixed-latency code, else the table of classes."""
        is_wide = kind.interval == "int32_mul" and not _WIDE.isdisjoint(instruction.modifiers)
        cycles = self.parameters.intervals["int32_wide" if is_wide else kind.interval]
        if kind.action != "plain" or instruction.pipe not in PIPES:
            return kind.pipe, _whole(cycles)
        told = pipe_cycles(instruction.opcode, instruction.modifiers, self.capability)
        return instruction.pipe, _whole(told or cycles)


def _whole(cycles: float) -> float:
    """An int where it is one: whole cycles keep the clock exact and quick."""
    return int(cycles) if cycles == int(cycles) else cycles
