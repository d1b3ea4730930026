"""Where an operation comes from and which variable it belongs to, with Triton's own library seen through."""

from __future__ import annotations

from backends.compilers.triton_library import is_library
from ir.diagnostics import Location
from twill.frontend.generic import Frame, Node


def place(frames: tuple[Frame, ...]) -> Location | None:
    """The innermost place outside Triton's own library, else the innermost one, None where there is none."""
    known = [f.location for f in frames if f.location.file]
    users = [location for location in known if not is_library(location.file)]
    return next(iter((*users, *known)), None)


def names(frames: tuple[Frame, ...]) -> tuple[str, ...]:
    """Variables that the innermost user's frame with any names is assigned to, the last one first."""
    named = [f.names for f in frames if f.names and not is_library(f.location.file)]
    return named[0] if named else ()


def name(frames: tuple[Frame, ...]) -> str:
    """The one variable of a value, or empty."""
    return next(iter(names(frames)), "")


def result_names(node: Node) -> tuple[str, ...]:
    """The variable of each result, or empty; an operation with several results names them in reverse."""
    chain = names(node.frames)[::-1]
    count = len(node.results)
    if count == 1 and chain:
        return (chain[-1],)
    return chain if len(chain) == count else ("",) * count
