"""c2 against numbers from an independent implementation: chosen pairs, and sums over the upper triangle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import heterodyne as het
from heterodyne.evaluators.elementwise import correlation_pairs, precompute_shard_grid
from heterodyne.variants.two_component import TRUTH
from tolerances import TWO_WAYS

CASES = json.loads((Path(__file__).parent / "data" / "c2_values.json").read_text())


def frame_times(case):
    if "t" in case:
        return np.array(case["t"])
    return np.arange(1, case["n_frames"] + 1) * case["dt"] + case["age"]


def elementwise(case, first, second):
    grid = precompute_shard_grid(frame_times(case), first, second)
    model = het.create_model(case["model"])
    s = np.asarray(correlation_pairs(model, case["params"], grid, case["q"], case["phi"]))
    return case["offset"] + case["contrast"] * s


def meshgrid(case):
    model = het.create_model(case["model"])
    s = model.correlation(case["params"], frame_times(case), case["q"], case["phi"])
    return case["offset"] + case["contrast"] * s


def test_every_case_is_here():
    assert len(CASES) == 17


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['model']}-q{case['q']:.4g}")
def test_both_evaluators_agree_with_the_independent_numbers(case):
    first, second = np.array(case["pairs"]).T
    full = meshgrid(case)
    upper = np.triu_indices(len(full), 1)
    np.testing.assert_allclose(full[first, second], case["c2"], rtol=TWO_WAYS)
    np.testing.assert_allclose(full[upper].sum(), case["sum_strict_upper"], rtol=TWO_WAYS)
    pairs = elementwise(case, *np.hstack([np.transpose(case["pairs"]), upper]))
    np.testing.assert_allclose(pairs[: len(first)], case["c2"], rtol=TWO_WAYS)
    np.testing.assert_allclose(pairs[len(first) :].sum(), case["sum_strict_upper"], rtol=TWO_WAYS)


def test_named_truth_is_the_second_case():
    assert dict(TRUTH) == CASES[1]["params"]
