"""Sums of many snapshots at once: against the sums of each alone, and against whole matrices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import heterodyne as het
from heterodyne.bins.reading import read_bins
from heterodyne.evaluators import structured, whitened
from heterodyne.evaluators.meshgrid import averaged_matrix
from heterodyne.evaluators.snapshots import block_sums, snapshot_sums, snapshots

TWO_WAYS = 1e-12


@pytest.fixture(scope="module")
def measured():
    """The model, parameters near the truth (3, P), and a bin of 70 frames, two of them masked."""
    data = het.simulate("two-component", frames=70, phi=[20.0], noise=0.02)
    mask = np.ones((1, 70), dtype=bool)
    mask[0, [3, 40]] = False
    model = het.create_model("two-component")
    truth = np.array([data.provenance["truth"]["params"][name] for name in model.parameters])
    thetas = truth * (1.0 + 0.03 * np.random.default_rng(0).normal(size=(3, len(truth))))
    (bin,) = read_bins((replace(data, mask=mask),))
    return model, thetas, bin


def matrices(model, thetas, bin):
    """S above the diagonal, (n, M, M)."""
    each = (dict(zip(model.parameters, theta, strict=True)) for theta in thetas)
    return np.array(
        [np.triu(np.asarray(averaged_matrix(model, params, bin.t, bin.nodes)), 1) for params in each]
    )


def test_sums_are_those_of_whole_matrices(measured):
    model, thetas, bin = measured
    root = np.sqrt(bin.weight)
    found = snapshot_sums(snapshots(model, thetas, bin.t, bin.nodes, root), root, bin.d)
    s, w = matrices(model, thetas, bin), bin.weights()
    np.testing.assert_allclose(found.cross, np.einsum("aij,ij->a", s, bin.d), rtol=1e-10)
    np.testing.assert_allclose(found.total, np.einsum("aij,ij->a", s, w), rtol=TWO_WAYS)
    np.testing.assert_allclose(found.gram, np.einsum("aij,bij,ij->ab", s, s, w), rtol=TWO_WAYS)


def test_blocks_are_those_of_whole_matrices(measured):
    model, thetas, bin = measured
    root, stripe = np.sqrt(bin.weight), 64
    found = block_sums(snapshots(model, thetas, bin.t, bin.nodes, root), root, bin.d, stripe)
    s, w = matrices(model, thetas, bin), bin.weights()
    of_frame = np.arange(len(bin.t)) // stripe
    for row, column in ((0, 0), (0, 1), (1, 1)):
        here = np.outer(of_frame == row, of_frame == column)
        inside, weights = s * here, w * here
        np.testing.assert_allclose(found.total[row, column], np.einsum("aij,ij->a", inside, w), rtol=1e-10)
        np.testing.assert_allclose(
            found.gram[row, column], np.einsum("aij,bij,ij->ab", s, s, weights), rtol=1e-10
        )
        np.testing.assert_allclose(found.cross[row, column], np.einsum("aij,ij->a", inside, bin.d), rtol=1e-9)
    assert not found.cross[1, 0].any()


@pytest.mark.parametrize("weights", ["frames", "covariance"])
def test_diagonal_is_what_the_evaluator_of_one_gives(measured, weights):
    model, thetas, bin = measured
    root, sums = np.sqrt(bin.weight), structured.bin_sums
    if weights == "covariance":
        bin, sums = whitened.whitened_bin(model, thetas[0], bin, 0.1), whitened.bin_sums
    factor = bin.values.factor if weights == "covariance" else None
    found = snapshot_sums(snapshots(model, thetas, bin.t, bin.nodes, root), root, bin.values.d, factor)
    for k, theta in enumerate(thetas):
        each = sums(model, theta, bin, False)
        np.testing.assert_allclose(found.cross[k], each.cross[0], rtol=1e-10)
        np.testing.assert_allclose(found.total[k], each.total[0], rtol=TWO_WAYS)
        np.testing.assert_allclose(found.gram[k, k], each.gram[0, 0], rtol=TWO_WAYS)


def test_products_of_two_snapshots_whitened(measured):
    """⟨A, B⟩ = ½ tr(W A W B) with W the inverse of S₀ + κ 1, between the frames in use."""
    model, thetas, bin = measured
    root = np.sqrt(bin.weight)
    bin_w = whitened.whitened_bin(model, thetas[0], bin, 0.1)
    of = snapshots(model, thetas, bin.t, bin.nodes, root)
    found = snapshot_sums(of, root, bin_w.values.d, bin_w.values.factor)
    whole = [(each + each.T) * np.outer(root, root) for each in matrices(model, thetas, bin)]
    inverse = np.linalg.inv(whole[0] + np.diag(bin.weight + 0.1))
    expected = [[0.5 * np.trace(inverse @ a @ inverse @ b) for b in whole] for a in whole]
    np.testing.assert_allclose(found.gram, expected, rtol=1e-9)


def test_stripes_of_parts_of_blocks_are_refused(measured):
    model, thetas, bin = measured
    root = np.sqrt(bin.weight)
    with pytest.raises(ValueError, match="not whole blocks"):
        block_sums(snapshots(model, thetas, bin.t, bin.nodes, root), root, bin.d, 40)
