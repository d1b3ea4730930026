"""Guard bands around a buffer on the GPU, which show a store that went beyond it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backends.findings import Finding

GUARD_BYTES = 4096
# NaN in every floating-point format, so that memory which was never written shows.
POISON = 0xFF


@dataclass(frozen=True)
class Guarded:
    """An allocation of `nbytes` for the user, from `GUARD_BYTES` after `base` on."""

    base: int
    nbytes: int
    label: str

    @property
    def address(self) -> int:
        """Where the user's bytes begin; the driver aligns `base` to 256 bytes or more."""
        return self.base + GUARD_BYTES

    @property
    def total_bytes(self) -> int:
        """With both bands."""
        return self.nbytes + 2 * GUARD_BYTES

    @property
    def after(self) -> int:
        """Address of the band behind."""
        return self.address + self.nbytes

    def broken(self, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> list[Finding]:
        """Findings for bands that hold something else than poison."""
        bands = (("before", before, -GUARD_BYTES), ("behind", after, self.nbytes))
        return [_finding(self, word, band, start) for word, band, start in bands if (band != POISON).any()]


def _finding(guarded: Guarded, word: str, band: NDArray[np.uint8], start: int) -> Finding:
    changed = np.flatnonzero(band != POISON)
    where = f"byte {start + int(changed[0])} of buffer `{guarded.label}`, which has {guarded.nbytes} bytes"
    message = f"{len(changed)} bytes {word} the buffer were overwritten, the first at {where}"
    return Finding("out-of-bounds", f"{message}; a GPU does not say by which instruction: the emulated device does")
