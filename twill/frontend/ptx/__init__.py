"""PTX to loops: tokens, syntax, control flow, if-conversion, SSA form."""

from twill.frontend.ptx.load import load_ptx, ptx_entries

__all__ = ["load_ptx", "ptx_entries"]
