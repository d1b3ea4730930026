"""PTX text to an abstract syntax tree: every declaration, exact immediates, and where each thing stands."""

from backends.ptx.parser import parse_ptx, read_ptx

__all__ = ["parse_ptx", "read_ptx"]
