"""Isolation: what a candidate runs in, so that nothing that it does harms the run."""
