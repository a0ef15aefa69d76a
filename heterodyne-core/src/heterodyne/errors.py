"""Errors that a user can cause and mend; each says what, where and what to do in one line."""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches

_UNPRINTED = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, invisible marks, half characters, line ends

_BY_FILES = (
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    zlib.error,
)
"""What reading a damaged or hostile file can raise."""


class HeterodyneError(ValueError):
    """Something that the program rejects: a name, a value, a file. Its text is one line, safe to show."""

    def __str__(self) -> str:
        return escaped(" ".join(super().__str__().splitlines()))


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


def escaped(text: str) -> str:
    """The text with its control characters written out (\\u001b), so that no terminal obeys a file."""
    if text.isprintable():
        return text
    return "".join(_written_out(c) if unicodedata.category(c) in _UNPRINTED else c for c in text)


def _written_out(letter: str) -> str:
    """The letter as JSON writes it in ASCII."""
    code = letter.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{code[start : start + 4]}" for start in range(0, len(code), 4))


def escaped_lines(text: str) -> str:
    """The same of a text of several lines, which stay lines."""
    return "\n".join(escaped(line) for line in text.split("\n"))


@contextmanager
def reading(where: object) -> Iterator[None]:
    """Whatever a file causes while the block reads becomes one `DataError` that begins with ``where``."""
    try:
        yield
    except HeterodyneError:
        raise
    except _BY_FILES as error:
        raise DataError(f"{where} cannot be read: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "it does not fit into memory"
    words = getattr(error, "strerror", None) or (" ".join(map(str, error.args)).splitlines() or [""])[0]
    says_itself = isinstance(error, OSError) or " " in words
    return words if says_itself and words else f"{type(error).__name__} {words}".strip()
