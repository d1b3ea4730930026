"""In a child: a hostile problem is run in the sandbox, and its model traced with tensors that have no data.

The model runs on PyTorch's `meta` device: shapes and types are all there is, so that the largest sizes cost nothing,
and a model whose control flow depends on data cannot go on, which is an answer too.
"""

from __future__ import annotations

import ast
import inspect
import math
import types
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from optiml.importing.problem import with_constants

_FACTORIES = ("rand", "randn", "randint", "zeros", "ones", "empty", "randperm", "arange", "full")
_DATA = (
    "Cannot copy out of meta tensor",
    "item() cannot be called on meta",
    "_local_scalar_dense",
    "nonzero",
    "data-dep",
)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """`{"traces": [...]}`: for each assignment of the constants `{"plain": ..., "core": ...}` or `{"error": ...}`.

    A request with `plain_only` spares the traces in few operations.
    """
    import torch._decomp
    import torch.fx.experimental.proxy_tensor  # noqa: F401 - imported before the sandbox closes

    from optiml.isolate.sandbox import enter

    enter(Path.cwd())
    tree = ast.parse(request["text"])
    kinds = ("plain",) if request.get("plain_only") else ("plain", "core")
    return {"traces": [_answered(with_constants(tree, each), kinds) for each in request["assignments"]]}


def _answered(tree: ast.Module, kinds: Sequence[str] = ("plain", "core")) -> dict[str, Any]:
    try:
        return _traced(tree, kinds)
    except BaseException as error:  # noqa: BLE001 - the problem's code may raise anything
        text = f"{type(error).__name__}: {error}".strip()[:400]
        kind = "data-dependent" if any(word in text for word in _DATA) else "model-fails"
        return {"error": {"rule": kind, "message": text}}


def _traced(tree: ast.Module, kinds: Sequence[str]) -> dict[str, Any]:
    import torch

    module = types.ModuleType("problem")
    made: dict[int, dict[str, Any]] = {}
    with torch.device("meta"):
        exec(compile(tree, "<problem>", "exec"), module.__dict__)
        init = module.get_init_inputs() if hasattr(module, "get_init_inputs") else []
        model = _constructed(module.Model, init)
        with _factories(made):
            given = list(module.get_inputs())
    parameters = {n: t for n, t in (*model.named_parameters(), *model.named_buffers())}
    return {kind: _document(model, given, parameters, made, kind == "core") for kind in kinds}


def _constructed(model: Any, init: Any) -> Any:
    """`Model(*init)`, or `Model(*init[0], **init[1])` where init is such a pair."""
    is_pair = isinstance(init, list | tuple) and len(init) == 2 and isinstance(init[1], dict)
    if is_pair and isinstance(init[0], list | tuple):
        return model(*init[0], **init[1])
    return model(**init) if isinstance(init, dict) else model(*init)


