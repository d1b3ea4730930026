# ruff: noqa: N803 - the names of constants
"""What the chains of the pipe kernels hold in the end, operation by operation."""

from collections.abc import Callable
from functools import partial

import torch

MASK = 0xFFFFFFFF
Words = tuple[torch.Tensor, torch.Tensor]
Operation = Callable[[torch.Tensor, int], torch.Tensor]
# Factor and term of the FMA of half precision, by half.
_FMA16X2_WORDS = (torch.tensor([0x3801, 0x3800], dtype=torch.int16), torch.tensor([0x3401, 0x3400], dtype=torch.int16))


def reference(OP: str, CHAINS: int, UNROLL: int, BLOCK: int, CTAS: int, repeats: int) -> dict[str, torch.Tensor]:
    """Return `out` (CTAS * BLOCK,), the sum of each thread's CHAINS chains after repeats * UNROLL links."""
    lanes = torch.arange(BLOCK)[:, None] + torch.arange(CHAINS)[None, :]
    by_block = {"Add32": partial(_add, unroll=UNROLL), "MultiplyWide": partial(_multiply_wide, factor=BLOCK + 12345)}
    run = by_block.get(OP) or OPERATIONS[OP]
    sums = run(lanes, repeats * UNROLL).double().sum(1)
    return {"out": sums.repeat(CTAS)}


def _fma(lanes: torch.Tensor, links: int) -> torch.Tensor:
    x = 0.25 + 0.001 * lanes.double()
    for _ in range(links):
        x = x * 0.5 + 0.375
    return x


def _fma16x2(lanes: torch.Tensor, links: int) -> torch.Tensor:
    bits = 0x2C002C00 + lanes
    halves = torch.stack([bits & 0xFFFF, bits >> 16]).to(torch.int32).to(torch.int16).view(torch.float16)
    factors, terms = (words.view(torch.float16).double()[:, None, None] for words in _FMA16X2_WORDS)
    for _ in range(links):
        # A product of halves is exact in double, so that one rounding is left, as in a fused operation.
        halves = (halves.double() * factors + terms).half()
    low, high = (half.view(torch.int16).long() & 0xFFFF for half in halves)
    return high << 16 | low


def _words(step: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor, int], torch.Tensor]:
    """Two words that take turns: x on odd links, y on even ones. UNROLL is even."""

    def run(lanes: torch.Tensor, links: int) -> torch.Tensor:
        x, y = 3 + 5 * lanes, (0x9E3779B9 + lanes) & MASK
        for i in range(links):
            x, y = (step(x, y) & MASK, y) if i % 2 else (x, step(y, x) & MASK)
        return x ^ y

    return run


def _add(lanes: torch.Tensor, links: int, unroll: int) -> torch.Tensor:
    """Three words that take turns, and begin anew with each run of the loop."""
    threads = lanes[:, :1] - lanes[0, 0]
    words = [3 + 5 * lanes, 0x9E3779B9 + lanes, 0x85EBCA6B - lanes]
    for i in range(links):
        turn = i % unroll % 3
        words[turn] = (words[turn] + words[(turn + 1) % 3] + (threads, len(lanes), 1)[turn]) & MASK
    return words[0] ^ words[1] ^ words[2]


def _multiply(lanes: torch.Tensor, links: int) -> torch.Tensor:
    x = 0x2C002C00 + lanes
    for _ in range(links):
        x = (_product(x, x) + 12345) & MASK
    return x


def _multiply_wide(lanes: torch.Tensor, links: int, factor: int) -> torch.Tensor:
    """Sums of 64 bits, in Python's whole numbers."""
    numbers = [(1 << 20) + int(lane) for lane in lanes.flatten()]
    for _ in range(links):
        numbers = [(x + (x & MASK) * factor) & (1 << 64) - 1 for x in numbers]
    return torch.tensor(numbers, dtype=torch.float64).view(lanes.shape)


