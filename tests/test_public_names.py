"""The public names: what is documented is what there is, and importing them costs nothing."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import heterodyne

PAGE = (Path(__file__).parents[1] / "docs" / "api.md").read_text(encoding="utf-8")
DOCUMENTED = set(re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE))
HEAVY = {"jax", "jaxlib", "numpy", "scipy", "h5py", "matplotlib", "pydantic", "yaml", "numpyro"}


def loaded_by(code: str) -> set[str]:
    """The heavy modules that a fresh interpreter has loaded after ``code``."""
    script = f"{code}\nimport sys\nprint(*({HEAVY!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_public_names_are_the_documented_ones():
    assert set(dir(heterodyne)) - {"__version__"} == DOCUMENTED


@pytest.mark.parametrize("name", sorted(DOCUMENTED))
def test_every_public_name_can_be_had_and_has_a_docstring(name: str):
    assert inspect.getdoc(getattr(heterodyne, name))


def test_importing_loads_nothing_heavy():
    assert loaded_by("import heterodyne") == set()


def test_listing_what_is_installed_loads_no_numerics():
    listing = "import heterodyne as het\nhet.models(), het.optimizers(), het.loaders(), het.writers()"
    assert loaded_by(listing) == set()
