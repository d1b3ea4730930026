"""Machine code as values: instructions with control bits, registers, pipes and memory accesses; blocks and loops."""

from backends.sass.function import Block, Function, Loop, read_sass
from backends.sass.instruction import Control, Instruction, MemoryAccess, Register

__all__ = ["Block", "Control", "Function", "Instruction", "Loop", "MemoryAccess", "Register", "read_sass"]
