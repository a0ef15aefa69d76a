"""Gates that can fail, each with the parameter and what to do; and the second try after divergences."""

from __future__ import annotations

import arviz
import numpy as np
import pytest

from heterodyne_cmc import drawing
from heterodyne_cmc.diagnostics import Gates, chain_diagnostics, diagnose, failures
from heterodyne_cmc.nuts import STATISTICS, Draws

NAMES = ("D0", "alpha")
CHAINS, COUNT = 4, 1000


def good(seed=0):
    """Independent normal draws, with the statistics of a sampler that works."""
    rng = np.random.default_rng(seed)
    u = rng.normal(size=(CHAINS, COUNT, len(NAMES)))
    statistics = {name: np.zeros((CHAINS, COUNT)) for name in STATISTICS}
    statistics["diverging"] = np.zeros((CHAINS, COUNT), dtype=bool)
    statistics["num_steps"] = np.full((CHAINS, COUNT), 7)
    statistics["energy"] = rng.normal(size=(CHAINS, COUNT))
    return Draws(u, statistics)


def failing(draws, gates=None):
    found = diagnose(NAMES, draws.u, draws, 10)
    return failures(found, gates or Gates())


def test_good_chains_pass():
    assert failing(good()) == []


def test_chains_that_stand_apart_fail_for_the_parameter_that_does():
    draws = good()
    draws.u[0, :, 1] += 3.0
    lines = failing(draws)
    assert lines[0].startswith("R-hat of alpha 1.")
    assert "> 1.01: raise warmup and draws" in lines[0]
    assert not any("D0" in line for line in lines)


def test_chains_that_creep_fail_for_their_effective_sample_size_and_say_how_many_draws_it_takes():
    draws = good()
    draws.u[:, :, 0] = np.cumsum(draws.u[:, :, 0], axis=1)
    lines = failing(draws)
    assert any(line.startswith("bulk ESS of D0 ") and "< 400: raise draws " in line for line in lines)
    assert any(line.startswith("R-hat of D0 ") for line in lines)


def test_several_parameters_are_named_the_worst_first():
    draws = good()
    draws.u[0, :, 0] += 1.0
    draws.u[0, :, 1] += 5.0
    (line,) = [line for line in failing(draws) if line.startswith("R-hat")]
    assert line.startswith("R-hat of alpha")
    assert "(2 parameters: D0, alpha)" in line


def test_a_constant_coordinate_fails():
    draws = good()
    draws.u[:, :, 0] = 1.0
    assert any("of D0 nan" in line or "R-hat of D0" in line for line in failing(draws))


def test_low_bfmi_fails():
    draws = good()
    draws.statistics["energy"][:] = np.cumsum(draws.statistics["energy"], axis=1)
    (line,) = failing(draws)
    assert line.startswith("BFMI 0.")
    assert line.endswith("< 0.3: warm up longer")


def test_divergences_fail():
    draws = good()
    draws.statistics["diverging"][:, :2] = True
    (line,) = failing(draws)
    assert line.startswith("8 of 4000 draws diverged: raise target_accept")
    draws.statistics["diverging"][1:, :2] = False
    assert failing(draws) == []


def test_trees_at_their_greatest_depth_fail():
    draws = good()
    draws.statistics["num_steps"][2, 5] = 1023
    (line,) = failing(draws)
    assert line == "1 trees at their greatest depth: warm up longer or raise max_tree_depth"


def test_the_thresholds_decide():
    draws = good()
    draws.u[0, :, 1] += 3.0
    draws.statistics["diverging"][:, :40] = True
    lax = Gates(rhat=2.0, ess=1.0, divergences=0.5)
    assert failing(draws, lax) == []
    assert len(failing(draws, Gates(rhat=1.0, ess=1e6, bfmi=2.0, divergences=0.0))) == 5


def test_the_diagnostics_are_those_of_arviz():
    draws = good()
    draws.u[0, :, 1] += 0.2
    rhat, bulk, tail = chain_diagnostics(NAMES, draws.u)
    assert rhat["alpha"] == float(arviz.rhat(draws.u[..., 1]))
    assert bulk["alpha"] == float(arviz.ess(draws.u[..., 1], method="bulk"))
    assert tail["D0"] == float(arviz.ess(draws.u[..., 0], method="tail", prob=(0.05, 0.95)))
    assert rhat["alpha"] > 1.001 > rhat["D0"]


@pytest.fixture
def diverging(monkeypatch):
    """A sampler with a tenth of its draws divergent until target_accept is high enough; its tries."""
    tries = []

    def make(enough):
        def sample(code, target, starts, settings, folder, watch):
            tries.append((settings.target_accept, folder))
            draws = good(len(tries))
            draws.statistics["diverging"][:, ::10] = settings.target_accept < enough
            return draws

        monkeypatch.setattr(drawing, "sample", sample)
        return tries

    return make


@pytest.mark.slow
def test_divergences_raise_target_accept_and_draw_again(static_problem, sampled, diverging):
    tries, lines = diverging(0.9), []
    fit = sampled(static_problem(), lines.append)
    assert [accept for accept, _ in tries] == pytest.approx([0.8, 0.9])
    assert fit.statistics["target_accept"] == pytest.approx(0.9)
    assert fit.statistics["divergences"] == 0
    assert fit.verdict == "converged"
    assert "10.00% of the draws diverged: again with target_accept 0.9" in lines


@pytest.mark.slow
def test_the_third_try_is_the_last_and_its_failure_is_told(static_problem, sampled, diverging):
    tries = diverging(2.0)
    fit = sampled(static_problem())
    assert [accept for accept, _ in tries] == pytest.approx([0.8, 0.9, 0.95])
    assert not fit.success
    assert fit.verdict == "diagnostics failed"
    assert "400 of 4000 draws diverged: raise target_accept" in fit.message
    assert fit.statistics["divergences"] == 400


@pytest.mark.slow
def test_every_try_has_a_folder_of_its_own(static_problem, sampled, diverging, tmp_path):
    tries = diverging(0.9)
    sampled(static_problem(), checkpoint=str(tmp_path))
    assert [folder.name for _, folder in tries] == ["attempt-1", "attempt-2"]


@pytest.mark.slow
def test_a_share_of_divergences_that_is_let_pass_is_not_drawn_again(static_problem, sampled, diverging):
    tries = diverging(2.0)
    fit = sampled(static_problem(), divergences=0.2)
    assert len(tries) == 1
    assert fit.success
