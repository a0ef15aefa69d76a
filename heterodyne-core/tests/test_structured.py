"""The structured evaluator against sums over the whole matrix and its Jacobian, over all parameters."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heterodyne.bins.reading import read_bin
from heterodyne.catalogue import create_model
from heterodyne.data.two_time import TwoTime
from heterodyne.evaluators.structured import MODEL_BLOCK
from heterodyne.evaluators.sums import bin_sums
from heterodyne.model import Components, Model, correlation_matrix
from heterodyne.parameters import REGISTRY
from tolerances import NOTHING, TWO_WAYS

SEPARABLE = ("two-component", "static-reference", "no-flow", "equilibrium", "static")
Q, PHI = 0.008, 33.3
FRAMES = 90  # not a multiple of any block
SHORT = 20  # less than any block
ROUNDING = 1e-13  # the precision times the frames of a block squared


@partial(jax.jit, static_argnames="model")
def s_and_slopes(model: Model, theta, t):
    """S and its derivatives over the whole matrix, (1+P, N, N)."""

    def s(values):
        return correlation_matrix(model, dict(zip(model.parameters, values, strict=True)), t, Q, PHI)

    return jnp.concatenate([s(theta)[None], jnp.moveaxis(jax.jacfwd(s)(theta), -1, 0)])


def matrices(frames: int, t=None, seed: int = 0, **choices) -> TwoTime:
    """One bin of noise, at which every sum with the data is of the size of its terms."""
    noise = 1.0 + 0.1 * np.random.default_rng(seed).normal(size=(frames, frames))
    times = 0.1 * np.arange(1, frames + 1) if t is None else t
    dt = float(np.median(np.diff(times)))
    return TwoTime([np.triu(noise) + np.triu(noise, 1).T], [Q], [PHI], times, dt, **choices)


def weights_of(data: TwoTime, skip_lags: int = 0) -> np.ndarray:
    """W of the pairs i < j as documented: product of frame weights, mean 1 over the pairs used."""
    weight = np.ones((data.n_frames,) * 2) if data.weight is None else data.weight[0]
    w = np.outer(weight, weight) if weight.ndim == 1 else weight.copy()
    w *= np.outer(data.mask[0], data.mask[0])
    for _, i, j in data.bad_pairs:
        w[i, j] = w[j, i] = 0.0
    w = np.triu(w, 1 + skip_lags)
    return w * np.count_nonzero(w) / w.sum()


@partial(jax.jit, static_argnames="model")
def sizes_of_terms(model: Model, theta, t):
    """What S and ∂S would be if none of their terms cancelled, (1+P, N, N): rounding is relative to this.

    An exponent x has the rounding of x, so that e^-x loses digits where x is large; slopes of exponents
    count from the start of a block. Of a fringe that hardly turns, no term is larger than what it leaves.
    """
    assert model.components is not None

    def rows(values):
        stated = Components.of(model.components(dict(zip(model.parameters, values, strict=True)), t, Q, PHI))
        plain = jnp.zeros_like(stated.a[len(stated.phase) :])
        return stated._replace(phase=jnp.concatenate([plain, stated.phase]))

    a, exponent, phase = rows(theta)
    slopes = jax.tree.map(lambda x: jnp.moveaxis(x, -1, 0), jax.jacfwd(rows)(theta))
    of_a, steps = jnp.abs(slopes.a), jnp.cumsum(jnp.abs(jnp.diff(slopes.exponent, prepend=0.0)), axis=-1)
    lag = jnp.abs(exponent[:, None, :] - exponent[:, :, None])
    fall = jnp.exp(-lag) * (1.0 + lag)
    left, right = jnp.abs(a)[:, :, None], jnp.abs(a)[:, None, :]
    terms = of_a[..., :, None] * right + left * of_a[..., None, :]
    before = jnp.concatenate([jnp.repeat(steps[..., :1], MODEL_BLOCK, axis=-1), steps], axis=-1)
    terms += left * right * jnp.abs(steps[..., None, :] - before[..., : len(t), None])
    turned, of_turned = (x[..., None, :] - x[..., :, None] for x in (phase, slopes.phase))
    terms += left * right * jnp.abs(of_turned * jnp.sin(turned))
    return jnp.concatenate([jnp.sum(left * right * fall, axis=0)[None], jnp.sum(terms * fall, axis=1)])


def check(model: Model, theta: np.ndarray, data: TwoTime, skip_lags: int = 0) -> None:
    """Every sum of the bin against the whole matrix.

    The Gram matrix is a sum of products of terms, so where the terms of a derivative cancel (no motion, both
    components alike) its error is the rounding of those terms, which the whole-matrix path does not make.
    """
    bin = read_bin(data, 0, skip_lags)
    sums = bin_sums(model, theta, bin)
    w = weights_of(data, skip_lags)
    used = w > 0
    c2, x = data.c2[0][used], np.asarray(s_and_slopes(model, theta, data.t))[:, used]
    d = w[used] * (c2 - np.sum(w[used] * c2) / w.sum())
    gram = (x * w[used]) @ x.T
    size = np.sqrt(np.diag(gram))
    # pairs left out one by one are summed first and then taken away
    terms = np.asarray(sizes_of_terms(model, theta, data.t))[:, np.triu(np.ones_like(used), 1)]
    whole = ROUNDING * np.sqrt(w.max()) * np.linalg.norm(terms, axis=1)
    many = np.sqrt(terms.shape[1])
    close = {
        "gram": (sums.gram, gram, TWO_WAYS * np.outer(size, size) + np.outer(whole, whole) / ROUNDING),
        "total": (sums.total, x @ w[used], TWO_WAYS * size * np.sqrt(bin.moments.pairs) + whole * many),
        "cross": (sums.cross, x @ d, TWO_WAYS * np.abs(x) @ np.abs(d) + whole * np.linalg.norm(d)),
    }
    assert bin.moments.pairs == np.count_nonzero(used)
    for name, (found, expected, bound) in close.items():
        excess = np.abs(found - expected) / (bound + NOTHING)
        assert np.all(excess <= 1.0), (name, np.unravel_index(excess.argmax(), excess.shape), excess.max())


def inside(*names: str) -> dict[str, st.SearchStrategy[float]]:
    """Anything inside the bounds, evenly in the logarithm where the parameter has one."""

    def of(row):
        if row.scale == "log":
            return st.floats(np.log10(row.low), np.log10(row.high)).map(lambda x: 10.0**x)
        return st.floats(row.low, row.high)

    return {name: of(REGISTRY[name]) for name in names}


TRANSPORT = [f"{name}{end}" for end in ("", "_ref", "_sample") for name in ("D0", "alpha", "D_offset")]
VALUES = {
    **inside(*TRANSPORT, "D_ref", "D_sample", "v0", "v", "beta", "v_offset", "x", "phi0"),
    # f reaches 0 and 1; beyond these e^(f1 (t - f2)) runs to e^300 and the reference overflows
    "f0": st.one_of(st.sampled_from([0.0, 1.0]), st.floats(1e-3, 1.0)),
    "f1": st.floats(-1.0, 1.0).map(lambda x: round(x, 6)),  # squares of slopes of 1e-200 would underflow
    "f2": st.floats(-10.0, 10.0),
    "f3": st.one_of(st.sampled_from([0.0, 1.0]), st.floats(1e-3, 1.0)),
}


def thetas(model: Model) -> st.SearchStrategy[np.ndarray]:
    return st.tuples(*(VALUES[name] for name in model.parameters)).map(np.array)


def over(name: str, data: TwoTime, skip_lags: int = 0, examples: int = 20) -> None:
    """Check the sums of a model for anything inside its bounds."""
    model = create_model(name)

    @settings(max_examples=examples, deadline=None, derandomize=True, database=None)
    @given(thetas(model))
    def run(theta):
        check(model, theta, data, skip_lags)

    run()


@pytest.mark.slow
@pytest.mark.parametrize("name", SEPARABLE)
def test_all_sums_equal_those_of_the_whole_matrix(name):
    over(name, matrices(FRAMES), examples=40)


def masked(frames: int) -> np.ndarray:
    return np.random.default_rng(1).random((1, frames)) > 0.15


def uneven(frames: int) -> np.ndarray:
    return np.cumsum(np.random.default_rng(2).uniform(0.02, 0.5, frames))


def frame_weights(frames: int) -> np.ndarray:
    weight = np.random.default_rng(3).uniform(0.1, 5.0, (1, frames))
    weight[0, [4, 11]] = 0.0
    return weight


def pair_weights(frames: int) -> np.ndarray:
    weight = np.random.default_rng(4).uniform(0.0, 2.0, (1, frames, frames))
    weight[0, :3, 5:9] = 0.0
    weight[0, 12] = weight[0, :, 12] = 0.0
    return np.minimum(weight, weight.swapaxes(1, 2))


def bad_pairs(frames: int) -> np.ndarray:
    pairs = np.random.default_rng(5).choice(frames, (8, 2), replace=frames < 16)
    return np.column_stack([np.zeros(8, dtype=int), pairs])


CHOICES = {
    "masked": lambda n: {"mask": masked(n)},
    "uneven": lambda n: {"t": uneven(n)},
    "weights per frame": lambda n: {"weight": frame_weights(n), "mask": masked(n)},
    "weights per pair": lambda n: {"weight": pair_weights(n), "mask": masked(n), "bad_pairs": bad_pairs(n)},
    "bad pairs": lambda n: {"bad_pairs": bad_pairs(n), "weight": frame_weights(n), "t": uneven(n)},
}


@pytest.mark.slow
@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("name", ["two-component", "static"])
def test_sums_leave_out_and_weigh_what_the_data_say(name, choice):
    over(name, matrices(FRAMES, seed=6, **CHOICES[choice](FRAMES)))


@pytest.mark.slow
@pytest.mark.parametrize("skip_lags", [1, 5, SHORT - 4])
def test_sums_without_the_lags_next_to_the_diagonal(skip_lags):
    over("two-component", matrices(SHORT, seed=7), skip_lags)


@pytest.mark.parametrize("name", ["two-component", "static"])
def test_fewer_frames_than_a_block(name):
    over(name, matrices(SHORT, seed=8))


STILL = {"D0_ref": 1e-2, "D_offset_ref": -1e5, "D0_sample": 1e-2, "D_offset_sample": -1e5}
EXTREMES = {
    "S underflows in a frame": {"D0_ref": 1e6, "D_offset_ref": 1e5, "D0_sample": 1e6, "D_offset_sample": 1e5},
    "one component underflows": {"D0_ref": 1e6, "alpha_ref": 2.0, "D_offset_ref": 1e5},
    "no motion": {**STILL, "v0": 1e-6, "v_offset": 0.0},
    "J at its floor early": {"D0_ref": 1e4, "alpha_ref": 1.0, "D_offset_ref": -3.1e3},
    "J at its floor late": {"alpha_sample": -1.0, "D_offset_sample": -2.1e4},
    "only reference": {"f0": 0.0, "f1": 0.0, "f3": 0.0},
    "only sample": {"f0": 1.0, "f1": 0.0, "f3": 0.0},
    "f reaches 1": {"f0": 0.5, "f1": 0.5, "f3": 0.1},
    "fast fringes": {"v0": 1e6, "beta": 2.0, "v_offset": 1e3},
    "flow across q": {"phi0": PHI - 90.0},
    "nothing grows at the fastest rate": {"f0": 0.0, "f1": 10.0, "f2": -1e4},
}
"""Changes of a plausible point, at which nothing may overflow or lose its digits."""

PLAUSIBLE = {
    "D0_ref": 3e3, "alpha_ref": -0.2, "D_offset_ref": 50.0,
    "D0_sample": 8e3, "alpha_sample": 0.3, "D_offset_sample": -30.0,
    "v0": 600.0, "beta": 0.1, "v_offset": 20.0,
    "f0": 0.4, "f1": -0.05, "f2": 1.0, "f3": 0.05, "phi0": 10.0,
}  # fmt: skip


@pytest.mark.parametrize("extreme", EXTREMES)
def test_sums_at_the_ends_of_the_range(extreme):
    model = create_model("two-component")
    values = PLAUSIBLE | EXTREMES[extreme]
    theta = np.array([values[name] for name in model.parameters])
    assert all(model.parameters[name].accepts(value) for name, value in values.items())
    check(model, theta, matrices(FRAMES))
    assert np.all(np.isfinite(bin_sums(model, theta, read_bin(matrices(FRAMES), 0)).gram))


@pytest.mark.parametrize(
    ("change", "frames"),
    [
        ({}, FRAMES),
        (EXTREMES["S underflows in a frame"], FRAMES),
        (EXTREMES["fast fringes"], FRAMES),
        # a fringe of 0.1 rad over the run, which decays within a frame
        ({"v0": 0.3, "beta": 0.0, "v_offset": 0.0, "D0_ref": 3e5, "D0_sample": 3e5}, 512),
        # and one of 1e-5 rad
        ({"v0": 3e-5, "beta": 0.0, "v_offset": 0.0, "D0_ref": 3e5, "D0_sample": 3e5}, 512),
    ],
)
def test_nothing_is_lost_where_no_components_cancel(change, frames):
    model = create_model("two-component")
    values = PLAUSIBLE | change
    theta = np.array([values[name] for name in model.parameters])
    data = matrices(frames)
    x = np.asarray(s_and_slopes(model, theta, data.t))[:, np.triu(np.ones((frames, frames), dtype=bool), 1)]
    size = np.linalg.norm(x, axis=1)
    gram = bin_sums(model, theta, read_bin(data, 0)).gram
    assert np.all(np.abs(gram - x @ x.T) <= 1e-11 * np.outer(size, size) + NOTHING)
