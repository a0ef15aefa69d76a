"""Under which names files of arrays hold c2 and what goes with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from heterodyne.errors import DataError, unknown
from heterodyne.words import listed

NAMES: Mapping[str, tuple[str, ...]] = {
    "c2": ("c2", "c2_exp", "C2", "C2T", "twotime", "two_time", "data", "g12", "g12b"),
    "q": (
        *("q", "qs", "q_val", "q_vals", "q_value", "q_values", "q_list", "qval", "qvals"),
        *("wavevector_q", "wavevector_q_list", "dqlist"),
    ),
    "phi": (
        *("phi", "phis", "phi_val", "phi_vals", "phi_value", "phi_values", "phi_list"),
        *("phi_angles", "phi_angles_list", "azimuth", "azimuths", "dphilist"),
    ),
    "t": ("t", "time", "times", "frame_times", "t1"),
    "dt": ("dt", "frame_time", "frame_period"),
}
"""The names of arrays that have several; others have their own alone."""


class Layout(NamedTuple):
    """How many bins and frames c2 has, and whether the bins are its last axis."""

    bins: int
    frames: int
    last: bool


def matrices_name(path: object, held: Iterable[str], key: str | None) -> str:
    """The array that is c2: ``key``, or the one of a known name.

    Raises `DataError` if there is none, and, naming them, if there are several.
    """
    names = list(held)
    if key is not None:
        if key not in names:
            raise DataError(f"{path}: {unknown('array', key, names)}")
        return key
    found = [name for name in names if name in NAMES["c2"]]
    if len(found) > 1:
        raise DataError(
            f"{path} holds {listed(found)}: say which is c2 by --key {found[0]} (in Python key={found[0]!r})"
        )
    if not found:
        raise DataError(
            f"{path} has no array c2; it has {', '.join(names) or 'none'} (--key NAME, in Python key=, says which is "
            "c2)"
        )
    return found[0]


def named(path: object, held: Iterable[str], quantity: str) -> str | None:
    """The array that holds a quantity, None if there is none; raises `DataError` if two may."""
    names = set(held)
    found = [name for name in NAMES.get(quantity, (quantity,)) if name in names]
    if len(found) > 1:
        raise DataError(f"{path} holds {listed(found)}: which is {quantity}? Leave one of them")
    return found[0] if found else None


def layout_of(path: object, name: str, shape: tuple[int, ...]) -> Layout:
    """The layout of c2; raises `DataError` for a shape that is none, and for one that leaves it open."""
    if len(shape) == 2 and shape[0] == shape[1]:
        return Layout(1, shape[0], False)
    if len(shape) == 3 and shape[0] == shape[1] == shape[2] > 1:
        raise DataError(
            f"{path}: {name} has as many bins as frames, {shape[0]}: which axis the bins are cannot be known; "
            "leave out some bins"
        )
    if len(shape) == 3 and shape[1] == shape[2]:
        return Layout(shape[0], shape[1], False)
    if len(shape) == 3 and shape[0] == shape[1]:
        return Layout(shape[2], shape[0], True)
    raise DataError(
        f"{path}: {name} must be (frames, frames) or (bins, frames, frames), not {shape}; bins may be the last axis"
    )
