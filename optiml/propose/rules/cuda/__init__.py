"""Transformations of CUDA C++ through its syntax tree."""
