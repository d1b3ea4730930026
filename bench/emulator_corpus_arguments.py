"""Arguments for the functions of the corpus: small, and the same in every process since drawn from one seed.

A use says its arguments as words: `q k v g:head_gate scale=0.5 shape:tensor(4,64)`. A bare name has the kind that is
its own, or the one in `KIND_OF`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn.functional import logsigmoid, normalize

BATCH, TIME, HEADS, KEY, VALUE, SLOTS = 1, 80, 2, 32, 32, 16
_SEED = 20
_HEAD = (BATCH, TIME, HEADS)
_WORD = re.compile(r"(\w+)(?::(\w+)(?:\(([\d,]*)\))?|=(\S+))?$")
Draw = Callable[[tuple[int, ...]], torch.Tensor]


def _half(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(torch.float16)


def _class_indices(shape: tuple[int, ...]) -> torch.Tensor:
    *sizes, classes = shape
    return torch.randint(0, classes, sizes)


# Kind -> shape where the use gives none, and how it is drawn. Gates are logarithms, at most 0.
KINDS: Mapping[str, tuple[tuple[int, ...], Draw]] = {
    "key": ((*_HEAD, KEY), lambda s: _half(torch.randn(s))),
    "unit_key": ((*_HEAD, KEY), lambda s: _half(normalize(torch.randn(s), dim=-1))),
    "float_unit_key": ((*_HEAD, KEY), lambda s: normalize(torch.randn(s), dim=-1)),
    "value": ((*_HEAD, VALUE), lambda s: _half(torch.randn(s))),
    "slots": ((*_HEAD, SLOTS), lambda s: _half(torch.randn(s))),
    "head_gate": (_HEAD, lambda s: logsigmoid(torch.randn(s))),
    "key_gate": ((*_HEAD, KEY), lambda s: _half(logsigmoid(torch.randn(s)))),
    "float_gate": ((*_HEAD, KEY), lambda s: logsigmoid(torch.randn(s))),
    "slot_gate": ((*_HEAD, SLOTS), lambda s: _half(logsigmoid(torch.randn(s)))),
    "beta": (_HEAD, lambda s: _half(torch.rand(s).sigmoid())),
    "part": (_HEAD, lambda s: torch.rand(s)),
    "negative": ((*_HEAD, KEY), lambda s: -_half(normalize(torch.rand(s), dim=-1))),
    "bonus": ((HEADS, KEY), lambda s: _half(torch.randn(s))),
    "state": ((BATCH, HEADS, KEY, VALUE), lambda s: torch.randn(s)),
    "tensor": ((4, 64), torch.randn),
    "half": ((4, 64), lambda s: _half(torch.randn(s))),
    "frozen": ((4, 64), lambda s: _half(torch.randn(s))),
    "bfloat": ((4, 64), lambda s: torch.randn(s).to(torch.bfloat16)),
    "positive": ((4, 64), torch.rand),
    "probability": ((4, 64), lambda s: torch.randn(s).softmax(-1)),
    "log_probability": ((4, 64), lambda s: torch.randn(s).log_softmax(-1)),
    "classes": ((8, 64), _class_indices),
    "mask": ((4, 64), lambda s: torch.ones(s, dtype=torch.bool)),
    "starts": ((3,), lambda _: torch.tensor([0, 33, TIME])),
    "ends": ((2,), lambda _: torch.tensor([0, 128], dtype=torch.int32)),
    "unit_norm": ((KEY,), lambda s: 1 + torch.randn(s) / 10),
    "layers": ((2,), lambda s: torch.randn(s)),
}
KIND_OF = {
    "q": "key", "k": "unit_key", "r": "key", "v": "value", "s": "slots", "g": "head_gate", "gk": "key_gate",
    "beta": "beta", "initial_state": "state", "cu_seqlens": "starts", "u": "bonus", "h0": "state",
}  # fmt: skip


def draw(words: str) -> dict[str, Any]:
    """Arguments by name; tensors of floating point want a gradient."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        return dict(_argument(word) for word in words.split())


def _argument(word: str) -> tuple[str, Any]:
    found = _WORD.match(word)
    if found is None:
        raise ValueError(f"`{word}` is no argument")
    name, kind, sizes, literal = found.groups()
    if literal is not None:
        return name, ast.literal_eval(literal)
    default, function = KINDS[kind or KIND_OF[name]]
    shape = tuple(int(size) for size in sizes.split(",") if size) if sizes is not None else default
    tensor = function(shape)
    has_gradient = tensor.is_floating_point() and kind != "frozen"
    return name, tensor.requires_grad_(has_gradient)


def tensors(value: Any) -> list[torch.Tensor]:
    """The tensors of a result, in order, however they are nested."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, Mapping):
        return [t for item in value.values() for t in tensors(item)]
    if isinstance(value, tuple | list):
        return [t for item in value for t in tensors(item)]
    return []
