"""A kernel in the forms that rules look for: the same program, written in fewer ways.

A pass takes a text with its function and gives the changes of one rewriting, none where there is nothing left to do.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from tree_sitter import Node

from optiml.cuda_source import Source
from optiml.propose.rules.cuda.forms.aliases import aliases
from optiml.propose.rules.cuda.forms.declarations import separated
from optiml.propose.rules.cuda.forms.guards import guarded, merged, returning
from optiml.propose.rules.cuda.forms.idioms import idioms
from optiml.propose.rules.cuda.forms.order import ordered
from optiml.propose.rules.cuda.forms.pointers import pointers
from optiml.propose.rules.cuda.forms.rebinding import rebound
from optiml.propose.rules.cuda.forms.renaming import renamed
from optiml.propose.rules.cuda.forms.temporaries import temporaries
from optiml.propose.rules.cuda.forms.while_loops import counted, headed
from optiml.propose.rules.cuda.inlining import inlined
from optiml.propose.rules.cuda.macros import expanded

Changes = list[tuple[int, int, str]]
Pass = Callable[[Source, Node], Changes]

_PLAIN: tuple[Pass, ...] = (
    separated,
    renamed,
    counted,
    headed,
    aliases,
    rebound,
    pointers,
    temporaries,
    ordered,
    idioms,
    merged,
)
_MOST_CHANGES = 200
# Every rule asks for the forms of the same text.
_KEPT = 64


@lru_cache(_KEPT)
def forms(text: str, entry: str) -> tuple[str, ...]:
    """The text itself, with its functions inlined, and in plain form; each only once."""
    whole = inlined(expanded(text), entry)
    return tuple(dict.fromkeys((text, whole, *canonical(whole, entry))))


def canonical(text: str, entry: str) -> tuple[str, str]:
    """The text with the entry in plain form: its work inside `if (in range) {...}`, and after `if (beyond) return;`.

    >>> canonical("void f(float* y, int n) { int t = threadIdx.x; if (t >= n) return; y[t] = 1; }", "f")[0]
    'void f(float* y, int n) {  if (threadIdx.x < n) { y[threadIdx.x] = 1; } }'
    """
    plain = _fixed(text, entry, _PLAIN)
    return _fixed(plain, entry, (guarded,)), _fixed(plain, entry, (returning,))


def _fixed(text: str, entry: str, passes: tuple[Pass, ...]) -> str:
    for _ in range(_MOST_CHANGES):
        changed = _once(text, entry, passes)
        if changed is None:
            return text
        text = changed
    return text


def _once(text: str, entry: str, passes: tuple[Pass, ...]) -> str | None:
    source = Source.parse(text)
    function = source.function(entry)
    if function is None or function.has_error:
        return None
    found = (change(source, function) for change in passes)
    changes = next((c for c in found if c), None)
    return source.spliced(*changes) if changes else None
