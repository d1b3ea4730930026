"""A priority queue of diverse programs with a memory of what kinds of edits were worth, after POLCA.

POLCA (arXiv 2603.14769) keeps candidates in a priority queue, lets in only those that are no near copies of one that is
there (an epsilon-net over embeddings), and feeds a summary of what was learnt back to the proposer. Here the embedding
is a hashed count of token pairs, distance is cosine, the priority an upper confidence bound, and the summary the mean
gain of each kind of edit, by which untried edits are ordered. These choices are this project's.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from optiml.candidate import Candidate
from optiml.edit import Edit
from optiml.search.protocol import Scored, Space, Step
from optiml.search.untried import Untried

DIMENSIONS = 256
EPSILON = 0.002
EXPLORATION = 0.3
# What an edit of an untried kind is expected to gain.
_OPTIMISM = 0.2
_JITTER = 0.05


@dataclass
class _Entry:
    """A program in the queue."""

    scored: Scored
    embedding: NDArray[np.float64]
    tries: int = 0


class Polca:
    """The strategy of the name `polca`."""

    name = "polca"

    def __init__(self, root: Scored, space: Space, seed: int, epsilon: float = EPSILON) -> None:
        self._untried = Untried(root, space)
        self._random = np.random.default_rng(seed)
        self._epsilon = epsilon
        self._queue = [_Entry(root, embedding(root.candidate))]
        self._gains: dict[str, list[float]] = {}
        self._asked = 0

    def ask(self) -> Step | None:
        """The most promising kind of edit of the program of the highest priority that has one."""
        for entry in sorted(self._queue, key=self._priority, reverse=True):
            edits = self._untried.renewed(entry.scored)
            if edits:
                self._asked += 1
                entry.tries += 1
                worth = [self._worth(e, place) for place, e in enumerate(edits)]
                return self._untried.take(entry.scored, int(np.argmax(worth)))
        return None

    def tell(self, step: Step, result: Scored) -> None:
        """Learn what the kind of edit was worth, and let the program in if it is no near copy of a better one."""
        self._untried.told(step)
        self._gains.setdefault(kind_of(step.edit), []).append(result.reward - step.parent.reward)
        if result.verdict.is_ok:
            self._admit(_Entry(result, embedding(result.candidate)))

    def summary(self) -> dict[str, float]:
        """Kind of edit -> its mean gain so far."""
        return {kind: sum(gains) / len(gains) for kind, gains in self._gains.items()}

    def _admit(self, new: _Entry) -> None:
        near = [e for e in self._queue if 1.0 - float(e.embedding @ new.embedding) < self._epsilon]
        if all(new.scored.reward > e.scored.reward for e in near):
            self._queue = [e for e in self._queue if all(e is not n for n in near)] + [new]

    def _priority(self, entry: _Entry) -> float:
        return entry.scored.reward + EXPLORATION * sqrt(log(2 + self._asked) / (1 + entry.tries))

    def _worth(self, edit: Edit, place: int) -> float:
        gains = self._gains.get(kind_of(edit), [])
        mean = (sum(gains) + _OPTIMISM) / (len(gains) + 1)
        return mean - place * 1e-3 + _JITTER * float(self._random.random())


def kind_of(edit: Edit) -> str:
    """The strategy of an edit without its parameters."""
    return edit.tag.partition(":")[0]


def embedding(candidate: Candidate) -> NDArray[np.float64]:
    """A unit vector of DIMENSIONS: pairs of tokens and overrides, hashed and counted."""
    tokens = re.findall(r"\w+|[^\w\s]", candidate.source)
    settings = [f"{name}={value}" for name, value in sorted(candidate.overrides.items())]
    counts = Counter([*pairwise(tokens), *((s, "") for s in settings)])
    found = np.zeros(DIMENSIONS)
    for pair, count in counts.items():
        digest = hashlib.blake2b(" ".join(pair).encode(), digest_size=4).digest()
        found[int.from_bytes(digest, "little") % DIMENSIONS] += count
    length = float(np.linalg.norm(found))
    return found / length if length else found
