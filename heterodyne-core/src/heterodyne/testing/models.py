"""`ModelConformance`: what every model must keep, at parameters all over its bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from jax import Array

from heterodyne.bins.reading import read_bin
from heterodyne.catalogue import create_model
from heterodyne.data.two_time import TwoTime
from heterodyne.evaluators.sums import bin_sums
from heterodyne.kernels._jax import jax, jnp
from heterodyne.model import Components, KnownValues, Model, correlation_matrix, pair_of_components
from heterodyne.parameters import Parameter
from heterodyne.simulation.simulate import true_parameters

_POINTS = 200
_FRAMES = 12
_SPACINGS = (1e-6, 1e-3, 0.1, 10.0)  # s
_AGES = (0.0, 1.0, 1e4)  # s
_FIRST = (1e-150, 1e-12)  # s, ages of a first frame next to 0, where a power of time is steepest
_WAVENUMBERS = (1e-4, 0.01, 1.0)  # 1/Å
_STEP = 1e-5


class ModelConformance:
    """Tests of a model: inherit, and state ``model``, the name of an installed one or a `Model`.

    ``oracle`` are values of c2 from another source than the model's code. ``typical`` are parameters at which S
    falls from 1 to near 0 over the frames ``t`` in s at ``q`` in Å⁻¹, completed by the model's own; there sums
    and slopes are compared. ``rounding`` is the error of S that is let pass, by default that of the last digits
    of its profiles: compiled code may fuse a product with the subtraction of `pair` into one rounding.
    """

    model: str | Model
    oracle: Sequence[KnownValues] = ()
    typical: Mapping[str, float] = {}
    t: np.ndarray = 0.1 * np.arange(1, 91)
    q: float = 0.01
    phi: float = 20.0
    rounding: float | None = None

    def test_the_table_can_be_started_from(self) -> None:
        """Bounds are finite and in order, starts lie within them, a log scale is positive; names agree."""
        model = self._model()
        assert self.model in (model, model.name), f"{self.model} is the model {model.name!r}"
        for row in model.parameters.values():
            assert -math.inf < row.low < row.high < math.inf, f"{row.name}: bounds must be finite, low < high"
            assert row.low <= row.start <= row.high, f"{row.name}: the start lies outside of the bounds"
            assert row.scale == "linear" or row.low > 0.0, f"{row.name}: a log scale needs low > 0"

    def test_s_is_a_correlation_all_over_the_bounds(self) -> None:
        """S is finite, symmetric, 1 at equal times, and lies in 0..1."""
        points = drawn(self._model())
        s = np.asarray(jax.jit(jax.vmap(_s_of(self._model())))(*points))
        diagonal, error = np.diagonal(s, axis1=1, axis2=2), self._error(points)
        for words, wrong in (
            ("S must be finite", ~np.isfinite(s)),
            ("S(t, t) must be 1", np.abs(diagonal - 1.0) > error[:, None]),
            ("S must be symmetric", np.abs(s - s.swapaxes(1, 2)) > error[:, None, None]),
            ("S must lie in 0..1", np.abs(s - 0.5) > 0.5 + error[:, None, None]),
        ):
            _check(words, wrong, points)

    def test_slopes_are_finite_all_over_the_bounds(self) -> None:
        """∂S/∂parameters is finite, forwards and backwards, of the profiles and of the components."""
        model = self._model()
        points = drawn(model)
        for words, function in (
            ("∂S", jax.jacfwd(_s_of(model), argnums=0)),
            ("∂ΣS, backwards,", jax.grad(lambda *at: jnp.sum(_s_of(model)(*at)))),
            *([("∂S of the components", jax.jacfwd(_s_of_components(model)))] if model.components else []),
        ):
            found = jax.jit(jax.vmap(function))(*points)
            for name, slopes in found.items():
                _check(f"{words} by {name} must be finite", ~np.isfinite(slopes), points)

    def test_slopes_are_those_of_differences(self) -> None:
        """∂S/∂parameters is what differences of S say, at typical parameters."""
        model, at = self._model(), self._typical()
        exact = jax.jit(jax.jacfwd(_s_of(model)))(at, self.t, self.q, self.phi)
        for name, value in at.items():
            step = _STEP * max(abs(value), 0.1)
            ahead, behind = (self._s({**at, name: value + d}) for d in (step, -step))
            np.testing.assert_allclose(
                exact[name] * step, 0.5 * (ahead - behind), rtol=0, atol=1e-9, err_msg=name
            )

    def test_components_give_the_same_s(self) -> None:
        """A separable model's components give the S of its profiles, all over the bounds."""
        model = self._model()
        if model.components is not None:
            points = drawn(model, steep=False)
            both = (jax.jit(jax.vmap(of(model)))(*points) for of in (_s_of, _s_of_components))
            apart = np.abs(np.subtract(*both)) > 1e-11 + self._error(points)[:, None, None]
            _check("components and profiles must agree", apart, points)

    def test_sums_without_the_matrix_are_those_over_the_matrix(self) -> None:
        """The fast sums of a separable model are those of the tiles of S, at typical parameters."""
        model, at = self._model(), self._typical()
        noise = 0.1 * np.random.default_rng(0).normal(size=(len(self.t),) * 2)
        c2 = 1.0 + 0.2 * self._s(at) + np.triu(noise) + np.triu(noise, 1).T
        dt = float(np.median(np.diff(self.t)))
        data = read_bin(TwoTime([c2], [self.q], [self.phi], self.t, dt), 0)  # pyright: ignore[reportArgumentType]
        theta = np.array([at[name] for name in model.parameters])
        fast, slow = (
            bin_sums(which, theta, data, True) for which in (model, replace(model, components=None))
        )
        size = np.sqrt(np.diag(slow.gram))
        residual = np.sqrt(data.moments.square)
        for name, scale in (
            ("gram", np.outer(size, size)),
            ("total", size * np.sqrt(data.moments.pairs)),
            ("cross", size * residual),
        ):
            error = np.abs(getattr(fast, name) - getattr(slow, name))
            assert np.all(error <= 1e-9 * scale), f"the fast sums {name} differ by {error.max():g}"

    def test_pairs_of_frames_have_the_s_of_the_matrix(self) -> None:
        """Profiles at a window of frames are those of the whole axis: frames are the last axis of all of them."""
        model, at = self._model(), self._typical()
        profiles = model.profiles(at, jnp.asarray(self.t), self.q, self.phi)
        for row in jax.tree.leaves(profiles):
            assert row.shape[-1] == len(self.t), f"a profile of shape {row.shape} for {len(self.t)} frames"

    def test_the_azimuth_counts_only_where_it_is_said_to(self) -> None:
        """A model that uses no azimuth has the same S for all, and for rings."""
        model, at = self._model(), self._typical()
        s = [np.asarray(correlation_matrix(model, at, self.t, self.q, phi)) for phi in (0.0, 35.0, 90.0)]
        same = all(np.array_equal(other, s[0]) for other in s[1:])
        if model.uses_azimuth:
            assert not same, "S is the same at 0, 35 and 90 degrees: state uses_azimuth=False"
        else:
            ring = np.asarray(correlation_matrix(model, at, self.t, self.q, np.nan))
            same = same and np.array_equal(ring, s[0])
            assert same, "S changes with the azimuth that it is said not to use"

    def test_s_depends_on_the_lag_alone_where_that_is_stated(self) -> None:
        """A model that says how it is stationary has, held so, the same S at all ages."""
        model = self._model()
        if model.stationary is None:
            return
        held = {**self._typical(), **model.stationary.held}
        for at in (held, {**held, **model.stationary.merged}):
            rows = [
                np.asarray(correlation_matrix(model, at, self.t + age, self.q, self.phi)) for age in _AGES[:2]
            ]
            for s in (rows[1], rows[0][1:, 1:]):
                size = len(s)
                np.testing.assert_allclose(s, rows[0][:size, :size], rtol=0, atol=1e-9)

    def test_values_known_from_elsewhere(self) -> None:
        """c2 is what another source says, to 1e-10."""
        for known in self.oracle:
            s = self._model().correlation(known.params, np.asarray(known.t), known.q, known.phi)
            first, second = np.transpose(known.pairs)
            np.testing.assert_allclose(known.offset + known.contrast * s[first, second], known.c2, rtol=1e-10)

    def _model(self) -> Model:
        return create_model(self.model) if isinstance(self.model, str) else self.model

    def _error(self, points: Points) -> np.ndarray:
        """The error of S that is let pass at every point, (n,)."""
        if self.rounding is not None:
            return np.full(len(points.q), self.rounding)
        profiles = jax.tree.leaves(jax.jit(jax.vmap(self._model().profiles))(*points))
        size = np.max([np.abs(row).reshape(len(points.q), -1).max(axis=1) for row in profiles], axis=0)
        return 8.0 * np.finfo(float).eps * (1.0 + size)

    def _typical(self) -> dict[str, float]:
        return true_parameters(self._model(), self.typical)

    def _s(self, params: Mapping[str, float]) -> np.ndarray:
        return np.asarray(correlation_matrix(self._model(), params, self.t, self.q, self.phi))


