"""What is left of the residuals at a solution: their means over lag and age, with the covariance of these.

A cell of patches has D_f = √w U Z_f Uᵀ √w beside √W r, U the columns that sum the frames of its groups, so that of all
of the noise only Ĉ = Uᵀ √w C √w U is needed,

    V_fg = ½ tr(Z_f Ĉ Z_g Ĉ),        V_fa = ½ tr(Z_f Uᵀ √w C D_a C √w U),

D_a what moves the scores (`heterodyne.evaluators.probes`), whose own covariance the robust errors know. Where W_ij is
not w_i w_j, Z_f is times (Σ W / Σ w w)^½ of a pair of groups, as if pairs that are left out were so evenly.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from heterodyne.bins.bin import Bin
from heterodyne.bins.kept import in_place
from heterodyne.evaluators.probes import influence_between, tangents_between
from heterodyne.evaluators.quasiseparable import Factor, coloured, coloured_back
from heterodyne.problem.spectrum import independent_covariance, spectrum_of
from heterodyne.result.statistics import Statistics
from heterodyne.solution.frame_noise import FrameNoise
from heterodyne.solution.patches import PatchSums
from heterodyne.solution.residuals import Residuals, noise_of_frames
from heterodyne.solution.robust import ScoreCluster, modelled_meat, noise_of_cluster, score_clusters
from heterodyne.solution.solution import AtSolution
from heterodyne.solution.structure import Cells, Structure, cells_of, residual_structure


def structure_at(
    here: AtSolution, residuals: Sequence[Residuals], modelled: np.ndarray | None = None
) -> Structure:
    """The structure of these residuals, over the coordinates that are free of their bounds.

    ``modelled`` is the covariance of scores that speckle and frames give, `Meat.model`, which is made where it is None.
    """
    objective = here.weighted
    clusters = score_clusters(objective, here.scaling, here.x, here.free)
    cells = [cells_of(of.sums, of.noise) for of in residuals]
    noise = noise_of_frames(here, residuals)

    def row(cluster: ScoreCluster) -> tuple[Any, ...]:
        of_members = ([every[b] for b in cluster.members] for every in (cells, residuals, noise))
        return here._replace(weighted=objective.part(cluster.members)), cluster.alone, *of_members

    found = in_place(
        _examined, [objective.bins[of.members[0]] for of in clusters], [row(of) for of in clusters]
    )
    if modelled is None:
        modelled = modelled_meat(objective, here.x, here.free, noise)
    whole = _placed(cells, clusters, found, len(modelled))
    taken = _taken(here, whole.coupling)
    across = whole.crossed @ taken.T
    return residual_structure(cells, whole.variance - across - across.T + taken @ modelled @ taken.T)


class Examined(NamedTuple):
    """Of F cells: Σ W z T / σ² with the rows T of the tangent space as ``coupling`` (F, q), and the covariances of
    their sums with the scores as ``crossed`` (F, q), and with one another as ``variance`` (F, F)."""

    coupling: np.ndarray
    crossed: np.ndarray
    variance: np.ndarray


def _placed(
    cells: Sequence[Cells], clusters: Sequence[ScoreCluster], found: Sequence[Examined], size: int
) -> Examined:
    """The same of the cells of all bins, from those of clusters."""
    ends = np.cumsum([0, *(len(of.sums) for of in cells)])
    count = ends[-1]
    whole = Examined(np.zeros((count, size)), np.zeros((count, size)), np.zeros((count, count)))
    for cluster, of in zip(clusters, found, strict=True):
        own = np.concatenate([np.arange(ends[b], ends[b + 1]) for b in cluster.members])
        whole.coupling[np.ix_(own, cluster.acts)] = of.coupling
        whole.crossed[np.ix_(own, cluster.acts)] = of.crossed
        whole.variance[np.ix_(own, own)] = of.variance
    return whole


def _taken(here: AtSolution, coupling: np.ndarray) -> np.ndarray:
    """K: what of the scores of coordinates and scaling weights the fit takes out of every cell."""
    of_weights = independent_covariance(
        spectrum_of(here.scaling.hessian, np.full(len(here.scaling.hessian), np.inf))
    )
    p = int(here.free.sum())
    return np.concatenate(
        [coupling[:, :p] @ independent_covariance(here.spectrum), coupling[:, p:] @ of_weights], axis=1
    )


class Sight(NamedTuple):
    """What the cells of one bin see of noise: Z / σ² of every kind of patches, (cells, W, s, s), and the columns √w U
    coloured once, Lᵀ √w U (M, u) of all, and twice, C √w U (W, M, s) of every kind."""

    z: tuple[np.ndarray, ...]
    once: np.ndarray
    twice: tuple[np.ndarray, ...]

    @property
    def columns(self) -> list[slice]:
        """Where every kind of patches stands among the u."""
        ends = np.cumsum([0, *(of.shape[1] * of.shape[2] for of in self.z)])
        return [slice(start, stop) for start, stop in pairwise(ends.tolist())]


def _sight(factor: Factor[np.ndarray], bin: Bin, cells: Cells, residual: Residuals) -> Sight:
    """The sight of a bin whose noise has this factor."""
    weight = bin.frame_weight
    u = [patches.columns(len(weight)) for patches in cells.patches]
    flat = [np.sqrt(weight)[:, None] * of.transpose(1, 0, 2).reshape(len(weight), -1) for of in u]
    once = [coloured_back(factor, of) for of in flat]
    twice = tuple(
        coloured(factor, of).reshape(len(weight), len(one), -1).transpose(1, 0, 2)
        for of, one in zip(once, u, strict=True)
    )
    z = tuple(of / residual.noise**2 for of in cells.z)
    if not bin.is_separable:
        z = tuple(of * _spread(weight, one, sums) for of, one, sums in zip(z, u, residual.sums, strict=True))
    return Sight(z, np.concatenate(once, axis=1), twice)


def _spread(weight: np.ndarray, u: np.ndarray, sums: PatchSums) -> np.ndarray:
    """(Σ W / Σ w w)^½ of the pairs of groups, (W, s, s)."""
    of_groups = weight @ u
    full = of_groups[:, :, None] * of_groups[:, None, :]
    both = sums.weight + sums.weight.swapaxes(1, 2)
    return np.sqrt(np.divide(both, full, out=np.zeros_like(full), where=full > 0))


def _examined(
    here: AtSolution,
    cluster: ScoreCluster,
    cells: Sequence[Cells],
    residuals: Sequence[Residuals],
    noise: Sequence[FrameNoise],
) -> Examined:
    """What is seen of the cells of a cluster's bins."""
    objective, model, theta = here.weighted, here.weighted.problem.model, here.weighted.theta(here.x)
    members = cluster.members
    factor, scale = noise_of_cluster(objective, theta, noise, cluster)
    sights = [_sight(factor, objective.bins[b], cells[b], residuals[b]) for b in members]
    common = scale * np.where(np.eye(len(members), dtype=bool), 1.0, cluster.shared)
    variance = [
        [share * noise_between(one, other) for share, other in zip(row, sights, strict=True)]
        for row, one in zip(common, sights, strict=True)
    ]
    coupling, crossed = [], [0.0] * len(members)
    for number, b in enumerate(members):
        bin, linear = objective.bins[b], cluster.linear[b]
        u = [of.columns(len(bin.t)) for of in cells[b].patches]
        found = tangents_between(model, theta, bin, linear, u)
        coupling.append(0.5 * (linear.sigma / residuals[b].noise) ** 2 * _seen(cells[b].z, found))
        for row, sight in enumerate(sights):
            found = influence_between(model, theta, bin, linear, list(sight.twice))
            crossed[row] += 0.5 * common[row, number] * _seen(sight.z, found)
    return Examined(np.concatenate(coupling), np.concatenate(crossed), np.block(variance))


