"""The clocks that a kernel may read: they count instructions, not time, and never run backwards.

`%clock` and `%clock64` count the warp instructions that the launch has executed so far, of all warps together, and
`%globaltimer` takes each for a nanosecond. So loops that wait for a clock end; durations mean nothing.
"""

from __future__ import annotations

CLOCKS = {
    "%clock": 0, "%clock64": 0, "%clock_hi": 32, "%globaltimer": 0, "%globaltimer_lo": 0, "%globaltimer_hi": 32,
}  # fmt: skip
"""Special register -> bits by which the count is shifted."""


def expression(name: str, dtype_name: str, index_in_block: int) -> str:
    """Python for the value that an instruction at this place of its block reads."""
    count = f"S.scheduler.executed + {index_in_block}"
    bits = 64 if dtype_name.endswith("64") else 32
    return f"np.{dtype_name}((({count}) >> {CLOCKS[name]}) & {(1 << bits) - 1:#x})"