class Points(NamedTuple):
    """Parameters by name (n,), frame times (n, frames), q and φ (n,)."""

    params: dict[str, np.ndarray]
    t: np.ndarray
    q: np.ndarray
    phi: np.ndarray


@lru_cache
def drawn(model: Model, steep: bool = True, count: int = _POINTS) -> Points:
    """Points spread over the bounds, half of them at corners; a third with a ``steep`` first frame, next to 0."""
    rng = np.random.default_rng(0)
    params = {row.name: _values(row, rng, count) for row in model.parameters.values()}
    t = np.arange(1, _FRAMES + 1) * rng.choice(_SPACINGS, (count, 1)) + rng.choice(_AGES, (count, 1))
    if steep:
        t[::3, 0] = rng.choice(_FIRST, len(t[::3]))
    return Points(params, t, rng.choice(_WAVENUMBERS, count), rng.uniform(-180.0, 180.0, count))


def _values(row: Parameter, rng: np.random.Generator, count: int) -> np.ndarray:
    """Values inside the bounds, some at their ends, at the start or at 0; at the ends all of the last half."""
    low, high = (math.log10(end) if row.scale == "log" else end for end in (row.low, row.high))
    spread = rng.uniform(low, high, count)
    values = np.clip(10.0**spread if row.scale == "log" else spread, row.low, row.high)
    special = [row.low, row.high, row.start, *([0.0] if row.accepts(0.0) else [])]
    values = np.where(rng.random(count) < 0.3, rng.choice(special, count), values)
    half = count // 2
    values[half:] = rng.choice([row.low, row.high], count - half)
    return values


