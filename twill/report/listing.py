"""The pipelined loop as text: prologue, steady state and epilogue of every warp group, with buffers and barriers."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from ir.schedule import Schedule, WarpGroup
from twill.explain.words import plural, size_text
from twill.report.streams import Action, Channel, Program, Step, Stream, buffer_depths, program
from twill.report.text import headline, negative

# Prologues and epilogues with more steps than this are listed by op names alone.
MAX_STEPS = 400


@dataclass(frozen=True)
class Iteration:
    """The iteration of a step: a constant, or `base` (`i` or `N`) plus one.

    >>> str(Iteration("i", 2)), str(Iteration("N", -1)), str(Iteration("", 3)), str(Iteration("i", 0))
    ('i + 2', 'N - 1', '3', 'i')
    """

    base: str
    offset: int

    def __str__(self) -> str:
        if not self.base:
            return str(self.offset)
        if not self.offset:
            return self.base
        return f"{self.base} {'+' if self.offset > 0 else '-'} {abs(self.offset)}"

    def earlier(self, distance: int) -> Iteration:
        """The iteration `distance` before."""
        return Iteration(self.base, self.offset - distance)


def listing(schedule: Schedule) -> str:
    """The program of each warp group for a trip count N, right for any N >= 0; slots are modelled cycles."""
    if not schedule.found:
        return negative(schedule)
    prog = program(schedule)
    lines = [*headline(schedule), "", *_channel_lines(prog)]
    inner = list(_buffer_lines(prog))
    lines += ["buffers within a group", *inner] if inner else []
    for stream in prog.streams:
        lines += ["", *_stream_lines(prog, stream)]
    return "\n".join([*lines, "", *_trip_count_lines(schedule)]) + "\n"


def _channel_lines(prog: Program) -> Iterator[str]:
    if not prog.channels:
        yield "no hand-over between warp groups"
        return
    yield "channels between warp groups: iteration j uses buffer j % depth, phase j / depth"
    width = max(len(c.name) for c in prog.channels)
    for channel in prog.channels:
        readers = ", ".join(map(str, channel.consumers))
        arrivals = f"full: 1 arrival, empty: {plural(len(channel.consumers), 'arrival')}"
        line = f"  {channel.name:<{width}}  group {channel.producer} -> {readers:<8} {_storage(prog.schedule, channel)}"
        yield f"{line:<{width + 50}} {arrivals}"


def _storage(schedule: Schedule, channel: Channel) -> str:
    op = schedule.graph.by_name[channel.op]
    sizes = (("smem", op.smem_bytes), ("tmem", op.tmem_columns), ("registers", op.registers))
    held = [size_text(size, memory) + (" smem" if memory == "smem" else "") for memory, size in sizes if size]
    if channel.kind == "order" or not held:
        return f"depth {channel.depth}, no storage"
    return f"depth {channel.depth} x {' + '.join(held)}"


def _buffer_lines(prog: Program) -> Iterator[str]:
    handed = {c.op for c in prog.channels}
    depths = buffer_depths(prog.schedule, prog.channels)
    for buffer in prog.schedule.buffers:
        if buffer.op not in handed and buffer.memory != "registers":
            yield f"  {buffer.op}: depth {depths[buffer.op]} x {size_text(buffer.size, buffer.memory)} {buffer.memory}"


def _stream_lines(prog: Program, stream: Stream) -> Iterator[str]:
    yield _title(prog.schedule, stream)
    writer = _Writer(stream, {c.name: c.depth for c in prog.channels}, buffer_depths(prog.schedule, prog.channels))
    overlap = stream.stages - 1
    write = writer.names if overlap * len(stream.steps) > MAX_STEPS else writer.rows
    for number in range(overlap):
        yield f"  prologue, round {number}"
        yield from write([Row(step, Iteration("", i), i + 1, 0) for step, i in stream.prologue(number)])
    yield f"  steady state, for i in 0 .. N - {stream.stages}"
    yield from writer.rows([Row(step, Iteration("i", i), 0, 0) for step, i in stream.steady()])
    for number in range(overlap):
        least = overlap - number
        yield f"  epilogue, round {number}, if N >= {least}"
        yield from write([Row(step, Iteration("N", i), 0, least) for step, i in stream.epilogue(number)])


def _title(schedule: Schedule, stream: Stream) -> str:
    known = next((g for g in schedule.groups if g.index == stream.group), None)
    ops = plural(sum(not step.done for step in stream.steps), "op")
    return f"group {stream.group}{_about(known)}: {plural(stream.stages, 'stage')}, {ops}"


def _about(group: WarpGroup | None) -> str:
    if group is None:
        return ""
    registers = f", {group.registers_per_thread} registers a thread" if group.registers_per_thread else ""
    return f" {group.role} ({plural(group.warps, 'warp')}{registers})"


@dataclass(frozen=True)
class Row:
    """A step at an iteration; it runs only where N >= `needs`, and its round only where N >= `given`."""

    step: Step
    iteration: Iteration
    needs: int
    given: int


@dataclass(frozen=True)
class _Writer:
    """Writes the steps of one stream; `channels` and `buffers` give depths by name."""

    stream: Stream
    channels: Mapping[str, int]
    buffers: Mapping[str, int]

    def names(self, rows: Sequence[Row]) -> Iterator[str]:
        """One line for a round: the ops with their iterations."""
        issued = (f"{row.step.op} ({row.iteration})" for row in rows if not row.step.done)
        yield f"    {', '.join(issued)}{', each where N > its iteration' if rows[0].needs else ''}"

    def rows(self, rows: Sequence[Row]) -> Iterator[str]:
        """Every step with slot and stage, its waits above it and its arrives below it."""
        for needs, block in groupby(rows, key=lambda row: row.needs):
            if needs:
                yield f"    if N >= {needs}:"
            for row in block:
                yield from self._row(row)

    def _row(self, row: Row) -> Iterator[str]:
        step = row.step
        margin = f"    {step.time_cycles % self.stream.ii_cycles:>7}  {self.stream.stage(step):>2}  "
        lines = [text for action in step.before for text in self._action(action, row)]
        lines.append(f"{'await' if step.done else 'issue'} {step.op} ({row.iteration}){self._target(row)}")
        lines += [f"  {text}" for action in step.after for text in self._action(action, row)]
        for number, text in enumerate(lines):
            yield f"{' ' * len(margin) if number else margin}{text}"

    def _target(self, row: Row) -> str:
        depth = self.buffers.get(row.step.op)
        return f" into buffer {_phase(row.iteration, depth, 0)[0]}" if depth and not row.step.done else ""

    def _action(self, action: Action, row: Row) -> Iterator[str]:
        """The text of a wait or an arrive; nothing where the iteration that it means is known not to exist."""
        target = row.iteration.earlier(action.distance)
        if (target.base == "" and target.offset < 0) or (target.base == "N" and target.offset >= 0):
            return
        guard = f", if {target.base} >= {-target.offset}" if -target.offset > row.given else ""
        if not target.base and target.offset >= row.needs:
            guard = f", if N > {target.offset}"
        if action.side == "done":
            yield f"wait for {action.name} ({target}){guard}"
            return
        buffer, parity = _phase(target, self.channels[action.name], int(action.side == "empty"))
        suffix = f", parity {parity}" if action.verb == "wait" else ", when done" if action.asynchronous else ""
        yield f"{action.verb} {action.side} of {action.name}, buffer {buffer}{suffix}{guard}"


def _phase(iteration: Iteration, depth: int, ahead: int) -> tuple[str, str]:
    """Buffer j % depth and parity (j / depth) % 2 of iteration j; a producer waits for the phase before, 1 `ahead`.

    >>> _phase(Iteration("i", 1), 2, 0), _phase(Iteration("", 5), 2, 1)
    (('(i + 1) % 2', '(i + 1) // 2 % 2'), ('1', '1'))
    """
    if not iteration.base:
        turn, buffer = divmod(iteration.offset, depth)
        return str(buffer), str((turn + ahead) % 2)
    text = f"({iteration})" if iteration.offset else str(iteration)
    if depth == 1:
        shifted = Iteration(iteration.base, iteration.offset + ahead)
        return "0", f"({shifted}) % 2" if shifted.offset else f"{shifted} % 2"
    turn_text = f"{text} // {depth}"
    return f"{text} % {depth}", f"({turn_text} + 1) % 2" if ahead else f"{turn_text} % 2"


def _trip_count_lines(schedule: Schedule) -> list[str]:
    count = schedule.graph.trip_count
    known = "" if count is None else f" ({count})"
    return textwrap.wrap(
        f"N is the trip count{known}. A step of the prologue runs only where its iteration exists, the steady state "
        "N - stages + 1 times or never, and round e of the epilogue only where N >= stages - 1 - e: each op runs once "
        "for each iteration, whatever the trip count, 0 included. Columns: slot in modelled cycles, stage counted "
        "within the group. A wait for empty passes on a fresh barrier.",
        width=100,
    )
