"""The proposer `twill`: what the scheduler's answer about a kernel's loop says that the kernel should be."""

from optiml.propose.twill.proposer import TwillProposer

__all__ = ["TwillProposer"]
