"""`load`: from a file of any installed layout to `TwoTime`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from heterodyne.atomic import as_path
from heterodyne.data.matrices import frame_counts
from heterodyne.data.selection import Range, Selection, choose_bins, choose_frames
from heterodyne.data.two_time import TwoTime
from heterodyne.data.validation import number
from heterodyne.errors import DataError, HeterodyneError, PluginError
from heterodyne.loading.checked_file import followed
from heterodyne.loading.hdf5 import check_readable, opened, without_two_time
from heterodyne.loading.provenance import file_provenance, linked_provenance
from heterodyne.loading.times import settled
from heterodyne.plugins.manager import manager

_UNEVEN = 0.01  # of the spacing of frames; times in float32 are not quite even
_UNIT = {"q": "q is positive (in Å⁻¹)", "phi": "phi is finite (in degrees)"}


@runtime_checkable
class Loader(Protocol):
    """One file layout.

    ``sniff`` scores a file without reading matrices: 0 not mine, 1 certainly mine. ``load`` returns all that the
    file holds, every bin and every frame, the matrices unread; `load` chooses from it. ``given`` is what the user
    asks for: a loader looks there only for what its file does not say (`heterodyne.data.selection.Selection`).
    Both raise `HeterodyneError` subclasses, in one line, for what is wrong with the file.
    """

    def sniff(self, path: Path, /) -> float: ...
    def load(self, path: Path, given: Selection, /) -> TwoTime: ...


Wanted = float | Range | Sequence[float | Range]


def load(
    path: str | Path,
    *,
    q: Wanted | None = None,
    phi: Wanted | None = None,
    frames: tuple[int, int] | None = None,
    dt: float | None = None,
    age: float | None = None,
    loader: str | None = None,
    allow_links: bool = False,
) -> TwoTime:
    """The two-time data of a file, with the selected bins and frames; no matrix is read yet.

    ``q`` (Å⁻¹): a value takes the nearest ring, whose q agree within 5 %, a tuple (low, high) a range, a list
    any of these. ``phi`` (degrees): likewise; NaN takes bins without an azimuth, low > high goes through ±180.
    ``frames``: (first, last), from 1, both included. ``dt`` and ``age`` (s) replace what the file says, with a
    warning if it says something else. For arrays stored without q, phi or dt the values given here are theirs.
    ``loader`` names the layout; otherwise every installed loader is asked. ``allow_links``: whether an HDF5 file may
    send the reader to other files by links, external storage and paths; sources of virtual datasets that lie
    beside it are read anyway. Other files that are read stand in the provenance under ``linked``. Raises `DataError`
    for a file that is missing, unreadable or holds no two-time data, and for a selection that selects nothing, and
    `PluginError` for a loader that fails or contradicts itself.
    """
    path = as_path(path)
    given = Selection(
        _wanted("q", q),
        _wanted("phi", phi),
        _frames(frames),
        _seconds("dt", dt),
        _seconds("age", age),
        allow_links,
    )
    check_readable(path)
    name = loader or _recognised(path)
    with followed() as others:
        data = _content(name, path, given)
        origin = {**file_provenance(path), "loader": name, "selection": _stated(given)}
        selected = _selected(data, given, origin, f"{path}: {_who(name)}")
    linked = linked_provenance(others)
    return replace(selected, provenance={**selected.provenance, **linked}) if linked else selected


def _who(loader: str) -> str:
    return f"loader {loader!r} ({manager().owner('loader', loader).origin})"


def _content(name: str, path: Path, given: Selection) -> TwoTime:
    """All that the loader finds in the file; raises `PluginError` naming it if it does not keep its contract."""
    loader = manager().find("loader", name).resolve(Loader)
    try:
        data = loader.load(path, given)
    except HeterodyneError as error:
        if str(path) in str(error):
            raise
        raise type(error)(f"{path}: {error}") from error
    except Exception as error:  # a stranger's code may raise anything
        raise PluginError(f"{path}: {_who(name)} failed: {type(error).__name__}: {error}") from error
    if not isinstance(data, TwoTime):
        raise PluginError(f"{path}: {_who(name)} returned {type(data).__name__}, not a TwoTime")
    return data


def _selected(data: TwoTime, given: Selection, origin: dict[str, Any], who: str) -> TwoTime:
    """The chosen bins and frames, with the dt and age that are given; raises `PluginError` for contradictions."""
    steps = np.diff(data.t)
    if not (1 - _UNEVEN) * steps.min() <= data.dt <= (1 + _UNEVEN) * steps.max():
        raise PluginError(f"{who} gives dt = {data.dt:g} s for times {np.median(steps):g} s apart")
    frames = choose_frames(data.n_frames, given)
    part = data.bins(choose_bins(data.q, data.phi, given).tolist())
    if wrong := frame_counts(part.c2) - {data.n_frames}:
        raise PluginError(f"{who} gives {data.n_frames} times for matrices of {min(wrong)} frames")
    (t, dt, age), sources = _times(data, given, frames)
    origin = {**origin, "frames": [frames.start + 1, frames.stop]}
    provenance = {**data.provenance, **sources, **origin}
    return replace(part.cut(frames), t=t, dt=dt, age=age, provenance=provenance)


def _times(
    data: TwoTime, given: Selection, frames: slice
) -> tuple[tuple[np.ndarray, float, float], dict[str, str]]:
    """t, dt and age of these frames, stretched and shifted to what is given; where dt and age come from."""
    stated = data.provenance
    source = "given" if given.dt == data.dt else "the file"
    dt, dt_source = settled("dt", given.dt, data.dt, stated.get("dt_source", source))
    known = "age_source" in stated or data.age != 0.0
    unknown = "the file" if known else "age is not in the file, taken as 0"
    age, age_source = settled("age", given.age, data.age, stated.get("age_source", unknown), known)
    t = data.t[frames]
    if (dt, age) != (data.dt, data.age):
        t = (t - data.age) * (dt / data.dt) + age
    first = age if frames.start == 0 else float(t[0]) - dt
    return (t, dt, first), {"dt_source": dt_source, "age_source": age_source}


def _recognised(path: Path) -> str:
    """The loader with the best score; raises `DataError` if none or more than one has it."""
    scores = {name: _score(record, path) for name, record in manager().listing("loader").items()}
    best = max(scores.values(), default=0.0)
    if best <= 0:
        with opened(path) as file:
            raise DataError(f"{without_two_time(file)} (loaders: {', '.join(scores)})")
    winners = [name for name, score in scores.items() if score == best]
    if len(winners) > 1:
        raise DataError(
            f"{path} fits the loaders {' and '.join(map(repr, winners))} equally; "
            f'choose with --loader {winners[0]} or loader="{winners[0]}"'
        )
    return winners[0]


def _score(record: Any, path: Path) -> float:
    try:
        return float(record.resolve(Loader).sniff(path))
    except Exception as error:  # a stranger's code: it must not keep the others from reading
        warnings.warn(f"loader {record.name!r} failed on {path}: {error}", stacklevel=3)
        return 0.0


def _wanted(name: str, value: Any) -> tuple[float | Range, ...]:
    if value is None:
        return ()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    several = isinstance(value, list) or (isinstance(value, tuple) and not _is_range(value))
    return tuple(_one(name, item) for item in (value if several else [value]))


def _one(name: str, item: Any) -> float | Range:
    if isinstance(item, Real):
        value = float(item)
        if (not 0 < value < math.inf) if name == "q" else math.isinf(value):  # a phi of NaN states a ring
            raise DataError(f"{name} = {value:g} cannot be selected: {_UNIT[name]}")
        return value
    if _is_range(item):
        low, high = map(float, item)
        if not (math.isfinite(low) and math.isfinite(high)):
            raise DataError(f"the ends of the {name} range {low:g}:{high:g} must be finite")
        if name == "q" and low > high:
            raise DataError(f"the q range {low:g}:{high:g} has its ends exchanged")
        return low, high
    raise DataError(f"{name} must be a number, a (low, high) tuple or a list of those, not {item!r}")


def _is_range(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and all(isinstance(end, Real) for end in value)


def _seconds(name: str, value: Any) -> float | None:
    if value is None:
        return None
    seconds = number(name, value)
    if not math.isfinite(seconds) or (name == "dt" and seconds <= 0):
        raise DataError(f"{name} must be {'positive' if name == 'dt' else 'finite'} (in s), not {seconds:g}")
    return seconds


def _frames(frames: Any) -> tuple[int, int] | None:
    if frames is None:
        return None
    try:
        first, last = frames
        if int(first) == first and int(last) == last:
            return int(first), int(last)
    except (TypeError, ValueError, OverflowError):
        pass
    raise DataError(f"frames must be two whole numbers (first, last), not {frames!r}")


def _stated(given: Selection) -> dict[str, Any]:
    names = ("q", "phi", "frames", "dt", "age")
    return {name: value for name in names if (value := getattr(given, name)) not in (None, ())}
