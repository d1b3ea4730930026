"""Whether a text may be evaluated at all: its size, its grammar, the kernel in it."""

from __future__ import annotations

import ast

from optiml.cuda_source import Source, walk
from optiml.propose.protocol import Unit

# The grammar takes time that grows with the square of some texts.
MOST_BYTES = 128 << 10


def fault(text: str, unit: Unit) -> str:
    """What is wrong with a text as the file of the unit's kernel; empty where nothing is."""
    if len(text.encode()) > MOST_BYTES:
        return f"the file has more than {MOST_BYTES} bytes"
    return _FAULTS[unit.candidate.language](text, unit)


def _cuda_fault(text: str, unit: Unit) -> str:
    source, before = Source.parse(text), Source.parse(unit.candidate.source)
    kernel = source.function(unit.entry)
    if kernel is None or "__global__" not in source.of(kernel).partition("{")[0]:
        return f"there is no kernel `{unit.entry}` in the file"
    # The grammar does not know all of CUDA C++: what it could not read before may stay.
    if source.root.has_error and not before.root.has_error:
        return f"the file is no CUDA C++: {_first_error(source)}"
    return ""


def _first_error(source: Source) -> str:
    node = next((n for n in walk(source.root) if n.is_error or n.is_missing), source.root)
    line = source.text.splitlines()[node.start_point.row].strip()
    return f"line {node.start_point.row + 1}, near `{line}`"


def _python_fault(text: str, unit: Unit) -> str:
    try:
        tree = ast.parse(text)
        ast.dump(tree)
    except SyntaxError as error:
        return f"the file is no Python: line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"the file is no Python: {error or type(error).__name__}"
    if not any(isinstance(n, ast.FunctionDef) and n.name == unit.entry for n in tree.body):
        return f"there is no function `{unit.entry}` in the file"
    return ""


_FAULTS = {"cuda": _cuda_fault, "triton": _python_fault, "gluon": _python_fault}
