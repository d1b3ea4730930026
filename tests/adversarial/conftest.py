"""Kernels of the suite are files to be judged, never modules to be imported."""

collect_ignore_glob = ["hostile/*", "honest/*", "tasks/*"]
