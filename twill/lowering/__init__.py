"""From a loop of source operations to the dependence graph of a machine's tile operations."""

from twill.lowering.lower import legal_subtiles, lower

__all__ = ["legal_subtiles", "lower"]
