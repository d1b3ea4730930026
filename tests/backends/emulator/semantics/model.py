"""A second, slow model of PTX numbers: Python ints, floats and Fractions, one value at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

Number = int | float


@dataclass(frozen=True)
class Format:
    """Width of the storage, precision with the hidden bit, exponent of the least normal, largest finite value."""

    width: int
    precision: int
    least_exponent: int
    largest: Fraction
    has_infinity: bool = True
    nan: int | None = None


FORMATS = {
    "f64": Format(64, 53, -1022, Fraction(2) ** 1024 - Fraction(2) ** 971, nan=0x7FF8000000000000),
    "f32": Format(32, 24, -126, Fraction(2) ** 128 - Fraction(2) ** 104, nan=0x7FFFFFFF),
    "tf32": Format(32, 11, -126, Fraction(2) ** 128 - Fraction(2) ** 117, nan=0x7FFFFFFF),
    "f16": Format(16, 11, -14, Fraction(65504), nan=0x7FFF),
    "bf16": Format(16, 8, -126, Fraction(2) ** 128 - Fraction(2) ** 120, nan=0x7FFF),
    "e5m2": Format(8, 3, -14, Fraction(57344), nan=0x7F),
    "e4m3": Format(8, 4, -6, Fraction(448), has_infinity=False, nan=0x7F),
    "e3m2": Format(6, 3, -2, Fraction(28), has_infinity=False),
    "e2m3": Format(6, 4, 0, Fraction(15, 2), has_infinity=False),
    "e2m1": Format(4, 2, 0, Fraction(6), has_infinity=False),
}


def width(element_type: str) -> int:
    if element_type == "pred":
        return 1
    return FORMATS[element_type].width if element_type in FORMATS else int(element_type[1:])


def fraction_bits(element_type: str) -> int:
    """Below the exponent field, in the storage: tf32 is stored as f32."""
    return 23 if element_type == "tf32" else FORMATS[element_type].precision - 1


def read(bits: int, element_type: str) -> Number:
    """The value that `bits` stand for."""
    if element_type not in FORMATS:
        return bits - (1 << width(element_type)) * (element_type[0] == "s" and bits >> width(element_type) - 1)
    form, below = FORMATS[element_type], fraction_bits(element_type)
    sign = -1.0 if bits >> form.width - 1 else 1.0
    magnitude = bits & (1 << form.width - 1) - 1
    exponent, fraction = magnitude >> below, magnitude & (1 << below) - 1
    top = (1 << form.width - 1 - below) - 1
    if form.has_infinity and exponent == top:
        return math.nan if fraction else sign * math.inf
    if magnitude == form.nan:
        return math.nan
    return sign * math.ldexp(
        fraction + ((1 << below) if exponent else 0), max(exponent, 1) - 1 + form.least_exponent - below
    )


def write(value: Number, element_type: str) -> int:
    """The bits of an integer modulo 2^width, or of a float that the format holds exactly; canonical NaN."""
    if element_type not in FORMATS:
        return int(value) % (1 << width(element_type))
    form, below = FORMATS[element_type], fraction_bits(element_type)
    if math.isnan(value):
        return form.nan if form.nan is not None else write(float(form.largest), element_type)
    sign = (math.copysign(1, value) < 0) << form.width - 1
    if math.isinf(value):
        return sign | ((1 << form.width - 1 - below) - 1) << below
    if value == 0:
        return sign
    exponent = max(math.frexp(value)[1] - 1, form.least_exponent)
    units = Fraction(abs(value)) / Fraction(2) ** (exponent - below)
    assert units.denominator == 1, (value, element_type)
    return sign | (int(units) + ((exponent - form.least_exponent) << below))


def to_integer(x: Fraction, mode: str) -> int:
    """x rounded to an integer."""
    floor = math.floor(x)
    rest = x - floor
    if mode == "rna":
        return floor + (rest > Fraction(1, 2) or (rest == Fraction(1, 2) and x > 0))
    up = {
        "rn": rest > Fraction(1, 2) or (rest == Fraction(1, 2) and floor % 2),
        "rz": x < 0 and rest > 0,
        "rm": False,
        "rp": rest > 0,
    }[mode]
    return floor + bool(up)


def rounded(x: Fraction, element_type: str, mode: str = "rn", satfinite: bool = False) -> float:
    """A nonzero exact number rounded to the format; on overflow infinity, or NaN if the format has none."""
    form, negative = FORMATS[element_type], x < 0
    size = abs(x)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    exponent -= Fraction(2) ** exponent > size
    ulp = Fraction(2) ** (max(exponent, form.least_exponent) - form.precision + 1)
    result = to_integer(x / ulp, mode) * ulp
    sign = -1.0 if negative else 1.0
    if abs(result) <= form.largest:
        return math.copysign(float(result), sign)
    if satfinite or mode == "rz" or (mode == "rm" and not negative) or (mode == "rp" and negative):
        return sign * float(form.largest)
    return sign * math.inf if form.has_infinity else math.nan


def fit(x: Fraction | float, element_type: str, mode: str = "rn", satfinite: bool = False) -> float:
    """`rounded` for anything: zeros, infinities and NaN as well."""
    if isinstance(x, float) and not math.isfinite(x):
        if math.isinf(x) and (satfinite or not FORMATS[element_type].has_infinity):
            return math.copysign(float(FORMATS[element_type].largest), x) if satfinite else math.nan
        return x
    return rounded(Fraction(x), element_type, mode, satfinite) if x else float(x)


def flushed(value: Number, element_type: str) -> Number:
    """Subnormal numbers become zeros of their sign."""
    small = isinstance(value, float) and abs(value) < 2.0 ** FORMATS[element_type].least_exponent
    return math.copysign(0.0, value) if small else value
