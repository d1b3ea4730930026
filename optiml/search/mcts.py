"""Monte Carlo tree search: PUCT selection, progressive widening, transpositions, dead ends closed.

Selection follows PUCT (Rosin, "Multi-armed bandits with episode context", 2011) on rewards scaled to the range seen so
far; a node may have `width * visits ** alpha` children (progressive widening, Coulom 2007; Chaslot et al. 2008). There
are no random playouts: the reward of a node is that of its program.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np

from optiml.edit import Edit
from optiml.search.protocol import Scored, Space, Step
from optiml.search.tree import Edge, Node, Path, Tree, back_up, fly
from optiml.verdict import DECEITS

# A selection that leads to known programs alone is given up after so many; each of them is a visit.
_MOST_DESCENTS = 200


@dataclass(frozen=True)
class MctsSettings:
    """exploration: c of PUCT. width, alpha: of progressive widening. backup: `mean` or `max`. dead_end: edits of a node
    that fail in a row before no more are tried. noise: share of the priors that is drawn at random. patience:
    evaluations without a better one after which the exploration doubles, until there is one.
    """

    exploration: float = 0.7
    width: float = 1.5
    alpha: float = 0.5
    backup: Literal["mean", "max"] = "mean"
    dead_end: int = 6
    noise: float = 0.25
    patience: int = 20


class Mcts:
    """The strategy of the name `mcts`."""

    name = "mcts"

    def __init__(self, root: Scored, space: Space, seed: int, settings: MctsSettings = MctsSettings()) -> None:
        self.tree = Tree(root)
        self.settings = settings
        self._space = space
        self._random = np.random.default_rng(seed)
        self._flights: dict[str, deque[Path]] = {}
        self._low, self._high = root.reward, root.reward
        self._since_better = 0

    def ask(self) -> Step | None:
        """Descend until an edit leads to a program that is not known yet."""
        for _ in range(_MOST_DESCENTS):
            if self.tree.root.is_closed:
                return None
            path = self._descend()
            if path is None:
                return None
            step = self._expand(path)
            if step is not None:
                return step
        return None

    def tell(self, step: Step, result: Scored) -> None:
        """Back the reward up the path of the step, and close what has proven a dead end."""
        path = self._flights[step.key].popleft()
        fly(path, -1)
        parent, node = path[-2], self.tree.mended(path, result.key)
        path = (*path[:-1], node)
        node.scored = node.scored or result
        back_up(path, result.reward)
        self._note(result)
        parent.failures = 0 if result.verdict.is_ok else parent.failures + 1
        node.is_closed = node.is_closed or result.verdict.status in DECEITS
        if parent.failures >= self.settings.dead_end and parent is not self.tree.root:
            parent.edits, parent.is_told = deque(), True

    def _note(self, result: Scored) -> None:
        self._since_better = 0 if result.reward > self._high else self._since_better + 1
        if result.verdict.is_ok:
            self._low, self._high = min(self._low, result.reward), max(self._high, result.reward)

    def _descend(self) -> Path | None:
        """A path to a node that may be expanded; None where results must be waited for."""
        path: Path = (self.tree.root,)
        while not self._may_expand(path[-1]):
            node = path[-1]
            edge = self._select(path)
            if edge is not None:
                path = (*path, edge.child)
                continue
            if node.in_flight:
                return None
            if self._edits(node):
                return path
            node.is_closed = True
            if node is self.tree.root:
                return None
            path = (self.tree.root,)
        return path

    def _may_expand(self, node: Node) -> bool:
        allowed = max(1, int(self.settings.width * (node.visits + node.in_flight) ** self.settings.alpha))
        return len(node.edges) < allowed and bool(self._edits(node))

    def _edits(self, node: Node) -> deque[tuple[float, Edit]]:
        """What is left to try at a node; the proposer is asked at the first time, and again once all is tried."""
        assert node.scored is not None, "a node is expanded after it was evaluated"
        if node.edits is None:
            node.edits = self._weighed(self._space.edits(node.scored))
        if not (node.edits or node.is_told or node.in_flight):
            node.edits = self._weighed(self._space.more(node.scored))
            node.is_told = not node.edits
        return node.edits

    def _weighed(self, edits: Sequence[Edit]) -> deque[tuple[float, Edit]]:
        if not edits:
            return deque()
        ranks = 1.0 / np.arange(1, len(edits) + 1)
        drawn = self._random.dirichlet(np.ones(len(edits)))
        priors = (1 - self.settings.noise) * ranks / ranks.sum() + self.settings.noise * drawn
        order = np.argsort(-priors, kind="stable")
        return deque((float(priors[i]), edits[int(i)]) for i in order)

    def _select(self, path: Path) -> Edge | None:
        node = path[-1]
        edges = [e for e in node.edges if e.child.is_open and all(e.child is not n for n in path)]
        return max(edges, key=lambda e: self._puct(node, e), default=None)

    def _puct(self, parent: Node, edge: Edge) -> float:
        child = edge.child
        value = child.mean if self.settings.backup == "mean" else child.best
        scaled = (value - self._low) / (self._high - self._low or 1.0)
        stagnates = self._since_better >= self.settings.patience
        exploration = self.settings.exploration * (2.0 if stagnates else 1.0)
        tried = child.visits + child.in_flight
        return max(scaled, 0.0) + exploration * edge.prior * sqrt(parent.visits + parent.in_flight) / (1 + tried)

    def _expand(self, path: Path) -> Step | None:
        """A step to a program that is new; a known one is a visit of it, and none that leads back."""
        node = path[-1]
        prior, edit = self._edits(node).popleft()
        child = self.tree.child(path, edit, prior)
        if child is None:
            return None
        whole = (*path, child)
        if child.scored is not None:
            back_up(path, child.scored.reward)
            return None
        if self._flights.get(child.key):
            return None
        assert node.scored is not None, "only evaluated nodes are expanded"
        self._flights.setdefault(child.key, deque()).append(whole)
        fly(whole, 1)
        return Step(node.scored, edit)
