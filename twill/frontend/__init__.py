"""From kernel sources to `ir.loop.Kernel`: Triton, MLIR files, PTX; captured launches."""
