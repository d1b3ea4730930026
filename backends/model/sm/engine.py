"""The event loop: each event is a sub-core that issues one instruction and finds out when it can issue the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappushpop
from math import ceil

from backends.model.parameters import SmParameters
from backends.model.sm.program import INSTRUCTION_BYTES, Loop, Node, Program
from backends.model.sm.result import DISPATCH_STALL, NO_INSTRUCTION, NOT_SELECTED, WAIT, Issue
from backends.model.sm.state import NEVER, Cta, Frame, Shared, SubCore, Warp, settle
from backends.model.sm.sync import leave_barriers
from ir.diagnostics import UserError, fail

# Cycles in which an instruction can read its operands (Huerta et al., MICRO 2025).
_READ_WINDOW = 3
OnTurn = Callable[["Engine", Warp, Frame, int], None]


class Engine(Shared):
    """An SM at work on a queue of CTAs, `resident` of them at a time.

    `offset` is what has to be added to the clock, `now`, for loops whose turns were skipped.
    """

    def __init__(
        self, program: Program, ctas: Sequence[Sequence[list[Node]]], resident: int, on_turn: OnTurn, timeline: int
    ) -> None:
        super().__init__(program.parameters)
        self.program = program
        self.queue = list(ctas)
        self.resident = resident
        self.on_turn = on_turn
        self.offset = 0.0
        self.now = 0
        self.issued = 0
        self.live: list[Warp] = []
        self.ctas: list[Cta] = []
        self.timeline: list[Issue] = []
        self.timeline_limit = timeline
        self.full_cycles = self.full_issues = 0.0
        self._turned: Frame | None = None
        self.start_cycles = self.parameters.cycles("cta_start_cycles")
        self.far_jump, self.jump_cycles = _front_end(self.parameters)

    def run(self) -> None:
        """Execute everything. Raises UserError `model-deadlock` where warps wait for what never comes."""
        for _ in range(min(self.resident, len(self.queue))):
            self.launch(0)
        heap = self.heap
        while heap:
            time, index = heappop(heap)
            while self.subs[index].wake == time:
                self.now = time
                following = self.issue(self.subs[index], time)
                self.subs[index].wake = following
                if following >= NEVER:
                    break
                time, index = heappushpop(heap, (following, index))
        if self.live:
            raise self._deadlock()

    def issue(self, sub: SubCore, now: int) -> int:
        """Issue one instruction of the sub-core, if any can; when to look again."""
        free = sub.free
        warp = sub.chosen or _choose(sub, now)
        if warp is None:
            return _next(sub, now)
        record = warp.record
        assert record is not None
        record.issues += 1
        pipe_free = free[record.pipe]
        if now > warp.last + 1:
            _account(warp, now, pipe_free, sub.blocked)
        warp.charged = None
        # A pipe that came free within this cycle keeps its fraction.
        free[record.pipe] = (pipe_free if pipe_free > now - 1 else now) + record.interval
        if record.banked or sub.bank_busy > now:
            _read_banks(sub, record.even, record.odd, now)
        if self.timeline_limit:
            self._note(warp, now)
        self.issued += 1
        sub.greedy = None if record.yields else warp
        warp.issued += 1
        warp.last = now
        warp.base = warp.ready = now + record.step
        place = warp.place = warp.place + 1
        if place < len(warp.run):
            warp.record = warp.run[place]
        else:
            self._advance(warp, record.index)
        if record.action is not None:
            record.action(self, warp, record, now)
        following = warp.record
        if following is None:
            self._leave(warp, now)
        elif following.waits and warp.ready < NEVER:
            settle(warp)
        if self._turned is not None:
            frame, self._turned = self._turned, None
            self.on_turn(self, warp, frame, now)
        return _next(sub, now)

    def launch(self, start: int) -> None:
        """Start the next CTA of the queue: its first warp on the sub-core with the fewest warps."""
        cta = Cta(len(self.ctas), start)
        cta.start = start + self.offset
        self.ctas.append(cta)
        traces = [nodes for nodes in self.queue[cta.number] if nodes]
        cta.live = len(traces)
        first = min(self.subs, key=lambda sub: len(sub.warps)).index
        for number, nodes in enumerate(traces):
            sub = self.subs[(first + number) % len(self.subs)]
            warp = Warp(cta, number, sub, nodes, start)
            cta.warps.append(warp)
            self.live.append(warp)
            sub.warps.insert(0, warp)
            self._advance(warp, None)
            settle(warp)
            self.wake(sub, warp.ready)

    def _advance(self, warp: Warp, index: int | None) -> None:
        """Go to the next run of the warp's trace after instruction `index`; no record where there is none."""
        frames = warp.frames
        while frames:
            frame = frames[-1]
            frame.place += 1
            if frame.place < len(frame.nodes):
                node = frame.nodes[frame.place]
                if isinstance(node, Loop):
                    frames.append(Frame(node.body, node))
                    continue
                warp.run = node
                warp.place = 0
                warp.record = node[0]
                if index is not None and abs(node[0].index - index) > self.far_jump:
                    warp.ready += self.jump_cycles
                    warp.reason = NO_INSTRUCTION
                return
            frame.remaining -= 1
            frame.turns += 1
            frame.place = -1
            if frame.remaining <= 0:
                frames.pop()
            elif frame.loop:
                self._turned = frame
        warp.record = None

    def _leave(self, warp: Warp, now: int) -> None:
        """Take a warp that has nothing more to issue off its sub-core; a barrier may still hold it."""
        warp.sub.warps.remove(warp)
        if warp.sub.greedy is warp:
            warp.sub.greedy = None
        if warp.ready < NEVER:
            self.finish(warp, now)

    def finish(self, warp: Warp, now: int) -> None:
        """Count a warp as done, and start the next CTA in the place of one that is done."""
        cta = warp.cta
        self.live.remove(warp)
        cta.live -= 1
        cta.end = max(cta.end, now + 1 + self.offset)
        if cta.live:
            leave_barriers(self, cta, now)
        elif len(self.ctas) < len(self.queue):
            self.launch(now + 1 + self.start_cycles)
        elif not self.full_cycles:
            self.full_cycles = now + 1 + self.offset
            self.full_issues = sum(record.issues for record in self.program.records)

    def _note(self, warp: Warp, now: int) -> None:
        if len(self.timeline) < self.timeline_limit and warp.record is not None:
            cycle = int(now + self.offset)
            self.timeline.append(Issue(cycle, warp.cta.number, warp.number, warp.record.index))

    def _deadlock(self) -> UserError:
        waiting = [w for w in self.live if w.charged is not None]
        texts = sorted(
            {f"CTA {w.cta.number} warp {w.number} at `{w.charged.instruction.text}`" for w in waiting if w.charged}
        )
        message = f"{len(self.live)} warps wait for what never comes: {'; '.join(texts[:4])}"
        remedy = "the traces or the uses of barriers do not fit each other"
        return fail("model-deadlock", message, remedy=remedy)


