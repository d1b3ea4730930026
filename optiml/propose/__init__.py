"""Proposers: from a candidate and its evidence to edits."""
