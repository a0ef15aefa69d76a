"""c2 with a baseline of 1, from files that state another."""

from __future__ import annotations

import warnings

from heterodyne.data.matrices import Matrices, ShiftedMatrices
from heterodyne.errors import DataError


def based(
    c2: Matrices, frames: int, stated: float | None, given: float | None, where: str
) -> tuple[Matrices, dict[str, str]]:
    """c2 of so many frames with a baseline of 1, and where that comes from if it was 0 in the file.

    ``stated`` is the baseline in the file at ``where``, ``given`` the one that the user says, which counts. Raises
    `DataError` for one that is neither 0 nor 1.
    """
    if stated not in (None, 0.0, 1.0):
        raise DataError(f"{where} must be 0 or 1, not {stated:g}")
    if given is not None and stated is not None and given != stated:
        warnings.warn(f"baseline = {given:g} as given, not {stated:g} as in the file", stacklevel=4)
        stated = given
    if stated != 0.0:
        return c2, {}
    return ShiftedMatrices(c2, frames, 1.0), {"baseline": "0 in the file: c2 is shifted by +1"}
