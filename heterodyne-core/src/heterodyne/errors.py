"""Errors that a user can cause and mend; each says what, where and what to do in one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class HeterodyneError(ValueError):
    """Something that the program rejects: a name, a value, a file."""


class DataError(HeterodyneError):
    """A file or an array that cannot serve as two-time data."""


class EmptyBin(DataError):
    """A matrix without anything to fit: too few frames or pairs are used, or all its values are the same."""


class EmptyBins(DataError):
    """Such matrices among those of a fit; ``bins`` names them by data set and bin, counted from 0."""

    def __init__(self, message: str, bins: Sequence[tuple[int, int]]) -> None:
        super().__init__(message)
        self.bins = tuple(bins)

    def __reduce__(self) -> tuple[type[EmptyBins], tuple[object, ...]]:
        return EmptyBins, (*self.args, self.bins)


class ParameterError(HeterodyneError):
    """A parameter name or value that the model does not take."""


class ConfigError(HeterodyneError):
    """A configuration key or option that does not exist or does not fit."""


class PluginError(HeterodyneError):
    """A plugin, or a name that a plugin should offer, that cannot be used."""


def unknown(kind: str, name: object, known: Iterable[str], remedy: str = "") -> str:
    """The line for a name that does not exist: the nearest one, all that exist, what to do."""
    names = sorted(known)
    near = get_close_matches(str(name), names, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    listing = ", ".join(names) if names else "none"
    return f"no {kind} named {name!r}{guess} (known: {listing}){remedy}"
