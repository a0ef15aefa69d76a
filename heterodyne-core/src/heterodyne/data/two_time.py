"""`TwoTime`: the two-time correlation of one file, one matrix per bin, read when asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from heterodyne.data.facts import check_bins, check_clock, spacing_within
from heterodyne.data.masked import has_masks, without_masks
from heterodyne.data.matrices import ALL, Matrices, StoredMatrices, choose
from heterodyne.data.triangle import symmetric
from heterodyne.data.validation import frame_mask, number, numbers, pair_list, weights
from heterodyne.errors import DataError
from heterodyne.frozen import FrozenMapping

FROM_TIMES: Any = None
"""The age that the frame times say: t[0] - dt."""


@dataclass(frozen=True, eq=False)
class TwoTime:
    """Two-time correlation matrices c2(t1, t2) of the bins of one file.

    ``c2[b]`` is the matrix of bin b, (frames, frames), symmetric; ``q`` in Å⁻¹ and ``phi`` in degrees
    (NaN for a ring) with full widths ``dq`` and ``dphi`` (NaN where unknown) are per bin; ``t`` in s is
    the age of every frame, ``dt`` the nominal spacing and ``age`` the time before the first stored
    frame, t[0] - dt, which it is if it is not given. ``mask`` (bins, frames) is True for frames to use, ``bad_pairs``
    (n, 3) lists single pairs to leave out, [bin, frame, frame] counted from 0, at which c2 may be NaN. What
    masked arrays hide is added to these two.
    ``weight`` weighs squared residuals, relative to others of the same bin: per frame (bins, frames), a
    pair having the product of its frames', or per pair (bins, frames, frames), which may be matrices that
    stay in a file; None weighs all alike.
    ``provenance`` says where the numbers come from and, in ``pixels``,
    how many every bin has. Halves in memory are mirrored, as those of files are.
    Raises `DataError` for values that cannot be and for facts that contradict one another.
    """

    c2: Matrices
    q: np.ndarray
    phi: np.ndarray
    t: np.ndarray
    dt: float
    age: float = FROM_TIMES
    dq: np.ndarray = field(default_factory=lambda: np.array(np.nan))
    dphi: np.ndarray = field(default_factory=lambda: np.array(np.nan))
    mask: np.ndarray = field(default_factory=lambda: np.array(True))
    provenance: Mapping[str, Any] = field(default_factory=dict)
    bad_pairs: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), dtype=np.int64))
    weight: np.ndarray | StoredMatrices | None = None

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        for name in ("q", "phi", "t"):
            set_(self, name, np.atleast_1d(numbers(name, getattr(self, name))))
        set_(self, "dt", number("dt", self.dt))
        first = float(self.t.flat[0]) if self.t.size else 0.0
        set_(self, "age", first - self.dt if self.age is FROM_TIMES else number("age", self.age))
        for name in ("dq", "dphi"):
            set_(self, name, spread(name, numbers(name, getattr(self, name)), self.q.shape))
        set_(self, "mask", spread("mask", frame_mask(self.mask), (len(self.q), len(self.t))))
        set_(self, "bad_pairs", pair_list(self.bad_pairs, len(self.q), len(self.t)))
        if self.weight is not None and not isinstance(self.weight, StoredMatrices):
            set_(self, "weight", weights(self.weight, len(self.q), len(self.t)))
        set_(self, "provenance", FrozenMapping(self.provenance))
        self._check()
        if has_masks(self.c2):
            for name, value in zip(
                ("c2", "mask", "bad_pairs"), without_masks(self.c2, self.mask, self.bad_pairs), strict=True
            ):
                set_(self, name, value)
        set_(self, "c2", _in_memory(self.c2))

    def _check(self) -> None:
        if not len(self.c2) == len(self.q) == len(self.phi):
            raise DataError(
                f"{len(self.c2)} matrices, {len(self.q)} q and {len(self.phi)} phi: one of each per bin"
            )
        check_bins(self.q, self.phi, self.dq, self.dphi)
        check_clock(self.t, self.dt, self.age)

    @property
    def n_bins(self) -> int:
        """The number of (q, phi) bins."""
        return len(self.q)

    @property
    def n_frames(self) -> int:
        """The number of frames."""
        return len(self.t)

    @property
    def weighs_pairs(self) -> bool:
        """Whether weights are per pair of frames, (frames, frames) for every bin."""
        return isinstance(self.weight, StoredMatrices) or (self.weight is not None and self.weight.ndim == 3)

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the last."""
        return float(self.t[-1] - self.t[0])

    def __repr__(self) -> str:
        return f"<TwoTime: {self.n_bins} bins, {self.n_frames} frames, dt {self.dt:g} s>"

    def label(self, bin: int) -> str:
        """The bin in words: ``q=0.01 phi=45``."""
        return bin_label(self.q[bin], self.phi[bin])

    def bins(self, indices: Sequence[int]) -> TwoTime:
        """The data of these bins only; nothing is read. Raises `DataError` for a bin that does not exist."""
        chosen = existing(indices, self.n_bins)
        return replace(
            self,
            c2=choose(self.c2, chosen, self.n_frames),
            bad_pairs=renumbered(self.bad_pairs, chosen),
            weight=self._weights(chosen, ALL),
            provenance=_of_bins(self.provenance, chosen),
            **{name: getattr(self, name)[chosen] for name in ("q", "phi", "dq", "dphi", "mask")},
        )

    def cut(self, frames: slice) -> TwoTime:
        """The data of these frames only, counted from 0; nothing is read."""
        every, kept = range(self.n_bins), range(self.n_frames)[frames]
        if len(kept) == self.n_frames:
            return self
        t = self.t[frames]
        dt = spacing_within(t, self.dt)
        return replace(
            self,
            c2=choose(self.c2, every, self.n_frames, frames),
            t=t,
            dt=dt,
            age=self.age if kept.start == 0 and dt == self.dt else FROM_TIMES,
            mask=self.mask[:, frames],
            bad_pairs=within(self.bad_pairs, frames),
            weight=self._weights(every, frames),
        )

    def _weights(self, bins: Sequence[int], frames: slice) -> np.ndarray | Matrices | None:
        """The weights of these bins and frames."""
        if isinstance(self.weight, np.ndarray):
            return self.weight[(list(bins), *[frames] * (self.weight.ndim - 1))]
        return None if self.weight is None else self.weight.chosen(bins, frames)

    def save(self, path: str | Path) -> Path:
        """Write the project's own HDF5 file (an NXxpcs tree); returns its path."""
        from heterodyne.atomic import as_path
        from heterodyne.data.own_file import Content, write_two_time

        content = Content(*(getattr(self, name) for name in Content._fields))
        return write_two_time(content, as_path(path))


