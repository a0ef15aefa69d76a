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

jax.config.update("jax_enable_x64", True)

__all__ = ["AnyArray", "jax", "jnp"]

AnyArray: TypeAlias = Array | np.ndarray
