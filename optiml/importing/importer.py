"""`kernelbench:PATH` to the files of a task: read, traced in the sandbox, made smaller, and given a first kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ir.diagnostics import Diagnostic, UserError, fail
from optiml.importing.problem import Problem, read_problem
from optiml.importing.sizing import Model, model_of
from optiml.importing.writing import Files, task_files
from optiml.isolate.client import ZygoteClient
from optiml.isolate.limits import ChildLimits

_HANDLER = "optiml.importing.tracing:answer"
_PRELOAD = ("torch", "torch._decomp", "torch.fx.experimental.proxy_tensor", "torch._refs", "torch._prims")
_LIMITS = ChildLimits(wall_s=120.0, memory_bytes=3 << 30, answer_bytes=16 << 20)
SCHEME = "kernelbench"


def import_problem(spec: str, kernel: Path | None = None) -> tuple[str, Files]:
    """The task's name and files for `kernelbench:FILE`, with the user's kernel in place of a first one.

    Raises UserError: unknown-collection, what `read_problem`, `model_of` and `task_files` raise, and child-died where
    the problem's code ended the process that ran it.
    """
    scheme, _, path = spec.partition(":")
    if scheme != SCHEME or not path:
        raise fail("unknown-collection", f"`{spec}` names no problem", remedy=f"write {SCHEME}:FILE")
    problem = read_problem(Path(path))
    with ZygoteClient(_HANDLER, 1, _PRELOAD) as client:
        model = traced(problem, client)
    return problem.name, task_files(problem.name, f"{SCHEME}:{problem.path.name}", model, kernel)


def traced(problem: Problem, client: ZygoteClient) -> Model:
    """What the problem's model computes, at its own and at smaller sizes."""

    def ask(assignments: Sequence[Mapping[str, int]], plain_only: bool = False) -> list[Any]:
        told = [dict(a) for a in assignments]
        request = {"text": problem.text, "assignments": told, "plain_only": plain_only}
        reply = client.wait(client.submit(request, _LIMITS))
        found = reply.get("answer", {}).get("traces")
        if not isinstance(found, list) or len(found) != len(assignments):
            died = reply.get("died", {"how": "gave no traces", "said": ""})
            message = f"the process that ran the problem {died['how']}: {died['said'][-200:]}".strip(": ")
            raise UserError(Diagnostic("child-died", message))
        return found

    return model_of(problem, ask)
