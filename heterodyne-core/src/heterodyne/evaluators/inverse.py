"""The inverse K = C⁻¹ of a quasi-separable covariance, and the diagonals of K X K.

With G = -L(J,J)⁻¹ rᵀ, h = g L(J,J)⁻¹ and A = F + g G of the factor (`heterodyne.evaluators.quasiseparable`), K is of
the same kind,

    K(J, J) = L(J,J)⁻ᵀ L(J,J)⁻¹ + hᵀ Ψ h,      u = Gᵀ L(J,J)⁻¹ + Aᵀ Ψ h,      Ψ ← Gᵀ G + Aᵀ Ψ A,
    K(J, I) = u(J)ᵀ A(J-1) ... A(I+1) h(I),     I < J,

Ψ from the last block on. Then K X K on the diagonal is a sum over what comes before a block and what comes after it,
each carried on from block to block: O(N) operations per X.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from heterodyne.evaluators.quasiseparable import Factor, Generators, of_both


def inverse(factor: Factor[np.ndarray]) -> Generators[np.ndarray]:
    """The generators of K, x being 1: h, u and A, and with its diagonal the tiles on it."""
    blocks, terms, size = factor.gain.shape
    left, right = np.empty((2, blocks, terms, size))
    near = np.empty((blocks, size, size))
    over, after = np.empty((blocks, terms, terms)), np.zeros((terms, terms))
    for n in reversed(range(blocks)):
        own, back = factor.inverse[n], -factor.inverse[n] @ factor.right[n].T
        left[n], over[n] = factor.gain[n] @ own, factor.over[n] + factor.gain[n] @ back
        near[n] = own.T @ own + left[n].T @ after @ left[n]
        right[n] = back.T @ own + over[n].T @ after @ left[n]
        after = back.T @ back + over[n].T @ after @ over[n]
    return Generators(left[:, None], right[:, None], over[:, None], near[:, None])


def inside_diagonals(
    k: Generators[np.ndarray], of: Generators[np.ndarray], diagonal: Float[np.ndarray, "p frames"]
) -> Float[np.ndarray, "p frames"]:
    """The diagonals of K X K for the p derivatives X of these generators, with this ``diagonal``."""
    blocks, kinds, _, size = of.left.shape
    x = of.near + of.near.swapaxes(2, 3)
    own = np.arange(size)
    x[:, 1:, own, own] += diagonal.reshape(kinds - 1, blocks, size).swapaxes(0, 1)
    found, before = np.empty((blocks, kinds, size, size)), _before(k, of, x)
    across, both = np.zeros_like(before[0][0]), np.zeros_like(before[0][1])
    for n in reversed(range(blocks)):
        h, u, a, tile = (part[n, 0] for part in k)
        left, right, over = of.left[n], of.right[n], of.over[n]
        so_far, square = before[n]
        ahead = of_both(left.swapaxes(1, 2), across)
        beside = of_both(right.swapaxes(1, 2), so_far) @ u + ahead @ h
        through = u.T @ of_both(so_far.swapaxes(1, 2), of_both(over.swapaxes(1, 2), across)) @ h
        half = tile @ beside + through
        found[n] = tile @ x[n] @ tile + u.T @ square @ u + h.T @ both @ h + half + half.swapaxes(1, 2)
        step = u @ ahead @ a
        both = a.T @ both @ a + u @ x[n] @ u.T + step + step.swapaxes(1, 2)
        across = of_both(over.swapaxes(1, 2), across) @ a + right @ u.T
    return np.diagonal(found, axis1=2, axis2=3).swapaxes(0, 1).reshape(kinds, -1)[1:]


def _before(
    k: Generators[np.ndarray], of: Generators[np.ndarray], x: Float[np.ndarray, "blocks x size size"]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Before every block, Σ l hᵀ (x, terms, own) and Σ h X hᵀ (x, own, own), carried to its start."""
    kinds, terms, own = of.left.shape[1], of.left.shape[2], k.left.shape[2]
    across, both, found = np.zeros((kinds, terms, own)), np.zeros((kinds, own, own)), []
    for n in range(len(x)):
        found.append((across, both))
        h, _, a, _ = (part[n, 0] for part in k)
        step = h @ of_both(of.right[n].swapaxes(1, 2), across) @ a.T
        both = a @ both @ a.T + h @ x[n] @ h.T + step + step.swapaxes(1, 2)
        across = of_both(of.over[n], across) @ a.T + of.left[n] @ h.T
    return found
