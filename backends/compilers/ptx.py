"""A PTX text as an artifact of its own, for kernels that another compiler has written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from backends.compilers.architecture import full_name
from backends.compilers.artifact import Compiled
from backends.compilers.cuda_parameters import cuda_parameters
from backends.compilers.entry_header import ptx_target, read_head, read_heads, source_texts
from backends.compilers.ptxas import AssemblerOptions, assemble, with_machine_code
from ir.diagnostics import Location, fail

_DEFAULT = AssemblerOptions()


def compile_text(
    text: str,
    entry: str = "",
    architecture: str = "",
    arguments: Mapping[str, str] | None = None,
    options: AssemblerOptions | None = _DEFAULT,
    file: str = "<ptx>",
) -> Compiled:
    """Assemble a PTX text for one entry, which may be left out where there is only one.

    `architecture` is the text's own target by default. `arguments`: name -> type in order, since PTX knows sizes only.
    `options` None stops at PTX: nothing is checked then. Raises UserError: no-kernel, several-kernels, unknown-entry,
    argument-mismatch, ptx-error, missing-part; CompileTimeoutError.
    """
    head = read_head(text, entry or _only_entry(text, file))
    target = full_name(architecture) if architecture else ptx_target(text)
    artifact = Compiled(
        language="ptx",
        entry=head.name,
        architecture=target,
        ptx=text,
        cubin=None,
        parameters=cuda_parameters(head, arguments or {}, Location(file)),
        block=head.block,
        max_threads=head.max_threads,
        cluster=head.cluster,
        sources=source_texts(text),
    )
    if options is None:
        return artifact
    return with_machine_code(artifact, assemble(text, target, options, file))


def compile_file(
    path: str | Path,
    entry: str = "",
    architecture: str = "",
    arguments: Mapping[str, str] | None = None,
    options: AssemblerOptions | None = _DEFAULT,
) -> Compiled:
    """Assemble a .ptx file; see `compile_text`. Raises UserError (missing-file)."""
    file = Path(path)
    if not file.is_file():
        raise fail("missing-file", f"there is no file {file}")
    text = file.read_text(encoding="utf-8", errors="replace")
    return compile_text(text, entry, architecture, arguments, options, str(path))


def _only_entry(text: str, file: str) -> str:
    names = [head.name for head in read_heads(text)]
    if not names:
        raise fail("no-kernel", "the PTX has no entry with a body", Location(file))
    if len(names) > 1:
        remedy = f"choose one: {', '.join(names)}"
        raise fail("several-kernels", f"{len(names)} kernels here", Location(file), remedy)
    return names[0]
