"""JAX in double precision: the one place that imports it.

Float64 is switched on here, when the first kernel is needed, not when `heterodyne` is imported:
c2 carries its signal in the third and fourth digit, and sums over 10⁸ pairs lose the rest in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import cache, wraps
from inspect import signature
from itertools import compress
from operator import not_
from threading import Lock
from typing import Any, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jaxtyping import Float, Real

jax.config.update("jax_enable_x64", True)

__all__ = [
    "AnyArray",
    "Flat",
    "FloatArray",
    "Keeper",
    "Scalar",
    "Structure",
    "compiled",
    "compiler_options",
    "jax",
    "jnp",
    "keep_traced_with",
]

AnyArray: TypeAlias = Array | np.ndarray

FloatArray: TypeAlias = Float[Array, " ..."]
"""Real numbers of the shape that the arguments have together, as an elementwise function gives them."""

Scalar: TypeAlias = float | Real[AnyArray, ""]
"""One number, as q and φ are: also an array without axes, which JAX makes of it."""

R = TypeVar("R")

_BRIEF: dict[str, str | bool] = {
    "xla_cpu_use_fusion_emitters": False,
    "xla_backend_optimization_level": "1",
}


@cache
def compiler_options() -> dict[str, str | bool] | None:
    """Options with which XLA takes a third of the time to compile for CPUs what then runs as fast.

    None where this XLA does not know them.
    """
    try:
        jax.jit(lambda: 0.0).lower().compile(compiler_options=_BRIEF)
    except jax.errors.JaxRuntimeError:
        return None
    return _BRIEF


def compiled(*static: str) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """A decorator: `jax.jit` with `compiler_options`, which JAX allows only in functions that no other one calls.

    ``static`` are the names of arguments that are compiled in. Arrays of NumPy may be given for those of JAX. What was
    traced is kept for other processes where it can be (`heterodyne.device.traced`).
    """

    def decorated(function: Callable[..., R]) -> Callable[..., R]:
        is_static = tuple(name in static for name in signature(function).parameters)
        ready: dict[Hashable, _Ready] = {}
        lock = Lock()

        @wraps(function)
        def call(*arguments: Any) -> R:
            fixed = tuple(compress(arguments, is_static))
            leaves, tree = jax.tree.flatten(tuple(compress(arguments, map(not_, is_static))))
            key = fixed, tree, tuple(map(_kind, leaves))
            if key not in ready:
                with lock:
                    if key not in ready:
                        ready[key] = _ready(function, is_static, fixed, tree, leaves)
            of, gives = ready[key]
            flat = of(*leaves)
            return jax.tree.unflatten(gives(), flat)

        return call

    return decorated


Structure: TypeAlias = Any
"""What JAX calls a PyTreeDef, which is no type to type checkers."""

Flat: TypeAlias = Callable[..., Sequence[Array]]
"""A function from arrays to arrays."""

Keeper: TypeAlias = Callable[..., tuple[Flat, Structure] | None]
"""What finds a traced function again, or keeps it: `heterodyne.device.traced.keeper_in`."""

_KEEPERS: list[Keeper] = []


def keep_traced_with(keeper: Keeper) -> None:
    """Let a keeper find what functions that are compiled from now on were traced to."""
    _KEEPERS[:] = [keeper]


_Ready: TypeAlias = tuple[Flat, Callable[[], Structure]]


def _kind(leaf: Any) -> Hashable:
    """What decides which code an argument needs."""
    return (leaf.shape, leaf.dtype, _is_traced(leaf)) if hasattr(leaf, "dtype") else type(leaf)


def _is_traced(leaf: Any) -> bool:
    return isinstance(leaf, Tracer)


def _ready(
    function: Callable[..., Any],
    is_static: Sequence[bool],
    fixed: Sequence[Hashable],
    tree: Structure,
    leaves: Sequence[Any],
) -> _Ready:
    """A function, its ``fixed`` arguments compiled in, from arrays like ``leaves`` to arrays, and their structure."""
    structures: list[Structure] = []

    @wraps(function)
    def flat(*values: Any) -> Sequence[Array]:
        held, given = iter(fixed), iter(jax.tree.unflatten(tree, values))
        result, structure = jax.tree.flatten(function(*(next(held if one else given) for one in is_static)))
        structures[:] = [structure]
        return tuple(result)

    def gives() -> Structure:
        return structures[0]

    names = f"{function.__module__}:{function.__qualname__}", str(tree)
    if any(map(_is_traced, leaves)):
        return jax.jit(flat), gives
    keeper = _KEEPERS[-1] if _KEEPERS else None
    found = keeper(flat, names, fixed, leaves, gives) if keeper else None
    if found is None:
        return jax.jit(flat, compiler_options=compiler_options()), gives
    of, structure = found
    return jax.jit(of, compiler_options=compiler_options()), lambda: structure
