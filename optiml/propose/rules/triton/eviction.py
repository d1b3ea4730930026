"""Tell the caches what will be read again: `evict_last` for what is, `evict_first` for what streams through.

Precondition: a `tl.load` without an eviction policy.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... def f(x_ptr, y_ptr):
...     tl.store(y_ptr, tl.load(x_ptr))
... ''', "in:x_ptr out:y_ptr", language="triton")
def f(x_ptr, y_ptr):
    tl.store(y_ptr, tl.load(x_ptr, eviction_policy="evict_last"))
"""

from __future__ import annotations

from collections.abc import Iterator

from optiml.propose.rules.rewrite import Rewrite
from optiml.propose.rules.triton.kernel import TritonKernel, TritonRule

_POLICIES = ("evict_last", "evict_first")


def _find(kernel: TritonKernel) -> Iterator[Rewrite]:
    for number, call in enumerate(kernel.calls("tl.load")):
        if any(k.arg == "eviction_policy" for k in call.keywords):
            continue
        end = kernel.span(call)[1] - 1
        comma = "" if kernel.text.encode()[:end].rstrip().endswith((b",", b"(")) else ", "
        for policy in _POLICIES:
            text = kernel.spliced((end, end, f'{comma}eviction_policy="{policy}"'))
            yield Rewrite(f"{number}={policy}", text)


RULE = TritonRule(
    "eviction",
    frozenset({"l2", "dram"}),
    "The caches keep what is read again, and let go of what is not.",
    _find,
)