def _seen(z: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> np.ndarray:
    """The sums over pairs of groups of z (cells, W, s, s) times what was found there (p, W, s, s), (F, p)."""
    return np.concatenate([_flat(of) @ _flat(part).T for of, part in zip(z, found, strict=True)])


def noise_between(one: Sight, other: Sight) -> np.ndarray:
    """½ tr(Z_f Ĉ Z_g Ĉ), (F, G), of the cells of two bins that see the same noise."""
    c = one.once.T @ other.once
    left = _coloured_cells(one, c)
    right = left if other is one else _coloured_cells(other, c.T)
    return np.block(
        [
            [
                0.5 * _flat(of[:, :, there]) @ _flat(beside[:, :, here].swapaxes(1, 2)).T
                for beside, there in zip(right, other.columns, strict=True)
            ]
            for of, here in zip(left, one.columns, strict=True)
        ]
    )


def _coloured_cells(sight: Sight, c: np.ndarray) -> list[np.ndarray]:
    """Z Ĉ of every kind of patches, (cells, W s, u)."""
    found = []
    for z, here in zip(sight.z, sight.columns, strict=True):
        count, patches, size, _ = z.shape
        found.append((z @ c[here].reshape(patches, size, -1)).reshape(count, patches * size, -1))
    return found


def _flat(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1)


def structure_statistics(structure: Structure) -> Statistics:
    """The verdict and its figures, for the statistics of a fit."""
    return Statistics(
        structure=structure.verdict,
        lag_chi2=structure.lag.chi2 / max(structure.lag.cells, 1),
        lag_probability=structure.lag.probability,
        age_chi2=structure.age.chi2 / max(structure.age.cells, 1),
        age_probability=structure.age.probability,
        lag_residuals=tuple(tuple(z.tolist()) for z in structure.lag_z),
        age_residuals=tuple(tuple(map(tuple, z.tolist())) for z in structure.age_z),
    )
