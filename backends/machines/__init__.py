"""Machine descriptions: one TOML file each, every number with its source; a new machine is one new file."""

from backends.machines.loader import load_machine, machine_names, rate, rate_table

__all__ = ["load_machine", "machine_names", "rate", "rate_table"]
