"""What NVRTC writes to its log, as diagnostics at the user's line and column."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from backends.compilers.ptxas import assembler_errors, source_line
from ir.diagnostics import Diagnostic, Location, UserError, fail

# A message starts with file(line); then come the source line and a caret, both two columns to the right.
_MESSAGE = re.compile(r"^(?P<file>.+?)\((?P<line>\d+)\): (?P<kind>warning|error|catastrophic error)(?P<text>.*)$")
_LOOSE = re.compile(r"^nvrtc: error: (?P<text>.*)$", re.MULTILINE)
_CARET = re.compile(r"^(\s*)\^\s*$")
_INDENT = 2
_NUMBER = re.compile(r"^\s*#?[\w-]*:\s*")
_KERNEL = re.compile(r"__global__[^;{]*?\b(\w+)\s*\(")
_QUALIFIERS = {"__launch_bounds__", "__cluster_dims__", "__block_size__", "__maxnreg__"}


def errors_of(log: str, file: str, ptx: str = "") -> list[Diagnostic]:
    """Every error; those of the assembler are placed through the `.loc` lines of `ptx`."""
    found = [d for kind, d in _messages(log) if kind != "warning"]
    assembler = [_at_source(ptx, file, d) for d in assembler_errors(ptx, file, log)] if ptx else []
    loose = [Diagnostic("cuda-error", text, Location(file)) for text in _LOOSE.findall(log)]
    return [*found, *assembler, *loose]


def warnings_of(log: str, file: str) -> tuple[Diagnostic, ...]:
    """Every warning in the text itself, headers of others left out."""
    return tuple(d for kind, d in _messages(log) if kind == "warning" and d.location and d.location.file == file)


def unknown_kernel(text: str, entry: str, file: str, log: str, name_map: str) -> UserError:
    """The error for a kernel name that NVRTC cannot look up, with the kernels that the text has.

    A kernel of the text may be unknown because of an error in the text: then it is that one that is told.
    """
    names = [name for name in kernel_names(text) if name not in _QUALIFIERS]
    bare = entry.partition("<")[0].rpartition("::")[2]
    errors = [d for kind, d in _messages(log) if kind != "warning" and d.location]
    reasons = [d.message for d in errors if d.location and d.location.file == name_map]
    own = [d for d in errors if d.location and d.location.file != name_map]
    if bare in names and own:
        return UserError(*own)
    if bare in names:
        return fail("unknown-kernel", f"`{entry}` names no kernel: {reasons[0]}", Location(file))
    near = difflib.get_close_matches(bare, names, 1)
    remedy = (f"did you mean `{near[0]}`? " if near else "") + f"kernels here: {', '.join(names) or 'none'}"
    return fail("unknown-kernel", f"there is no kernel `{bare}`", Location(file), remedy)


def kernel_names(text: str) -> list[str]:
    """Names after `__global__`, in order, each once.

    >>> kernel_names("__global__ void __launch_bounds__(128) add(float* a) {}")
    ['add']
    """
    bare = re.sub(r"__(?:launch_bounds|cluster_dims|block_size|maxnreg)__\s*\([^)]*\)", "", text)
    return list(dict.fromkeys(_KERNEL.findall(bare)))


def _messages(log: str) -> Iterator[tuple[str, Diagnostic]]:
    """Kind and diagnostic of each message, with what follows its caret appended."""
    lines = log.splitlines()
    starts = [i for i, line in enumerate(lines) if _MESSAGE.match(line)]
    for start, end in pairwise([*starts, len(lines)]):
        found = _MESSAGE.match(lines[start])
        assert found is not None
        block = _until_blank(lines[start + 1 : end])
        column, context = _column(block)
        text = "; ".join([_NUMBER.sub("", found["text"]).strip(), *context])
        rule = "cuda-warning" if found["kind"] == "warning" else "cuda-error"
        yield found["kind"], Diagnostic(rule, text, Location(found["file"], int(found["line"]), column))


def _until_blank(lines: list[str]) -> list[str]:
    return lines[: lines.index("")] if "" in lines else lines


def _column(block: list[str]) -> tuple[int, list[str]]:
    """Column by the caret, 0 without one; and what is said after it (`detected during instantiation of ...`)."""
    for index, line in enumerate(block):
        if caret := _CARET.match(line):
            after = " ".join(" ".join(block[index + 1 :]).split())
            return len(caret[1]) - _INDENT + 1, [after] if after else []
    return 0, []


def _at_source(ptx: str, file: str, found: Diagnostic) -> Diagnostic:
    """An assembler's error at the source line that its line of PTX stems from."""
    number = found.location.line if found.location else 0
    origin = source_line(ptx, number)
    remedy = f"line {number} of the PTX"
    return replace(found, rule="cuda-error", location=origin or Location(file), remedy=remedy)
