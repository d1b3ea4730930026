"""PTX to loops: tokens, syntax, control flow, if-conversion, SSA form."""

from twill.frontend.ptx.load import kernel_of, load_ptx, ptx_entries

__all__ = ["kernel_of", "load_ptx", "ptx_entries"]
