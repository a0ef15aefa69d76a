"""A fit as a document, the content of `fit.json` (schema ``heterodyne/fit/1``), and back.

Numbers that are not finite stand as null: no error bar, no azimuth, an open bound.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from functools import partial
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from heterodyne.atomic import as_path
from heterodyne.errors import DataError
from heterodyne.result.derived import Derived
from heterodyne.result.fit import STATED, BinScaling, Estimate, Fit
from heterodyne.result.identifiability import Finding, Held
from heterodyne.result.profile import Profile, profile_document, read_profile
from heterodyne.result.stated import check_types
from heterodyne.result.statistics import Diagnosis
from heterodyne.switch import settle
from heterodyne.words import as_utf8

SCHEMA = "heterodyne/fit/1"

FILE = "fit.json"

_OPEN = {"low": -math.inf, "high": math.inf}

_NULL = {"statistics": math.nan, "identifiability": math.nan, "provenance": None}

_DAMAGE = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What reading a document raises that is none of a fit."""

_RECORDS: Mapping[str, Mapping[str, Callable[[Any], Any]]] = {
    "statistics": {"diagnostics": lambda rows: tuple(Diagnosis(**row) for row in rows)},
    "identifiability": {"findings": lambda rows: tuple(Finding(**row) for row in rows), "held": Held.of},
    "provenance": {},
}


def fit_document(fit: Fit) -> dict[str, Any]:
    """The fit as plain dicts, lists, words and finite numbers, ready for JSON."""
    return {
        "schema": SCHEMA,
        "model": fit.model,
        "optimizer": fit.optimizer,
        "verdict": fit.verdict,
        "message": fit.message,
        "parameters": {row.name: plain(_without_name(row)) for row in fit.estimates},
        "bins": plain(fit.scaling),
        "derived": plain(fit.derived),
        "covariance": {"names": list(fit.covariance_names), "matrix": plain(fit.covariance)},
        "statistics": plain(fit.statistics),
        "identifiability": plain(fit.identifiability),
        "profiles": {name: plain(profile_document(profile)) for name, profile in fit.profiles.items()},
        "provenance": plain(fit.provenance),
    }


def fit_text(fit: Fit) -> str:
    """The fit as JSON text."""
    return json.dumps(fit_document(fit), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_fit(path: str | Path) -> Fit:
    """The fit that was written into a folder (or its `fit.json`), with ``problem`` None.

    Raises `DataError` where there is no such file or where it is not a fit.
    """
    given = as_path(path)
    file = given / FILE if given.is_dir() else given
    settle(file.parent)
    if file.exists() and not file.is_file():
        raise DataError(f"cannot read a fit from {file}: it is not a file")
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"not JSON ({error})"
        raise DataError(f"cannot read a fit from {file}: {reason}") from error
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise DataError(f"{file} is not a fit: its schema is {schema!r}, not {SCHEMA!r}")
    return _fit(document, file)


def _fit(document: Mapping[str, Any], file: Path) -> Fit:
    def part(name: str, read: Callable[[Any], Any], entries: Mapping[str, Any] = document) -> Any:
        try:
            return read(entries[name])
        except _DAMAGE as error:
            raise DataError(
                f"{file} is an incomplete fit: {type(error).__name__} {error} (in {name})"
            ) from error

    estimates = part("parameters", _estimates)
    names, matrix = part("covariance", _covariance)
    known = {row.name for row in estimates}

    def profiles(rows: Mapping[str, Any]) -> dict[str, Profile]:
        if strange := sorted(rows.keys() - known):
            raise ValueError(f"{strange[0]!r} is no parameter")
        return {name: read_profile(name, row) for name, row in rows.items()}

    return Fit(
        **{name: part(name, _words) for name in ("model", "optimizer", "verdict", "message")},
        estimates=estimates,
        scaling=part("bins", lambda rows: tuple(_record(BinScaling, row) for row in rows)),
        covariance=matrix,
        covariance_names=names,
        profiles=part("profiles", profiles, {"profiles": {}, **document}),
        derived=part("derived", _derived, {"derived": [], **document}),
        **{name: part(name, partial(_stated, name)) for name in STATED},
    )


def _words(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _estimates(rows: Mapping[str, Any]) -> tuple[Estimate, ...]:
    return tuple(_estimate(name, row) for name, row in rows.items())


def _estimate(name: str, row: Mapping[str, Any]) -> Estimate:
    known = {"name": name, "interval": [None, None], **row}  # results of earlier versions have no interval
    low, high = _numbers(known["interval"])
    return _record(Estimate, {**known, "interval": (low, high)})


def _derived(rows: Sequence[Mapping[str, Any]]) -> tuple[Derived, ...]:
    columns = ("t", "value", "error", "low", "high")
    found = tuple(_record(Derived, {**row, **{key: _numbers(row[key]) for key in columns}}) for row in rows)
    if len({len(getattr(row, key)) for row in found for key in columns}) > 1:
        raise ValueError("columns differ in length")
    return found


def _numbers(column: Sequence[Any]) -> tuple[float, ...]:
    """The numbers of a list; null is NaN."""
    if not isinstance(column, list):
        raise TypeError(f"{column!r:.40} is no list of numbers")
    numbers = [math.nan if number is None else number for number in column]
    if strange := [number for number in numbers if isinstance(number, bool) or not isinstance(number, Real)]:
        raise TypeError(f"{strange[0]!r:.40} is no number")
    return tuple(map(float, numbers))


def _covariance(document: Mapping[str, Any]) -> tuple[tuple[str, ...], np.ndarray]:
    names = tuple(map(_words, document["names"]))
    matrix = np.array(document["matrix"], dtype=float)  # None becomes NaN
    return names, matrix.reshape(len(names), len(names))


def _stated(name: str, document: Mapping[str, Any]) -> Any:
    """The statistics, identifiability or provenance of its document."""
    entries = {key: _read_back(value, _NULL[name]) for key, value in document.items()}
    check_types(STATED[name], entries)
    records = {key: record(entries[key]) for key, record in _RECORDS[name].items() if key in entries}
    return STATED[name].of({**entries, **records})


def _without_name(row: Estimate) -> dict[str, Any]:
    return {key: value for key, value in asdict(row).items() if key != "name"}


def _record(kind: type, row: Mapping[str, Any]) -> Any:
    """A record from its document; null is an open bound or NaN."""
    known = {field.name: row[field.name] for field in fields(kind)}
    entries = {k: _OPEN.get(k, math.nan) if v is None else v for k, v in known.items()}
    check_types(kind, entries)
    return kind(**entries)


def plain(value: Any) -> Any:
    """The value in JSON's own types; numbers that are not finite become None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, tuple | list | set | frozenset):
        return [plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int) else as_utf8(str(value))


def _read_back(value: Any, null: Any) -> Any:
    """The value with tuples for lists, and ``null`` where the document has null."""
    if isinstance(value, dict):
        return {key: _read_back(item, null) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_read_back(item, null) for item in value)
    return null if value is None else value
