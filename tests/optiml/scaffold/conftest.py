"""Kernels are sources, no tests."""

collect_ignore_glob = ["kernels/*"]
