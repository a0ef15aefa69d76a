from __future__ import annotations

from importlib import import_module
from importlib.metadata import distribution

import pytest

from heterodyne.errors import PluginError
from heterodyne.plugins.manager import manager


def test_the_distribution_imports_and_declares_no_plugin_before_it_samples():
    assert import_module("heterodyne_cmc").__doc__
    assert not distribution("heterodyne-cmc").entry_points.select(group="heterodyne")


def test_asking_for_cmc_names_the_install_line_while_nothing_offers_it():
    assert "cmc" not in manager().listing("optimizer")
    with pytest.raises(PluginError, match=r"no optimizer named 'cmc'.*pip install heterodyne-cmc"):
        manager().find("optimizer", "cmc")
