"""What the integer and bitwise instructions compute, in Python ints: the pseudocode of the PTX ISA, lane by lane."""

from __future__ import annotations

from collections.abc import Callable

from backends.emulator.semantics.forms import Opcode
from tests.backends.emulator.semantics.model import read, width, write

Oracle = Callable[..., tuple[int, ...]]


def _clamp(x: int, element_type: str) -> int:
    bits = width(element_type)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if element_type[0] == "s" else (0, (1 << bits) - 1)
    return min(max(x, low), high)


def _binary(compute: Callable[[int, int], int]) -> Oracle:
    def oracle(op: Opcode, *bits: int) -> tuple[int, ...]:
        value = compute(*(read(x, op.type) for x in bits))
        return (
            write(_clamp(value, op.type) if op.has("sat") else max(value, 0) if op.has("relu") else value, op.type),
        )

    return oracle


def _wider(op: Opcode) -> str:
    return f"{op.type[0]}{2 * width(op.type)}" if op.has("wide") else op.type


def _product(op: Opcode, a: int, b: int) -> int:
    product = read(a, op.type) * read(b, op.type)
    return product >> width(op.type) if op.has("hi") else product


def _mul(op: Opcode, a: int, b: int) -> tuple[int, ...]:
    return (write(_product(op, a, b), _wider(op)),)


def _mad(op: Opcode, a: int, b: int, c: int) -> tuple[int, ...]:
    value = read(write(_product(op, a, b), _wider(op)), _wider(op)) + read(c, _wider(op))
    return (write(_clamp(value, op.type) if op.has("sat") else value, _wider(op)),)


def _carry_chain(sign: int) -> Oracle:
    """Sum of the unsigned terms with carry, or difference with borrow."""

    def oracle(op: Opcode, *bits: int) -> tuple[int, ...]:
        mod = 1 << width(op.type)
        terms, carry = (bits[:-1], bits[-1]) if op.base.endswith("c") else (bits, 0)
        if op.base.startswith("mad"):
            terms = (_product(op, *terms[:2]) % mod, terms[2])
        total = terms[0] + sign * (terms[1] + carry)
        return (total % mod, int(not 0 <= total < mod))[: 1 + op.has("cc")]

    return oracle


def _add(op: Opcode, *bits: int) -> tuple[int, ...]:
    return _carry_chain(1)(op, *bits) if op.has("cc") else _binary(lambda a, b: a + b)(op, *bits)


def _sub(op: Opcode, *bits: int) -> tuple[int, ...]:
    return _carry_chain(-1)(op, *bits) if op.has("cc") else _binary(lambda a, b: a - b)(op, *bits)


def _mad_any(op: Opcode, *bits: int) -> tuple[int, ...]:
    return _carry_chain(1)(op, *bits) if op.has("cc") else _mad(op, *bits)


def _low_24(bits: int, element_type: str) -> int:
    low = bits & 0xFFFFFF
    return low - (1 << 24) if element_type == "s32" and low >> 23 else low


def _mul24(op: Opcode, a: int, b: int, c: int = 0) -> tuple[int, ...]:
    product = _low_24(a, op.type) * _low_24(b, op.type) >> (16 if op.has("hi") else 0)
    value = read(write(product, op.type), op.type) + read(c, op.type)
    return (write(_clamp(value, op.type) if op.has("sat") else value, op.type),)


def _divide(op: Opcode, a: int, b: int) -> tuple[int, ...]:
    x, y = read(a, op.type), read(b, op.type)
    if not y:
        return (write(-1, op.type),)
    quotient = abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
    return (write(quotient if op.base == "div" else x - quotient * y, op.type),)


def _sad(op: Opcode, a: int, b: int, c: int) -> tuple[int, ...]:
    return (write(abs(read(a, op.type) - read(b, op.type)) + c, op.type),)


def _bitwise(compute: Callable[..., int]) -> Oracle:
    return lambda op, *bits: (compute(*bits) & (1 << width(op.type)) - 1,)


def _lop3(op: Opcode, a: int, b: int, c: int, lut: int, q: int = 0) -> tuple[int, ...]:
    value = sum((lut >> ((a >> i & 1) << 2 | (b >> i & 1) << 1 | (c >> i & 1)) & 1) << i for i in range(32))
    if op.type == "b32" and len(op.parts) == 2:
        return (value,)
    return (value, int(bool(value) or bool(q)) if op.has("or") else int(bool(value) and bool(q)))


def _shift(op: Opcode, a: int, amount: int) -> tuple[int, ...]:
    count = min(amount, width(op.type))
    return (write(read(a, op.type) << count if op.base == "shl" else read(a, op.type) >> count, op.type),)


def _funnel(op: Opcode, low: int, high: int, amount: int) -> tuple[int, ...]:
    count = amount % 32 if op.has("wrap") else min(amount, 32)
    both = high << 32 | low
    return ((both << count >> 32 if op.has("l") else both >> count) & 0xFFFFFFFF,)


