"""`Provenance`: where a fit comes from, so that it can be made again. No field is required."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from heterodyne.frozen import FrozenMapping
from heterodyne.result.stated import Stated


class Provenance(Stated):
    """The origin of a fit."""

    data: tuple[Mapping[str, Any], ...] | None = None
    """Per file, what its loader and `heterodyne.load` say of it, and the times (in s) and counts fitted with."""
    options: Mapping[str, Any] | None = None
    """Every option of the optimizer."""
    scaling: Mapping[str, str] | None = None
    """The designs of ``contrast`` and ``offset``."""
    skip_lags: int | None = None
    """Lags next to the diagonal that were left out, in frames."""
    warm_start: str | None = None
    """The result whose estimates were start values, None where there was none."""
    versions: Mapping[str, str] | None = None
    """Versions of Python, NumPy, JAX and the distributions of heterodyne."""
    date: str | None = None
    """When the fit ended, ISO 8601 in UTC."""
    group: Mapping[str, Any] | None = None
    """Of a fit in a series, ``by`` what it is grouped and its ``value`` (1/Å or degree)."""
    config: Mapping[str, Any] | None = None
    """The configuration that repeats the fit."""
    command: str | None = None
    """The command line that made it."""

    extra: Mapping[str, Any] = FrozenMapping()
    """What only this optimizer knows."""
