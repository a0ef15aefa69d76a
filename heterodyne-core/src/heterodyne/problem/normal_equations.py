"""Normal equations of the weighted least-squares problem, from sums over frame pairs.

    cost(θ) = min_w Σ_b 1/(2 σ_b²) Σ_{i<j} (D_ij - offset_b(w) - contrast_b(w) S_ij(θ))²

Every evaluator gives the same record of sums, `PairSums`; contrast and offset enter linearly, so they are
eliminated here (variable projection, Kaufman's form) and an optimizer sees the parameters θ alone.
Golub & Pereyra, Inverse Problems 19 (2003) R1, doi 10.1088/0266-5611/19/2/201.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import lsq_linear

from heterodyne.evaluators.pair_sums import PairSums, Sums
from heterodyne.problem.scaling import ScalingDesign
from heterodyne.problem.spectrum import spectrum_of


@dataclass(frozen=True, eq=False)
class NormalEquations:
    """Cost, its gradient (p,) and Gauss-Newton matrix (p, p), and the number of pairs behind them."""

    cost: float
    gradient: np.ndarray
    gram: np.ndarray
    n_pairs: int

    @property
    def residuals(self) -> np.ndarray:
        """p + 1 numbers r with the cost ½ rᵀr and the gradient Jᵀr, for solvers that take residuals.

        They are all residuals turned into their tangent space, r = H^-½ g, and, last, the length of the rest.
        """
        values, vectors = self._determined()
        along = vectors / np.sqrt(values) @ (vectors.T @ self.gradient)
        return np.append(along, np.sqrt(max(2.0 * self.cost - along @ along, 0.0)))

    @property
    def jacobian(self) -> np.ndarray:
        """J (p + 1, p) of `residuals`, with the Gauss-Newton matrix JᵀJ: H^½, and 0 for the rest."""
        values, vectors = self._determined()
        return np.vstack([vectors * np.sqrt(values) @ vectors.T, np.zeros(len(self.gradient))])

    def _determined(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues and eigenvectors of H along which it is more than rounding."""
        values, vectors = np.linalg.eigh(self.gram)
        keep = values > 1e-14 * np.max(values, initial=0.0)
        return values[keep], vectors[:, keep]

    def active(self, x: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """The bounds on which x (p,) lies and beyond which the cost falls: -1 low, 1 high, 0 none."""
        return ((x >= high) & (self.gradient < 0)).astype(int) - ((x <= low) & (self.gradient > 0)).astype(
            int
        )


@dataclass(frozen=True, eq=False)
class SolvedScaling:
    """Contrast and offset per bin at the minimum over the scaling weights.

    ``ssr`` is Σ residual² per bin, unweighted. ``hessian`` (m, m) is the weights' block of the joint
    Gauss-Newton matrix and ``coupling`` (m, p) its block with the parameters, over the weights that are
    ``free`` of their bounds; ``design`` (2 bins, m) maps those weights to contrasts, then offsets.
    """

    contrast: np.ndarray
    offset: np.ndarray
    ssr: np.ndarray
    hessian: np.ndarray
    coupling: np.ndarray
    design: np.ndarray


def normal_equations(
    sums: PairSums,
    columns: np.ndarray,
    contrast: ScalingDesign,
    offset: ScalingDesign,
    sigma: np.ndarray,
) -> tuple[NormalEquations, SolvedScaling]:
    """The normal equations in coordinates u with ∂θ/∂u = ``columns`` (P, p), and the solved scaling.

    ``sigma`` is the noise per element of every bin.
    """
    sums = sums._replace(model=_in_coordinates(sums.model, columns))
    weight = 1.0 / sigma**2
    hessian, design = scaling_gram(sums, contrast, offset, sigma)
    fixed = np.concatenate([contrast.fixed, offset.fixed - sums.data.reference])
    target = design.T @ (_data_products(sums, weight) - _apply_bins(sums, weight, fixed[:, None])[:, 0])
    weights, free = _bounded_weights(hessian, target, contrast, offset)
    scale, level = np.split(design @ weights + fixed, 2)
    ssr = _residual_squares(sums, scale, level)
    gradient = -np.einsum("b,bk->k", weight * scale, _residual_products(sums, scale, level)[:, 1:])
    gram = np.einsum("b,bkl->kl", weight * scale**2, sums.model.gram[:, 1:, 1:])
    both = np.concatenate([sums.model.gram[:, 0, 1:], sums.model.total[:, 1:]])
    coupling = design[:, free].T @ (np.tile(weight * scale, 2)[:, None] * both)
    inner = hessian[np.ix_(free, free)]
    projected = gram - coupling.T @ _solve(inner, coupling)
    equations = NormalEquations(
        float(0.5 * weight @ ssr), gradient, 0.5 * (projected + projected.T), int(sums.n_pairs.sum())
    )
    solved = SolvedScaling(scale, level + sums.data.reference, ssr, inner, coupling, design[:, free])
    return equations, solved


def scaling_gram(
    sums: PairSums, contrast: ScalingDesign, offset: ScalingDesign, sigma: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The Gram matrix (m, m) of the scaling weights, and the design (2 bins, m): contrasts, then offsets."""
    design = _joint_design(contrast, offset)
    return design.T @ _apply_bins(sums, 1.0 / sigma**2, design), design


def undetermined_scaling(
    sums: PairSums, contrast: ScalingDesign, offset: ScalingDesign, sigma: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which contrasts and which offsets, (bins,) each, the data do not determine where S hardly varies.

    Judged as directions of parameters are (`heterodyne.problem.spectrum`); values held fixed are not among them.
    """
    gram, design = scaling_gram(sums, contrast, offset, sigma)
    low, high = np.hstack([_weight_bounds(contrast), _weight_bounds(offset)])
    of_contrast, of_offset = np.split(design[:, spectrum_of(gram, high - low).undetermined].any(axis=1), 2)
    return of_contrast, of_offset


def _in_coordinates(sums: Sums[np.ndarray], columns: np.ndarray) -> Sums[np.ndarray]:
    """The sums with ∂S/∂u in place of ∂S/∂θ."""
    change = np.zeros((1 + columns.shape[0], 1 + columns.shape[1]))
    change[0, 0], change[1:, 1:] = 1.0, columns
    return Sums(sums.cross @ change, sums.total @ change, change.T @ sums.gram @ change)


def _joint_design(contrast: ScalingDesign, offset: ScalingDesign) -> np.ndarray:
    """(2 bins, weights): contrasts above, offsets below."""
    bins, m = contrast.matrix.shape
    joint = np.zeros((2 * bins, m + offset.matrix.shape[1]))
    joint[:bins, :m], joint[bins:, m:] = contrast.matrix, offset.matrix
    return joint


def _apply_bins(sums: PairSums, weight: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The weighted Gram matrix of [S, 1] per bin times columns of (contrasts, offsets)."""
    scale, level = np.split(columns, 2)
    ss, s, n = (weight * x for x in (sums.model.gram[:, 0, 0], sums.model.total[:, 0], sums.data.pairs))
    return np.concatenate([ss[:, None] * scale + s[:, None] * level, s[:, None] * scale + n[:, None] * level])


def _data_products(sums: PairSums, weight: np.ndarray) -> np.ndarray:
    return np.concatenate([weight * sums.model.cross[:, 0], weight * sums.data.total])


def _bounded_weights(
    hessian: np.ndarray, target: np.ndarray, contrast: ScalingDesign, offset: ScalingDesign
) -> tuple[np.ndarray, np.ndarray]:
    """The scaling weights inside their bounds, and which of them are free.

    Weights of harmonics are not bounded: only a weight that is itself a contrast or an offset has bounds.
    """
    low, high = np.hstack([_weight_bounds(contrast), _weight_bounds(offset)])
    weights = _solve(hessian, target)
    if np.all((weights >= low) & (weights <= high)):
        return weights, np.ones(len(weights), dtype=bool)
    root = _root(hessian)
    rhs = np.linalg.lstsq(root.T, target, rcond=None)[0]
    weights = lsq_linear(root, rhs, (low, high), method="bvls").x
    return weights, (weights > low) & (weights < high)


def _weight_bounds(design: ScalingDesign) -> np.ndarray:
    """(2, weights): low and high of every weight."""
    bounded = _one_hot(design.matrix)
    low, high = (design.low, design.high) if bounded else (-np.inf, np.inf)
    return np.tile([[low], [high]], design.matrix.shape[1])


def _one_hot(matrix: np.ndarray) -> bool:
    return bool(np.all((matrix == 0) | (matrix == 1)) and np.all(matrix.sum(axis=1) == 1))


def _root(hessian: np.ndarray) -> np.ndarray:
    """R with RᵀR = hessian, for any positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(hessian)
    return np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T


def _solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The least-norm solution after scaling to unit diagonal: S constant over the data merges the two."""
    size = np.sqrt(np.maximum(np.diag(matrix), 0.0))
    size = np.where(size > 0, size, 1.0)
    scaled = matrix / np.outer(size, size)
    flat = right / (size if right.ndim == 1 else size[:, None])
    try:
        factor = cho_factor(scaled)
        if np.min(np.diag(factor[0]), initial=1.0) > 1e-7:
            solution = cho_solve(factor, flat)
            return solution / (size if right.ndim == 1 else size[:, None])
    except np.linalg.LinAlgError:
        pass  # singular: the least-norm solution below
    solution = np.linalg.lstsq(scaled, flat, rcond=1e-13)[0]
    return solution / (size if right.ndim == 1 else size[:, None])


def _residual_products(sums: PairSums, scale: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Σ (d - level - scale S) X per bin, (bins, 1+p)."""
    cross, total, gram = sums.model
    return cross - scale[:, None] * gram[:, 0] - level[:, None] * total


def _residual_squares(sums: PairSums, scale: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Σ (d - level - scale S)² per bin."""
    data, (cross, total, gram) = sums.data, sums.model
    linear = scale * cross[:, 0] + level * data.total
    square = scale**2 * gram[:, 0, 0] + 2 * scale * level * total[:, 0] + level**2 * data.pairs
    return np.maximum(data.square - 2 * linear + square, 0.0)
