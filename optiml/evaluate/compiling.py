"""A candidate to artifacts: CUDA where it is asked for, Python beforehand and in a sandbox that lets PTX out alone.

A child that runs a candidate's Python is told neither the seed nor what is checked, and what it answers is data: the
machine code is made from the PTX outside, so that what is verified is what is timed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ir.diagnostics import UserError, fail
from optiml.evaluate.job import Job, Sizes, text_of

if TYPE_CHECKING:
    from backends.compilers.artifact import Compiled
    from ir.task import Task

_CACHE_BYTES = 64 << 20


def compiled_at(task: Task, sizes: Sizes, architecture: str, job: Job) -> Compiled:
    """The artifact with machine code for a launch at these sizes.

    Raises UserError for a kernel that does not compile; CompileTimeoutError; CompilerCrashError.
    """
    from backends.compilers.task import compile_task

    if not job.artifacts:
        return compile_task(task, sizes, architecture)
    return _assembled(job.artifacts[job.artifact_at[_places(job).index(dict(sizes))]], architecture)


def compile_all(job: Job, folder: Path) -> dict[str, Any]:
    """In a child: shut it in, run the candidate's Python, and give `{"artifacts": [...], "at": [...]}`, or an `error`.

    artifacts: JSON of each distinct one, without machine code; at: which of them belongs to each size of the job.
    """
    from backends.compilers import triton_adaptor
    from backends.compilers.architecture import capability_of
    from backends.compilers.cache import Cache
    from backends.compilers.task import compile_task
    from backends.machines import load_machine
    from ir.task import load_task
    from optiml.candidate import as_task
    from optiml.isolate.sandbox import enter

    base = load_task(job.task)
    base = base.variant(job.variant) if job.variant else base
    architecture = load_machine(job.target).architecture
    # Asks the assembler for its version, once: it is a program, which the sandbox would not start.
    triton_adaptor.backend(capability_of(architecture)).hash()
    enter(folder, [base.source.parent])
    kept = Cache(folder / "cache", _CACHE_BYTES)
    try:
        task = as_task(job.candidate, base, folder)
        found = [compile_task(task, sizes, architecture, kept, cubin=False) for sizes in _places(job)]
    except UserError as error:
        return {"error": str(error)}
    return _distinct(found)


def artifacts_in(answer: dict[str, Any], job: Job) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The artifacts of an answer that may be forged. Raises UserError: bad-artifact, unverified-code."""
    from backends.compilers.artifact import from_json

    texts, at = answer.get("artifacts"), answer.get("at")
    try:
        assert isinstance(texts, list) and isinstance(at, list) and len(at) == len(_places(job))
        assert all(isinstance(n, int) and 0 <= n < len(texts) for n in at)
        assert all(isinstance(t, str) and _is_plausible(from_json(t)) for t in texts)
    except (AssertionError, ValueError, TypeError, KeyError) as error:
        raise fail("bad-artifact", f"the compiler's answer has not the form of an artifact: {error!r}") from error
    timed, verified = set(at[len(job.verify) :]), set(at[: len(job.verify)])
    if verified and timed - verified:
        which = next(sizes for sizes, n in zip(_places(job), at, strict=True) if n in timed - verified)
        message = f"the code that is timed at {text_of(which)} is not code that is verified at any size"
        raise fail("unverified-code", message, remedy="verify a size for which the same code is made")
    return tuple(texts), tuple(at)


def _is_plausible(artifact: Compiled) -> bool:
    """Whether it is PTX with the entry that it names, and asks nothing of the assembler."""
    entries = re.findall(r"\.entry\s+([\w$]+)", artifact.ptx)
    return artifact.cubin is None and artifact.entry in entries and not artifact.options.get("ptx_options")


def _places(job: Job) -> list[dict[str, int]]:
    return [dict(sizes) for sizes in (*job.verify, *job.profile)]


def _distinct(found: Sequence[Compiled]) -> dict[str, Any]:
    from backends.compilers.artifact import to_json

    texts = [to_json(compiled) for compiled in found]
    each = list(dict.fromkeys(texts))
    return {"artifacts": each, "at": [each.index(text) for text in texts]}


@cache
def _assembled(text: str, architecture: str) -> Compiled:
    """As the compiler would have assembled it. Raises UserError for PTX of another machine, or that is wrong."""
    from backends.compilers import triton_adaptor
    from backends.compilers.architecture import capability_of
    from backends.compilers.artifact import from_json
    from backends.compilers.ptxas import AssemblerOptions, assemble, with_machine_code

    artifact, capability = from_json(text), capability_of(architecture)
    if capability_of(artifact.architecture) != capability:
        raise fail("bad-artifact", f"compiled for {artifact.architecture} in place of {architecture}")
    fuse = bool(artifact.options.get("enable_fp_fusion", True))
    options = AssemblerOptions(fuse=fuse, extra=tuple(triton_adaptor.assembler_flags(capability)))
    tool = triton_adaptor.ptxas_path(capability)
    file = f"{artifact.entry}.ptx"
    return with_machine_code(artifact, assemble(artifact.ptx, artifact.architecture, options, file, tool=tool))
