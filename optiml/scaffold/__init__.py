"""A first task for a kernel: what its source tells, and the rest by name as TODO."""

from optiml.scaffold.scaffold import scaffold

__all__ = ["scaffold"]
