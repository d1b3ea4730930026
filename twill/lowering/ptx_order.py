"""Order that synchronisation keeps between the instructions of a PTX loop: barriers, fences, groups, exits.

Synchronising instructions stay in program order among themselves, so that it suffices to tie every other one to the
nearest that concerns it before and after. Asynchronous copies and matrix products are counted into their commit groups,
so that a `wait_group N` depends on exactly the groups that it waits for, over iterations too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from ir.loop import Operation
from twill.lowering.ptx_body import LoopBody

Latency = Callable[[int], int]


@dataclass(frozen=True)
class Order:
    """`target` issues at least `latency_cycles` after `source` of `distance` iterations before."""

    source: int
    target: int
    latency_cycles: int
    distance: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Fence:
    """Kinds of operations that a synchronising one keeps before and after itself."""

    before: frozenset[str]
    after: frozenset[str]
    blocks: bool = True


# Kinds of operations that synchronisation concerns, by pattern; `memory` is any access.
_KINDS = {
    "copy": re.compile(r"cp\.async\.(ca|cg)"),
    "bulk": re.compile(r"cp\.(async|reduce\.async)\.bulk\.(?!commit|wait)"),
    "wgmma": re.compile(r"wgmma\.mma_async"),
    "tensor": re.compile(r"tcgen05\.(mma|cp|shift|ld|st)"),
    "tensor_load": re.compile(r"tcgen05\.ld"),
    "tensor_store": re.compile(r"tcgen05\.st"),
}
_ALL = frozenset({"memory", *_KINDS})
_NONE: frozenset[str] = frozenset()


def _only(*kinds: str) -> frozenset[str]:
    return frozenset(kinds)


# First match wins. A release keeps what is before it there, an acquire what is after it. Source: PTX ISA 9, memory
# consistency model and the chapters on asynchronous operations.
FENCES: tuple[tuple[str, Fence], ...] = (
    (r"cp\.async\.commit_group", Fence(_only("copy"), _only("copy"), blocks=False)),
    (r"cp\.async\.bulk\.commit_group", Fence(_only("bulk"), _only("bulk"), blocks=False)),
    (r"wgmma\.commit_group", Fence(_only("wgmma"), _only("wgmma"), blocks=False)),
    (r"wgmma\.fence", Fence(_only("memory", "wgmma"), _only("wgmma"), blocks=False)),
    (r"(cp\.async|wgmma).*wait_(group|all)", Fence(_NONE, _ALL)),
    (r"tcgen05\.wait::ld", Fence(_only("tensor_load"), _ALL)),
    (r"tcgen05\.wait::st", Fence(_only("tensor_store"), _ALL)),
    (r"tcgen05\.commit|mbarrier\.(arrive|expect_tx|complete_tx)|cp\.async\.mbarrier", Fence(_ALL, _NONE, blocks=False)),
    (r"mbarrier\.(try_wait|test_wait)|griddepcontrol\.wait", Fence(_NONE, _ALL)),
    (r"(bar|barrier)(\.cta|\.cluster)?\.arrive", Fence(_ALL, _NONE, blocks=False)),
    (r"barrier\.cluster\.wait", Fence(_NONE, _ALL)),
    (r"bar\b|barrier\b|fence|membar|mbarrier|griddepcontrol|setmaxnreg|nanosleep|tcgen05\.(fence|alloc|dealloc|relinq)",
     Fence(_ALL, _ALL)),
    (r"(ld|atom)\b.*\.acquire|multimem.*\.acquire", Fence(_NONE, _ALL)),
    (r"(st|red|atom)\b.*\.release|multimem.*\.release", Fence(_ALL, _NONE, blocks=False)),
    (r".*\.(acq_rel|volatile|mmio|sc)\b|clusterlaunchcontrol|trap|brkpt", Fence(_ALL, _ALL)),
)  # fmt: skip
_COMPILED = tuple((re.compile(pattern), fence) for pattern, fence in FENCES)

# Asynchronous groups: members, what closes a group, what waits for groups.
_GROUPS = (
    ("copy", re.compile(r"cp\.async\.commit_group"), re.compile(r"cp\.async\.wait_(group|all)")),
    ("bulk", re.compile(r"cp\.async\.bulk\.commit_group"), re.compile(r"cp\.async\.bulk\.wait_group")),
    ("wgmma", re.compile(r"wgmma\.commit_group"), re.compile(r"wgmma\.wait_group")),
)


def fence_of(opcode: str) -> Fence | None:
    """What an opcode orders; None for one that does not synchronise.

    >>> fence_of("bar.sync").before == fence_of("bar.sync").after, fence_of("add.s32")
    (True, None)
    >>> sorted(fence_of("cp.async.commit_group").before), sorted(fence_of("mbarrier.arrive.shared.b64").after)
    (['copy'], [])
    """
    return next((fence for pattern, fence in _COMPILED if pattern.match(opcode)), None)


def kinds_of(operation: Operation) -> frozenset[str]:
    """The kinds of an operation: `memory` for an access to memory that is not constant, and the asynchronous ones."""
    kinds = {kind for kind, pattern in _KINDS.items() if pattern.match(operation.opcode)}
    space = operation.attributes.get("access0_space")
    if space not in (None, "const", "param"):
        kinds.add("memory")
    return frozenset(kinds)


@dataclass(frozen=True)
class Synchronisation:
    """The order relations of one loop body; `latency` gives the latency of the operation at a position."""

    body: LoopBody
    latency: Latency

    @cached_property
    def fences(self) -> dict[int, Fence]:
        """Position -> fence, in program order."""
        found = ((i, fence_of(op.opcode)) for i, op in enumerate(self.body.operations))
        return {i: fence for i, fence in found if fence}

    @cached_property
    def full_barriers(self) -> tuple[int, ...]:
        """Positions that order all memory accesses; guarded ones do not count."""
        operations = self.body.operations
        return tuple(
            i
            for i, f in self.fences.items()
            if "memory" in f.before and "memory" in f.after and not operations[i].predicates
        )

    def orders(self) -> Iterator[Order]:
        """All order relations that synchronisation asks for."""
        yield from self._chain()
        for position in range(len(self.body.operations)):
            yield from self._ties(position)
        for kind, commit, wait in _GROUPS:
            yield from self._groups(kind, commit, wait)
        yield from self._register_fences()
        yield from self._loads_of_tensor_memory()
        yield from self._exits()

    def _chain(self) -> Iterator[Order]:
        positions = list(self.fences)
        for source, target in pairwise(positions):
            yield Order(source, target, self._after(source), 0, "synchronisation in program order")
        if len(positions) > 1:
            last, first = positions[-1], positions[0]
            yield Order(last, first, self._after(last), 1, "synchronisation in program order")

    def _after(self, position: int) -> int:
        return max(1, self.latency(position)) if self.fences[position].blocks else 1

    def _ties(self, position: int) -> Iterator[Order]:
        """Tie an operation to the nearest synchronisation around it that concerns it."""
        kinds = kinds_of(self.body.operations[position])
        if not kinds:
            return
        before = [p for p, fence in self.fences.items() if kinds & fence.before and p != position]
        after = [p for p, fence in self.fences.items() if kinds & fence.after and p != position]
        if before:
            target, distance = _next(position, before)
            yield Order(position, target, self._until(position, target), distance, "kept before the synchronisation")
        if after:
            source, distance = _previous(position, after)
            yield Order(source, position, self._after(source), distance, "kept after the synchronisation")

    def _until(self, position: int, fence: int) -> int:
        """A wait for tensor memory waits for the data; other synchronisation for the instruction to issue."""
        waits = self.body.operations[fence].opcode.startswith("tcgen05.wait")
        return max(1, self.latency(position)) if waits else 1

    # Asynchronous groups

    def _groups(self, kind: str, commit: re.Pattern[str], wait: re.Pattern[str]) -> Iterator[Order]:
        operations = self.body.operations
        commits = [i for i, op in enumerate(operations) if commit.match(op.opcode)]
        members = [i for i, op in enumerate(operations) if _KINDS[kind].match(op.opcode)]
        counted = not any(operations[c].predicates for c in commits)
        for position in (i for i, op in enumerate(operations) if wait.match(op.opcode)):
            pending = _pending(operations[position])
            for member in members:
                distance = _wait_distance(member, position, commits, pending) if counted and commits else None
                if distance is None:
                    distance = int(member > position)
                yield Order(member, position, max(1, self.latency(member)), distance, f"waits for the {kind} group")
            yield from self._readers(members, position)

    def _readers(self, members: Sequence[int], wait: int) -> Iterator[Order]:
        """Who reads registers that an asynchronous operation writes must follow the wait before it."""
        for reader in self._reading(members):
            if reader in members or reader == wait:
                continue
            yield Order(wait, reader, 1, int(wait > reader), "the registers may be read after the wait")

    def _reading(self, producers: Sequence[int]) -> list[int]:
        found = set(producers)
        body = self.body
        return [i for i in range(len(body.operations)) if any(s.position in found for s in body.reads(i))]

    def _register_fences(self) -> Iterator[Order]:
        """Registers that a wgmma reads must be written before the `wgmma.fence` that precedes it."""
        operations = self.body.operations
        fences = [i for i, op in enumerate(operations) if op.opcode.startswith("wgmma.fence")]
        products = [i for i, op in enumerate(operations) if _KINDS["wgmma"].match(op.opcode)]
        sources = {s.position for p in products for s in self.body.reads(p)} - set(products)
        for source in sorted(sources) if fences else ():
            target, distance = _next(source, fences)
            yield Order(source, target, self.latency(source), distance, "written before the fence")

    def _loads_of_tensor_memory(self) -> Iterator[Order]:
        """Registers that `tcgen05.ld` writes may be read after the `tcgen05.wait::ld` that follows it."""
        operations = self.body.operations
        waits = [i for i, op in enumerate(operations) if op.opcode.startswith("tcgen05.wait::ld")]
        loads = [i for i, op in enumerate(operations) if _KINDS["tensor_load"].match(op.opcode)]
        for reader in self._reading(loads) if waits else ():
            source, distance = _previous(reader, waits)
            yield Order(source, reader, 1, distance, "the registers may be read after the wait")

    # Loop exits

    def _exits(self) -> Iterator[Order]:
        """Where the trip count is not known on entry, nothing with an effect may pass a branch that ends the loop."""
        operations = self.body.operations
        exits = [i for i, op in enumerate(operations) if op.attributes.get("exit")]
        if self.body.loop.attributes.get("counted"):
            return
        for leave in exits:
            for position, operation in enumerate(operations):
                effect = kinds_of(operation) or position in self.fences or position in exits
                if effect and position != leave:
                    reason = "the branch decides whether this runs"
                    yield Order(leave, position, 1, int(position < leave), reason)
        if exits:
            yield Order(exits[-1], exits[-1], 1, 1, "the branch decides whether the next iteration runs")


def _next(position: int, candidates: Sequence[int]) -> tuple[int, int]:
    """The first candidate after a position, and in which iteration: 0 this one, 1 the next."""
    later = [c for c in candidates if c > position]
    return (min(later), 0) if later else (min(candidates), 1)


def _previous(position: int, candidates: Sequence[int]) -> tuple[int, int]:
    earlier = [c for c in candidates if c < position]
    return (max(earlier), 0) if earlier else (max(candidates), 1)


def _pending(wait: Operation) -> int:
    numbers = wait.attributes.get("immediates", ())
    return numbers[0] if isinstance(numbers, tuple) and numbers else 0


def _wait_distance(member: int, wait: int, commits: Sequence[int], pending: int) -> int | None:
    """Iterations back from which the wait covers the member's group: at least `pending` groups were closed after it.

    Group g of an iteration has j - 1 - g + distance * c groups after it that were closed before the wait, where c
    groups are closed in an iteration and j of them before the wait.

    >>> _wait_distance(0, 5, [2, 4], 0), _wait_distance(0, 5, [2, 4], 1), _wait_distance(3, 5, [2, 4], 1)
    (0, 0, 1)
    """
    count = len(commits)
    group = sum(c < member for c in commits)
    closed = sum(c < wait for c in commits)
    # A member behind the last commit belongs to the first group of the next iteration.
    return max(0, -(-(pending - (closed - 1 - group)) // count))
