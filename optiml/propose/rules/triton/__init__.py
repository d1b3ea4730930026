"""Transformations of Triton kernels through the syntax tree of Python, with the text around them kept."""
