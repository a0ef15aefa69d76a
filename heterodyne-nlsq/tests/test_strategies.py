"""The choice of a strategy, and that every strategy reaches the same minimum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import heterodyne as het
from heterodyne.errors import ConfigError, DataError
from heterodyne.model import Model
from heterodyne.problem.problem import create_problem
from heterodyne_nlsq import reading as choice_module
from heterodyne_nlsq.reading import choose
from tolerances import SAME_PLACE, TWO_WAYS

FREE = 8 * 2**30
STATIC = {"model": "static", "fix": {"D_offset": 0.0}}


@pytest.fixture
def free_memory(monkeypatch):
    """8 GiB are free."""

    class Memory:
        available = FREE

    monkeypatch.setattr(choice_module.psutil, "virtual_memory", Memory)


class Matrices:
    """Matrices of a stated size that nobody reads."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, bin):
        raise AssertionError("a choice reads no matrix")


def problem(frames, bins=1, model="static", weight=None):
    data = het.simulate("static", frames=4, phi=np.linspace(0, 60, bins))
    t = np.arange(1, frames + 1) * 0.1
    data = replace(data, c2=Matrices(bins), t=t, mask=True, weight=weight)
    return create_problem(data, het.create_model(model) if isinstance(model, str) else model)


def dense_model():
    """The static model without its components."""
    static = het.create_model("static")
    return Model("dense", static.parameters, static.profiles, static.pair, uses_azimuth=False)


@pytest.mark.parametrize(
    ("frames", "bins", "memory", "name"),
    [
        (1024, 3, 0.0, "direct"),
        (16384, 1, 0.0, "streamed"),
        (16384, 1, 6.5, "direct"),
        (4096, 40, 0.0, "streamed"),
        (1024, 3, 0.01, "direct"),
    ],
)
def test_auto_streams_what_does_not_fit_and_has_more_than_one_tile(free_memory, frames, bins, memory, name):
    made = choose(problem(frames, bins), "auto", memory)
    assert made.name == name
    assert made.streamed == (name == "streamed")
    assert made.memory == (memory * 2**30 or FREE / 2)


def test_the_reason_states_the_estimate(free_memory):
    reason = choose(problem(1024, 3), "auto", 0.0).reason
    assert reason == "3 matrices of 1024² need 0.039 GiB in memory, 4 GiB allowed"
    assert choose(problem(64), "streamed", 0.0).reason.startswith("asked for; 1 matrix of 64² needs")


@pytest.mark.parametrize("strategy", ["auto", "direct", "sequential"])
def test_what_needs_whole_matrices_is_never_streamed(free_memory, strategy):
    made = choose(problem(16384, model=dense_model()), strategy, 1.0)
    assert not made.streamed
    if strategy != "direct":
        assert "model 'dense' is not separable and needs whole matrices" in made.reason


def test_streaming_what_needs_whole_matrices_is_refused(free_memory):
    with pytest.raises(ConfigError, match=r"model 'dense' is not separable .* use direct or auto"):
        choose(problem(64, model=dense_model()), "streamed", 0.0)
    with pytest.raises(ConfigError, match="weights per pair need whole matrices"):
        choose(problem(64, weight=np.ones((1, 64, 64))), "streamed", 0.0)


@pytest.mark.slow
def test_every_strategy_reaches_the_same_minimum(tmp_path):
    truth = {"D0": 3e2, "alpha": 0.2, "D_offset": 0.0}
    data = het.simulate("static", params=truth, phi=[0.0, 40.0], frames=1100, seed=3)
    data = het.load(replace(data, c2=np.asarray(data.c2, dtype=np.float32)).save(tmp_path / "a.h5"))
    fits = {name: het.fit(data, options={"strategy": name}, **STATIC) for name in ("direct", "streamed")}
    for name, fit in fits.items():
        assert fit.verdict == "converged"
        assert fit.statistics["strategy"] == name
        assert fit.statistics["strategy_reason"].startswith("asked for; 2 matrices of 1100² need")
    direct, streamed = fits.values()
    for name, error in direct.errors.items():
        assert abs(direct.values[name] - streamed.values[name]) < 1e-4 * error
    assert streamed.statistics["ssr"] == pytest.approx(direct.statistics["ssr"], rel=TWO_WAYS)
    for one, other in zip(direct.scaling, streamed.scaling, strict=True):
        assert one.noise == pytest.approx(other.noise, rel=1e-3)
        assert one.contrast == pytest.approx(other.contrast, rel=1e-6)


@pytest.mark.slow
def test_a_streamed_fit_takes_the_start_values_that_are_given():
    data = het.simulate("static", params={"D0": 3e3, "alpha": 0.2, "D_offset": 0.0}, phi=0.0, frames=90)
    lines = []
    options = {"strategy": "streamed", "max_iterations": 1}
    fit = het.fit(data, start={"D0": 2e3, "alpha": 0.1}, options=options, progress=lines.append, **STATIC)
    assert fit.verdict == "max iterations"
    assert not any("excerpts" in line for line in lines)


@pytest.mark.slow
def test_sequential_lists_every_bin_and_ends_with_the_joint_fit():
    truth = {"D0": 3e3, "alpha": 0.2, "D_offset": 0.0}
    data = het.simulate("static", params=truth, phi=[0.0, 30.0, 60.0], frames=80, seed=4)
    joint = het.fit(data, **STATIC)
    fit = het.fit(data, options={"strategy": "sequential"}, **STATIC)
    assert fit.statistics["strategy"] == "sequential"
    for name, error in joint.errors.items():
        assert abs(fit.values[name] - joint.values[name]) < SAME_PLACE * error
    table = fit.statistics["sequential"]
    assert [row["phi"] for row in table] == [0.0, 30.0, 60.0]
    for index, row in enumerate(table):
        alone = het.fit(data.bins([index]), options={"weights": "equal"}, **STATIC)
        assert row["verdict"] == "converged"
        for name, error in alone.errors.items():
            assert abs(row["values"][name] - alone.values[name]) < SAME_PLACE * error


def test_sequential_leaves_fixed_contrast_fixed():
    data = het.simulate("static", phi=[0.0, 30.0], frames=60, seed=4)
    fit = het.fit(data, contrast=0.15, offset="shared", options={"strategy": "sequential"}, **STATIC)
    assert [row.contrast for row in fit.scaling] == [0.15, 0.15]
    assert len(fit.statistics["sequential"]) == 2


def test_a_start_cannot_be_found_where_c2_does_not_vary():
    data = het.simulate("static", phi=0.0, frames=1100)
    c2 = np.full((1, 1100, 1100), 1.25)
    c2[0, 301, 1099] = c2[0, 1099, 301] = 1.3
    with pytest.raises(DataError, match="c2 is constant in every part"):
        het.fit(replace(data, c2=c2), options={"strategy": "streamed"}, **STATIC)