def _product(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The low 32 bits, in pieces that 63 bits hold."""
    return (x * (y & 0xFFFF) + ((x * (y >> 16) & 0xFFFF) << 16)) & MASK


def _lut(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Bit by bit the table 0x6a, whose entry 4 x + 2 y + z is the result, with a constant as z."""
    z = 0x0F0F3355
    found = torch.zeros_like(x)
    for index in (i for i in range(8) if 0x6A >> i & 1):
        terms = [v if index >> bit & 1 else v ^ MASK for v, bit in ((x, 2), (y, 1))]
        found |= terms[0] & terms[1] & (z if index & 1 else z ^ MASK)
    return found


def _signed(x: torch.Tensor) -> torch.Tensor:
    return torch.where(x > MASK // 2, x - MASK - 1, x)


def _minmax(lanes: torch.Tensor, links: int) -> torch.Tensor:
    x, y = _signed(3 + 5 * lanes), _signed((0x9E3779B9 + lanes) & MASK)
    for i in range(links):
        x, y = (torch.maximum(x, y), y) if i % 2 else (x, torch.minimum(x, y))
    return (x ^ y) & MASK


def _exp2(lanes: torch.Tensor, links: int) -> torch.Tensor:
    x = 0.25 + 0.001 * lanes.double()
    for _ in range(links):
        x = torch.exp2(-x)
    return x


def _popc(lanes: torch.Tensor, links: int) -> torch.Tensor:
    x = 0x2C002C00 + lanes
    for _ in range(links):
        x = sum((x >> bit & 1) for bit in range(32))  # type: ignore[assignment]
    return x


def _float_of(bits: torch.Tensor) -> torch.Tensor:
    return _signed(bits).to(torch.int32).view(torch.float32)


def _float_to_half(lanes: torch.Tensor, links: int) -> torch.Tensor:
    bits = 0x2C002C00 + lanes
    for _ in range(links):
        half = _float_of(bits).half().view(torch.int16).long() & 0xFFFF
        bits = half << 16 | half
    return bits


def _float_to_int(lanes: torch.Tensor, links: int) -> torch.Tensor:
    bits = 0x2C002C00 + lanes
    for _ in range(links):
        bits = _float_of(bits).double().round().long() & MASK
    return bits


def _shuffle(lanes: torch.Tensor, links: int) -> torch.Tensor:
    """Lane l holds what lane l ^ 5 held; chains start at the lane and the chain's number."""
    threads, chains = lanes[:, :1], lanes[:1] - lanes[0, 0]
    return 0x2C002C00 + (threads ^ 5 * (links % 2)) + chains


def _by_warp(step: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor, int], torch.Tensor]:
    """Words of which each warp's are the next ones by a step of (warps, 32, chains)."""

    def run(lanes: torch.Tensor, links: int) -> torch.Tensor:
        x = (0x2C002C00 + lanes).view(-1, 32, lanes.shape[1])
        for _ in range(links):
            x = step(x).expand(x.shape) & MASK
        return x.reshape(lanes.shape)

    return run


_BITS = (1 << torch.arange(32))[:, None]


def _vote(x: torch.Tensor) -> torch.Tensor:
    return (x & _BITS).sum(1, keepdim=True) + 1


def _match(x: torch.Tensor) -> torch.Tensor:
    return ((x[:, :, None] == x[:, None]) * _BITS).sum(2)


def _quotients(start: Callable[[torch.Tensor], torch.Tensor], number: float, rounds: torch.dtype | None) -> Operation:
    """number / x over and over: whole where there is nothing to round to, else rounded to a type."""

    def run(lanes: torch.Tensor, links: int) -> torch.Tensor:
        x = start(lanes)
        for _ in range(links):
            x = int(number) // x if rounds is None else (number / x.double()).to(rounds)
        return x

    return run


def _quarters(lanes: torch.Tensor) -> torch.Tensor:
    return (0.25 + 0.001 * lanes.double()).float()


OPERATIONS: dict[str, Callable[[torch.Tensor, int], torch.Tensor]] = {
    "Fma": _fma,
    "Fma64": _fma,
    "Fma16x2": _fma16x2,
    "Multiply32": _multiply,
    "Logic": _words(_lut),
    "Shift": _words(lambda x, y: y << 5 | x >> 27),
    "MinMax": _minmax,
    "Exp2": _exp2,
    "Popc": _popc,
    "FloatToHalf": _float_to_half,
    "FloatToInt": _float_to_int,
    "Shuffle": _shuffle,
    "Vote": _by_warp(_vote),
    "Redux": _by_warp(lambda x: x.sum(1, keepdim=True)),
    "Match": _by_warp(_match),
    "Special": lambda lanes, _: torch.ones_like(lanes),
    "Constant": lambda lanes, links: torch.full_like(lanes, 4 * links % 32),
    "DivU32": _quotients(lambda lanes: 0x2C002C00 + lanes, 0x90000000, None),
    "DivU64": _quotients(lambda lanes: (1 << 20) + lanes, 1 << 62, None),
    "DivF32": _quotients(_quarters, 1.5, torch.float32),
    "RcpF32": _quotients(_quarters, 1.0, torch.float32),
    "DivF64": _quotients(lambda lanes: 0.25 + 0.001 * lanes.double(), 1.5, torch.float64),
}
