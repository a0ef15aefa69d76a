"""`AnyArray`: an array of JAX or of NumPy, in records that hold either."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from jax import Array

AnyArray: TypeAlias = Array | np.ndarray
