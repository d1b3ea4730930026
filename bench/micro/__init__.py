"""Microbenchmarks that measure a machine, and the command that writes its file: `python -m bench.micro`."""
