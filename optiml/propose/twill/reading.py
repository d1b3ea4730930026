"""Candidates to kernels that the scheduler reads: compiled in a child, since a candidate's Python is hostile.

A child answers with the text form of the kernel (`ir.text`), which is data: Triton's own IR of a Triton kernel, the
instructions of the PTX of a CUDA kernel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ir.diagnostics import UserError
from ir.loop import Kernel
from ir.task import Task
from optiml.candidate import Candidate
from optiml.evaluate.job import candidate_document, candidate_from
from optiml.isolate.client import ZygoteClient
from optiml.isolate.limits import ChildLimits

_HANDLER = "optiml.propose.twill.reading:answer"
_PRELOAD: Mapping[str, tuple[str, ...]] = {
    "triton": ("torch", "triton", "triton.compiler", "triton.backends.nvidia.compiler", "twill.frontend.triton"),
    "cuda": ("backends.compilers.task", "backends.compilers.nvrtc", "twill.frontend.cuda"),
}
_LIMITS = ChildLimits(wall_s=60.0, memory_bytes=4 << 30, answer_bytes=16 << 20)


@dataclass
class Reader:
    """Reads candidates of one task for one architecture, each once; None for one that does not compile."""

    task: Task
    architecture: str
    kernels: dict[str, Kernel | None] = field(default_factory=dict)
    _client: ZygoteClient | None = None

    def read(self, candidates: Iterable[Candidate]) -> list[Kernel | None]:
        """The kernels of candidates of one language, in order."""
        wanted = list(candidates)
        new = list({c.key: c for c in wanted if c.key not in self.kernels}.values())
        if new:
            self.kernels |= zip((c.key for c in new), self._asked(new), strict=True)
        return [self.kernels[c.key] for c in wanted]

    def close(self) -> None:
        """End the process of the compilers."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _asked(self, candidates: Sequence[Candidate]) -> list[Kernel | None]:
        if self._client is None:
            self._client = ZygoteClient(_HANDLER, 1, _PRELOAD[candidates[0].language])
        request = {
            "task": str(Path(self.task.document.path).absolute()),
            "variant": self.task.variant_name,
            "architecture": self.architecture,
            "candidates": [candidate_document(c) for c in candidates],
        }
        reply = self._client.wait(self._client.submit(request, _LIMITS))
        texts = reply.get("answer", {}).get("kernels")
        if isinstance(texts, list) and len(texts) == len(candidates):
            return [_kernel(text) for text in texts]
        # One of them crashed the compiler, or took all of the time: the others are not to suffer for it.
        return [None] if len(candidates) == 1 else [kernel for c in candidates for kernel in self._asked([c])]


def _kernel(text: Any) -> Kernel | None:
    """What a child says may be forged: anything but a kernel's text is no kernel."""
    from ir.text import parse_kernel

    try:
        return parse_kernel(text) if isinstance(text, str) and text else None
    except UserError:
        return None


# The child's side.


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """`{"kernels": [...]}`: the text of each candidate's kernel, empty where it does not compile."""
    from ir.task import load_task

    base = load_task(request["task"])
    base = base.variant(request["variant"]) if request["variant"] else base
    candidates = [candidate_from(c) for c in request["candidates"]]
    if candidates[0].language != "cuda":
        from optiml.isolate.sandbox import enter

        enter(Path.cwd(), [base.source.parent])
    return {"kernels": [_text(c, base, request["architecture"], Path.cwd() / str(i)) for i, c in enumerate(candidates)]}


def _text(candidate: Candidate, base: Task, architecture: str, folder: Path) -> str:
    from ir.text import print_kernel
    from optiml.candidate import as_task
    from twill.frontend.load import FrontendOptions, load_of_task

    folder.mkdir()
    try:
        return print_kernel(load_of_task(as_task(candidate, base, folder), FrontendOptions(architecture=architecture)))
    except UserError:
        return ""