def bin_label(q: float, phi: float) -> str:
    """A bin in words: ``q=0.01 phi=45``."""
    return f"q={q:.4g} {'ring' if np.isnan(phi) else f'phi={phi:.4g}'}"


def existing(indices: Sequence[int], n_bins: int) -> list[int]:
    """The indices of bins in a list; raises `DataError` for a bin that does not exist."""
    chosen = list(indices)
    if outside := [index for index in chosen if index not in range(n_bins)]:
        raise DataError(f"there is no bin {outside[0]}; bins are 0 to {n_bins - 1}")
    return chosen


def renumbered(bad_pairs: np.ndarray, bins: Sequence[int] | np.ndarray) -> np.ndarray:
    """The rows of these bins, numbered in the given order."""
    rows = [_of_bin(k, bad_pairs[bad_pairs[:, 0] == index]) for k, index in enumerate(bins)]
    return np.concatenate([np.zeros((0, 3), dtype=np.int64), *rows])


def within(bad_pairs: np.ndarray, frames: slice) -> np.ndarray:
    """The rows whose frames both lie in ``frames``, counted from its first."""
    inside = (bad_pairs[:, 1:] >= frames.start) & (bad_pairs[:, 1:] < frames.stop)
    return (bad_pairs - [0, frames.start, frames.start])[inside.all(axis=1)]


def _of_bins(provenance: Mapping[str, Any], bins: Sequence[int]) -> Mapping[str, Any]:
    """The provenance with the pixels of these bins only."""
    pixels = provenance.get("pixels")
    if not isinstance(pixels, Sequence) or not all(bin < len(pixels) for bin in bins):
        return provenance
    return {**provenance, "pixels": [pixels[bin] for bin in bins]}


def _of_bin(number: int, rows: np.ndarray) -> np.ndarray:
    return np.column_stack([np.full(len(rows), number), rows[:, 1:]])


def spread(name: str, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The values with this shape, repeated where they are fewer; raises `DataError` where they do not fit."""
    try:
        return np.broadcast_to(values, shape).copy()
    except ValueError:
        raise DataError(f"{name} must have shape {shape}, not {values.shape}") from None


def _in_memory(matrices: Matrices) -> Matrices:
    """Arrays given as they are made whole: half a matrix would count as one with zeros in the other half."""
    if not isinstance(matrices, np.ndarray | list | tuple):
        return matrices
    whole = [symmetric(np.asarray(matrix)) for matrix in matrices]
    kept = all(np.may_share_memory(one, given) for one, given in zip(whole, matrices, strict=True))
    return matrices if kept else whole
