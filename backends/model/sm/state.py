"""The state of an SM: sub-cores, warps, CTAs, and the units that they share."""

from __future__ import annotations

from collections import deque
from heapq import heappush
from typing import Any

from backends.model.parameters import SUB_CORES, SmParameters
from backends.model.sm.program import PIPES, Loop, Node, Record
from backends.model.sm.result import WAIT
from backends.model.sm.servers import Calendar, Flow, Share

NEVER = 1 << 60
SCOREBOARDS = 6


class Frame:
    """Where a warp is in one level of its trace: the node under way, and the turns of the loop around them."""

    __slots__ = ("history", "loop", "nodes", "place", "remaining", "turns")

    def __init__(self, nodes: list[Node], loop: Loop | None) -> None:
        self.nodes = nodes
        self.place = -1
        self.loop = loop
        self.remaining = loop.count if loop else 1
        self.turns = 0
        # What the extrapolation has seen of this loop.
        self.history: Any = None


class SubCore:
    """One of the four: its pipes, its queue to the LSU, its register banks, and its warps, youngest first."""

    __slots__ = (
        "address_free",
        "bank_busy",
        "blocked",
        "chosen",
        "even_free",
        "free",
        "greedy",
        "index",
        "odd_free",
        "queue",
        "wake",
        "warps",
        "writeback",
    )

    def __init__(self, index: int, parameters: SmParameters) -> None:
        self.index = index
        self.warps: list[Warp] = []
        self.greedy: Warp | None = None
        # Whose turn it is at `wake`, if that is known.
        self.chosen: Warp | None = None
        self.free: list[float] = [0] * len(PIPES)
        self.wake = NEVER
        self.blocked = 0
        self.even_free = self.odd_free = self.bank_busy = 0
        self.address_free = 0
        self.queue: deque[int] = deque(maxlen=parameters.cycles("lsu_queue_entries"))
        self.writeback = Flow(parameters.rate("writeback_bytes_per_cycle"))


class Warp:
    """One warp: its place in its trace, when it may issue next and why not before, and its scoreboards."""

    __slots__ = (
        "base",
        "charged",
        "copies",
        "cta",
        "frames",
        "groups",
        "issued",
        "last",
        "matrices",
        "number",
        "place",
        "ready",
        "reason",
        "reasons",
        "record",
        "run",
        "scoreboards",
        "sub",
        "uses",
    )

    def __init__(self, cta: Cta, number: int, sub: SubCore, nodes: list[Node], start: int) -> None:
        self.cta = cta
        self.number = number
        self.sub = sub
        self.frames = [Frame(nodes, None)]
        self.run: list[Record] = []
        self.place = 0
        self.record: Record | None = None
        self.base = self.ready = start
        self.last = start - 1
        self.issued = 0
        self.reason = WAIT
        self.charged: Record | None = None
        self.scoreboards = [0] * SCOREBOARDS
        self.reasons = [WAIT] * SCOREBOARDS
        # When the copies since the last commit are complete, and the committed groups by scoreboard.
        self.copies = 0
        self.groups: dict[int, list[int]] = {}
        self.matrices: list[int] = []
        # Executions so far at each site that uses an mbarrier, or of each instruction that is none's.
        self.uses: dict[int | str, int] = {}


class Cta:
    """One CTA: its warps that still run, and its barriers."""

    __slots__ = ("barriers", "end", "live", "mbarriers", "number", "start", "tensor_done", "warps")

    def __init__(self, number: int, start: int) -> None:
        self.number = number
        self.start: float = start
        self.end: float = 0
        self.warps: list[Warp] = []
        self.live = 0
        # Barrier number -> warps that wait at it, and how many have arrived.
        self.barriers: dict[int, Gathering] = {}
        self.mbarriers: dict[str, dict[int, Completion]] = {}
        self.tensor_done = 0


class Gathering:
    """Warps at a named barrier."""

    __slots__ = ("arrived", "expected", "waiting")

    def __init__(self) -> None:
        self.arrived = 0
        self.expected = 0
        self.waiting: list[Warp] = []


class Completion:
    """One completion of an mbarrier: when it is or was reached, as far as is known, and who waits for it."""

    __slots__ = ("arrived", "time", "waiting")

    def __init__(self) -> None:
        self.arrived = 0
        self.time = 0
        self.waiting: list[Warp] = []


