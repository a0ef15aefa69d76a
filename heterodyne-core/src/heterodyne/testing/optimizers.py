"""`OptimizerConformance`: what every optimizer must keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from heterodyne.data.two_time import TwoTime
from heterodyne.fitting.fit import fit
from heterodyne.problem.problem import Problem
from heterodyne.result.document import read_fit
from heterodyne.result.fit import Fit
from heterodyne.testing.examples import ANISOTROPIC, TRUTH, noisy

_CLOSE = 5.0  # errors


class OptimizerConformance:
    """Tests of an optimizer: inherit, and state ``optimizer``, the name under which it is installed.

    ``options`` go to every fit; ``too_short`` are more, with which it cannot come to its end.
    """

    optimizer: str
    options: Mapping[str, Any] = {}
    too_short: Mapping[str, Any] | None = None

    def test_it_finds_the_truth_within_its_errors(self) -> None:
        """Parameters, contrast and offset of simulated data; every line of progress is text."""
        fit, lines = _of_example(type(self))
        assert fit.success, f"{fit.verdict}: {fit.message}"
        for name, error in fit.errors.items():
            assert error > 0.0, f"{name} has no error"
            assert abs(fit.values[name] - TRUTH[name]) < _CLOSE * error < 0.5, (
                f"{name} = {fit.values[name]:g} ± {error:g}"
            )
        for row, contrast in zip(fit.scaling, (0.2, 0.3), strict=True):
            assert abs(row.contrast - contrast) < _CLOSE * row.contrast_error < 0.1
            assert abs(row.offset - 1.0) < _CLOSE * row.offset_error < 0.1
            assert abs(row.noise - 0.01) < 1e-3
        assert all(isinstance(line, str) for line in lines)

    def test_the_result_says_what_was_fitted(self, tmp_path: Path) -> None:
        """Every parameter, every bin, a covariance that is that of the errors; it is saved and read back."""
        fit, table = _of_example(type(self))[0], ANISOTROPIC.parameters
        assert (fit.model, fit.optimizer) == (ANISOTROPIC.name, self.optimizer)
        assert isinstance(fit.problem, Problem)
        assert [row.name for row in fit.estimates] == list(table)
        for row in fit.estimates:
            stated = table[row.name]
            for name in ("unit", "low", "high", "vary"):
                assert getattr(row, name) == getattr(stated, name), f"{name} of {row.name}"
            assert row.low <= row.value <= row.high
        assert [(row.q, row.phi) for row in fit.scaling] == [(0.01, 0.0), (0.01, 90.0)]
        assert fit.covariance.shape == (len(fit.covariance_names),) * 2
        errors = [fit.errors[name] for name in fit.covariance_names]
        np.testing.assert_allclose(np.sqrt(np.diag(fit.covariance)), errors, rtol=1e-6)
        fit.save(tmp_path, ["json", "npz"])
        assert read_fit(tmp_path).values == fit.values

    def test_the_same_problem_gives_the_same_result(self) -> None:
        """Whatever it draws, it draws from a fixed seed."""
        assert self._fit().values == _of_example(type(self))[0].values

    def test_fixed_parameters_stay_and_tied_ones_are_equal(self) -> None:
        """A fixed value comes back bit for bit; both are said, and neither has an error."""
        fixed = self._fit(fix={"gamma": 0.75})
        assert fixed.values["gamma"] == 0.75
        assert set(fixed.errors) == {"along", "across"}
        tied = self._fit(tie={"across": "along"}, fix={"gamma": 0.8})
        assert tied.values["across"] == tied.values["along"]
        status = {row.name: row.status for row in (*fixed.estimates[2:], *tied.estimates[:2])}
        assert (status["gamma"], status["across"]) == ("fixed", "= along")
        assert set(tied.errors) == {"along"}

    def test_bounds_are_kept(self) -> None:
        """Also where the truth lies outside of them."""
        fit = self._fit(bounds={"along": (0.5, 1.5)}, fix={"gamma": 0.8})
        assert 0.5 <= fit.values["along"] <= 1.5

    def test_masked_frames_and_bad_pairs_do_not_count(self) -> None:
        """Whatever stands there."""
        data = noisy()
        c2, mask = np.array(data.c2), np.ones((2, data.n_frames), dtype=bool)
        c2[:, 7], c2[:, :, 7], mask[:, 7] = 9.0, 9.0, False
        c2[0, 3, 20] = c2[0, 20, 3] = np.nan
        spoiled = replace(data, c2=c2, mask=mask, bad_pairs=np.array([[0, 3, 20]]))
        fit, sound = self._fit(spoiled), _of_example(type(self))[0]
        for name, error in sound.errors.items():
            assert abs(fit.values[name] - TRUTH[name]) < _CLOSE * error

    def test_a_fit_that_was_cut_short_does_not_claim_to_have_converged(self) -> None:
        """With options that do not let it come to its end."""
        if self.too_short is not None:
            assert not self._fit(options=self.too_short).success

    def _fit(
        self, data: TwoTime | None = None, options: Mapping[str, Any] | None = None, **choices: Any
    ) -> Fit:
        """The fit of the example, or of other ``data`` of it, with ``options`` beside those of the class."""
        given = {**self.options, **(options or {})}
        return fit(data or noisy(), ANISOTROPIC, self.optimizer, options=given, **choices)


@lru_cache
def _of_example(tests: type[OptimizerConformance]) -> tuple[Fit, list[str]]:
    """The fit of the example, which several tests look at, and its progress."""
    lines: list[str] = []
    return tests()._fit(progress=lines.append), lines
