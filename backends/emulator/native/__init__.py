"""The native engine: runs of basic blocks compiled by LLVM, 32 lanes as one vector; the rest stays with NumPy."""