def _factories(made: dict[int, dict[str, Any]]) -> Any:
    """Within it, which function made a tensor is written down under the tensor's identity."""
    from torch.overrides import TorchFunctionMode

    class Watching(TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            name = getattr(func, "__name__", "")
            if name in _FACTORIES:
                made[id(result)] = {"fill": name, **_bounds(name, args, kwargs or {})}
            return result

    return Watching()


def _bounds(name: str, args: Any, kwargs: Mapping[str, Any]) -> dict[str, int]:
    if name != "randint":
        return {}
    whole = [a for a in args if isinstance(a, int)]
    low, high = (0, whole[0]) if len(whole) == 1 else (whole[:2] if whole else (0, 0))
    return {"low": int(kwargs.get("low", low)), "high": int(kwargs.get("high", high))}


def _document(model: Any, given: list[Any], parameters: dict[str, Any], made: dict[int, Any], core: bool) -> Any:
    from torch.func import functional_call
    from torch.fx.experimental.proxy_tensor import make_fx

    tensors = [g for g in given if _is_tensor(g)]
    names = _names(model, given)

    def run(*flat: Any) -> Any:
        rest = iter(flat[: len(tensors)])
        arguments = [next(rest) if _is_tensor(g) else g for g in given]
        return functional_call(model, dict(zip(parameters, flat[len(tensors) :], strict=True)), tuple(arguments))

    table = _decompositions() if core else {}
    traced = make_fx(run, decomposition_table=table, pre_dispatch=not core)(*tensors, *parameters.values())
    places = [n for n in traced.graph.nodes if n.op == "placeholder"]
    told = [_tensor(n, t, made) for n, t in zip(names, tensors, strict=True)]
    weights = [_tensor(_word(n, names), t, {}) for n, t in parameters.items()]
    known = {place.name: d["name"] for place, d in zip(places, [*told, *weights], strict=True)}
    nodes, outputs = _nodes(traced.graph, known)
    return {"inputs": told, "parameters": weights, "nodes": nodes, "outputs": outputs}


def _is_tensor(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor)


def _names(model: Any, given: list[Any]) -> list[str]:
    """What `forward` calls its tensors."""
    known = list(inspect.signature(model.forward).parameters)
    names = [*known, *(f"x{i}" for i in range(len(known), len(given)))]
    return [name for name, value in zip(names, given, strict=False) if _is_tensor(value)]


def _word(name: str, taken: Iterable[str]) -> str:
    """`linear.weight` as a name of its own."""
    word = name.replace(".", "_")
    return f"{word}_" if word in taken else word


def _tensor(name: str, tensor: Any, made: Mapping[int, Any]) -> dict[str, Any]:
    return {"name": name, **_form(tensor), **made.get(id(tensor), {})}


def _form(tensor: Any) -> dict[str, Any]:
    return {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": [int(n) for n in tensor.shape]}


def _nodes(graph: Any, known: dict[str, str]) -> tuple[list[dict[str, Any]], list[str]]:
    nodes: list[dict[str, Any]] = []
    outputs: list[str] = []
    for node in graph.nodes:
        if node.op == "call_function" and "getitem" in str(node.target):
            nodes.append(_node(node, "aten.getitem.default", known))
        elif node.op == "call_function":
            nodes.append(_node(node, str(node.target), known))
        elif node.op == "get_attr":
            raise RuntimeError("the model computes with a constant tensor, which is not part of its state")
        elif node.op == "output":
            found = node.args[0]
            outputs = [known.get(n.name, n.name) for n in (found if isinstance(found, list | tuple) else [found])]
    return nodes, outputs


def _node(node: Any, op: str, known: Mapping[str, str]) -> dict[str, Any]:
    value = node.meta.get("val", node.meta.get("tensor_meta"))
    first = value[0] if isinstance(value, list | tuple) and not hasattr(value, "dtype") else value
    kept = {k: v for k, v in node.kwargs.items() if k not in ("device", "pin_memory", "layout", "memory_format")}
    return {
        "name": node.name,
        "op": op,
        "args": [_argument(a, known) for a in node.args],
        "kwargs": {k: _argument(v, known) for k, v in kept.items()},
        **_form(first),
    }


def _argument(value: Any, known: Mapping[str, str]) -> Any:
    import torch

    if isinstance(value, torch.fx.Node):
        return {"ref": known.get(value.name, value.name)}
    if isinstance(value, torch.dtype):
        return {"dtype": str(value).removeprefix("torch.")}
    if isinstance(value, list | tuple):
        return [_argument(v, known) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if isinstance(value, str):
        return {"text": value}
    return value if isinstance(value, bool | int | float) else None


@cache
def _decompositions() -> dict[Any, Any]:
    """To the operations that kernels are written of."""
    import torch
    from torch._decomp import core_aten_decompositions, get_decompositions

    aten = torch.ops.aten
    more = (
        aten._softmax, aten._log_softmax, aten.native_layer_norm, aten.native_group_norm, aten.gelu, aten.silu,
        aten.elu, aten.leaky_relu, aten.hardtanh, aten.hardsigmoid, aten.hardswish, aten.softplus, aten.mish,
        aten.addmm, aten.baddbmm, aten.linear, aten.mse_loss, aten.smooth_l1_loss, aten.huber_loss, aten.selu,
        aten.celu, aten.log_sigmoid_forward, aten.softshrink, aten.hardshrink, aten.threshold, aten.std, aten.norm,
        aten.linalg_vector_norm, aten.frobenius_norm, aten.var_mean, aten.std_mean, aten.rsub, aten.lerp,
    )  # fmt: skip
    return {**core_aten_decompositions(), **get_decompositions(more)}
