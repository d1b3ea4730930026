"""Take exponentials to base 2, which the hardware computes, of scaled arguments.

Precondition: calls of `tl.exp` or `tl.log`.

>>> from optiml.propose.rules.example import show
>>> show(RULE, '''
... def f(x_ptr, y_ptr):
...     tl.store(y_ptr, tl.exp(tl.load(x_ptr)))
... ''', "in:x_ptr out:y_ptr", language="triton")
def f(x_ptr, y_ptr):
    tl.store(y_ptr, tl.exp2((tl.load(x_ptr)) * 1.4426950408889634))
"""

from __future__ import annotations

from collections.abc import Iterator

from optiml.propose.rules.rewrite import Rewrite
from optiml.propose.rules.triton.kernel import TritonKernel, TritonRule

_LOG2_E, _LN_2 = "1.4426950408889634", "0.6931471805599453"


def _find(kernel: TritonKernel) -> Iterator[Rewrite]:
    exponentials = [c for c in kernel.calls("tl.exp") if len(c.args) == 1 and not c.keywords]
    logarithms = [c for c in kernel.calls("tl.log") if len(c.args) == 1 and not c.keywords]
    if exponentials:
        scaled = ((c, f"tl.exp2(({kernel.of_node(c.args[0])}) * {_LOG2_E})") for c in exponentials)
        yield Rewrite("exp", kernel.replaced(*scaled))
    if logarithms:
        scaled = ((c, f"(tl.log2({kernel.of_node(c.args[0])}) * {_LN_2})") for c in logarithms)
        yield Rewrite("log", kernel.replaced(*scaled))


RULE = TritonRule(
    "exp2",
    frozenset({"special", "fma", "issue"}),
    "The hardware's exponential is to base 2; the factor often merges with one that is there already.",
    _find,
)
