"""The compilation cache, in processes of their own because JAX's configuration is the process's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import heterodyne as het
from heterodyne.device.compilation import keep_compiled_code
print(keep_compiled_code())
model = het.create_model("two-component")
model.correlation({}, [0.1, 0.2, 0.3], 0.01, 0.0)
"""


def run(**environment):
    clean = {
        k: v for k, v in os.environ.items() if k not in ("HETERODYNE_CACHE", "JAX_COMPILATION_CACHE_DIR")
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.slow
def test_a_second_process_finds_what_the_first_compiled(tmp_path):
    folder = Path(run(XDG_CACHE_HOME=str(tmp_path / "cache")))
    assert folder.parent == tmp_path / "cache" / "heterodyne"
    kept = {path.name for path in folder.iterdir()}
    assert any(name.startswith("jit_correlation_matrix") for name in kept)
    run(XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert {path.name for path in folder.iterdir() if path.name.endswith("-cache")} == {
        name for name in kept if name.endswith("-cache")
    }


@pytest.mark.slow
def test_the_user_may_name_another_folder_or_none(tmp_path):
    assert Path(run(HETERODYNE_CACHE=str(tmp_path / "own"))).parent == tmp_path / "own"
    assert run(HETERODYNE_CACHE="") == "None"
    assert run(JAX_COMPILATION_CACHE_DIR=str(tmp_path / "jax")) == str(tmp_path / "jax")


@pytest.mark.slow
def test_a_folder_that_cannot_be_made_is_no_error(tmp_path):
    (tmp_path / "file").touch()
    assert run(HETERODYNE_CACHE=str(tmp_path / "file" / "below")) == "None"
