"""What is odd about a file: lines that a person should read before fitting it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from heterodyne.data.matrices import StoredMatrices
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError
from heterodyne.words import first_listed, spans

if TYPE_CHECKING:
    from heterodyne.data.quality import Quality

_PLACEHOLDER = 1.0  # s; what control systems write when nobody set the frame time
_UNEVEN = 0.01  # of dt
_LEVELS = 0.5, 1.9  # c2 at long lags: contrasts reach 1, where hardly anything decays
_NOT_FROM_FILE = ("given", "simulated")


def oddities(data: TwoTime) -> list[str]:
    """What the small fields tell, a line each; no matrix is read."""
    return [*_of_bins(data), *_of_times(data), *_of_mask(data), *_of_storage(data)]


def oddities_of_matrices(found: Sequence[Quality]) -> list[str]:
    """What the matrices tell, a line each, from the `Quality` of every bin."""
    lines = [
        f"{_bins(alike)} hold equal matrices" for alike in _equal([each.digest or None for each in found])
    ]
    for name in ("dark", "bright"):
        by_frames = _gathered(getattr(each, name) for each in found)
        lines += [
            f"{_bins(bins)}: {name} frames {_frames(frames)}" for frames, bins in by_frames.items() if frames
        ]
    if gaps := {bin: each.gaps for bin, each in enumerate(found, 1) if each.gaps}:
        lines.append(
            f"{_bins(list(gaps))}: c2 is not finite at up to {max(gaps.values())} pairs of frames in use"
        )
    if differ := {bin: each.halves for bin, each in enumerate(found, 1) if each.halves}:
        most, rms = (max(values) for values in zip(*differ.values(), strict=True))
        lines.append(
            f"{_bins(list(differ))}: the halves differ by up to {most:.2g} ({rms:.2g} rms): choose by --symmetrise"
        )
    if fringes := {bin: each.fringe for bin, each in enumerate(found, 1) if not np.isnan(each.fringe)}:
        lines.append(
            f"{_bins(list(fringes))}: fringes of as few as {min(fringes.values()):.3g} frames; those of fewer than 2 "
            "show with another period, and a velocity is then wrong"
        )
    levels = {bin: each.baseline for bin, each in enumerate(found, 1)}
    if off := {bin: level for bin, level in levels.items() if level < _LEVELS[0] or level > _LEVELS[1]}:
        lines.append(
            f"{_bins(list(off))}: c2 is {next(iter(off.values())):.3g} at long lags, not 1: it is not normalised, or "
            "its baseline is another (--baseline)"
        )
    others = [each.refused for each in found if each.refused and each.halves is None]
    return lines + [f"a fit refuses {reason}" for reason in others]


def _of_bins(data: TwoTime) -> list[str]:
    names = [
        (float(q), None if np.isnan(phi) else float(phi)) for q, phi in zip(data.q, data.phi, strict=True)
    ]
    lines = [
        f"{_bins(alike)} have the same q and phi ({data.label(alike[0] - 1)})" for alike in _equal(names)
    ]
    rings = int(np.isnan(data.phi).sum())
    if 0 < rings < data.n_bins:
        lines.append(f"{rings} of {data.n_bins} bins are rings without an azimuth, the others are not")
    if (beyond := int((np.abs(data.phi) > 180.0).sum())) > 0:
        lines.append(f"{beyond} bins have phi outside -180 to 180 degrees")
    return lines


def _of_times(data: TwoTime) -> list[str]:
    lines, steps = [], np.diff(data.t) / data.dt
    source = str(data.provenance.get("dt_source", ""))
    gaps = np.flatnonzero(steps > 1.5)
    if len(gaps):
        missing = int(np.rint(steps[gaps] - 1.0).sum())
        lines.append(
            f"{len(gaps)} gaps in time, of about {missing} frames; the first after frame {gaps[0] + 1}"
        )
    near = steps[steps <= 1.5]
    if len(near) and (off := float(np.abs(near - 1.0).max())) > _UNEVEN:
        lines.append(f"times are uneven: steps between frames differ from dt by up to {100 * off:.3g} %")
    if "not in the file" in str(data.provenance.get("age_source", "not in the file")):
        lines.append(
            "the age before the first frame is unknown: give it by --age if the state of the sample changes"
        )
    if data.dt == _PLACEHOLDER and not source.startswith(_NOT_FROM_FILE):
        lines.append(f"dt is {data.dt:g} s, which is often a placeholder: give the right one by --dt")
    exposure = data.provenance.get("count_time")
    if isinstance(exposure, float) and data.dt <= exposure * (1.0 + 1e-6):
        lines.append(f"dt = {data.dt:g} s is not longer than the exposure of {exposure:g} s (count_time)")
    return lines


def _of_mask(data: TwoTime) -> list[str]:
    out = ~data.mask
    if not out.any():
        return []
    everywhere = int(out.all(axis=0).sum())
    return [f"{int(out.any(axis=0).sum())} frames are masked in some bins, {everywhere} in all"]


def _of_storage(data: TwoTime) -> list[str]:
    """Whether matrices are read whole or not at all; only what the file says of the first one is looked at."""
    if not isinstance(data.c2, StoredMatrices):
        return []
    try:
        stored = data.c2.windows(0)
    except DataError as error:
        return [f"bin 1: {error}"]
    size = data.n_frames**2 * stored.dtype.itemsize / 2**20
    if not stored.whole or size < 64:
        return []
    return [
        f"matrices are stored in one piece each ({size:.0f} MiB): --cache keeps them in tiles for later runs"
    ]


def _equal(keys: Iterable[Hashable]) -> list[list[int]]:
    """Numbers, from 1, of those that are equal to others; None is equal to nothing."""
    return [bins for key, bins in _gathered(keys).items() if key is not None and len(bins) > 1]


def _gathered(keys: Iterable[Hashable]) -> dict[Hashable, list[int]]:
    places: dict[Hashable, list[int]] = defaultdict(list)
    for number, key in enumerate(keys, 1):
        places[key].append(number)
    return places


def _bins(numbers: Sequence[int]) -> str:
    return f"{'bin' if len(numbers) == 1 else 'bins'} {first_listed(spans(numbers))}"


def _frames(numbers: Hashable) -> str:
    return first_listed(spans(list(numbers)))  # pyright: ignore[reportArgumentType]
