"""JAX in double precision: the one place that imports it.

Float64 is switched on here, when the first kernel is needed, not when `heterodyne` is imported:
c2 carries its signal in the third and fourth digit, and sums over 10⁸ pairs lose the rest in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Real

jax.config.update("jax_enable_x64", True)

__all__ = ["AnyArray", "FloatArray", "Scalar", "compiled", "compiler_options", "jax", "jnp"]

AnyArray: TypeAlias = Array | np.ndarray

FloatArray: TypeAlias = Float[Array, " ..."]
"""Real numbers of the shape that the arguments have together, as an elementwise function gives them."""

Scalar: TypeAlias = float | Real[AnyArray, ""]
"""One number, as q and φ are: also an array without axes, which JAX makes of it."""

R = TypeVar("R")

_BRIEF: dict[str, str | bool] = {"xla_cpu_use_fusion_emitters": False}


@cache
def compiler_options() -> dict[str, str | bool] | None:
    """Options with which XLA takes half the time to compile for CPUs what then runs as fast.

    None where this XLA does not know them.
    """
    try:
        jax.jit(lambda: 0.0).lower().compile(compiler_options=_BRIEF)
    except jax.errors.JaxRuntimeError:
        return None
    return _BRIEF


def compiled(*static: str) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """A decorator: `jax.jit` with `compiler_options`, which JAX allows only in functions that no other one calls.

    ``static`` are the names of arguments that are compiled in. Arrays of NumPy may be given for those of JAX.
    """

    def decorated(function: Callable[..., R]) -> Callable[..., R]:
        @cache
        def jitted() -> Any:
            return jax.jit(function, static_argnames=static, compiler_options=compiler_options())

        @wraps(function)
        def call(*arguments: Any) -> R:
            return jitted()(*arguments)

        return call

    return decorated
