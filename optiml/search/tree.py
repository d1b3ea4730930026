"""The tree of a search: a node for each program, edges for edits; the same program is the same node."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from optiml.edit import Edit
from optiml.search.protocol import Scored

Path = tuple["Node", ...]


@dataclass
class Edge:
    """An edit that was tried, with the weight that the proposer's order gave it."""

    edit: Edit
    prior: float
    child: Node


@dataclass
class Node:
    """A program with what the search knows of it.

    scored: None while it is being evaluated. edits: (prior, edit) that have not been tried yet; None before the
    proposer was asked. is_told: there will be no further ones. failures: edits in a row that failed. is_closed: nothing
    below it is worth a visit any more.
    """

    key: str
    scored: Scored | None = None
    visits: int = 0
    total: float = 0.0
    best: float = float("-inf")
    in_flight: int = 0
    edges: list[Edge] = field(default_factory=list)
    edits: deque[tuple[float, Edit]] | None = None
    is_told: bool = False
    failures: int = 0
    is_closed: bool = False

    @property
    def mean(self) -> float:
        """Mean reward of the visits; 0 before the first."""
        return self.total / self.visits if self.visits else 0.0

    @property
    def is_open(self) -> bool:
        """Whether the search may go through it."""
        return self.scored is not None and self.scored.verdict.is_ok and not self.is_closed


class Tree:
    """All nodes by key."""

    def __init__(self, root: Scored) -> None:
        self.root = Node(root.key, root, visits=1, total=root.reward, best=root.reward)
        self.nodes = {root.key: self.root}

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    def child(self, path: Path, edit: Edit, prior: float) -> Node | None:
        """The node that an edit leads to, with an edge to it; None where it leads back, or where an edge is already."""
        parent, key = path[-1], edit.result.key
        node = self.nodes.get(key) or Node(key)
        if any(n is node for n in path) or any(e.child is node for e in parent.edges):
            return None
        self.nodes[key] = node
        parent.edges.append(Edge(edit, prior, node))
        return node

    def mended(self, path: Path, key: str) -> Node:
        """The last node of a path, now that its program was replaced by another one: that one's node if there is one.

        The old program leads there too from now on.
        """
        parent, node = path[-2], path[-1]
        if node.key == key:
            return node
        known = self.nodes.setdefault(key, node)
        self.nodes[node.key] = known
        if known is node:
            node.key = key
            return node
        leads_back = any(n is known for n in path) or any(e.child is known for e in parent.edges)
        edges = [replace(e, child=known) if e.child is node else e for e in parent.edges]
        parent.edges = [e for e in parent.edges if e.child is not node] if leads_back else edges
        return known


def fly(path: Iterable[Node], change: int) -> None:
    """Count an evaluation that is under way below each node of a path, or that no longer is."""
    for node in path:
        node.in_flight += change


def back_up(path: Iterable[Node], reward: float) -> None:
    """A visit of each node of a path."""
    for node in path:
        node.visits += 1
        node.total += reward
        node.best = max(node.best, reward)
