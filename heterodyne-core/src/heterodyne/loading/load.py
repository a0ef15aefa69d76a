"""`load`: from a file of any installed layout to `TwoTime` or `OneTime`."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from heterodyne.atomic import as_path
from heterodyne.data.facts import spacing_within
from heterodyne.data.matrices import ShiftedMatrices, frame_counts, symmetrised
from heterodyne.data.one_time import OneTime
from heterodyne.data.selection import Selection, choose_bins, choose_frames, frames_to_use
from heterodyne.data.triangle import Symmetrise
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError, HeterodyneError, PluginError
from heterodyne.loading import multitau
from heterodyne.loading.asked import Excluded, Wanted, asked, check_of_lags, check_switch, stated
from heterodyne.loading.cache import through_cache
from heterodyne.loading.checked_file import followed
from heterodyne.loading.hdf5 import check_readable, opened, without_two_time
from heterodyne.loading.provenance import file_provenance, linked_provenance
from heterodyne.loading.times import settled
from heterodyne.plugins.manager import manager


@runtime_checkable
class Loader(Protocol):
    """One file layout.

    ``sniff`` scores a file without reading matrices: 0 not mine, 1 certainly mine. ``load`` returns all that the
    file holds, every bin and every frame, the matrices unread; `load` chooses from it. ``given`` is what the user
    asks for: a loader looks there only for what its file does not say (`heterodyne.data.selection.Selection`). One that
    heeds its ``key`` says in the provenance, under ``c2_source``, where it took c2.
    Both raise `HeterodyneError` subclasses, in one line, for what is wrong with the file.
    """

    def sniff(self, path: Path, /) -> float: ...
    def load(self, path: Path, given: Selection, /) -> TwoTime: ...


def load(
    path: str | Path,
    *,
    q: Wanted | None = None,
    phi: Wanted | None = None,
    frames: tuple[int, int] | None = None,
    dt: float | None = None,
    age: float | None = None,
    dq: float | None = None,
    dphi: float | None = None,
    baseline: float | None = None,
    exclude_frames: Excluded | None = None,
    mask: str | Path | np.ndarray | None = None,
    loader: str | None = None,
    allow_links: bool = False,
    symmetrise: Symmetrise | None = None,
    key: str | None = None,
    one_time: bool = False,
    cache: bool = False,
) -> TwoTime | OneTime:
    """The two-time data of a file, with the selected bins and frames; no matrix is read yet.

    A file that holds only one-time data, g2 over the lag, gives these; ``one_time`` asks for them where a file holds
    both.

    ``q`` (Å⁻¹): a value takes the nearest ring, whose q agree within 5 %, a tuple (low, high) a range, a list
    any of these. ``phi`` (degrees): likewise; NaN or "ring" takes bins without an azimuth, low > high goes through
    ±180. ``frames``: (first, last), from 1, both included. ``dt`` and ``age`` (s) replace what the file says, with a
    warning if it says something else, and so do ``dq`` (Å⁻¹) and ``dphi`` (degrees), the full widths of all bins.
    For arrays stored without q, phi or dt the values given here are theirs. ``baseline``: 0 for data stored as
    c2 - 1. ``exclude_frames``: numbers from 1, (first, last) tuples or lists of these, text as ``12,40:55``, or
    ``@FILE`` for a text file that lists them. ``mask``: True for frames to use, (frames,) or (bins, frames) of the
    file, or the name of an .npz archive with that key. ``loader`` names the layout; otherwise every installed
    loader is asked. ``allow_links``: whether an HDF5 file may send the reader to other files by links, external
    storage and paths; sources of virtual datasets that lie beside it are read anyway. Other files that are read
    stand in the provenance under ``linked``. ``symmetrise``: "mean", "upper" or "lower", what counts where the
    halves of a matrix differ, as those of denoised data do. ``key``: the part of a file that holds several: the array
    that is c2, an analysis, trains. ``cache``: matrices that a file stores in one piece each are kept in tiles, in the
    program's cache folder, and read from there the next time. Raises `DataError` for a file that is missing, unreadable
    or holds no two-time data, and for a selection that selects nothing, and `PluginError` for a loader that fails or
    contradicts itself.
    """
    path = as_path(path)
    check_switch("one_time", one_time)
    given = asked(
        q=q,
        phi=phi,
        frames=frames,
        dt=dt,
        age=age,
        dq=dq,
        dphi=dphi,
        baseline=baseline,
        exclude_frames=exclude_frames,
        mask=mask,
        allow_links=allow_links,
        symmetrise=symmetrise,
        key=key,
    )
    check_readable(path)
    name = None if one_time else loader or _recognised(path)
    with followed() as others:
        if name is None:
            selected = _one_time(path, given, loader)
        else:
            data = _content(name, path, given)
            selected = _selected(data, given, _origin(path, name, given), f"{path}: {_who(name)}")
    linked = linked_provenance(others)
    if linked:
        selected = replace(selected, provenance={**selected.provenance, **linked})
    if not cache or name is None or isinstance(selected, OneTime):
        return selected
    return through_cache(selected, path, name)


def _origin(path: Path, name: str, given: Selection) -> dict[str, Any]:
    return {**file_provenance(path), "loader": name, "selection": stated(given)}


def _one_time(path: Path, given: Selection, loader: str | None) -> OneTime:
    """The one-time data of a file, with the chosen bins and the widths that are given."""
    check_of_lags(given)
    data, name = multitau.read(path, given, loader)
    part = data.bins(choose_bins(data.q, data.phi, given).tolist())
    sources, shift = _widths(part, given), 0.0
    if given.baseline == 0.0:
        sources["baseline"], shift = "0 as given: g2 is shifted by +1", 1.0
    provenance = {**part.provenance, **sources, **_origin(path, name, given)}
    return replace(part, g2=part.g2 + shift, **_given_widths(given), provenance=provenance)


def _given_widths(given: Selection) -> dict[str, Any]:
    return {name: width for name in ("dq", "dphi") if (width := getattr(given, name)) is not None}


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
    if given.key is not None and "c2_source" not in data.provenance:
        raise DataError(
            f"{path}: key = {given.key!r}: in files of loader {name!r} there is nothing to choose"
        )
    return data


def _selected(data: TwoTime, given: Selection, origin: dict[str, Any], who: str) -> TwoTime:
    """The chosen bins and frames, with the dt and age that are given; raises `PluginError` for contradictions."""
    frames, bins = choose_frames(data.n_frames, given), choose_bins(data.q, data.phi, _chosen(data, given))
    used = frames_to_use(data.n_bins, data.n_frames, given)[bins, frames]
    part = _symmetrised(data, given.symmetrise).bins(bins.tolist())
    if wrong := frame_counts(part.c2) - {data.n_frames}:
        raise PluginError(f"{who} gives {data.n_frames} times for matrices of {min(wrong)} frames")
    (t, dt, age), sources = _times(data, given, frames)
    origin = {**origin, "frames": [frames.start + 1, frames.stop]}
    provenance = {**part.provenance, **sources, **_widths(part, given), **origin}
    part, widths = part.cut(frames), _given_widths(given)
    chosen = replace(part, t=t, dt=dt, age=age, mask=part.mask & used, **widths, provenance=provenance)
    return _based(chosen, given.baseline)


def _chosen(data: TwoTime, given: Selection) -> Selection:
    """What is asked for, without values that were taken as statements: those choose nothing."""
    said = {name: () for name in ("q", "phi") if data.provenance.get(f"{name}_source") == "given"}
    return replace(given, **said)


def _symmetrised(data: TwoTime, symmetrise: Symmetrise | None) -> TwoTime:
    """The data with what counts of two halves that differ."""
    return data if symmetrise is None else replace(data, c2=symmetrised(data.c2, symmetrise))


def _widths(data: TwoTime | OneTime, given: Selection) -> dict[str, str]:
    """Which widths are given, with a warning where the file says others."""
    sources = {}
    for name, unit in (("dq", "1/Å"), ("dphi", "degrees")):
        width, known = getattr(given, name), getattr(data, name)
        known = known[np.isfinite(known)]
        if width is not None:
            sources[f"{name}_source"] = "given"
            if len(known) and not np.allclose(known, width, rtol=1e-6, atol=0.0):
                warnings.warn(
                    f"{name} = {width:g} {unit} as given, not {known[0]:g} as in the file", stacklevel=2
                )
    return sources


def _based(data: TwoTime, baseline: float | None) -> TwoTime:
    """c2 with a baseline of 1, unless that is what the loader made of it."""
    if baseline != 0.0 or "baseline" in data.provenance:
        return data
    origin = {**data.provenance, "baseline": "0 as given: c2 is shifted by +1"}
    return replace(data, c2=ShiftedMatrices(data.c2, data.n_frames, 1.0), provenance=origin)


def _times(
    data: TwoTime, given: Selection, frames: slice
) -> tuple[tuple[np.ndarray, float, float], dict[str, str]]:
    """t, dt and age of these frames, stretched and shifted to what is given; where dt and age come from."""
    said = data.provenance
    source = "given" if given.dt == data.dt else "the file"
    dt, dt_source = settled("dt", given.dt, data.dt, said.get("dt_source", source))
    known = "age_source" in said or data.age != 0.0
    unknown = "the file" if known else "age is not in the file, taken as 0"
    age, age_source = settled("age", given.age, data.age, said.get("age_source", unknown), known)
    t = data.t[frames]
    if (dt, age) != (data.dt, data.age):
        t = (t - data.age) * (dt / data.dt) + age
    within = spacing_within(t, dt)
    first = age if frames.start == 0 and within == dt else float(t[0]) - within
    return (t, within, first), {"dt_source": dt_source, "age_source": age_source}


def _recognised(path: Path) -> str | None:
    """The loader with the best score, None for one-time data alone; raises `DataError` if more than one has it."""
    scores = {name: _score(record, path) for name, record in manager().listing("loader").items()}
    best = max(scores.values(), default=0.0)
    if best <= 0:
        with opened(path) as file:
            if multitau.holds(file):
                return None
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
