"""Whether JAX can compute in this process."""

from __future__ import annotations

import os

from heterodyne.errors import HeterodyneError
from heterodyne.kernels._jax import jax

_first_used: list[int] = []  # the process that used JAX first: its number, once it has


def check_device() -> None:
    """Raise `HeterodyneError` where JAX cannot compute: without the device asked for, and in a forked process."""
    if not _first_used:
        _find_devices()
        _first_used.append(os.getpid())
    if _first_used != [os.getpid()]:
        raise HeterodyneError(
            "this process was forked from one that had used JAX, in which JAX hangs: start processes afresh, by "
            "multiprocessing.get_context('spawn') or the start method 'forkserver'"
        )


def _find_devices() -> None:
    """Let JAX find its devices; raises `HeterodyneError` with those there are where it lacks the one asked for."""
    asked = jax.config.values.get("jax_platforms")
    from jax.extend.backend import clear_backends

    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # the latter where JAX has no backend of that name to try
        jax.config.update("jax_platforms", None)
        found = sorted({device.platform for device in jax.devices()})
        clear_backends()
        jax.config.update("jax_platforms", asked)
        raise HeterodyneError(
            f"JAX_PLATFORMS={asked} asks for a device that JAX does not find here: unset it, or set it to what "
            f"there is: {', '.join(found)}"
        ) from error
