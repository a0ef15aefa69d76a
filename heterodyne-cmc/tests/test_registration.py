"""What the distribution offers, and what listing it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from heterodyne.fitting.fit import Optimizer
from heterodyne.plugins.manager import manager, optimizer_record
from heterodyne.plugins.outputs import OUTPUTS, Writer, default_outputs
from heterodyne_cmc.plugin import OPTIONS
from option_limits import assert_both_limits_hold

_LIST = """
import sys
from heterodyne.plugins.manager import manager
record = manager().listing("optimizer")["cmc"]
record.complete({})
heavy = {"jax", "numpyro", "arviz", "xarray", "h5netcdf", "numpy", "heterodyne_cmc.sampling"} & set(sys.modules)
print(sorted(heavy))
"""


def test_the_optimizer_and_the_writer_can_be_resolved():
    record = optimizer_record("cmc")
    assert callable(record.resolve(Optimizer))
    assert callable(manager().find("writer", "posterior").resolve(Writer))


def test_fits_by_cmc_write_their_posterior_by_default():
    assert default_outputs("cmc") == (*OUTPUTS, "posterior")
    assert default_outputs("other") == OUTPUTS


def test_listing_imports_neither_jax_nor_what_samples():
    done = subprocess.run([sys.executable, "-c", _LIST], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_option_says_what_it_is_and_takes_its_default():
    for option in optimizer_record("cmc").options:
        assert option.help
        assert option.convert(option.default) == option.default


NUMBERS = {one.name: one for one in OPTIONS if one.type in (int, float)}


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_has_both_limits(name):
    assert_both_limits_hold(NUMBERS[name])
