"""A traced model as the reference of a task: its own ATen operations, one a line, over tensors and sizes by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ir.diagnostics import Diagnostic, UserError
from ir.expression import Expression
from optiml.importing.trace import Dtype, Node, Ref, Trace

_GETITEM = "aten.getitem.default"


def output_names(trace: Trace) -> tuple[str, ...]:
    """`out`, or `out_0`, `out_1`, ... where the model returns several tensors; none is the name of an input."""
    taken = {t.name for t in trace.tensors}
    stem = "out" if "out" not in taken else "result"
    return (stem,) if len(trace.outputs) == 1 else tuple(f"{stem}_{i}" for i in range(len(trace.outputs)))


def reference_text(name: str, trace: Trace) -> str:
    """The file: a function of the inputs and of the sizes that its operations mention."""
    for node in trace.nodes:
        if not node.op.startswith("aten."):
            raise UserError(Diagnostic("bad-trace", f"`{node.op}` is no operation of ATen"))
    renamed = {n.name: _own_name(n.name, trace) for n in trace.nodes}
    statements = [f"    {renamed[n.name]} = {_call(n, renamed)}" for n in trace.nodes]
    sizes = sorted({s for n in trace.nodes for s in _sizes((*n.args, *n.kwargs.values()))})
    parameters = [f"{t.name}: torch.Tensor" for t in trace.tensors] + [f"{s}: int" for s in sizes]
    outputs = zip(output_names(trace), trace.outputs, strict=True)
    returned = ", ".join(f'"{out}": {renamed.get(result, result)}' for out, result in outputs)
    return "\n".join(
        [
            f'"""What `{name}` computes, in the operations of the model that it was imported from."""',
            "",
            "import torch",
            "",
            "",
            f"def reference({', '.join(parameters)}) -> dict[str, torch.Tensor]:",
            '    """The model\'s outputs in the precision of its inputs; its parameters are inputs too."""',
            "    aten = torch.ops.aten",
            *statements,
            f"    return {{{returned}}}",
            "",
        ]
    )


def _own_name(name: str, trace: Trace) -> str:
    """Not the name of a tensor that goes in, of a size, or of what the function uses."""
    taken = {t.name for t in trace.tensors} | {"aten", "torch"}
    return f"{name}_" if name in taken or name.isupper() else name


def _call(node: Node, renamed: dict[str, str]) -> str:
    args = [_text(a, renamed) for a in node.args]
    if node.op == _GETITEM:
        return f"{args[0]}[{args[1]}]"
    return f"{node.op}({', '.join([*args, *(f'{k}={_text(v, renamed)}' for k, v in node.kwargs.items())])})"


def _text(value: Any, renamed: dict[str, str]) -> str:
    if isinstance(value, Ref):
        return renamed.get(value.name, value.name)
    if isinstance(value, tuple):
        return f"[{', '.join(_text(v, renamed) for v in value)}]"
    if isinstance(value, Dtype):
        return f"torch.{value.name}"
    if isinstance(value, float) and not re.fullmatch(r"[-+.\de]+", repr(value)):
        return f'float("{value}")'
    return str(value) if isinstance(value, Expression) else repr(value)


def _sizes(value: Any) -> Iterator[str]:
    if isinstance(value, tuple):
        for each in value:
            yield from _sizes(each)
    elif isinstance(value, Expression):
        yield from value.names
