"""Contexts of shipped kernels, and answers in the form that is asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from backends.machines import load_machine
from ir.task import load_task
from optiml.candidate import Candidate, candidate_of
from optiml.propose.exchange import Loose
from optiml.propose.protocol import Context
from optiml.verdict import HotLine, Metrics, SizeTime

KERNELS = Path(__file__).parents[4] / "kernels"
HOT = "y[static_cast<long long>(col) * rows + row] = x[static_cast<long long>(row) * cols + col];"
METRICS = Metrics(
    "modelled",
    (SizeTime({"ROWS": 4096, "COLS": 4096}, 700.0, 700.0, 700.0),),
    "l1",
    "lg_throttle",
    {"l1": 0.9, "dram": 0.3},
    registers=18,
    occupancy=1.0,
    counters={"dram_bytes": 1.4e8},
    stalls={"lg_throttle": 0.97},
    hot=(HotLine(HOT, 0.97, "lg_throttle", 0.69, 18.0, 4.0), HotLine("gone();", 0.5, "wait", 0.1)),
)


def context(name: str = "transpose", source: str = "") -> Context:
    """Of a task's own kernel, or of a text in its place."""
    task = load_task(KERNELS / name)
    own = candidate_of(task)
    candidate = Candidate(own.language, source) if source else own
    machine = load_machine("a100")
    return Context(task, candidate, machine.architecture, METRICS, METRICS.limiter, machine=machine, log=Loose())


def another_log(given: Context) -> Context:
    return replace(given, log=Loose(given.log.question + 1))


def answer(code: str = "", mark: str = "cuda", **header: Any) -> str:
    """JSON block and code block; a header's value of None leaves it out."""
    told = {"tag": "try:1", "limiter": "l1", "why": "To try it.", **header}
    told = {name: value for name, value in told.items() if value is not None}
    block = f"\n```{mark}\n{code.rstrip()}\n```\n" if code else ""
    return f"Here it is.\n\n```json\n{json.dumps(told)}\n```\n{block}"
