"""The strategies by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from optiml.search.protocol import Scored, Space, Strategy

Maker = Callable[[Scored, Space, int], Strategy]

# Name -> module of optiml.search and class there.
_PLACES = {
    "mcts": ("mcts", "Mcts"),
    "best-of-n": ("best_of_n", "BestOfN"),
    "random": ("random_search", "RandomSearch"),
    "greedy": ("greedy", "Greedy"),
    "beam": ("beam", "Beam"),
    "polca": ("polca", "Polca"),
}
STRATEGIES = tuple(_PLACES)


def make_strategy(name: str, root: Scored, space: Space, seed: int) -> Strategy:
    """The strategy of a name in STRATEGIES, at its start."""
    module, attribute = _PLACES[name]
    maker: Maker = getattr(import_module(f"optiml.search.{module}"), attribute)
    return maker(root, space, seed)