def _account(warp: Warp, now: int, pipe_free: float, blocked: int) -> None:
    """Count what a warp that issues has done since its last issue, by state."""
    record = warp.record
    assert record is not None
    stalls = record.stalls
    base, ready = warp.base, warp.ready
    if base > warp.last + 1:
        stalls[WAIT] += base - warp.last - 1
    if ready > base:
        charged = warp.charged
        (stalls if charged is None else charged.stalls)[warp.reason] += ready - base
    if now == ready:
        return
    since: float = ready
    for until, state in ((pipe_free, record.throttle), (blocked, DISPATCH_STALL), (now, NOT_SELECTED)):
        if until > since:
            stalls[state] += until - since
            since = until


def _read_banks(sub: SubCore, even: int, odd: int, now: int) -> None:
    """Read the operands; where the ports do not serve them within the window, the sub-core issues later."""
    sub.even_free = max(sub.even_free, now) + even
    sub.odd_free = max(sub.odd_free, now) + odd
    sub.bank_busy = max(sub.even_free, sub.odd_free)
    late = sub.bank_busy - now - _READ_WINDOW
    if late > 0:
        sub.blocked = now + 1 + late


def _choose(sub: SubCore, now: int) -> Warp | None:
    """The warp that issued last if it can go on, else the youngest that can."""
    if sub.blocked > now:
        return None
    free = sub.free
    warp = sub.greedy
    if warp is not None and warp.ready <= now and free[warp.record.pipe] <= now:  # type: ignore[union-attr]
        return warp
    for warp in sub.warps:
        if warp.ready <= now and free[warp.record.pipe] <= now:  # type: ignore[union-attr]
            return warp
    return None


def _next(sub: SubCore, now: int) -> int:
    """The first cycle after `now` in which some warp of the sub-core can issue.

    `sub.chosen` is then the warp that `_choose` would find, None where fractions of cycles leave that open.
    """
    free = sub.free
    soonest = now + 1 if sub.blocked <= now else sub.blocked
    greedy = sub.greedy
    last: float = NEVER
    if greedy is not None:
        last = max(greedy.ready, free[greedy.record.pipe])  # type: ignore[union-attr]
        if last <= soonest:
            sub.chosen = greedy
            return soonest
    first: float = NEVER
    chosen = None
    for warp in sub.warps:
        at: float = warp.ready
        pipe = free[warp.record.pipe]  # type: ignore[union-attr]
        if pipe > at:
            at = pipe
        if at < first:
            chosen = warp
            if at <= soonest:
                sub.chosen = warp
                return soonest
            first = at
    following = ceil(first)
    sub.chosen = None if following != first else greedy if last == first else chosen
    return following


def _front_end(parameters: SmParameters) -> tuple[int, int]:
    """(distance in instructions beyond which a jump misses the first instruction cache, what it costs)."""
    reach = parameters.cycles("l0_instruction_bytes") // INSTRUCTION_BYTES
    return reach, parameters.cycles("l0_miss_cycles")
