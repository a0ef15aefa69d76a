"""Sums over frame pairs of all bins, each bin by the evaluator that serves it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from heterodyne.bins.bin import Bin, Moments, Whitened
from heterodyne.bins.compressed import Compressed
from heterodyne.bins.kept import in_place
from heterodyne.bins.tiles import Tiles
from heterodyne.evaluators import compressed, dense, streamed, structured, whitened
from heterodyne.evaluators.elementwise import skipped_sums
from heterodyne.evaluators.pair_sums import Evaluator, PairSums, Sums
from heterodyne.model import Model


def pair_sums(
    model: Model, theta: Float[np.ndarray, " P"], bins: tuple[Bin, ...], jacobian: bool = True
) -> PairSums:
    """The sums of all bins at the parameters ``theta``, in the order of the model's table.

    Without ``jacobian`` X is S alone, which is enough for the cost. Bins run side by side on the cores; those
    that are read tile by tile follow one another, as each reads its file; those that are kept elsewhere, there.
    """
    sums = in_place(bin_sums, bins, [(model, theta, bin, jacobian) for bin in bins])
    moments = np.array([bin.summed for bin in bins]).T
    n_pairs = np.array([bin.moments.pairs for bin in bins])
    return PairSums(
        Moments(*moments), n_pairs, Sums(*(np.stack(of_bins) for of_bins in zip(*sums, strict=True)))
    )


def bin_sums(
    model: Model, theta: Float[np.ndarray, " P"], bin: Bin, jacobian: bool = True
) -> Sums[np.ndarray]:
    """The sums of one bin, without the pairs that it skips."""
    sums = evaluator_of(model, bin)(model, theta, bin, jacobian)
    if not len(bin.skipped) or isinstance(bin.values, Whitened):
        return sums
    total, gram = skipped_sums(model, theta, bin, jacobian)
    return sums._replace(total=sums.total - total, gram=sums.gram - gram)


def evaluator_of(model: Model, bin: Bin) -> Evaluator:
    """The evaluator of a bin: structured where S is separable and weights are per frame or of frames, else dense."""
    if isinstance(bin.values, Whitened):
        return whitened.dense_sums if model.components is None else whitened.bin_sums
    if isinstance(bin.values, Compressed):
        return compressed.bin_sums
    if isinstance(bin.values, Tiles):
        return streamed.bin_sums
    if model.components is None or bin.pair_weight is not None:
        return dense.bin_sums
    return structured.bin_sums
