"""Declared units into Å⁻¹, degrees and seconds, and of a detector into m and keV."""

from __future__ import annotations

import math
import re
import unicodedata
import warnings

import numpy as np

from heterodyne.errors import DataError

_LENGTHS = {  # Å
    **dict.fromkeys(("å", "a", "aa", "ang", "angstrom", "ångstrom", "ångström", "angström"), 1.0),
    **dict.fromkeys(("pm", "picometer", "picometre"), 0.01),
    **dict.fromkeys(("nm", "nanometer", "nanometre"), 1e1),
    **dict.fromkeys(("um", "μm", "micron", "micrometer", "micrometre"), 1e4),
    **dict.fromkeys(("mm", "millimeter", "millimetre"), 1e7),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 1e8),
    **dict.fromkeys(("m", "meter", "metre"), 1e10),
}

_FACTORS = {
    "length": {name: length / 1e10 for name, length in _LENGTHS.items()},
    "pixels": {"pixel": 1.0, "px": 1.0},
    "energy": {
        **dict.fromkeys(("ev", "electronvolt"), 1e-3),
        **dict.fromkeys(("kev", "kiloelectronvolt"), 1.0),
    },
    "phi": {
        **dict.fromkeys(("deg", "degree", "°"), 1.0),
        **dict.fromkeys(("rad", "radian"), 180.0 / math.pi),
        **dict.fromkeys(("mrad", "milliradian"), 0.18 / math.pi),
    },
    "time": {
        **dict.fromkeys(("h", "hr", "hour"), 3600.0),
        **dict.fromkeys(("min", "minute"), 60.0),
        **dict.fromkeys(("s", "sec", "second"), 1.0),
        **dict.fromkeys(("ms", "msec", "millisec", "millisecond"), 1e-3),
        **dict.fromkeys(("us", "μs", "usec", "μsec", "microsec", "microsecond"), 1e-6),
        **dict.fromkeys(("ns", "nsec", "nanosec", "nanosecond"), 1e-9),
        **dict.fromkeys(("ps", "psec", "picosec", "picosecond"), 1e-12),
    },
}

_KNOWN = {
    "q": "Å⁻¹, nm⁻¹, µm⁻¹, mm⁻¹, cm⁻¹, m⁻¹, in spellings such as 1/nm, nm^-1, inv_nm",
    "length": "m, cm, mm, µm, nm, Å",
    "pixels": "pixels, px",
    "energy": "keV, eV",
    "phi": "deg, rad, mrad",
    "time": "h, min, s, ms, µs, ns, ps",
}

_INVERSE = re.compile(r"(?:1/|inverse|inv|reciprocal|per)(?P<under>.+)|(?P<power>.+)-1")


def may_be_radians(phi: np.ndarray) -> bool:
    """Whether azimuths, of which no unit is stated, look like radians: several within a turn, not all whole numbers."""
    known = np.unique(phi[np.isfinite(phi)])
    within = len(known) > 1 and float(np.abs(known).max()) <= 2.0 * math.pi + 0.01
    return within and bool(np.any(known != np.rint(known)))


def say_if_radians(phi: np.ndarray, where: str, remedy: str) -> None:
    """Warn of azimuths that are taken as degrees, as no unit is stated, and look like radians."""
    if may_be_radians(phi):
        warnings.warn(
            f"{where} declares no unit and may be in radians: taken as degrees; {remedy}", stacklevel=3
        )


def factor(quantity: str, unit: str, where: str) -> float:
    """What values of ``quantity`` in ``unit`` are multiplied with to be in the unit of this program.

    "q" is in Å⁻¹, "phi" in degrees, "time" in s, "length" in m, "energy" in keV. Raises `DataError` for a unit that
    is not known.
    """
    plain = _plain(unit)
    if quantity == "q":
        inverse = _INVERSE.fullmatch(plain)
        length = _found(_LENGTHS, inverse["under"] or inverse["power"]) if inverse else None
        found = None if length is None else 1.0 / length
    else:
        found = _found(_FACTORS[quantity], plain)
    if found is None:
        raise DataError(f"{where}: no unit of {quantity} named {unit!r} (known: {_KNOWN[quantity]})")
    return found


def _plain(unit: str) -> str:
    # NFKC makes one code point of the two for Å and for µ, and plain digits of superscripts, with U+2212 for the minus
    text = unicodedata.normalize("NFKC", unit)
    for dash in "\N{MINUS SIGN}\N{EN DASH}\N{HYPHEN}\N{NON-BREAKING HYPHEN}":
        text = text.replace(dash, "-")
    return "".join(
        letter for letter in text.lower() if letter not in "^*_{}()[]$\\~·." and not letter.isspace()
    )


def _found(names: dict[str, float], name: str) -> float | None:
    """The value of a name, or of its singular; short names such as ms have no plural."""
    singular = name.removesuffix("s") if len(name) > 3 else name
    return names.get(name, names.get(singular))
