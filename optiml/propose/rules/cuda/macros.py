"""Macros without parameters, replaced by what they stand for."""

from __future__ import annotations

import re


def expanded(text: str) -> str:
    """The text with its macros without parameters replaced by what they stand for.

    >>> expanded("#define N int n\\nvoid f(N);")
    '\\nvoid f(int n);'
    """
    defines = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)[ \t]((?:\\\n|.)*)$", re.MULTILINE)
    macros = {m[1]: " ".join(m[2].replace("\\\n", " ").split()) for m in defines.finditer(text)}
    text = defines.sub("", text)
    for _ in macros:
        text = re.sub(r"\b\w+\b", lambda m: macros.get(m[0], m[0]), text)
    return text
