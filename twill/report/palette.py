"""One colour for each functional unit, the same in every drawn report, and readable on white and on near-black."""

from __future__ import annotations

from collections.abc import Mapping

from ir.machine import Machine

# The qualitative palette of P. Tol, "Colour Schemes", SRON/EPS/TN/09-002, 2021 ("bright" and "muted"), which people
# with colour-blindness can tell apart, toned for bars that carry text.
COLOURS = ("#4477aa", "#e08214", "#228833", "#aa3377", "#2aa5b8", "#ccbb44", "#882255", "#999933", "#6a51a3", "#b15928")
NO_UNIT = "#8a8f98"
# Units that machines share keep their colour from machine to machine.
PREFERRED = {"tensor": 0, "sfu": 1, "alu": 2, "fma": 2, "tma": 3, "lsu": 4, "l2": 6, "tmem_load": 5, "tmem_store": 7}


def unit_colours(machine: Machine) -> Mapping[str, str]:
    """Colour (`#rrggbb`) of each unit of the machine; units beyond the palette share colours again."""
    colours: dict[str, str] = {}
    for unit in machine.units:
        index = PREFERRED.get(unit.rstrip("0123456789"))
        if index is not None and COLOURS[index] not in colours.values():
            colours[unit] = COLOURS[index]
    for number, unit in enumerate(machine.units):
        if unit not in colours:
            free = [c for c in COLOURS if c not in colours.values()]
            colours[unit] = free[0] if free else COLOURS[number % len(COLOURS)]
    return {unit: colours[unit] for unit in machine.units}


def colour_of(machine: Machine, unit: str | None) -> str:
    """Colour of an op that holds this unit; grey where it holds none.

    >>> colour_of(Machine("m", units={"tensor": 1}), None)
    '#8a8f98'
    """
    return NO_UNIT if unit is None else unit_colours(machine).get(unit, NO_UNIT)


def ink_on(colour: str) -> str:
    """Black or white, whichever has more contrast on a colour (relative luminance of WCAG 2.1).

    >>> ink_on("#4477aa"), ink_on("#ccbb44")
    ('#ffffff', '#14181d')
    """
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return "#14181d" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.3 else "#ffffff"