def _bfe(op: Opcode, a: int, position: int, length: int) -> tuple[int, ...]:
    start, count, top = position & 255, length & 255, width(op.type) - 1
    sign = 0 if op.type[0] == "u" or not count else a >> min(start + count - 1, top) & 1
    bits = [a >> start + i & 1 if i < count and start + i <= top else sign for i in range(top + 1)]
    return (sum(bit << i for i, bit in enumerate(bits)),)


def _bfi(op: Opcode, a: int, b: int, position: int, length: int) -> tuple[int, ...]:
    start, count, result = position & 255, length & 255, b
    for i in range(count):
        if start + i < width(op.type):
            result = result & ~(1 << start + i) | (a >> i & 1) << start + i
    return (result,)


def _bfind(op: Opcode, a: int) -> tuple[int, ...]:
    value = read(a, op.type)
    position = (value if value >= 0 else ~value).bit_length() - 1
    if position < 0:
        return (0xFFFFFFFF,)
    return (width(op.type) - 1 - position if op.has("shiftamt") else position,)


def _fns(_: Opcode, mask: int, base: int, offset: int) -> tuple[int, ...]:
    distance = read(offset, "s32")
    if distance == 0:
        return (base if base < 32 and mask >> base & 1 else 0xFFFFFFFF,)
    position, missing = base, abs(distance) - 1
    while 0 <= position < 32:
        if mask >> position & 1:
            if not missing:
                return (position,)
            missing -= 1
        position += 1 if distance > 0 else -1
    return (0xFFFFFFFF,)


# Digits are the byte numbers of the result, highest first, for c = 0, 1, 2, 3.
_MODES = {
    "f4e": "3210 4321 5432 6543",
    "b4e": "5670 6701 7012 0123",
    "rc8": "0000 1111 2222 3333",
    "ecl": "3210 3211 3222 3333",
    "ecr": "0000 1110 2210 3210",
    "rc16": "1010 3232 1010 3232",
}


def _prmt(op: Opcode, a: int, b: int, c: int) -> tuple[int, ...]:
    data = [*a.to_bytes(4, "little"), *b.to_bytes(4, "little")]
    digits = _MODES[op.type].split()[c & 3] if op.type in _MODES else f"{c & 0xFFFF:04x}"
    picked = [int(digit, 16) for digit in reversed(digits)]
    result = [0xFF * (data[k & 7] >> 7) if k & 8 else data[k & 7] for k in picked]
    return (int.from_bytes(bytes(result), "little"),)


def _count(op: Opcode, x: int) -> int:
    return x % 32 if op.has("wrap") else min(x, 32)


def _szext(op: Opcode, a: int, b: int) -> tuple[int, ...]:
    count = _count(op, b)
    low = a & (1 << count) - 1
    negative = op.type == "s32" and count and low >> count - 1
    return (write(low - (1 << count) if negative else low, "u32"),)


def _bmsk(op: Opcode, a: int, b: int) -> tuple[int, ...]:
    return (((1 << _count(op, b)) - 1 << _count(op, a)) & 0xFFFFFFFF,)


def _dot(op: Opcode, a: int, b: int, c: int) -> tuple[int, ...]:
    first, second = op.parts[-2:]
    result = "u32" if first == second == "u32" else "s32"
    size = 8 if op.base == "dp4a" else 16
    left = [read(a >> size * i & (1 << size) - 1, f"{first[0]}{size}") for i in range(32 // size)]
    right = [read(b >> 8 * i & 255, f"{second[0]}8") for i in range(4)]
    right = right[2:] if op.has("hi") else right
    return (write(sum(x * y for x, y in zip(left, right, strict=False)) + c, result),)


ORACLES: dict[str, Oracle] = {
    "add": _add,
    "addc": _carry_chain(1),
    "sub": _sub,
    "subc": _carry_chain(-1),
    "mul": _mul,
    "mad": _mad_any,
    "madc": _carry_chain(1),
    "mul24": _mul24,
    "mad24": _mul24,
    "div": _divide,
    "rem": _divide,
    "abs": _binary(abs),
    "neg": _binary(lambda a: -a),
    "min": _binary(min),
    "max": _binary(max),
    "sad": _sad,
    "and": _bitwise(lambda a, b: a & b),
    "or": _bitwise(lambda a, b: a | b),
    "xor": _bitwise(lambda a, b: a ^ b),
    "not": _bitwise(lambda a: ~a),
    "cnot": _bitwise(lambda a: int(not a)),
    "lop3": _lop3,
    "shl": _shift,
    "shr": _shift,
    "shf": _funnel,
    "bfe": _bfe,
    "bfi": _bfi,
    "bfind": _bfind,
    "brev": lambda op, a: (int(f"{a:0{width(op.type)}b}"[::-1], 2),),
    "clz": lambda op, a: (width(op.type) - a.bit_length(),),
    "popc": lambda op, a: (a.bit_count(),),
    "fns": _fns,
    "prmt": _prmt,
    "szext": _szext,
    "bmsk": _bmsk,
    "dp4a": _dot,
    "dp2a": _dot,
    "mov": lambda op, a: (a,),
    "cvta": lambda op, a: (a,),
}
