"""Where an evaluation reads and writes: all else of the file system is shut to it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from optiml.evaluate.job import Job


def readable(job: Job) -> tuple[Path, ...]:
    """Folders of the task, its kernel, reference and headers, and of a machine that is a file.

    Raises UserError for a task that cannot be loaded.
    """
    machine = (Path(job.target).absolute().parent,) if job.target.endswith(".toml") else ()
    return (*_of_task(job.task), *machine)


def writable(job: Job) -> tuple[Path, ...]:
    """The cache of compiled kernels, and the folder of verdicts by machine code."""
    from backends.compilers.cache import Cache

    cache_folder = Cache.from_environment().folder.absolute()
    cache_folder.mkdir(parents=True, exist_ok=True)
    return (cache_folder, *((Path(job.memo),) if job.memo else ()))


@cache
def _of_task(file: str) -> tuple[Path, ...]:
    from ir.task import load_task

    tasks = load_task(file).all_variants()
    files = [Path(file), *(f for t in tasks for f in (t.source, t.reference_file))]
    return tuple(
        sorted({f.absolute().parent for f in files} | {f.absolute() for t in tasks for f in t.compile.include})
    )
