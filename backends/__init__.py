"""Everything that touches a machine: descriptions of machines, compilers, devices, profilers."""
