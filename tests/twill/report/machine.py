"""Runs the text of a listing for a trip count, as warp groups that race each other, and checks every hand-over."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from ir.schedule import Schedule

# (verb, name, buffer or iteration, parity) with numbers evaluated
Instruction = tuple[str, str, int, int]

_ACTION = re.compile(
    r"(wait|arrive) (full|empty) of (\S+), buffer ([^,]+)(?:, parity ([^,]+))?(?:, when done)?(?:, if (.+))?$"
)
_WAIT = re.compile(r"(wait for|await) (\S+) \((.+?)\)(?:, if (.+))?$")
_ISSUE = re.compile(r"issue (\S+) \((.+?)\)")
_CHANNEL = re.compile(r"  (\S+)\s+group (\d+) -> ([\d, ]+?)\s+depth (\d+)")


def streams(text: str, trip_count: int) -> dict[int, list[Instruction]]:
    """The instructions that each group executes, in order."""
    parts = re.split(r"^group (\d+).*$", text, flags=re.M)
    return {int(g): list(_run(body, trip_count)) for g, body in zip(parts[1::2], parts[2::2], strict=True)}


def _run(body: str, n: int) -> Iterator[Instruction]:
    for part in re.split(r"^  (?=prologue|steady|epilogue)", body, flags=re.M)[1:]:
        title, *lines = part.split("\n")
        lines = [line for line in lines if line.startswith("    ")]
        if title.startswith("steady"):
            last = eval(title.split("..")[1], {"N": n})
            for i in range(last + 1):
                yield from _block(lines, {"N": n, "i": i})
        elif ", if " not in title or eval(title.split(", if ")[1], {"N": n}):
            yield from _block(lines, {"N": n})


def _block(lines: list[str], names: dict[str, int]) -> Iterator[Instruction]:
    active = True
    for line in lines:
        if line.startswith("    if "):
            active = eval(line.strip()[3:-1], names)
        elif active:
            yield from _line(line.split("  ")[-1].strip(), names)


def _line(text: str, names: dict[str, int]) -> Iterator[Instruction]:
    if match := _ACTION.search(text):
        verb, side, name, buffer, parity, guard = match.groups()
        if not guard or eval(guard, names):
            yield f"{verb} {side}", name, eval(buffer, names), eval(parity or "0", names)
    elif match := _WAIT.search(text):
        verb, name, iteration, guard = match.groups()
        if not guard or eval(guard, names):
            yield "done", name, eval(iteration, names), 0
    else:
        match = _ISSUE.search(text)
        assert match, f"unknown line {text!r}"
        yield "issue", match[1], eval(match[2], names), 0


@dataclass
class Barrier:
    """An mbarrier: a phase completes after `count` arrivals."""

    count: int
    phase: int = 0
    arrived: int = 0

    def arrive(self) -> None:
        self.arrived += 1
        if self.arrived == self.count:
            self.phase, self.arrived = self.phase + 1, 0

    def passes(self, parity: int) -> bool:
        """True where the phase of that parity has completed: a fresh barrier lets parity 1 pass."""
        return self.phase % 2 != parity


@dataclass
class Race:
    """The state of one run; `issued` and `done` hold (op, iteration)."""

    schedule: Schedule
    text: str
    n: int
    rng: random.Random
    issued: list[tuple[str, int]] = field(default_factory=list)
    done: set[tuple[str, int]] = field(default_factory=set)
    flying: list[tuple[str, int, list[Barrier]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.channels = {m[1]: (int(m[4]), m[3].count(",") + 1) for m in _CHANNEL.finditer(self.text)}
        self.full = defaultdict(lambda: Barrier(1))
        self.empty = {
            (name, b): Barrier(readers) for name, (depth, readers) in self.channels.items() for b in range(depth)
        }
        self.depths = {b.op: b.depth for b in self.schedule.buffers if b.memory != "registers"}
        for edge in self.schedule.graph.edges:
            if edge.kind == "data" and edge.source in self.depths:
                self.depths[edge.source] = max(self.depths[edge.source], edge.distance)
        self.depths |= {name: depth for name, (depth, _) in self.channels.items() if not name.endswith(".order")}
        waited = {edge.source for edge in self.schedule.graph.edges if edge.blocking}
        self.late = {
            op.name: op.variable_latency or max(1, op.issue_cycles) < op.occupancy_cycles or op.name in waited
            for op in self.ops
        }
        self.group = {p.op: p.group for p in self.schedule.placements}

    @property
    def ops(self):
        return self.schedule.graph.ops

    def run(self) -> None:
        """Execute until every stream has ended; fails on deadlock, on a stale read and on an overwritten buffer."""
        programs = streams(self.text, self.n)
        counters = dict.fromkeys(programs, 0)
        while any(counters[g] < len(programs[g]) for g in programs) or self.flying:
            ready = [g for g in programs if counters[g] < len(programs[g]) and self.ready(programs[g][counters[g]])]
            choices = ready + ["land"] * bool(self.flying)
            assert choices, f"deadlock at N={self.n}: {[programs[g][c:][:1] for g, c in counters.items()]}"
            choice = self.rng.choice(choices)
            if choice == "land":
                self.land()
                continue
            counters[choice] += self.execute(programs[choice], counters[choice])

    def ready(self, instruction: Instruction) -> bool:
        verb, name, number, parity = instruction
        if verb == "wait full":
            return self.full[name, number].passes(parity)
        if verb == "wait empty":
            return self.empty[name, number].passes(parity)
        return verb != "done" or (name, number) in self.done

    def execute(self, program: list[Instruction], at: int) -> int:
        """Execute one instruction, an issue with the arrives at full that belong to it; returns how many."""
        verb, name, number, _ = program[at]
        if verb == "arrive empty":
            self.empty[name, number].arrive()
        if verb != "issue":
            return 1
        self.check_issue(name, number)
        fulls = []
        while at + 1 + len(fulls) < len(program) and program[at + 1 + len(fulls)][0] == "arrive full":
            fulls.append(program[at + 1 + len(fulls)])
        self.issued.append((name, number))
        self.flying.append((name, number, [self.full[f[1], f[2]] for f in fulls]))
        if not self.late[name]:
            self.land(len(self.flying) - 1)
        return 1 + len(fulls)

    def land(self, index: int | None = None) -> None:
        chosen = self.rng.randrange(len(self.flying)) if index is None else index
        name, number, fulls = self.flying.pop(chosen)
        self.done.add((name, number))
        for barrier in fulls:
            barrier.arrive()

    def check_issue(self, name: str, i: int) -> None:
        for edge in self.schedule.graph.edges:
            if edge.target == name and i >= edge.distance:
                strict = edge.blocking or self.group[edge.source] != self.group[name]
                seen = self.done if strict or not self.late[edge.source] else self.issued
                assert (edge.source, i - edge.distance) in seen, f"{name}({i}) runs before {edge.source} of {edge}"
            if edge.source == name and edge.kind == "data" and name in self.depths:
                self.check_free(edge, i - self.depths[name] + edge.distance, i)

    def check_free(self, edge, reader: int, i: int) -> None:
        if edge.distance <= reader < self.n:
            seen = self.issued if edge.in_place else self.done
            assert (edge.target, reader) in seen, f"{edge.source}({i}) overwrites what {edge.target}({reader}) reads"
