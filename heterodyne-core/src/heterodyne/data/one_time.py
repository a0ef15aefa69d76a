"""`OneTime`: g2(q, φ, τ) of one file, over the lag alone, and the same as the first row of two-time matrices.

Where S depends on the lag alone, g2(τ_k) = c2(t_0, t_0 + τ_k): with frames at t_0, t_0 + τ_1, t_0 + τ_2, ... it is the
first row of a matrix of which no other pair counts. So everything that fits c2 fits g2.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from heterodyne.data.facts import check_bins, check_lags, spacing, spacing_within
from heterodyne.data.two_time import TwoTime, bin_label, existing, spread
from heterodyne.data.validation import numbers
from heterodyne.errors import DataError
from heterodyne.frozen import FrozenMapping
from heterodyne.words import first_listed

FROM_LAGS: Any = None
"""The spacing of frames that the lags say: the shortest of them."""

FEWEST = 3
"""A bin with fewer lags has nothing to fit: they tell contrast and offset at most."""


@dataclass(frozen=True, eq=False)
class OneTime:
    """One-time correlation g2 of the bins of one file over the lags ``tau`` (lags,) in s, all above 0.

    ``g2`` (bins, lags) may be NaN where nothing was measured; ``error`` (bins, lags) are its standard errors, None
    where they are unknown. ``q`` in Å⁻¹ and ``phi`` in degrees (NaN for a ring) with full widths ``dq`` and ``dphi``
    (NaN where unknown) are per bin; ``dt`` is the spacing of frames in s, by default the shortest lag. ``provenance``
    says where the numbers come from. Raises `DataError` for values that cannot be.
    """

    g2: np.ndarray
    q: np.ndarray
    phi: np.ndarray
    tau: np.ndarray
    error: np.ndarray | None = None
    dt: float = FROM_LAGS
    dq: np.ndarray = field(default_factory=lambda: np.array(np.nan))
    dphi: np.ndarray = field(default_factory=lambda: np.array(np.nan))
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        for name in ("q", "phi", "tau"):
            set_(self, name, np.atleast_1d(numbers(name, getattr(self, name))))
        check_lags(self.tau)
        for name in ("dq", "dphi"):
            set_(self, name, spread(name, numbers(name, getattr(self, name)), self.q.shape))
        set_(self, "g2", self._of_lags("g2", self.g2))
        set_(self, "error", None if self.error is None else self._of_lags("error", self.error))
        set_(self, "dt", spacing(float(self.tau[0]) if self.dt is FROM_LAGS else self.dt))
        set_(self, "provenance", FrozenMapping(self.provenance))
        if len(self.phi) != self.n_bins:
            raise DataError(f"{self.n_bins} q and {len(self.phi)} phi: one of each per bin")
        check_bins(self.q, self.phi, self.dq, self.dphi)

    def _of_lags(self, name: str, given: np.ndarray) -> np.ndarray:
        values, shape = numbers(name, given), (self.n_bins, len(self.tau))
        if values.shape != shape:
            raise DataError(f"{name} must have shape {shape}, (bins, lags), not {values.shape}")
        return values

    @property
    def n_bins(self) -> int:
        """The number of (q, phi) bins."""
        return len(self.q)

    @property
    def n_lags(self) -> int:
        """The number of lags."""
        return len(self.tau)

    @property
    def used(self) -> np.ndarray:
        """Where g2 was measured and its error, if there are errors, is a positive number, (bins, lags)."""
        measured = np.isfinite(self.g2) & (self.g2 != 0.0)  # 0 stands where there were no counts
        return measured if self.error is None else measured & np.isfinite(self.error) & (self.error > 0.0)

    @property
    def labels(self) -> tuple[str, ...]:
        """Every bin in words."""
        return tuple(map(self.label, range(self.n_bins)))

    def __repr__(self) -> str:
        ends = f"{self.tau[0]:g} to {self.tau[-1]:g} s"
        return f"<OneTime: {self.n_bins} bins, {self.n_lags} lags, {ends}>"

    def label(self, bin: int) -> str:
        """The bin in words: ``q=0.01 phi=45``."""
        return bin_label(self.q[bin], self.phi[bin])

    def bins(self, indices: Sequence[int]) -> OneTime:
        """The data of these bins only; raises `DataError` for a bin that does not exist."""
        chosen = existing(indices, self.n_bins)
        parts = {name: getattr(self, name)[chosen] for name in ("g2", "q", "phi", "dq", "dphi")}
        return replace(self, error=None if self.error is None else self.error[chosen], **parts)


@dataclass(frozen=True, eq=False)
class FirstRow(TwoTime):
    """g2 over the lags as the first row of c2 (`first_row`); every other pair has the weight 0.

    The weights are 1 / error² where ``has_errors``, else 1.
    """

    has_errors: bool = False

    @property
    def tau(self) -> np.ndarray:
        """The lags in s, (lags,)."""
        return self.t[1:] - self.t[0]

    @property
    def row_weights(self) -> np.ndarray:
        """The weight of every lag, (bins, lags)."""
        assert isinstance(self.weight, np.ndarray)
        return self.weight[:, 0, 1:]


def first_row(data: OneTime) -> FirstRow:
    """The data as two-time data of which only the pairs with the first frame count.

    Values that were not measured, and bins with fewer than 3 others, are left out with a warning that names them.
    Raises `DataError` where nothing is left.
    """
    where, used = data.provenance.get("file", "data"), data.used
    enough = used.sum(axis=1) >= FEWEST
    if not enough.any():
        raise DataError(f"{where}: {_nothing(data)}")
    if lines := list(_left_out(data, used, enough)):
        warnings.warn(f"{where}: left out, {_reason(data)}: {'; '.join(lines)}", stacklevel=2)
    kept = data.bins(np.flatnonzero(enough).tolist())
    t = kept.tau[0] + np.concatenate([[0.0], kept.tau])
    row = np.where(kept.used, kept.g2, 1.0)
    of_error = np.ones_like(row) if kept.error is None else 1.0 / np.where(kept.used, kept.error, 1.0) ** 2
    return FirstRow(
        _rows(row, 1.0),  # pairs that do not count have no say, but must be numbers
        kept.q,
        kept.phi,
        t,
        spacing_within(t, kept.dt),
        dq=kept.dq,
        dphi=kept.dphi,
        provenance=kept.provenance,
        weight=_rows(np.where(kept.used, of_error, 0.0), 0.0),
        has_errors=kept.error is not None,
    )


def _rows(values: np.ndarray, others: float) -> np.ndarray:
    """Matrices (bins, lags + 1, lags + 1) with these values in the first row and column, ``others`` elsewhere."""
    bins, lags = values.shape
    matrices = np.full((bins, lags + 1, lags + 1), others)
    matrices[:, 0, 1:] = matrices[:, 1:, 0] = values
    return matrices


def _left_out(data: OneTime, used: np.ndarray, enough: np.ndarray) -> Iterator[str]:
    """What is left out of every bin, in words; a lag that all bins lack once."""
    everywhere = ~used[enough].any(axis=0)
    if everywhere.any():
        yield f"{_lags(data, np.flatnonzero(everywhere))} of all bins"
    for bin, label in enumerate(data.labels):
        if not enough[bin]:
            yield f"bin {label}"
        elif len(lost := np.flatnonzero(~used[bin] & ~everywhere)):
            yield f"{_lags(data, lost)} of bin {label}"


def _lags(data: OneTime, which: np.ndarray) -> str:
    named = [f"{tau:.4g}" for tau in data.tau[which]]
    return f"{'lag' if len(named) == 1 else 'lags'} {first_listed(named)} s"


def _reason(data: OneTime) -> str:
    return "as g2 is NaN or 0" if data.error is None else "as g2 or its error is NaN or 0"


def _nothing(data: OneTime) -> str:
    measured = np.isfinite(data.g2) & (data.g2 != 0.0)
    if data.error is not None and measured.any():
        return (
            f"no bin has {FEWEST} g2 with an error above 0; without errors (error=None) all lags count alike"
        )
    return f"no bin has {FEWEST} values of g2: they are NaN or 0"
