"""Traced functions that are kept: read again, equal to the last bit, and never for something else."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import NamedTuple

import jax
import numpy as np
import pytest

from heterodyne import create_model
from heterodyne.device import traced
from heterodyne.kernels import _jax
from heterodyne.kernels._jax import compiled, jnp

is_known = traced._is_known

PROGRAM = """
import json, sys
import numpy as np
import jax.monitoring
traced = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, seconds, **of: traced.append(of["fun_name"]) if event.endswith("jaxpr_trace_duration") else None
)
import heterodyne as het
from heterodyne.bins.reading import read_bins
from heterodyne.device.compilation import keep_compiled_code
from heterodyne.evaluators.sums import pair_sums

keep_compiled_code()
model = het.create_model("static")
bins = read_bins((het.simulate(model="static", frames=40, noise=0.02, seed=1),))
sums = pair_sums(model, np.array([3e3, 0.1, 10.0]), bins)
print(json.dumps([sorted(set(traced)), sums.model.cross.tolist(), sums.model.gram.tolist()]))
"""


class Both(NamedTuple):
    twice: object
    once: object


@compiled()
def of_pair(x, y):
    return Both(2.0 * x, (x + y, None))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(_jax, "_KEEPERS", [traced.keeper_in(tmp_path)])
    folder = tmp_path / f"traced-{traced._fingerprint()[:16]}"
    folder.mkdir()
    monkeypatch.setattr(traced, "_is_known", lambda module: module == __name__ or is_known(module))
    return folder


def fresh():
    """The function as another process has it, without what this one has ready."""
    return compiled()(of_pair.__wrapped__)


def test_another_process_reads_what_one_traced(tmp_path, monkeypatch):
    monkeypatch.setenv("HETERODYNE_CACHE", str(tmp_path))
    first, second = (
        json.loads(subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True).stdout)
        for _ in range(2)
    )
    assert "_sums" in first[0]
    assert "_sums" not in second[0]
    assert second[1:] == first[1:]


def test_what_is_read_gives_the_same_in_the_same_structure(folder, monkeypatch):
    x, y = np.arange(3.0), np.ones(3)
    first = fresh()(x, y)
    assert len(list(folder.iterdir())) == 1
    monkeypatch.setattr(traced.export, "export", None)  # nothing is traced again
    second = fresh()(x, y)
    assert isinstance(second, Both)
    assert second.once[1] is None
    np.testing.assert_array_equal(second.twice, first.twice)
    np.testing.assert_array_equal(second.once[0], x + y)


def test_other_shapes_and_kinds_are_other_functions(folder):
    for x in (np.arange(3.0), np.arange(4.0), np.arange(3)):
        np.testing.assert_array_equal(fresh()(x, x).twice, 2 * x)
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize("damage", [b"", b"{}\n", b"no json\n123"])
def test_a_damaged_file_is_made_anew(folder, damage):
    fresh()(np.ones(2), np.ones(2))
    (path,) = folder.iterdir()
    path.write_bytes(damage)
    np.testing.assert_array_equal(fresh()(np.ones(2), np.ones(2)).twice, 2.0)
    assert traced._read(path) is not None


def test_a_flipped_bit_is_seen(folder):
    fresh()(np.ones(2), np.ones(2))
    (path,) = folder.iterdir()
    whole = bytearray(path.read_bytes())
    whole[-20] ^= 1
    path.write_bytes(whole)
    np.testing.assert_array_equal(fresh()(np.ones(2), np.ones(2)).twice, 2.0)
    assert path.read_bytes() != whole


def test_only_what_stands_in_this_package_has_a_name():
    model = create_model("two-component")
    assert traced.named(model) == "heterodyne.variants.two_component:MODEL"
    assert traced.named(replace(model, pair=model.pair)) is None
    assert traced.named((True, 64, "x", None)) == "(True, 64, 'x', None)"
    assert traced.named((model, object())) is None
    assert traced.named(lambda: 0) is None


def test_what_has_no_name_is_not_kept(folder):
    @compiled("of")
    def applied(of, x):
        return of(x)

    assert applied(jnp.sin, 0.0) == 0.0
    assert not list(folder.iterdir())


def test_functions_of_others_are_not_kept(folder, monkeypatch):
    monkeypatch.setattr(traced, "_is_known", is_known)
    np.testing.assert_array_equal(fresh()(np.ones(2), np.ones(2)).twice, 2.0)
    assert not list(folder.iterdir())


def test_derivatives_are_traced_in_this_process(folder):
    slope = jax.grad(lambda x: of_pair(x, x).twice)(3.0)
    assert slope == 2.0
    assert not list(folder.iterdir())


def test_another_source_is_another_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HETERODYNE_CACHE", str(tmp_path))
    here = traced._fingerprint()
    package = tmp_path / "package"
    package.mkdir()
    (package / "one.py").write_text("a = 1")
    monkeypatch.setattr(traced, "_PACKAGE", package)
    first = traced._fingerprint()
    (package / "one.py").write_text("a = 2")
    assert len({here, first, traced._fingerprint()}) == 3


def test_what_another_source_left_long_ago_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(_jax, "_KEEPERS", [traced.keeper_in(tmp_path)])
    monkeypatch.setattr(traced, "_is_known", lambda module: True)
    old, young = (tmp_path / f"traced-{name}" for name in ("old", "young"))
    for folder in (old, young):
        folder.mkdir()
    os.utime(old, (0, 0))
    fresh()(np.ones(2), np.ones(2))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"traced-{traced._fingerprint()[:16]}",
        "traced-young",
    ]
