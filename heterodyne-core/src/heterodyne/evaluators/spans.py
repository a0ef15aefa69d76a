"""Bases of what the vectors of a model can be within a block of frames.

Of the left and right vectors l and r of `heterodyne.evaluators.structured` at many parameters, and of their
derivatives, the leading left singular vectors, block by block: they span fringes of any frequency, where polynomials
would not.
"""

from __future__ import annotations

import numpy as np
from jax import Array
from jaxtyping import Float

from heterodyne.bins.bin import Bin
from heterodyne.bins.nodes import Nodes
from heterodyne.evaluators.blocks import along, cut, cut_slopes, sides
from heterodyne.evaluators.structured import components
from heterodyne.kernels._jax import compiled, jnp
from heterodyne.model import Model


def fitted(
    model: Model,
    points: Float[np.ndarray, "points P"],
    steps: Float[np.ndarray, " P"],
    bin: Bin,
    size: int,
    smooth: Float[np.ndarray, "blocks size size"] | None = None,
) -> Float[np.ndarray, "blocks size size"]:
    """Orthonormal vectors for every block, those that matter most first, for l and r at these points.

    Their derivatives count with a step of ``steps`` each, and a constant counts, as c2 has an offset. With ``smooth``
    what that makes of all of them counts too.
    """
    root = np.sqrt(bin.weight)
    total = np.zeros((len(root) // size, size, size))
    for theta in points:
        total += np.asarray(_products(model, theta, bin.t, bin.nodes, root, steps, size))
    flat = root.reshape(-1, size)
    total += len(points) * flat[:, :, None] * flat[:, None, :]
    if smooth is not None:
        total += smooth @ total @ smooth.swapaxes(1, 2)
    return np.linalg.eigh(total)[1][:, :, ::-1]


@compiled("model", "size")
def _products(
    model: Model,
    theta: Float[Array, " P"],
    t: Float[Array, " frames"],
    nodes: Nodes,
    root: Float[Array, " frames"],
    steps: Float[Array, " P"],
    size: int,
) -> Float[Array, "blocks size size"]:
    """Σ v vᵀ over l, r and their derivatives."""
    rows, slopes = (x._replace(a=x.a * root) for x in components(model, theta, t, nodes))
    values, moved = along(sides, cut(rows, size), cut_slopes(rows, slopes, size))
    moved = (steps[:, None, None, None] * x for x in moved)
    total = jnp.stack([jnp.einsum("nks,nkt->nst", x, x) for x in values])
    change = jnp.stack([jnp.einsum("pnks,pnkt->nst", x, x) for x in moved])
    return jnp.sum(total + change, axis=0)
