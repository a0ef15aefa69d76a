"""A stranger's models: what a model states is all that counts, not what its parameters are called."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import heterodyne as het
from heterodyne.bins.reading import read_bins
from heterodyne.model import Flow, Growth, Mixture, Model, PowerLaw, exchange
from heterodyne.parameters import ParameterTable
from heterodyne.problem import Choices, create_problem
from heterodyne.problem.objective import create_objective
from heterodyne.variants.two_component import MODEL
from heterodyne_cmc.coordinates import create_space
from heterodyne_nlsq.starts.points import start_points, twin_points
from tolerances import REORDERED, TWO_WAYS

pytestmark = pytest.mark.slow

DATA = het.simulate(frames=48, seed=2)
HELD = {"f2": 5.0, "v_offset": 10.0, "D_offset_ref": 100.0}


def renamed(names: dict[str, str]) -> Model:
    """`two-component` with its parameters renamed, in the words of a stranger."""
    old = {new: name for name, new in names.items()}
    table = ParameterTable(replace(row, name=names[name]) for name, row in MODEL.parameters.items())
    new = [names[name] for name in MODEL.parameters]
    reference, sample = PowerLaw("J_ref", "Å²/s", *new[:3]), PowerLaw("J_sample", "Å²/s", *new[3:6])
    share = Growth("f", *new[9:13])

    def profiles(params, t, q, phi):
        return MODEL.profiles({old[name]: value for name, value in params.items()}, t, q, phi)

    def components(params, t, q, phi):
        assert MODEL.components is not None
        return MODEL.components({old[name]: value for name, value in params.items()}, t, q, phi)

    return replace(
        MODEL,
        name="renamed",
        parameters=table,
        profiles=profiles,
        components=components,
        curves=(reference, sample, PowerLaw("v", "Å/s", *new[6:9], signed=True), share),
        flow=Flow("v", new[13]),
        mixture=Mixture("f", transport=("J_sample", "J_ref")),
        twins=(exchange(reference, sample, share),),
        example={names[name]: value for name, value in MODEL.example.items()},
    )


LETTERS = "A1 a2 A3 B1 b2 B3 C1 c2 C3 E1 E2 E3 E4 F1"
NEW = dict(zip(MODEL.parameters, LETTERS.split(), strict=True))
RENAMED = renamed(NEW)


def original(text: str) -> str:
    """A text with the names of `two-component` in place of the stranger's."""
    old = {new: name for name, new in NEW.items()}
    return re.sub(r"\b(" + "|".join(old) + r")\b", lambda word: old[word[0]], text)


def both(**choices: Any) -> tuple[het.Fit, het.Fit]:
    """The fits of the two models with the same choices."""
    of_parameters = {word: choices[word] for word in ("fix", "start") if word in choices}
    translated = {
        word: {NEW[name]: value for name, value in choice.items()} for word, choice in of_parameters.items()
    }
    return het.fit(DATA, MODEL, **choices), het.fit(DATA, RENAMED, **{**choices, **translated})


def assert_same(ours, theirs):
    assert {name: theirs.values[NEW[name]] for name in NEW} == pytest.approx(ours.values, rel=REORDERED)
    assert [original(row.status) for row in theirs.estimates] == [row.status for row in ours.estimates]
    np.testing.assert_allclose(theirs.covariance, ours.covariance, rtol=TWO_WAYS)
    words = [[original(finding.words) for finding in fit.identifiability.findings] for fit in (theirs, ours)]
    assert words[0] == words[1]
    for their_band, our_band in zip(theirs.curves, ours.curves, strict=True):
        assert (their_band.name, their_band.unit) == (our_band.name, our_band.unit)
        np.testing.assert_allclose(their_band.value, our_band.value, rtol=TWO_WAYS)
        np.testing.assert_allclose(their_band.error, our_band.error, rtol=1e-8)


@pytest.fixture(scope="module")
def fits():
    return both(fix=HELD, options={"starts": 8, "polish": 1})


@settings(max_examples=4, deadline=None)
@given(
    st.lists(
        st.from_regex(r"[A-Za-z][A-Za-z0-9]{2,8}", fullmatch=True), min_size=14, max_size=14, unique=True
    )
)
def test_starts_twins_and_sampling_coordinates_are_the_same_whatever_the_names(names):
    new = dict(zip(MODEL.parameters, names, strict=True))
    theirs = seen_by_starts_and_samplers(renamed(new), new)
    for our_array, their_array in zip(our_numbers(), theirs, strict=True):
        np.testing.assert_array_equal(our_array, their_array)


@cache
def our_numbers() -> list[np.ndarray]:
    return seen_by_starts_and_samplers(MODEL, {name: name for name in MODEL.parameters})


def seen_by_starts_and_samplers(model: Model, names: dict[str, str]) -> list[np.ndarray]:
    """Start points, the twins of one of them, and the numbers of the sampling coordinates there."""
    problem = create_problem(DATA, model, Choices(fix={names[name]: value for name, value in HELD.items()}))
    objective = create_objective(problem, read_bins(problem.data))
    points = start_points(objective, 8, seed=4)
    space = jax.tree.leaves(create_space(problem, objective.to_values(points[3])))
    return [points, *twin_points(objective, points[3]), *map(np.asarray, space)]


def test_fits_findings_and_bands_are_the_same(fits):
    assert_same(*fits)


def test_what_is_undetermined_is_said_in_the_same_words():
    """One azimuth, a free origin of the fraction, and constant curves: every named degeneracy."""
    start = {**MODEL.example, "f1": 0.0, "alpha_ref": 0.0, "beta": 0.0}
    ours, theirs = both(start=start, options={"max_iterations": 5})
    assert_same(ours, theirs)
    assert len(ours.identifiability["findings"]) > 2


def test_the_posterior_is_the_same_for_equal_seeds(fits):
    start = {name: value for name, value in fits[0].values.items() if name not in HELD}
    options = {"chains": 2, "warmup": 20, "draws": 20, "likelihood": "independent"}
    ours, theirs = both(fix=HELD, start=start, optimizer="cmc", options=options)
    np.testing.assert_allclose(theirs.posterior.values, ours.posterior.values, rtol=TWO_WAYS)


def test_simulations_take_the_example_of_the_model(monkeypatch):
    monkeypatch.setattr("heterodyne.simulation.simulate.create_model", lambda name: RENAMED)
    assert het.simulate("renamed", frames=5).provenance["truth"]["params"] == RENAMED.example


def test_a_model_that_states_nothing_is_fitted_from_its_priors_and_bounds():
    silent = replace(MODEL, name="silent", curves=(), flow=None, mixture=None, twins=(), example={})
    held = {name: value for name, value in MODEL.example.items() if name not in ("D0_ref", "D0_sample", "v0")}
    data = het.simulate(frames=48, seed=2)
    ours = het.fit(data, MODEL, fix=held)
    theirs = het.fit(data, silent, fix=held)
    assert theirs.success
    assert theirs.values == pytest.approx(ours.values, rel=1e-5)
    assert theirs.errors == pytest.approx(ours.errors, rel=1e-4)
    assert not theirs.curves
