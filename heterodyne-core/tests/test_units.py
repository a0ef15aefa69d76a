"""Declared units in the spellings that files have."""

from __future__ import annotations

import math

import numpy as np
import pytest

from heterodyne.errors import DataError
from heterodyne.loading.units import factor, may_be_radians

SPELLINGS = {
    ("q", 1.0): "Å⁻¹ A^-1 Å^{-1} 1/A 1/Å 1/Angstrom 1/Angstroms AA^-1 angstrom^-1 inv_angstrom \\AA^{-1} A-1 "
    "A**-1 inverse_angstrom \u212b\u207b\u00b9 A\u030a\u207b\u00b9 1/Ångström",
    ("q", 0.1): "nm⁻¹ nm^-1 1/nm 1/(nm) inv_nm inverse_nanometer nm**(-1) nanometers^-1",
    ("q", 1e-4): "um^-1 µm⁻¹ \u03bcm^-1 1/um 1/micron 1/micrometres",
    ("q", 1e-7): "mm^-1 1/mm",
    ("q", 1e-8): "cm^-1 1/cm",
    ("q", 1e-10): "m^-1 1/m m⁻¹ inv_m 1/meter",
    ("phi", 1.0): "deg degs degree degrees Degrees °",
    ("phi", 180 / math.pi): "rad radian radians",
    ("time", 60.0): "min mins minute minutes",
    ("time", 1.0): "s S sec secs second seconds",
    ("time", 1e-3): "ms msec millisecond milliseconds",
    ("time", 1e-6): "us \u00b5s \u03bcs usec microseconds",
    ("time", 1e-9): "ns nanosecond nanoseconds",
    ("time", 1e-12): "ps",
    ("length", 1e-3): "mm millimeters millimetre",
    ("length", 1.0): "m metre meters",
    ("energy", 1.0): "keV KEV",
    ("energy", 1e-3): "eV",
}


@pytest.mark.parametrize(
    ("quantity", "unit", "value"),
    [(quantity, unit, value) for (quantity, value), units in SPELLINGS.items() for unit in units.split()],
)
def test_a_usual_spelling_is_known(quantity, unit, value):
    assert factor(quantity, unit, "here") == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("unit", ["1 / nm", " nm ^ -1 ", "per nm", "Inverse Nanometer"])
def test_spaces_and_capitals_do_not_matter(unit):
    assert factor("q", unit, "here") == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("quantity", "unit", "known"),
    [
        ("q", "nm", "Å⁻¹, nm⁻¹"),
        ("q", "pixel", "Å⁻¹, nm⁻¹"),
        ("q", "", "Å⁻¹, nm⁻¹"),
        ("q", "1/nms", "Å⁻¹, nm⁻¹"),
        ("q", "nm^-2", "Å⁻¹, nm⁻¹"),
        ("time", "fortnight", "h, min, s, ms"),
        ("time", "mss", "h, min, s, ms"),
        ("phi", "q", "deg, rad"),
        ("length", "1/m", "m, cm, mm"),
    ],
)
def test_an_unknown_unit_is_one_line_with_what_is_known(quantity, unit, known):
    with pytest.raises(DataError) as caught:
        factor(quantity, unit, "here")
    assert str(caught.value).startswith(f"here: no unit of {quantity} named {unit!r} (known: {known}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("phi", "radians"),
    [
        ([0.0, 0.785, 1.571], True),
        ([-3.1, 3.1], True),
        ([0.5], False),
        ([0.0, 1.0, 2.0], False),
        ([0.0, 45.5], False),
        ([np.nan, 0.3], False),
    ],
)
def test_azimuths_that_look_like_radians(phi, radians):
    assert may_be_radians(np.array(phi)) == radians
