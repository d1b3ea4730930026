"""Names that values have in an MLIR file itself, for operations whose place is in that file."""

from __future__ import annotations

import re
from collections.abc import Callable

Spelled = Callable[[int, int], tuple[str, ...]]

_ARGUMENT = re.compile(r"%([A-Za-z_][\w.$-]*)")
_RESULT = re.compile(r"%([A-Za-z_][\w.$-]*) = $")
# Names that MLIR's printer makes up, and the number that it puts after a name to make it unique.
_MADE_UP = re.compile(r"(c-?\d+_\w+|cst|arg\d+|true|false)(_\d+)?")
_NUMBER = re.compile(r"_\d+$")


def nothing_spelled(_line: int, _column: int) -> tuple[str, ...]:
    """No file to look into."""
    return ()


def spelled_in(text: str) -> Spelled:
    """The name of the value defined at a line and column of a text, as a tuple of at most one.

    >>> at = spelled_in("^bb0(%x: f32):\\n  %qk_3 = tt.dot %q\\n  %cst_1 = arith.constant")
    >>> at(1, 6), at(2, 11), at(3, 12), at(9, 9)
    (('x',), ('qk',), (), ())
    """
    lines = text.splitlines()

    def at(line: int, column: int) -> tuple[str, ...]:
        if not 0 < line <= len(lines):
            return ()
        before, after = lines[line - 1][: column - 1], lines[line - 1][column - 1 :]
        found = _ARGUMENT.match(after) or _RESULT.search(before)
        if found is None or _MADE_UP.fullmatch(found[1]):
            return ()
        return (_NUMBER.sub("", found[1]),)

    return at
