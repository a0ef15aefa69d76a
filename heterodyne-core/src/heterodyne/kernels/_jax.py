"""JAX in double precision: the one place that imports it.

Float64 is switched on here, when the first kernel is needed, not when `heterodyne` is imported:
c2 carries its signal in the third and fourth digit, and sums over 10⁸ pairs lose the rest in float32.
"""

from __future__ import annotations

from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Real

jax.config.update("jax_enable_x64", True)

__all__ = ["AnyArray", "FloatArray", "Scalar", "jax", "jnp"]

AnyArray: TypeAlias = Array | np.ndarray

FloatArray: TypeAlias = Float[Array, " ..."]
"""Real numbers of the shape that the arguments have together, as an elementwise function gives them."""

Scalar: TypeAlias = float | Real[AnyArray, ""]
"""One number, as q and φ are: also an array without axes, which JAX makes of it."""
