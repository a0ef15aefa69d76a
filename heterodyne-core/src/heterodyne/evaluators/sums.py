"""Sums over frame pairs of all bins, each bin by the evaluator that serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from heterodyne.bins.bin import Bin, StreamedBin
from heterodyne.device.cores import side_by_side
from heterodyne.evaluators import dense, streamed, structured
from heterodyne.evaluators.elementwise import skipped_sums
from heterodyne.evaluators.pair_sums import PairSums, Sums

if TYPE_CHECKING:
    from heterodyne.model import Model


def pair_sums(
    model: Model, theta: np.ndarray, bins: tuple[Bin, ...] | tuple[StreamedBin, ...], jacobian: bool = True
) -> PairSums:
    """The sums of all bins at the parameters ``theta`` (P,), in the order of the model's table.

    Without ``jacobian`` X is S alone, which is enough for the cost. Bins run side by side on the cores;
    streamed bins follow one another, as each reads its file.
    """

    def of(one: Bin | StreamedBin) -> Sums:
        return bin_sums(model, theta, one, jacobian)

    rows = side_by_side(of, bins, 1 if isinstance(bins[0], StreamedBin) else None)
    data = np.array([(one.pairs, one.reference, one.data, one.data2) for one in bins]).T
    return PairSums(*data, **{name: np.stack([getattr(r, name) for r in rows]) for name in Sums._fields})


def bin_sums(model: Model, theta: np.ndarray, one: Bin | StreamedBin, jacobian: bool) -> Sums:
    """The sums of one bin: structured where S is separable and weights are per frame, else dense."""
    if isinstance(one, StreamedBin):
        sums = streamed.bin_sums(model, theta, one, jacobian)
    elif model.components is None or one.pair_weight is not None:
        sums = dense.bin_sums(model, theta, one, jacobian)
    else:
        sums = structured.bin_sums(model, theta, one, jacobian)
    if not len(one.skipped):
        return sums
    total, gram = skipped_sums(model, theta, one, jacobian)
    return sums._replace(model=sums.model - total, gram=sums.gram - gram)
