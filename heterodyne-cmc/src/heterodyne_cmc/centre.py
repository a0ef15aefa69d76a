"""Where the coordinates are centred: the mode of the posterior, from the least-squares solution.

Priors can move the posterior far along valleys that the data leave open. The mode of the likelihood of independent
elements is found first, then that of the adjusted one, which is made anew until it has come to rest.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from heterodyne.kernels._jax import compiled, jax
from heterodyne.problem.objective import Objective
from heterodyne.problem.problem import Problem
from heterodyne_cmc.calibration import Calibration, calibrate, not_adjusted
from heterodyne_cmc.coordinates import Space, create_space, form_of, slope_of, values_of, whitened
from heterodyne_cmc.density import Code, create_targets, potential
from heterodyne_cmc.likelihood import ScalingPrior
from heterodyne_cmc.shards import whole_shard

_STEPS, _ROUNDS = 30, 4

_DESCENT = {"gtol": 0.05, "maxiter": 200}  # in coordinates in which the posterior is about a unit sphere

_SLOPE = compiled("code")(jax.value_and_grad(potential, argnums=2))

_REST = 0.3  # posterior standard deviations: a mode that is nearer to the centre moves nothing any more


def space_at(
    problem: Problem, values: np.ndarray, calibration: Calibration
) -> tuple[Space, np.ndarray, np.ndarray]:
    """The space at these values, whitened, with C (p, p) and the tilt (p,) in u."""
    c = calibration.adjustment
    space = whitened(create_space(problem, values), form_of(problem), c.T @ calibration.precision @ c)
    root = slope_of(space)
    return space, np.linalg.solve(root, c @ root), root.T @ calibration.tilt


def posterior_mode(
    objective: Objective, values: np.ndarray, code: Code, scaling: ScalingPrior, calibrated: bool
) -> tuple[np.ndarray, Calibration]:
    """The values (p,) at the posterior's mode and the calibration there, from those of the solution."""
    solution = objective.to_coordinates(values)
    whole = whole_shard(objective.problem.model, objective.bins)

    def mode(values: np.ndarray, calibration: Calibration) -> tuple[np.ndarray, float]:
        space, c, tilt = space_at(objective.problem, values, calibration)
        (target,) = create_targets(code, space, [whole], scaling, c, tilt)
        u = minimize(lambda u: _SLOPE(code, target, u), np.zeros(len(values)), jac=True, options=_DESCENT).x
        return np.asarray(values_of(space, code.form, u)), float(np.max(np.abs(u)))

    for _ in range(_STEPS):
        values, distance = mode(values, not_adjusted(objective, _off_bounds(objective, values)))
        if distance < _REST:
            break
    calibration = not_adjusted(objective, solution)
    for left in reversed(range(_ROUNDS)):
        x = _off_bounds(objective, values)
        calibration = calibrate(objective, x, solution) if calibrated else not_adjusted(objective, x)
        moved, distance = mode(values, calibration)
        if distance < _REST or not left:
            break
        values = moved
    return values, calibration


def _off_bounds(objective: Objective, values: np.ndarray) -> np.ndarray:
    """The coordinates of these values, moved off the bounds as the centre of a space is."""
    return np.asarray(create_space(objective.problem, values).centre)
