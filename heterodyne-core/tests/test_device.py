"""Where JAX cannot compute, one line says so: a device that is not there, a process that was forked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

import heterodyne as het
from heterodyne.device import backend
from heterodyne.errors import HeterodyneError

SIMULATE = "import heterodyne as het; het.simulate('static', phi=0, frames=5)"


@pytest.mark.slow
@pytest.mark.parametrize("asked", ["cuda", "nonsense"])
def test_a_device_that_is_not_there_is_named_with_what_there_is(asked):
    done = subprocess.run(
        [sys.executable, "-c", SIMULATE],
        env={**os.environ, "JAX_PLATFORMS": asked},
        capture_output=True,
        text=True,
        check=False,
    )
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith(f"heterodyne.errors.HeterodyneError: JAX_PLATFORMS={asked} asks for a device that")
    assert line.endswith("what there is: cpu")


@pytest.mark.filterwarnings("ignore:os.fork", "ignore:.*use of fork")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")
def test_a_forked_process_is_told_instead_of_hanging():
    data = het.simulate("static", phi=0, frames=5)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(20)  # a hang ends here
        found = []
        for call in (lambda: het.simulate("static", phi=0, frames=6), lambda: data.duration):
            try:
                found.append(str(call()))
            except HeterodyneError as error:
                found.append(str(error))
        os.write(writing, "\n".join(found).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        refused, duration = answer.read().splitlines()
    os.waitpid(child, 0)
    assert refused.startswith("this process was forked from one that had used JAX")
    assert "get_context('spawn')" in refused
    assert float(duration) == data.duration


def test_the_process_that_uses_jax_first_is_known():
    backend.check_device()
    assert backend._first_used == [os.getpid()]
