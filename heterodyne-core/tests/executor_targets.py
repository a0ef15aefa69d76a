"""Functions that the tests of the executors run in worker processes."""

from __future__ import annotations

import os
import signal
import time
import warnings
from pathlib import Path

import numpy as np

from heterodyne.errors import DataError


def draws(seed, progress):
    """Numbers that depend on the seed and, in their last bits, on how a product is cut into parts."""
    from heterodyne.kernels._jax import jnp

    progress(f"seed {seed}")
    sample = np.random.default_rng(seed).normal(size=(500, 500))
    return [float(value) for value in jnp.asarray(sample @ sample).dot(sample)[0, :5]]


def linger(seconds, progress):
    """Say which process this is and which started it, then wait."""
    progress(f"{os.getpid()} {os.getppid()}")
    time.sleep(seconds)
    return "lasted"


def die(progress):
    os.kill(os.getpid(), signal.SIGKILL)


def reject(progress):
    raise DataError("the file is empty; give another")


def divide(progress):
    return 1 / 0


def leave(progress):
    raise SystemExit(7)


def unfit(progress):
    return {1, 2}


def talk(progress):
    """Print, warn and report lines."""
    print('{"result": "printed"}', flush=True)
    os.write(1, b"written by a library\n")
    warnings.warn("beware", stacklevel=1)
    progress("two\nlines")
    return float("nan")


def variables(names, progress):
    return {name: os.environ.get(name) for name in names}


def load(seconds, progress):
    """Cores that matrix products and LAPACK keep busy, threads of XLA's pool, cores counted."""
    from heterodyne.device.cores import available_cores
    from heterodyne.kernels._jax import jax, jnp

    work = jax.jit(lambda x: jnp.linalg.eigvalsh((x @ x @ x)[:300, :300]).sum())
    x = jnp.ones((800, 800))
    work(x).block_until_ready()
    wall, busy = time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        work(x).block_until_ready()
    cores = (time.process_time() - busy) / (time.perf_counter() - wall)
    names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    return {"cores": cores, "pool": names.count("tf_XLAEigen"), "counted": available_cores()}
