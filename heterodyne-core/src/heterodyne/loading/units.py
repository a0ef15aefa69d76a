"""Declared units into Å⁻¹, degrees and seconds."""

from __future__ import annotations

import math
import unicodedata

from heterodyne.errors import DataError, unknown

_FACTORS = {
    "q": {
        **dict.fromkeys(("å-1", "a-1", "1/å", "1/a", "angstrom-1", "1/angstrom", "inverseangstrom"), 1.0),
        **dict.fromkeys(("nm-1", "1/nm", "inversenanometer"), 0.1),
    },
    "phi": {
        **dict.fromkeys(("deg", "degree", "degrees", "°"), 1.0),
        **dict.fromkeys(("rad", "radian", "radians"), 180.0 / math.pi),
    },
    "time": {
        **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
        **dict.fromkeys(("ms", "millisecond", "milliseconds"), 1e-3),
        **dict.fromkeys(("us", "μs", "microsecond", "microseconds"), 1e-6),
    },
}


def factor(quantity: str, unit: str, where: str) -> float:
    """What values of ``quantity`` ("q", "phi", "time") in ``unit`` are multiplied with to be in Å⁻¹, °, s.

    Raises `DataError` for a unit that is not known.
    """
    # NFKC makes one code point of the two for Å and plain digits of superscripts, with U+2212 for the minus
    plain = unicodedata.normalize("NFKC", unit).replace("\N{MINUS SIGN}", "-").lower()
    plain = "".join(letter for letter in plain if letter not in "^ *_{}")
    if plain not in _FACTORS[quantity]:
        raise DataError(f"{where}: " + unknown(f"unit of {quantity}", unit, _FACTORS[quantity]))
    return _FACTORS[quantity][plain]
