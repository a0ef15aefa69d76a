"""Contrast and offset: `auto`, errors against scatter, bounds; skipped lags, weights, unlike data sets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import heterodyne as het
from heterodyne.errors import ConfigError
from tolerances import SAME_MINIMUM, SOLVED

pytestmark = pytest.mark.slow

TRUTH = {"D0": 3e3, "alpha": 0.2, "D_offset": 0.0}
CHOICES = {"model": "static", "fix": ["D_offset"], "start": {"D0": 2.5e3, "alpha": 0.1}}
AZIMUTHS = [0.0, 40.0, 80.0]


def static(**changes):
    return het.simulate("static", **({"params": TRUTH, "frames": 60, "phi": AZIMUTHS} | changes))


def designs(fit):
    return fit.provenance["scaling"]["contrast"], fit.provenance["scaling"]["offset"]


def test_auto_leaves_contrasts_to_their_bins_where_all_are_known():
    fit, told = (
        het.fit(static(), **CHOICES),
        het.fit(static(), contrast="individual", offset="individual", **CHOICES),
    )
    assert designs(fit) == ("individual (auto)", "individual (auto)")
    assert designs(told) == ("individual", "individual")
    assert fit.values == told.values
    assert "[[Scaling]] contrast individual (auto), offset individual (auto)" in fit.report()


def test_auto_shares_contrasts_where_one_is_not_known():
    lines: list[str] = []
    data = static(noise=0.5, seed=1)
    fit = het.fit(data, progress=lines.append, **CHOICES)
    shared = het.fit(data, contrast="shared", offset="shared", **CHOICES)
    assert designs(fit) == ("shared (auto)", "shared (auto)")
    assert len({row.contrast for row in fit.scaling}) == len({row.offset for row in fit.scaling}) == 1
    assert fit.statistics["ssr"] == pytest.approx(shared.statistics["ssr"], rel=SAME_MINIMUM)
    assert fit.statistics["n_variables"] == 4
    assert any(line.startswith("contrast shared per q: that of q=") for line in lines)


def test_auto_shares_where_a_contrast_lies_on_its_bound():
    weak = static(phi=[120.0], contrast=0.0, noise=0.5, seed=3)  # a negative contrast fits this noise
    strong = static(noise=0.02, seed=5)
    choices = {"model": "static", "fix": {"alpha": 0.2, "D_offset": 0.0}, "start": {"D0": 3e3}}
    alone = het.fit([strong, weak], contrast="individual", offset="individual", **choices)
    assert alone.scaling[3].contrast == 0.0
    assert np.isnan(alone.scaling[3].contrast_error)
    assert np.isfinite(alone.scaling[3].offset_error)
    assert designs(het.fit([strong, weak], **choices))[0] == "shared (auto)"


def test_auto_has_nothing_to_share_where_every_q_has_one_bin():
    fit = het.fit(static(q=[0.008, 0.012], phi=[0.0], noise=0.5, seed=1), **CHOICES)
    assert designs(fit) == ("individual (auto)", "individual (auto)")


@pytest.mark.parametrize(
    ("given", "settled"),
    [
        (("auto", 1.0), ("individual (auto)", "1")),
        (("auto", "shared"), ("individual (auto)", "shared")),
        (("shared", "auto"), ("shared", "shared (auto)")),
        (("fourier:1", "auto"), ("fourier:1", "individual (auto)")),
        ((0.15, "auto"), ("0.15", "individual (auto)")),
    ],
)
def test_auto_of_the_offset_follows_the_contrast(given, settled):
    assert designs(het.fit(static(), contrast=given[0], offset=given[1], **CHOICES)) == settled


@pytest.mark.parametrize("design", ["individual", "shared", "fourier:1"])
def test_errors_of_contrast_and_offset_match_their_scatter(design):
    fits = [
        het.fit(static(frames=40, seed=seed), contrast=design, offset=design, **CHOICES) for seed in range(60)
    ]
    for name in ("contrast", "offset"):
        values, errors = (
            np.array([[getattr(row, name + end) for row in fit.scaling] for fit in fits])
            for end in ("", "_error")
        )
        ratio = np.median(errors, axis=0) / np.std(values, axis=0, ddof=1)
        assert np.all((ratio > 0.75) & (ratio < 1.3)), (name, ratio)


def test_a_fixed_contrast_has_no_error_and_the_offset_a_smaller_one():
    free, held = het.fit(static(), **CHOICES), het.fit(static(), contrast=0.15, **CHOICES)
    for row, other in zip(held.scaling, free.scaling, strict=True):
        assert row.contrast == 0.15
        assert np.isnan(row.contrast_error)
        assert row.offset_error < other.offset_error


def test_a_contrast_that_nothing_tells_from_the_offset_has_no_error():
    data = static(phi=[0.0], noise=0.02)
    fit = het.fit(data, model="static", fix={"D0": 0.0, "alpha": 0.0}, start={"D_offset": -10.0})
    assert np.isnan(fit.scaling[0].contrast_error)
    assert np.isnan(fit.scaling[0].offset_error)


@pytest.mark.parametrize("contrast", ["individual", "shared"])
def test_data_sets_of_unlike_length_spacing_and_q_are_fitted_jointly(contrast):
    sets = [
        static(q=[0.006, 0.008], frames=90, seed=1),
        static(q=0.012, phi=[10.0, 50.0], frames=47, dt=0.17, age=3.0, noise=0.03, seed=2),
    ]
    fit = het.fit(sets, contrast=contrast, offset=contrast, **CHOICES)
    assert fit.verdict == "converged"
    assert [row.n_pairs for row in fit.scaling] == [90 * 89 // 2] * 6 + [47 * 46 // 2] * 2
    assert [row.q for row in fit.scaling] == [0.006] * 3 + [0.008] * 3 + [0.012] * 2
    for name, error in fit.errors.items():
        assert abs(fit.values[name] - TRUTH[name]) < 4.5 * error
    assert len({row.contrast for row in fit.scaling}) == (8 if contrast == "individual" else 3)
    np.testing.assert_allclose([row.noise for row in fit.scaling], [0.02] * 6 + [0.03] * 2, rtol=0.1)
    separate = [het.fit(one, contrast=contrast, offset=contrast, **CHOICES).errors["D0"] for one in sets]
    assert fit.errors["D0"] < min(separate)


def test_skipped_lags_are_out_of_every_sum():
    data, lag = static(noise=0.01), np.abs(np.subtract.outer(np.arange(60), np.arange(60)))
    matrices, near = np.array(data.c2), (lag > 0) & (lag <= 3)
    matrices[:, near] = np.nan
    fit = het.fit(replace(data, c2=matrices), skip_lags=3, **CHOICES)
    listed = replace(data, bad_pairs=[[b, i, j] for b in range(3) for i, j in np.argwhere(np.triu(near, 1))])
    other = het.fit(listed, **CHOICES)
    assert fit.values == pytest.approx(other.values, rel=SOLVED)
    assert [row.n_pairs for row in fit.scaling] == [57 * 56 // 2] * 3
    assert fit.statistics["n_pairs"] == 3 * 57 * 56 // 2
    assert fit.provenance["skip_lags"] == 3
    assert het.fit(data, **CHOICES).provenance["skip_lags"] == 0


@pytest.mark.parametrize("lags", [10, 30, 56])
def test_a_fit_without_start_values_survives_many_skipped_lags(lags):
    data = static(params={"D0": 1e3, "alpha": 0.0, "D_offset": 0.0}, noise=0.001, phi=[0.0])
    told = {"contrast": data.provenance["truth"]["contrast"][0], "offset": 1.0, "fix": ["D_offset", "alpha"]}
    fit = het.fit(data, "static", skip_lags=lags, **told)
    assert fit.statistics["n_pairs"] == (60 - lags) * (59 - lags) // 2
    assert fit.values["D0"] == pytest.approx(1e3, abs=4.5 * fit.errors["D0"])


@pytest.mark.parametrize("lags", [-1, 57, 60, 1.5, True, "three"])
def test_lags_that_cannot_be_skipped_are_refused(lags):
    with pytest.raises(ConfigError, match="skip_lags"):
        het.fit(static(), skip_lags=lags, **CHOICES)


def test_weights_make_the_most_of_frames_of_unequal_noise():
    rng, truth = np.random.default_rng(0), static(phi=[0.0], noise=0.0)
    level = np.exp(rng.normal(0.0, 1.0, 60))
    weight = 1.0 / level**2
    fits = {"frames": [], "pairs": [], "none": []}
    for _ in range(20):
        scatter = np.triu(0.02 * np.sqrt(np.outer(level**2, level**2)) * rng.normal(size=(60, 60)), 1)
        noisy = replace(truth, c2=[truth.c2[0] + scatter + scatter.T])
        for name, w in (("frames", weight[None]), ("pairs", np.outer(weight, weight)[None]), ("none", None)):
            options = {"weights": "noise"}  # speckle weights know frames, not pairs
            fits[name].append(het.fit(replace(noisy, weight=w), options=options, **CHOICES))
    scatter_of = {name: np.std([fit.values["D0"] for fit in found]) for name, found in fits.items()}
    for one, other in zip(fits["frames"], fits["pairs"], strict=True):
        assert one.values == pytest.approx(other.values, rel=1e-7)
        assert one.errors["D0"] == pytest.approx(other.errors["D0"], rel=1e-6)
    assert scatter_of["frames"] < 0.5 * scatter_of["none"]
    assert 0.6 < np.median([fit.errors["D0"] for fit in fits["frames"]]) / scatter_of["frames"] < 1.6
    assert np.mean([fit.statistics["reduced_chi2"] for fit in fits["frames"]]) == pytest.approx(1.0, abs=0.03)
