"""`--global` against global optimizers of others, on the same number of evaluations of the cost.

Every fit starts from nothing, over random truths as in `starts.py`, and with everything free where `--free` is given.
All of them minimise the sum of squares over the range of the bounds, contrast and offset solved; what they find is then
descended from by the trust region, as `--global` does. Their budget is what the fit with `--global` evaluated: normal
equations count as one evaluation and cost at most four times a bare cost. Stated is by how much the deviance is above
the lowest that is known from all of these and from the truth.

    pip install cma
    python benchmarks/global_search.py [--truths 4] [--free]
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from unittest.mock import patch

import numpy as np
from starts import HELD, random_truth

import heterodyne as het
from heterodyne.problem.choices import Choices
from heterodyne.problem.objective import Objective, create_objective
from heterodyne.problem.problem import create_problem

Cost = Callable[[np.ndarray], float]


class Counted:
    """The logarithm of the cost over the unit cube, with the number of its evaluations; ends at the ``budget``."""

    def __init__(self, objective: Objective, budget: int) -> None:
        self.objective, self.budget = objective, budget
        self.calls, self.best, self.lowest = 0, np.full(len(objective.low), 0.5), np.inf

    def __call__(self, unit: np.ndarray) -> float:
        """ln(cost), kept where it is the lowest so far; raises `StopIteration` beyond the budget."""
        if self.calls >= self.budget:
            raise StopIteration
        self.calls += 1
        low, high = self.objective.low, self.objective.high
        cost = self.objective.cost(low + np.clip(unit, 0.0, 1.0) * (high - low))
        value = float(np.log(cost)) if np.isfinite(cost) and cost > 0 else 1e6
        if value < self.lowest:
            self.lowest, self.best = value, np.clip(unit, 0.0, 1.0)
        return value


def _differential_evolution(cost: Cost, count: int, seed: int) -> None:
    from scipy.optimize import differential_evolution

    differential_evolution(cost, [(0.0, 1.0)] * count, maxiter=10**6, tol=0.0, rng=seed, polish=False)


def _dual_annealing(cost: Cost, count: int, seed: int) -> None:
    from scipy.optimize import dual_annealing

    dual_annealing(cost, [(0.0, 1.0)] * count, maxiter=10**6, maxfun=10**9, rng=seed)


def _cma(cost: Cost, count: int, seed: int) -> None:
    cma = import_module("cma")  # which no distribution depends on
    said = {"bounds": [0.0, 1.0], "seed": seed + 1, "verbose": -9}
    while True:  # restarts with populations that grow, until the budget ends
        cma.fmin2(cost, lambda: np.random.default_rng(seed).random(count), 0.3, said, restarts=9, bipop=True)


OTHERS = {
    "differential evolution (scipy)": _differential_evolution,
    "dual annealing (scipy)": _dual_annealing,
    "CMA-ES (cma, BIPOP)": _cma,
}


def found_by(method: Callable[[Cost, int, int], None], objective: Objective, budget: int) -> dict[str, float]:
    """All parameters at the best point that a method finds within the budget."""
    cost = Counted(objective, budget)
    with suppress(StopIteration):
        method(cost, len(objective.low), 0)
    best = objective.low + cost.best * (objective.high - objective.low)
    return objective.parameters(objective.folded(best))


def trial(seed: int, free: bool) -> tuple[dict[str, float], int]:
    """The deviance by method, and the evaluations that each had."""
    truth, held = random_truth(np.random.default_rng(seed)), {} if free else HELD
    data = het.simulate(
        params={**truth, **HELD}, q=0.008, phi=[0, 40, 80], frames=100, contrast=0.2, noise=0.02, seed=seed
    )
    started = {name: value for name, value in {**truth, **HELD}.items() if name not in held and name != "f2"}
    with patch.object(Objective, "solve", autospec=True, side_effect=Objective.solve) as solve:
        fits = {"nlsq --global": het.fit(data, fix=held, options={"global": True})}
    fits["nlsq"] = het.fit(data, fix=held)
    fits["from the truth"] = het.fit(data, fix=held, start=started)
    problem = create_problem([data], het.create_model("two-component"), Choices(fix=held))
    objective = create_objective(problem)
    for name, method in OTHERS.items():
        values = found_by(method, objective, solve.call_count)
        start = {name: values[name] for name in problem.varying}
        fits[name] = het.fit(data, fix=held, start=start)
    return {name: fit.statistics["deviance"] for name, fit in fits.items()}, solve.call_count


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--truths", type=int, default=4)
    parser.add_argument("--free", action="store_true", help="hold nothing")
    wanted = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = [trial(seed, wanted.free) for seed in range(wanted.truths)]
    least = [min(deviances.values()) for deviances, _ in rows]
    seeds = " | ".join(map(str, range(wanted.truths)))
    print(f"| deviance above the lowest known, seed | {seeds} |")
    print("|---|" + "---|" * wanted.truths)
    for name in rows[0][0]:
        above = (f"{row[0][name] - lowest:.1f}" for row, lowest in zip(rows, least, strict=True))
        print(f"| {name} | {' | '.join(above)} |")
    print(f"| evaluations | {' | '.join(str(count) for _, count in rows)} |")


if __name__ == "__main__":
    main()
