"""Passes of a warp's access through the tags of the L1, which lie in banks: one line of each bank in a pass.

The bank of a line is its number folded by exclusive or, as many bits at a time as number the banks. Found in the tag
wavefronts by stride of 4 and 8 bytes that gpu-strides of RRZE gpu-benches counted on A100 (`t_output_wavefronts`, 2 %
off on average; a search among linear hashes of nine bits found none nearer), where cycles are the larger of these
passes and those through the banks of the data. Loads of 4 bytes at strides 2, 3, 5 and 7 take up to a fifth more than
this says: what they add is no function of the lines alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_LINE_NUMBER_BITS = 64


def tag_passes(lines: Array, requests: Array, banks: int) -> int:
    """Passes of all requests together; lines (n,): distinct ones of each request, requests (n,): ascending.

    >>> one = np.zeros(8, int)
    >>> [tag_passes(np.array(lines), one[: len(lines)], 4) for lines in ([7], [0, 1, 2, 3], [1, 2, 3, 4], [0, 2, 4, 6])]
    [1, 1, 2, 1]
    """
    if not len(lines):
        return 0
    is_first = np.r_[True, requests[1:] != requests[:-1]]
    number = np.cumsum(is_first) - 1
    places = number * banks + _bank(lines, banks)
    return int(np.bincount(places, minlength=(number[-1] + 1) * banks).reshape(-1, banks).max(axis=1).sum())


def _bank(lines: Array, banks: int) -> Array:
    """The bank of each line; banks: a power of two."""
    shift = banks.bit_length() - 1
    folded = np.array(lines, np.int64)
    while 0 < shift < _LINE_NUMBER_BITS:
        folded ^= folded >> shift
        shift *= 2
    return folded & (banks - 1)