class Shared:
    """What the sub-cores share: the LSU, the way to the L2 and the DRAM, the barrier unit, the asynchronous engines."""

    def __init__(self, parameters: SmParameters) -> None:
        self.parameters = parameters
        self.subs = [SubCore(index, parameters) for index in range(SUB_CORES)]
        self.heap: list[tuple[int, int]] = []
        self.lsu = Calendar()
        port, window = parameters.rate("l2_bytes_per_cycle"), parameters.rate("share_window_cycles")
        self.l2 = Share(Flow(port), Flow(parameters.l2_bytes_per_cycle, window))
        self.l2_writes = Share(Flow(port), Flow(parameters.l2_bytes_per_cycle, window))
        self.l2_partial = Flow(parameters.l2_partial_writes_per_cycle, window)
        self.dram = Share(Flow(port), Flow(parameters.dram_bytes_per_cycle, window))
        self.atomics = Flow(parameters.rate("atomics_per_cycle"))
        self.smem_async = Flow(parameters.rate("smem_bytes_per_cycle"))
        self.engines: dict[str, float] = {}
        self.barrier_free = 0
        self.drained = 0
        self.busy: dict[str, float] = {}
        self.bytes: dict[str, float] = {}
        accept = parameters.cycles("lsu_accept_delay_cycles")
        self.accept_delay = accept
        self.address_interval = parameters.cycles("lsu_address_interval_cycles")
        self.l2_extra = parameters.l2_extra_cycles
        self.dram_extra = parameters.dram_extra_cycles
        self.dram_far = parameters.dram_far_cycles
        self.far_extra = parameters.far_extra_cycles
        self.barrier_cycles = parameters.cycles("ptx_barrier_cycles")
        self.barrier_cycles_per_warp = parameters.cycles("barrier_cycles_per_warp")

    def count(self, level: str, amount: float) -> None:
        """Note bytes that pass a level of the memory."""
        self.bytes[level] = self.bytes.get(level, 0.0) + amount

    def hold(self, engine: str, at: float, cycles: float) -> float:
        """Take a unit of the whole SM for some cycles, after those who came before; when it begins."""
        begin = max(at, self.engines.get(engine, 0.0))
        self.engines[engine] = begin + cycles
        # What the SM has one of counts for all sub-cores.
        self.busy[engine] = self.busy.get(engine, 0.0) + SUB_CORES * cycles
        return begin

    def release(self, warp: Warp, time: int) -> None:
        """Let a parked warp go on at a time, or when the scoreboards of its next instruction are clear."""
        if warp.record is None:
            self.finish(warp, time - 1)
            return
        warp.ready = max(time, warp.base)
        settle(warp)
        self.wake(warp.sub, warp.ready)

    def finish(self, warp: Warp, now: int) -> None:
        """Take a warp off the SM whose trace has ended."""
        raise NotImplementedError

    def wake(self, sub: SubCore, time: int) -> None:
        """See to it that the sub-core looks for a warp at that time, at the latest, since one may go on then."""
        sub.chosen = None
        if time < sub.wake:
            sub.wake = time
            heappush(self.heap, (time, sub.index))


def settle(warp: Warp) -> None:
    """Put off a warp until the scoreboards that its next instruction waits for are clear."""
    record = warp.record
    assert record is not None
    for k in record.waits:
        if warp.scoreboards[k] > warp.ready:
            warp.ready = warp.scoreboards[k]
            warp.reason = warp.reasons[k]
            warp.charged = None


def signal(warp: Warp, record: Record, read: int, written: int) -> None:
    """Set the instruction's scoreboards: operands read at one time, results written at the other."""
    k = record.write_scoreboard
    if k >= 0 and written > warp.scoreboards[k]:
        warp.scoreboards[k] = written
        warp.reasons[k] = record.waits_for
    k = record.read_scoreboard
    if k >= 0 and read > warp.scoreboards[k]:
        warp.scoreboards[k] = read
        warp.reasons[k] = record.waits_for


def park(warp: Warp, record: Record, reason: int) -> None:
    """Stop a warp until `release`; the wait is charged to the instruction that asked for it."""
    warp.ready = NEVER
    warp.reason = reason
    warp.charged = record


def hold_back(warp: Warp, record: Record, until: int, reason: int) -> None:
    """Keep a warp from issuing before a time; the wait is charged to the instruction that asked for it."""
    if until > warp.ready:
        warp.ready = until
        warp.reason = reason
        warp.charged = record
