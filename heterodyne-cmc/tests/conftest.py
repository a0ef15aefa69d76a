"""Small problems with two unknowns, started at their least-squares solution, and options to sample them with.

No test needs the optimizer `nlsq`: solutions come from Gauss-Newton steps on core's normal equations.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import heterodyne as het
from heterodyne.bins.reading import read_bins
from heterodyne.device.compilation import keep_compiled_code
from heterodyne.executors.task import Outcome
from heterodyne.plugins.records import OptimizerRecord
from heterodyne.problem.choices import Choices
from heterodyne.problem.objective import create_objective
from heterodyne.problem.problem import create_problem
from heterodyne.result.fit import Fit
from heterodyne.solution.residuals import noise_of_weights, residuals_at
from heterodyne_cmc import drawing
from heterodyne_cmc.calibration import at_point
from heterodyne_cmc.plugin import OPTIONS
from heterodyne_cmc.posterior import Posterior
from heterodyne_cmc.sampling import fit
from heterodyne_cmc.worker import sample_shard

STATIC = {"D0": 3e3, "alpha": 0.2, "D_offset": 0.0}


@pytest.fixture(scope="session", autouse=True)
def compiled_code():
    """What one test compiled, the next one and every worker process load."""
    keep_compiled_code()


def at_solution(problem, weights="noise"):
    """The problem with the least-squares solution nearest to its start values as start values."""
    objective = create_objective(problem, read_bins(problem.data, problem.choices.skip_lags))
    x = objective.to_coordinates(problem.column("start"))
    pairs = np.array([bin.moments.pairs for bin in objective.bins])
    for of in ["noise"] * 20 + [weights] * 10:
        if of == "speckle":
            here = at_point(objective, x)
            objective = objective.whitened(x, noise_of_weights(here, residuals_at(here)))
        objective = objective.weighted(np.sqrt(objective.solve(x)[1].ssr / pairs))
        equations = objective.solve(x)[0]
        x = x - np.linalg.solve(equations.gram, equations.gradient)
    table = problem.parameters
    for name, value in zip(problem.varying, objective.to_values(x), strict=True):
        table = table.updated(name, start=float(value))
    return replace(problem, parameters=table, started=frozenset(problem.varying))


@pytest.fixture(scope="session")
def solved():
    """The function `at_solution`."""
    return at_solution


@pytest.fixture(scope="session")
def static_problem():
    """A function: the problem of D0 and alpha of simulated static data, at its solution."""

    def make(frames=64, phi=0.0, noise=0.02, seed=0, weights="noise", **choices):
        data = het.simulate("static", params=STATIC, frames=frames, phi=phi, noise=noise, seed=seed)
        start = {"D0": STATIC["D0"], "alpha": STATIC["alpha"]}
        model = choices.pop("model", None) or het.create_model("static")
        problem = create_problem(data, model, Choices(fix={"D_offset": 0.0}, start=start, **choices))
        return at_solution(problem, weights)

    return make


@pytest.fixture(scope="session")
def complete():
    """A function: options of the optimizer, complete, a short run unless they say otherwise."""
    record = OptimizerRecord("cmc", "", "heterodyne_cmc.sampling:fit", OPTIONS)

    def make(**options):
        return record.complete({"warmup": 200, "draws": 250, "likelihood": "independent", **options})

    return make


@pytest.fixture(scope="session")
def sampled(complete):
    """A function: the fit of a problem with these options."""
    return lambda problem, progress=lambda line: None, **options: fit(problem, complete(**options), progress)


@pytest.fixture
def in_this_process(monkeypatch):
    """Shards run one after another in this process, which is the fastest for small ones; the threads of each."""
    threads, original = [], drawing.resolve

    def execute(tasks, settings, on_event):
        threads.extend(task.threads for task in tasks)
        results = [sample_shard(**task.arguments, progress=lambda line: None) for task in tasks]
        return [
            Outcome(task.name, result, None, 1, 0.0, task.threads)
            for task, result in zip(tasks, results, strict=True)
        ]

    monkeypatch.setattr(
        drawing, "resolve", lambda kind, *which: execute if kind == "executor" else original(kind, *which)
    )
    return threads


@pytest.fixture(scope="session")
def stored_bits():
    """The function `_stored_bits`."""
    return _stored_bits


@pytest.fixture(scope="session")
def drawn_bits():
    """The function `_drawn_bits`."""
    return _drawn_bits


def _stored_bits(folder: Path) -> dict[str, Any]:
    """Draws, statistics and states of the sampler in all files of a checkpoint."""
    bits = {}
    for path in folder.rglob("*.npz"):
        with np.load(path, allow_pickle=False) as stored:
            bits[str(path.relative_to(folder))] = _bits(dict(stored))
    return bits


def _drawn_bits(fit: Fit) -> dict[str, Any]:
    """The posterior of a fit, with the statistics of the sampler."""
    posterior = fit.posterior
    assert isinstance(posterior, Posterior)
    names = ("values", "contrast", "offset", "noise")
    drawn = {name: getattr(posterior, name) for name in names}
    return _bits(drawn | {"log_likelihood": posterior.log_likelihood.values} | posterior.statistics)


def _bits(arrays: dict[str, np.ndarray]) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    return {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in arrays.items()}
