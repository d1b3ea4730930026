"""The emulated device: executes the PTX that the real compilers produce, on the CPU."""
