"""What a fit does not claim: data that are not c2, bins without anything in them, parameters that nothing shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import heterodyne as het
from heterodyne.errors import DataError, EmptyBins

TRUTH = {"D0": 1e4, "alpha": 0.0, "D_offset": 0.0}
FAST = {"fix": {"D_offset": 0.0}, "options": {"starts": 4, "polish": 1}}


def made(phi=(0.0,), frames=40, **choices):
    return het.simulate("static", params=TRUTH, phi=list(phi), frames=frames, seed=3, **choices)


def stack(data):
    return np.stack([np.array(matrix) for matrix in data.c2])


def fit(data, **choices):
    return het.fit(data, "static", **{**FAST, **choices})


def with_element(value):
    c2 = stack(made())
    c2[0, 3, 7] = c2[0, 7, 3] = value
    return c2


@pytest.mark.parametrize(
    ("c2", "words"),
    [
        (lambda: stack(made()) - 1.0, "mean of c2 is 0.0.*baseline 0"),
        (lambda: stack(made()) + 99.0, "mean of c2 is 100.*divide it by its level"),
        (lambda: -stack(made()), "mean of c2 is -1"),
        (lambda: 1e-30 * stack(made()), "not normalised.*baseline 0"),
        (lambda: with_element(1e38), "not normalised"),
    ],
)
def test_data_that_are_not_normalised_are_refused_by_name(c2, words):
    with pytest.raises(DataError, match=f"q=0.01 phi=0.*{words}"):
        fit(replace(made(), c2=c2()))


def noise(frames=40, sigma=0.05, seed=0):
    upper = np.triu(np.random.default_rng(seed).normal(1.0, sigma, (frames, frames)))
    return upper + np.triu(upper, 1).T


@pytest.mark.parametrize(
    "data",
    [
        *(lambda seed=seed: replace(made(), c2=noise(seed=seed)[None]) for seed in range(3)),
        lambda: replace(made(), c2=with_element(1e3)),
        lambda: het.simulate("static", params=TRUTH | {"D0": 2e4}, phi=[0.0, 45.0], frames=4, seed=3),
    ],
    ids=["noise-0", "noise-1", "noise-2", "one wild element", "four frames"],
)
def test_no_parameter_is_determined_where_no_correlation_is_seen(data):
    found = fit(data())
    assert {row.status for row in found.estimates if row.vary} <= {"undetermined", "at low", "at high"}
    assert "no correlation" in {finding.kind for finding in found.identifiability.findings}
    assert "[[Identifiability]] 0 of" in found.report()


def test_weak_correlation_that_is_there_is_claimed():
    found = fit(made(contrast=0.05, noise=0.02, frames=60), fix={"D_offset": 0.0, "alpha": 0.0})
    assert found.estimates[0].status == "determined"
    assert abs(found.values["D0"] - 1e4) < 4.0 * found.errors["D0"]


def emptied(**changes):
    """Three bins, of which the second holds nothing."""
    data = made((0.0, 30.0, 60.0), 60)
    c2 = stack(data)
    c2[1] = changes.get("value", 1.0)
    mask = np.ones((3, 60), dtype=bool)
    mask[1] = not changes.get("masked")
    return replace(data, c2=c2, mask=mask)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"value": 1.0}, {"value": np.nan, "masked": True}, {"value": 0.0}])
@pytest.mark.parametrize("strategy", ["direct", "streamed"])
def test_a_bin_without_anything_in_it_is_left_out_by_name(changes, strategy):
    options = FAST["options"] | {"strategy": strategy}
    with pytest.warns(UserWarning, match="left out of the fit: .*bin 2"):
        found = fit(emptied(**changes), options=options)
    assert found.verdict == "converged"
    assert "left out: data bin 2 (q=0.01 phi=30)" in found.message
    assert [row.phi for row in found.scaling] == [0.0, 60.0]
    alone = fit(made((0.0, 30.0, 60.0), 60).bins([0, 2]), options=options)
    assert found.values == alone.values


def test_where_every_bin_is_empty_all_are_named():
    with pytest.raises(EmptyBins, match=r"bin 1 .*; .*bin 2 "):
        fit(replace(made((0.0, 30.0)), c2=np.ones((2, 40, 40))))


def test_a_bin_without_contrast_has_no_say_beside_others():
    data = made((0.0, 30.0, 60.0), 60)
    c2 = stack(data)
    c2[1] = noise(60, 0.02, 1)
    found, alone = fit(replace(data, c2=c2)), fit(data.bins([0, 2]))
    assert "no say in the fit, in the bins q=0.01 phi=30" in found.message
    assert found.provenance["scaling"]["contrast"] == "individual (auto)"
    assert abs(found.values["D0"] - alone.values["D0"]) < 0.5 * alone.errors["D0"]
    assert found.errors["D0"] < 1.5 * alone.errors["D0"]


@pytest.mark.parametrize(
    "again", [lambda data: data, lambda data: replace(data), lambda data: data.bins([1])]
)
def test_the_same_matrix_twice_is_refused(again):
    data = made((0.0, 40.0))
    with pytest.raises(DataError, match="twice"):
        fit([data, again(data)])


def test_a_file_and_its_converted_copy_are_the_same_data(tmp_path):
    first = het.load(made().save(tmp_path / "a.h5"))
    copy = het.load(first.save(tmp_path / "b.h5"))
    with pytest.raises(DataError, match="twice"):
        fit([first, copy])
    with pytest.raises(DataError, match="twice"):
        fit([first, het.load(tmp_path / "b.h5", frames=(1, 30))])
    apart = [het.load(tmp_path / "a.h5", frames=(1, 20)), het.load(tmp_path / "b.h5", frames=(21, 40))]
    assert fit(apart).verdict == "converged"


@pytest.mark.slow
def test_frames_unlike_the_others_are_named_as_in_their_file(tmp_path):
    data = made(frames=80)
    c2 = stack(data)
    for axis in (1, 2):
        np.moveaxis(c2, axis, 0)[[30, 31, 60]] *= 1.2
    path = replace(data, c2=c2).save(tmp_path / "bright.h5")
    for frames in (None, (11, 80)):
        found = fit(het.load(path, frames=frames))
        assert found.statistics["reduced_chi2"] > 2.0
        assert "most at frames 31:32 and 61: exclude these" in found.message
    assert "frames" not in fit(data).message


@pytest.mark.parametrize(
    "again",
    [
        lambda data: replace(data, t=data.t + 100.0, age=data.age + 100.0),
        lambda data: replace(data, c2=stack(data).astype(np.float32)),
        lambda data: replace(data, c2=stack(data) + 1e-9),
        lambda data: replace(data, phi=data.phi + 360.0),
    ],
    ids=["other age", "float32", "shifted by nothing", "once round"],
)
def test_equal_values_at_one_place_are_refused_whatever_their_times(again):
    with pytest.raises(DataError, match="given twice, with equal values"):
        fit([made(), again(made())])


def test_equal_values_at_two_places_are_named():
    c2 = stack(made((0.0, 45.0)))
    with pytest.warns(UserWarning, match="q=0.01 phi=0 and q=0.01 phi=45 are equal: if one is a copy"):
        fit(replace(made((0.0, 45.0)), c2=c2[[0, 0]]))


def test_a_single_bad_pair_is_named_and_is_no_noise_of_the_others():
    data = made(noise=0.01)
    c2 = stack(data)
    c2[0, 3, 9] = c2[0, 9, 3] = 5.0
    found = fit(replace(data, c2=c2))
    assert found.statistics["reduced_chi2"] > 2.0
    assert "at frames 4 and 10: exclude these" in found.message
    assert "exclude these" not in fit(data).message


def test_an_offset_at_its_bound_in_every_bin_leaves_all_open(tmp_path):
    path = made((0.0, 45.0), noise=0.01).save(tmp_path / "run.h5")
    found = fit(het.load(path, baseline=0))
    assert {row.status for row in found.estimates if row.vary} <= {"undetermined", "at low", "at high"}
    assert "the offset is at its bound in every bin" in found.report().replace("\n", " ").replace("  ", "")
