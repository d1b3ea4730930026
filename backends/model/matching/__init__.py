"""Counts of PTX instructions, carried over to the machine code that the assembler made of them."""
