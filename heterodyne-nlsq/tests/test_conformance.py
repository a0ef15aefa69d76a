"""`nlsq` keeps what every optimizer has to keep; and what does not keep it is told."""

from __future__ import annotations

import itertools
from dataclasses import replace
from types import SimpleNamespace
from typing import ClassVar

import pytest

from heterodyne.fitting.fit import Optimizer
from heterodyne.plugins import hookimpl
from heterodyne.plugins.manager import optimizer_record
from heterodyne.plugins.records import OptimizerRecord
from heterodyne.testing import OptimizerConformance

pytestmark = pytest.mark.slow

NLSQ = optimizer_record("nlsq")


class TestNlsq(OptimizerConformance):
    optimizer = "nlsq"
    too_short: ClassVar = {"max_iterations": 1, "starts": 1, "polish": 1, "weights": "equal"}


def changed(change):
    """`nlsq` with a change of its results."""

    def optimize(problem, options, progress):
        return change(NLSQ.resolve(Optimizer)(problem, {**options, "profiles": "asked"}, progress))

    return optimize


def estimates(change):
    """`nlsq` with a change of every estimate."""
    return changed(lambda fit: replace(fit, estimates=tuple(change(row) for row in fit.estimates)))


def unmasked(problem, options, progress):
    data = tuple(replace(data, mask=True) for data in problem.data)
    return changed(lambda fit: fit)(replace(problem, data=data), options, progress)


CALLS = itertools.count(1)

WRONG = {
    "test_it_finds_the_truth_within_its_errors": estimates(lambda row: replace(row, error=1e-3 * row.error)),
    "test_the_result_says_what_was_fitted": changed(
        lambda fit: replace(fit, covariance=2.0 * fit.covariance)
    ),
    "test_the_same_problem_gives_the_same_result": estimates(
        lambda row: replace(row, value=row.value * (1.0 + 1e-9 * next(CALLS)))
    ),
    "test_fixed_parameters_stay_and_tied_ones_are_equal": estimates(
        lambda row: replace(row, value=row.value * (1.0 + 1e-12))
    ),
    "test_bounds_are_kept": estimates(lambda row: replace(row, value=1.01 * row.value)),
    "test_masked_frames_and_bad_pairs_do_not_count": unmasked,
    "test_a_fit_that_was_cut_short_does_not_claim_to_have_converged": changed(
        lambda fit: replace(fit, verdict="converged")
    ),
}


@pytest.mark.parametrize("test", sorted(name for name in dir(TestNlsq) if name.startswith("test_")))
def test_an_optimizer_that_breaks_a_rule_fails_the_test_of_that_rule(test, only_plugins, tmp_path):
    class Tests(TestNlsq):
        optimizer = "wrong"

    @hookimpl
    def heterodyne_optimizers():
        yield OptimizerRecord("wrong", "a test", "wrong_plugin:target", NLSQ.options)

    only_plugins(
        "core", wrong=SimpleNamespace(heterodyne_optimizers=heterodyne_optimizers, target=WRONG[test])
    )
    arguments = [tmp_path] if test == "test_the_result_says_what_was_fitted" else []
    with pytest.raises(AssertionError):
        getattr(Tests(), test)(*arguments)
