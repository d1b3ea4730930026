"""A kernel that the user hands in for a model: its parameters paired with the model's tensors and sizes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ir.diagnostics import Diagnostic, Location, UserError
from optiml.scaffold.facts import Facts, Parameter
from optiml.scaffold.layout import Layout
from optiml.scaffold.scaffold import kernel_facts

_WORD = re.compile(r"[A-Za-z_]\w*")


def paired(file: Path, tensors: Sequence[dict[str, Any]], sizes: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The task's tables for a kernel (source, entry, argument, constants, launch), and what is left to the user.

    tensors: the model's as `argument` tables, outputs last; a kernel's tensors are taken by name, or all in order.
    Raises UserError: what reading the kernel raises, kernel-mismatch where it has another number of tensors.
    """
    facts = kernel_facts(file)
    pointers = [p for p in facts.parameters if p.role]
    if len(pointers) != len(tensors):
        wanted = ", ".join(t["name"] for t in tensors)
        message = f"`{facts.entry}` takes {len(pointers)} tensors, the model has {len(tensors)}: {wanted}"
        raise UserError(Diagnostic("kernel-mismatch", message, Location(str(file))))
    by_name = {t["name"]: t for t in tensors}
    own = [p.name.removesuffix("_ptr") for p in pointers]
    chosen = [by_name[n] for n in own] if set(own) == set(by_name) else list(tensors)
    matched = {p.name: {**t, "parameter": p.name} for p, t in zip(pointers, chosen, strict=True)}
    todo: list[str] = []
    arguments = [matched.get(p.name) or _scalar(p, sizes, todo) for p in facts.parameters if not p.is_constant]
    return {
        "source": file.name,
        "entry": facts.instance,
        "argument": arguments,
        **({"constants": dict(facts.constants)} if facts.constants else {}),
        "launch": _launch(facts, file.suffix == ".cu", sizes, todo),
    }, todo


def _scalar(p: Parameter, sizes: Sequence[str], todo: list[str]) -> dict[str, Any]:
    told = {"name": p.name, "kind": "scalar", "dtype": p.dtype}
    if p.name.upper() in sizes:
        return {**told, "value": p.name.upper()}
    todo.append(f"value of `{p.name}`: the model has no size of this name")
    return {**told, "value": 1}


def _launch(facts: Facts, is_cuda: bool, sizes: Sequence[str], todo: list[str]) -> dict[str, Any]:
    known, grid = {*sizes, *facts.constants, "cdiv"}, list(Layout(facts).grid)
    if not grid or any(g == "?" or set(_WORD.findall(g)) - known for g in grid):
        todo.append("launch.grid: how many programs there are")
        grid = ["1"]
    return {"grid": grid, **facts.launched(is_cuda)}
