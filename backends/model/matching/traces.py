"""The path of one warp through machine code, as runs of blocks and repeated loops, from how often each edge was taken.

Counts do not say in which order a loop's iterations differed: iterations that took the same path are put side by side,
and the iterations of an inner loop are spread evenly over the times it was entered. Where it is known that blocks are
passed by in first iterations, those that do so come first.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from backends.model.matching.flow import Flow, reached_from, roots_of
from backends.model.sm.trace import Repeat, Run, Step, WarpTrace
from backends.sass.function import Function

# A node of a region: a block, a loop that lies in the region as a whole, or a function that is called there.
_Node = tuple[str, int]
_START, _BACK, _OUT = ("start", 0), ("back", 0), ("out", 0)
_WALKED = ("loop", "call")
# A piece of a walk, and how often in a row it is walked.
_Segment = tuple[WarpTrace, int]


@dataclass(frozen=True)
class _Path:
    nodes: tuple[_Node, ...]
    times: int
    turns: bool


def build_trace(function: Function, flow: Flow, late: frozenset[int] = frozenset()) -> WarpTrace:
    """The trace of the warp whose flow this is. late: blocks that it passes by in first turns of a loop, if in any."""
    (trace, _once), *_others = _Tracer(function, flow, late).walks(("call", 0), 1)
    return trace


class _Tracer:
    """Walks of regions: a loop, or a function by its first block (`call`), the entry being one."""

    def __init__(self, function: Function, flow: Flow, late: frozenset[int]) -> None:
        self.function = function
        self.flow = flow
        self.late = frozenset(("block", number) for number in late)
        self.innermost: dict[int, int] = {}
        for number in sorted(range(len(function.loops)), key=lambda n: -len(function.loops[n].blocks)):
            self.innermost |= dict.fromkeys(function.loops[number].blocks, number)
        self.reached = {root: reached_from(function, root) for root in roots_of(function)}

    def walks(self, region: _Node, entries: int) -> list[_Segment]:
        """`entries` walks through a region, those that are alike together; the multiplicities sum to `entries`."""
        paths = [self._with_calls(path) for path in _paths(self._graph(region), self.late)]
        queues = {node: _Queue(self.walks(node, n)) for node, n in _passes(paths).items()}
        turning = [segment for path in paths if path.turns for segment in _expanded(path, queues)]
        leaving = [segment for path in paths if not path.turns for segment in _expanded(path, queues)]
        shared = _shared_out(turning, leaving or [((), entries)], entries)
        return [(_joined(turns, last), n) for turns, last, n in shared]

    def _with_calls(self, path: _Path) -> _Path:
        """Functions put behind the blocks that call them."""
        nodes: list[_Node] = []
        for kind, number in path.nodes:
            nodes.append((kind, number))
            callee = self.function.blocks[number].callee if kind == "block" else None
            if callee is not None:
                nodes.append(("call", callee))
        return replace(path, nodes=tuple(nodes))

    def _graph(self, region: _Node) -> dict[_Node, dict[_Node, int]]:
        graph: dict[_Node, dict[_Node, int]] = defaultdict(lambda: defaultdict(int))
        for source, target, count in self._edges(region):
            if source != target:
                graph[source][target] += count
        return graph

    def _edges(self, region: _Node) -> Iterator[tuple[_Node, _Node, int]]:
        kind, number = region
        is_loop = kind == "loop"
        inside = self.function.loops[number].blocks if is_loop else self.reached[number]
        header = self.function.loops[number].header if is_loop else number
        for (source, target), count in self.flow.edges.items():
            if source not in inside:
                if target == header:
                    yield _START, self._node(region, target), count
                continue
            start = self._node(region, source)
            if is_loop and target == header:
                yield start, _BACK, count
            elif target not in inside:
                yield start, _OUT, count
            else:
                yield start, self._node(region, target), count

    def _node(self, region: _Node, block: int) -> _Node:
        around = region[1] if region[0] == "loop" else None
        loop = self.innermost.get(block)
        if loop == around:
            return "block", block
        while loop is not None and self.function.loops[loop].parent != around:
            loop = self.function.loops[loop].parent
        return ("block", block) if loop is None else ("loop", loop)


def _paths(graph: Mapping[_Node, dict[_Node, int]], late: frozenset[_Node]) -> list[_Path]:
    """Paths from the start, or around a loop, to where a walk ends; each edge is in as many as its count.

    The start's count is that of entries alone: a loop's other iterations start at the same node.
    """
    left = {source: dict(targets) for source, targets in graph.items()}
    first = next(iter(left.get(_START, {})), None)
    found: list[_Path] = []
    while first is not None and (path := _early(left, first, late) or _widest(left, first)):
        times = min(left[s][t] for s, t in path)
        for source, target in path:
            left[source][target] -= times
        nodes = tuple(source for source, _target in path)
        found.append(_Path(nodes, times, path[-1][1] == _BACK))
    return found


def _early(
    left: Mapping[_Node, Mapping[_Node, int]], first: _Node, late: frozenset[_Node]
) -> list[tuple[_Node, _Node]]:
    """The widest path around a loop that passes by blocks which are known to be late; none where there are none."""
    if late.isdisjoint(left):
        return []
    others = {s: {t: n for t, n in onward.items() if t not in late and t != _OUT} for s, onward in left.items()}
    path = _widest(others, first)
    return path if path and path[-1][1] == _BACK else []


def _widest(left: Mapping[_Node, Mapping[_Node, int]], first: _Node) -> list[tuple[_Node, _Node]]:
    """The path that follows the most taken edge from each node; none where nothing is left."""
    path: list[tuple[_Node, _Node]] = []
    node, seen = first, {first}
    while node not in (_BACK, _OUT):
        onward = {t: n for t, n in left.get(node, {}).items() if n and t not in seen}
        if not onward:
            return path
        target = max(onward, key=lambda t: (onward[t], t))
        path.append((node, target))
        seen.add(target)
        node = target
    return path


def _passes(paths: Sequence[_Path]) -> dict[_Node, int]:
    """How often each inner loop is entered, and each function called."""
    found: dict[_Node, int] = defaultdict(int)
    for path in paths:
        for node in path.nodes:
            if node[0] in _WALKED:
                found[node] += path.times
    return dict(found)


class _Queue:
    """Segments that are taken from the front, in parts."""

    def __init__(self, segments: Sequence[_Segment]) -> None:
        self.segments = list(segments)

    def front(self) -> tuple[WarpTrace, int]:
        """The first segment; one that never ends where all have been taken."""
        return self.segments[0] if self.segments else ((), 1 << 62)

    def take(self, times: int) -> None:
        """Use up part of the first segment."""
        if not self.segments:
            return
        trace, n = self.segments.pop(0)
        if n > times:
            self.segments.insert(0, (trace, n - times))
        elif n < times:
            self.take(times - n)


def _expanded(path: _Path, queues: Mapping[_Node, _Queue]) -> Iterator[_Segment]:
    """The walks of a path, inner loops and functions in place of their nodes."""
    walked = Counter(node for node in path.nodes if node[0] in _WALKED)
    left = path.times
    while left:
        fronts = {node: queues[node].front() for node in walked}
        times = max(min([left, *(fronts[node][1] // n for node, n in walked.items())]), 1)
        steps: list[Step] = []
        for node in path.nodes:
            steps.extend(fronts[node][0] if node in walked else (Run((node[1],)),))
        for node, n in walked.items():
            queues[node].take(times * n)
        left -= times
        yield _merged(steps), times


def _shared_out(
    turning: Sequence[_Segment], leaving: Sequence[_Segment], entries: int
) -> Iterator[tuple[list[_Segment], WarpTrace, int]]:
    """Iterations shared out evenly over entries: (iterations, last iteration, number of entries that are so)."""
    rest = [times % entries for _trace, times in turning]
    more = round(sum(rest) / max(sum(map(bool, rest)), 1))
    for last, times in leaving:
        high = min(more, times)
        more -= high
        for extra, n in ((1, high), (0, times - high)):
            if n:
                yield [(t, m // entries + (extra if m % entries else 0)) for t, m in turning], last, n


def _joined(turns: Sequence[_Segment], last: WarpTrace) -> WarpTrace:
    """One entry into a loop: its iterations, and the last one with them if it took the same way."""
    segments = [(trace, n) for trace, n in turns if n]
    if segments and segments[-1][0] == last:
        segments[-1] = (last, segments[-1][1] + 1)
    elif last:
        segments.append((last, 1))
    return _merged([step for trace, n in segments for step in (trace if n == 1 else (Repeat(trace, n),))])


def _merged(steps: Sequence[Step]) -> WarpTrace:
    """Neighbouring runs as one."""
    found: list[Step] = []
    for step in steps:
        if isinstance(step, Run) and found and isinstance(found[-1], Run):
            found[-1] = Run(found[-1].blocks + step.blocks)
        else:
            found.append(step)
    return tuple(found)
