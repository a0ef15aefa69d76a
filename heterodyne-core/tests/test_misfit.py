"""What a fit takes out of the cells of its residuals and what noise does to them, pair by pair; long series judged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import heterodyne as het
from heterodyne.evaluators.influence import evened, influence_panels, score_covariance
from heterodyne.evaluators.scores import ScorePart
from heterodyne.evaluators.whitened import frame_factor
from heterodyne.problem import Choices, create_objective, create_problem
from heterodyne.solution import create_solution
from heterodyne.solution.misfit import Examined, _examined, structure_at
from heterodyne.solution.patches import Sizes
from heterodyne.solution.residuals import examine_residuals, noise_of_frames, noise_of_weights, residuals_at
from heterodyne.solution.robust import score_clusters
from heterodyne.solution.solution import at_solution
from heterodyne.solution.structure import cells_of
from tolerances import TWO_WAYS

FRAMES = 150
TRUTH = {"D0": 3e4, "alpha": 0.2, "D_offset": 0.0}  # a decay within a few frames
SLOW = {"D0": 3e3, "alpha": 0.1, "D_offset": 0.0}
SIZES = {"whole": Sizes(), "parts": Sizes(whole=0, groups=40, windows=4, width=16)}


def solved(data, truth, whitened=False, **choices):
    """A solution of `static` begun at the truth."""
    problem = create_problem(data, het.create_model("static"), Choices(fix={"D_offset": 0.0}, **choices))
    here = newton(create_objective(problem), truth)
    if not whitened:
        return here
    weights = noise_of_weights(here, residuals_at(here))
    return newton(here.weighted.whitened(here.x, weights), here.weighted.parameters(here.x))


def newton(objective, params):
    u = objective.point({name: params[name] for name in TRUTH})
    for _ in range(8):
        equations = objective(u)
        u = u - np.linalg.solve(equations.gram, equations.gradient)
    return at_solution(create_solution(objective, u))


def residuals_of(here, sizes):
    params, model = here.weighted.parameters(here.x), here.weighted.problem.model
    rows = zip(here.weighted.bins, here.scaling.contrast, here.scaling.offset, strict=True)
    return [examine_residuals(model, params, *row, sizes) for row in rows]


def examined(here, residuals):
    """The cells of all bins, which are one cluster, and what is seen of them."""
    (cluster,) = score_clusters(here.weighted, here.scaling, here.x, here.free)
    cells = [cells_of(of.sums, of.noise) for of in residuals]
    noise = noise_of_frames(here, residuals)
    return cells, cluster, _examined(here, cluster, cells, residuals, noise)


def whole_z(cells, frames):
    """z of every cell between frames, (F, frames, frames)."""
    found = []
    for patches, z in zip(cells.patches, cells.z, strict=True):
        u = patches.columns(frames)
        found.append(np.einsum("wis,fwst,wjt->fij", u, z, u, optimize=True))
    return np.concatenate(found)


def seen_by_pairs(here, residuals):
    """The same from the matrices of all pairs, of one bin."""
    (cells,), cluster, _ = examined(here, residuals)
    (bin,), (residual,) = here.weighted.bins, residuals
    model, theta, (linear,) = here.weighted.problem.model, here.weighted.theta(here.x), cluster.linear
    (noise,) = noise_of_frames(here, residuals)
    z = whole_z(cells, len(bin.t))

    def matrices(panels):
        return np.concatenate([part.scores for part in reversed(list(panels))], axis=2)

    tangent = matrices(influence_panels(model, theta, bin.plain, linear))
    coupling = 0.5 * np.einsum("fij,aij->fa", z, tangent) * (linear.sigma / residual.noise) ** 2
    own = np.sqrt(bin.weights()) * z / residual.noise**2
    every = np.concatenate([own, matrices(evened(bin, influence_panels(model, theta, bin, linear)))])
    factor = frame_factor(model, theta, bin, noise.ratio)
    covariance = noise.scale_near * score_covariance([iter([ScorePart(0, 0, every)])], factor)
    return Examined(coupling, covariance[: len(z), len(z) :], covariance[: len(z), : len(z)])


def mask(frames):
    return np.arange(frames) % 13 != 7


KINDS = ("plain", "masked", "weighted", "whitened", "lags left out", "by pair")


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [(kind, size) for kind in KINDS for size in SIZES if (kind, size) != ("lags left out", "parts")],
)
def test_cells_are_seen_as_their_pairs_are(kind, sizes):
    data = het.simulate_speckle("static", params=SLOW, phi=0.0, frames=FRAMES, seed=1)
    changed = {
        "masked": {"mask": mask(FRAMES)},
        "weighted": {"weight": np.linspace(0.5, 2.0, FRAMES)[None]},
        "by pair": {"weight": np.outer(*(np.linspace(0.5, 2.0, FRAMES),) * 2)[None]},
    }.get(kind, {})
    skip = 1 if kind == "lags left out" else 0
    here = solved(replace(data, **changed), SLOW, kind == "whitened", skip_lags=skip)
    residuals = residuals_of(here, SIZES[sizes])
    found, expected = examined(here, residuals)[2], seen_by_pairs(here, residuals)
    for one, other in zip(found, expected, strict=True):
        size = np.sqrt(np.abs(np.diag(expected.variance))).max() if one is found.variance else 1.0
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=TWO_WAYS * max(np.abs(other).max(), size))


def test_groups_that_lack_pairs_are_seen_as_if_they_lacked_them_evenly():
    data = het.simulate_speckle("static", params=SLOW, phi=0.0, frames=FRAMES, seed=1)
    here = solved(data, SLOW, False, skip_lags=1)
    residuals = residuals_of(here, SIZES["parts"])
    found, expected = (
        np.diag(of.variance) for of in (examined(here, residuals)[2], seen_by_pairs(here, residuals))
    )
    np.testing.assert_allclose(found, expected, rtol=0.25)


@pytest.fixture(scope="module")
def fast():
    """A solution whose S decays within a few frames."""
    data = het.simulate("static", params=TRUTH, phi=[0.0], frames=FRAMES, noise=0.02, seed=1)
    return solved(data, TRUTH)


@pytest.mark.parametrize("sizes", SIZES)
def test_the_coupling_is_that_of_finite_differences(fast, sizes):
    here, upper = fast, np.triu_indices(FRAMES, 1)
    (residual,) = residuals = residuals_of(here, SIZES[sizes])
    (cells,), _, seen = examined(here, residuals)
    z, found = whole_z(cells, FRAMES)[:, *upper], seen.coupling
    objective = here.weighted
    data = objective.problem.data[0]

    def s(u):
        return objective.problem.model.correlation(objective.parameters(u), data.t, data.q[0])[upper]

    basis = np.stack([s(here.x), np.ones(len(upper[0]))], axis=1)
    for k, step in enumerate(1e-5 * np.eye(len(here.x))):
        slope = here.scaling.contrast[0] * (s(here.x + step) - s(here.x - step)) / 2e-5
        slope -= basis @ np.linalg.lstsq(basis, slope, rcond=None)[0]
        expected = z @ slope / residual.noise**2
        np.testing.assert_allclose(found[:, k], expected, atol=1e-4 * np.abs(expected).max())
    for k, of in enumerate(basis.T, len(here.x)):
        np.testing.assert_allclose(found[:, k], z @ of / residual.noise**2, rtol=1e-6, atol=1e-3)


def test_a_right_model_of_a_fast_decay_leaves_nothing(fast):
    assert structure_at(fast, residuals_at(fast)).verdict == "no structure found"


def long(seed, added=None):
    """The structure of a fit of 600 frames of speckle, to which something is added."""
    data = het.simulate_speckle("static", params=SLOW, phi=0.0, frames=600, seed=seed)
    here = solved(replace(data, c2=[np.asarray(data.c2[0]) + (0.0 if added is None else added)]), SLOW)
    return structure_at(here, residuals_at(here))


FRAME = np.arange(600)
LAG, AGE = np.abs(FRAME[:, None] - FRAME), (FRAME[:, None] + FRAME) / 1200.0


@pytest.mark.slow
def test_noise_of_shared_frames_in_a_long_series_gives_even_probabilities():
    found = [long(seed) for seed in range(20)]
    for of in ("lag", "age"):
        checks = [getattr(one, of) for one in found]
        assert sum(check.found for check in checks) <= 1
        assert 0.5 < np.mean([check.chi2 / check.cells for check in checks]) < 1.5


def test_a_dip_at_short_lags_is_found_in_a_long_series():
    assert long(3, -0.02 * np.exp(-LAG / 4.0)).lag.found


def test_a_drift_is_found_in_a_long_series():
    assert long(3, 0.02 * AGE).age.found
