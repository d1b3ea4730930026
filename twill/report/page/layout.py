"""Places the nodes of a dependence graph in layers, so that edges point down, cross little and bend little.

K. Sugiyama, S. Tagawa, M. Toda, "Methods for visual understanding of hierarchical system structures", IEEE Trans. SMC
11(2), 1981: longest-path layers, dummy nodes on long edges, barycentre ordering. Positions within a layer: the least
squares to the neighbours' mean under the minimal distances, by pooling adjacent violators.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import pairwise

Pair = tuple[str, str]
SWEEPS = 12
DUMMY_WIDTH = 14.0


@dataclass(frozen=True)
class Layout:
    """Centre and layer of each node, and the points that each edge goes through; `width` and `layers` are extents."""

    x: Mapping[str, float]
    layer: Mapping[str, int]
    routes: Mapping[Pair, tuple[tuple[float, int], ...]]
    width: float
    layers: int


def layered(widths: Mapping[str, float], edges: Sequence[Pair], gap: float = 18.0) -> Layout:
    """Lay out an acyclic graph; `widths` are those of the node boxes. Raises graphlib.CycleError for a cycle."""
    layer = _layers(list(widths), edges)
    links, paths = _with_dummies(edges, layer)
    sizes = {**dict.fromkeys(layer, DUMMY_WIDTH), **widths}
    rows = _ordered(layer, links)
    x = _positions(rows, links, sizes, gap)
    routes = {edge: tuple((x[node], layer[node]) for node in path) for edge, path in paths.items()}
    left = min((x[node] - sizes[node] / 2 for node in x), default=0.0)
    width = max((x[node] + sizes[node] / 2 for node in x), default=0.0) - left
    moved = {node: value - left for node, value in x.items()}
    shifted = {edge: tuple((value - left, row) for value, row in route) for edge, route in routes.items()}
    return Layout({name: moved[name] for name in widths}, layer, shifted, width, len(rows))


def _layers(names: list[str], edges: Sequence[Pair]) -> dict[str, int]:
    """Longest path from the sources; then a source is pulled down to just above its first reader."""
    before: dict[str, list[str]] = {name: [] for name in names}
    after: dict[str, list[str]] = {name: [] for name in names}
    for source, target in edges:
        before[target].append(source)
        after[source].append(target)
    layer: dict[str, int] = {}
    order = tuple(TopologicalSorter(before).static_order())
    for name in order:
        layer[name] = max((layer[source] + 1 for source in before[name]), default=0)
    for name in reversed(order):
        if not before[name] and after[name]:
            layer[name] = min(layer[target] for target in after[name]) - 1
    return layer


def _with_dummies(edges: Sequence[Pair], layer: dict[str, int]) -> tuple[list[Pair], dict[Pair, list[str]]]:
    """Split long edges at a dummy in each layer between; adds the dummies to `layer`."""
    links: list[Pair] = []
    paths: dict[Pair, list[str]] = {}
    for source, target in dict.fromkeys(edges):
        middle = [f"{source}\0{target}\0{row}" for row in range(layer[source] + 1, layer[target])]
        layer.update({name: layer[source] + 1 + n for n, name in enumerate(middle)})
        path = [source, *middle, target]
        paths[source, target] = path
        links += list(pairwise(path))
    return links, paths


def _neighbours(links: Sequence[Pair]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    above: dict[str, list[str]] = {}
    below: dict[str, list[str]] = {}
    for source, target in links:
        above.setdefault(target, []).append(source)
        below.setdefault(source, []).append(target)
    return above, below


def _ordered(layer: Mapping[str, int], links: Sequence[Pair]) -> list[list[str]]:
    rows: list[list[str]] = [[] for _ in range(1 + max(layer.values(), default=-1))]
    for name, row in layer.items():
        rows[row].append(name)
    above, below = _neighbours(links)
    best, fewest = [list(row) for row in rows], _crossings(rows, below)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        near = above if down else below
        for number in range(len(rows)) if down else reversed(range(len(rows))):
            _sort_row(rows, number, near, -1 if down else 1)
        crossings = _crossings(rows, below)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    return best


def _sort_row(rows: list[list[str]], number: int, near: Mapping[str, list[str]], step: int) -> None:
    """Order a row by the mean position of its neighbours in the row before (step -1) or after it (1)."""
    if not 0 <= number + step < len(rows):
        return
    place = {name: i for i, name in enumerate(rows[number + step])}
    own = {name: i for i, name in enumerate(rows[number])}

    def key(name: str) -> tuple[float, int]:
        found = [place[other] for other in near.get(name, ()) if other in place]
        scale = len(place) / max(1, len(own))
        return (sum(found) / len(found) if found else own[name] * scale), own[name]

    rows[number].sort(key=key)


def _crossings(rows: list[list[str]], below: Mapping[str, list[str]]) -> int:
    total = 0
    for upper, lower in pairwise(rows):
        place = {name: i for i, name in enumerate(lower)}
        ends = [place[target] for name in upper for target in sorted(below.get(name, ()), key=place.__getitem__)]
        total += sum(a > b for i, a in enumerate(ends) for b in ends[i + 1 :])
    return total


def _positions(
    rows: list[list[str]], links: Sequence[Pair], sizes: Mapping[str, float], gap: float
) -> dict[str, float]:
    above, below = _neighbours(links)
    x: dict[str, float] = {}
    for row in rows:
        x.update(_spread(row, dict.fromkeys(row, 0.0), sizes, gap))
    for sweep in range(2 * SWEEPS):
        near = (above, below)[sweep % 2]
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = {name: _mean([x[other] for other in near.get(name, ())], x[name]) for name in row}
            x.update(_spread(row, wanted, sizes, gap))
    return x


def _mean(values: list[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _spread(row: list[str], wanted: Mapping[str, float], sizes: Mapping[str, float], gap: float) -> dict[str, float]:
    """Positions nearest to the wanted ones (least squares) with no two boxes nearer than `gap`."""
    offsets, offset = [], 0.0
    for before, name in zip([None, *row], row, strict=False):
        offset += 0.0 if before is None else (sizes[before] + sizes[name]) / 2 + gap
        offsets.append(offset)
    blocks: list[tuple[float, int]] = []
    for name, shift in zip(row, offsets, strict=True):
        block = (wanted[name] - shift, 1)
        while blocks and blocks[-1][0] > block[0]:
            mean, count = blocks.pop()
            block = ((mean * count + block[0] * block[1]) / (count + block[1]), count + block[1])
        blocks.append(block)
    values = [mean for mean, count in blocks for _ in range(count)]
    return {name: value + shift for name, value, shift in zip(row, values, offsets, strict=True)}