def _s_of(model: Model) -> Callable[..., Array]:
    """S over all pairs of frames from the profiles."""
    return lambda params, t, q, phi: correlation_matrix(model, params, t, q, phi)


def _s_of_components(model: Model) -> Callable[..., Array]:
    """S over all pairs of frames from the components."""

    def s(params: Mapping[str, Any], t: Array, q: Array, phi: Array) -> Array:
        assert model.components is not None
        rows = Components.of(model.components(params, t, q, phi))
        left = jax.tree.map(lambda row: row[..., :, None], rows)
        return pair_of_components(left, jax.tree.map(lambda row: row[..., None, :], rows))

    return s


def _check(words: str, wrong: Any, points: Points) -> None:
    """Fail, naming the first point at which something is wrong."""
    at = np.flatnonzero(np.asarray(wrong).reshape(len(points.q), -1).any(axis=1))
    if len(at):
        k = int(at[0])
        params = ", ".join(f"{name}={values[k]:.6g}" for name, values in points.params.items())
        where = f"{params}, t={points.t[k][0]:g}..{points.t[k][-1]:g} s, q={points.q[k]:g}, phi={points.phi[k]:.4g}"
        raise AssertionError(f"{words}; at {len(at)} of {len(points.q)} points it is not, such as {where}")
