"""Code that is compiled ahead: what is compiled, where it is not, and what goes wrong in it."""

import numpy as np
import pytest

from heterodyne import create_model, simulate
from heterodyne.problem import Choices, ahead, create_objective, create_problem
from heterodyne.problem.ahead import compiled_ahead

TRUTH = {"D0": 3e3, "alpha": 0.1, "D_offset": 0.0}


@pytest.fixture
def objective():
    data = simulate(model="static", params=TRUTH, frames=40, phi=[0.0, 90.0], noise=0.02, seed=1)
    return create_objective(create_problem(data, create_model("static"), Choices(start=TRUTH)))


@pytest.fixture
def called(monkeypatch):
    calls = []
    monkeypatch.setattr(
        ahead, "bin_sums", lambda model, theta, bin, jacobian=True: calls.append((bin, jacobian))
    )
    monkeypatch.setattr(ahead, "available_cores", lambda: 2)
    return calls


def test_bins_of_one_length_are_compiled_once_with_and_without_weights(objective, called):
    compiled_ahead(objective, True).result(60)
    assert [(bin.is_whitened, jacobian) for bin, jacobian in called] == [
        (False, True),
        (True, True),
        (True, False),
    ]


def test_without_weights_there_is_nothing_else_to_compile(objective, called):
    compiled_ahead(objective, False).result(60)
    assert len(called) == 1


def test_long_series_are_not_weighted_ahead(objective, called, monkeypatch):
    monkeypatch.setattr(ahead, "_LONGEST", 32)
    compiled_ahead(objective, True).result(60)
    assert len(called) == 1


def test_nothing_is_compiled_where_no_core_is_free(objective, called, monkeypatch):
    monkeypatch.setattr(ahead, "available_cores", lambda: 1)
    assert compiled_ahead(objective, True) is None


def test_what_goes_wrong_ends_nothing(objective, monkeypatch):
    def fails(*arguments):
        raise np.linalg.LinAlgError("no factor")

    monkeypatch.setattr(ahead, "available_cores", lambda: 2)
    monkeypatch.setattr(ahead, "bin_sums", fails)
    work = compiled_ahead(objective, True)
    assert isinstance(work.exception(60), np.linalg.LinAlgError)
