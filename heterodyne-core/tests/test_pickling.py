"""Data and results are the same after pickling and after copying; matrices in files stay there."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import heterodyne as het
from heterodyne.frozen import FrozenMapping
from heterodyne.model import Model
from heterodyne.parameters import Prior
from heterodyne.problem.choices import Choices
from heterodyne.problem.problem import create_problem
from heterodyne.result.band import Band
from heterodyne.result.document import fit_text
from heterodyne.result.fit import Fit
from heterodyne.result.identifiability import Finding, Identifiability
from heterodyne.result.statistics import Statistics
from heterodyne.testing.results import estimates_of, fit_by_hand, scaling_of

T = np.arange(1, 21) * 0.1


def pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


@pytest.fixture(params=[pickled, copy.deepcopy, copy.copy])
def again(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """A way of making the same thing again."""
    return request.param


def fit_of(data: het.TwoTime, model: Model) -> Fit:
    choices = Choices(tie={"D_offset_sample": "D_offset_ref"}, prior={"contrast": Prior("normal", 0.2, 0.1)})
    problem = create_problem(data, model, choices)
    return fit_by_hand(
        estimates_of(problem),
        model=model.name,
        scaling=scaling_of(problem.data, contrast=0.15, offset=1.0, noise=0.02),
        statistics=Statistics(ssr=0.5, noise=(0.02, 0.02), extra={"walkers": 50}),
        identifiability=Identifiability(findings=(Finding("axis", "phi0 is an axis", ("phi0",)),)),
        problem=problem,
        curves=(Band("v", "Å/s", T, *np.ones((4, len(T)))),),
        posterior={"draws": np.ones((2, 3))},
    )


def test_a_frozen_mapping_is_the_same_and_stays_as_it_is(again):
    entries = {"a": 1, "b": 2}
    frozen = FrozenMapping(entries)
    entries["a"] = 3
    assert again(frozen) == frozen == {"a": 1, "b": 2}
    assert repr(frozen) == "FrozenMapping({'a': 1, 'b': 2})"
    with pytest.raises(TypeError):
        frozen["a"] = 3


def stored(data: het.TwoTime, path: Path) -> het.TwoTime:
    """The data written to a file and loaded from it."""
    if path.suffix == ".h5":
        return het.load(data.save(path))
    np.savez(path, c2=np.stack(list(data.c2)), q=data.q, phi=data.phi, dt=data.dt)
    return het.load(path)


@pytest.mark.parametrize("name", ["run.h5", "run.npz"])
def test_matrices_in_a_file_stay_there(name, again, tmp_path):
    data = stored(het.simulate("static", phi=[0.0, 45.0], frames=40), tmp_path / name)
    second = again(data.bins([1]))
    assert len(pickle.dumps(data)) < data.c2[0].nbytes
    assert second.provenance == data.provenance
    np.testing.assert_array_equal(second.c2[0], data.c2[1])
    (tmp_path / name).unlink()
    with pytest.raises(het.HeterodyneError, match=name):
        second.c2[0]


def test_a_result_in_memory_is_the_same(again):
    fit = fit_of(het.simulate(phi=[0.0, 45.0], frames=20), het.create_model("two-component"))
    made = again(fit)
    assert fit_text(made) == fit_text(fit)
    assert (made.statistics, made.identifiability) == (fit.statistics, fit.identifiability)
    assert (made.problem.parameters, made.problem.ties) == (fit.problem.parameters, fit.problem.ties)
    assert made.problem.choices == fit.problem.choices
    np.testing.assert_array_equal(made.problem.data[0].c2[1], fit.problem.data[0].c2[1])
    np.testing.assert_array_equal(made.curves[0].value, fit.curves[0].value)
    np.testing.assert_array_equal(made.posterior["draws"], fit.posterior["draws"])


def test_an_installed_model_is_itself_again(again):
    fit = fit_of(het.simulate(frames=20), het.create_model("two-component"))
    assert again(fit).problem.model is fit.problem.model


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mine", "static"])  # of no installed model, of another installed one
def test_a_model_that_is_not_installed_is_made_again_from_its_fields(name, again):
    model = replace(het.create_model("two-component"), name=name)
    made = again(fit_of(het.simulate(frames=20), model)).problem.model
    assert (made.name, made.parameters, made.curves) == (name, model.parameters, model.curves)
    values, where = {"v0": 3e3}, (T, 0.01, 30.0)
    np.testing.assert_array_equal(made.correlation(values, *where), model.correlation(values, *where))
