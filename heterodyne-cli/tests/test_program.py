"""The program itself: help, version, listings, and how it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings

import pytest

from heterodyne.config.schema import FitConfig
from heterodyne.plugins import hookimpl
from heterodyne.plugins.manager import manager
from heterodyne.plugins.outputs import OUTPUTS

COMMANDS = ("fit", "simulate", "inspect", "convert", "plugins", "models", "optimizers", "demo", "config")
HEAVY = ("jax", "jaxlib", "h5py", "pydantic", "yaml", "scipy", "matplotlib")


def test_help_lists_the_commands_and_imports_nothing_heavy():
    code = f"""
import sys
from heterodyne_cli.app import main
try:
    main(["--help"])
finally:
    print("loaded:", *({set(HEAVY)!r} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(f" {command} " in done.stdout for command in COMMANDS)
    assert done.stdout.splitlines()[-1] == "loaded:"


def test_the_version_is_that_of_the_distributions(heterodyne):
    done = heterodyne("--version")
    assert done.status == 0
    assert done.out.startswith("heterodyne 0.")


@pytest.mark.parametrize(
    "arguments", [("--nonsense",), ("nonsense",), ("simulate", "-o", "x", "--frames", "many")]
)
def test_what_the_option_parser_rejects_has_status_2(heterodyne, arguments):
    assert heterodyne(*arguments).status == 2


def test_plugins_are_listed_with_what_they_offer(heterodyne):
    done = heterodyne("plugins")
    assert done.status == 0
    rows = {line.split()[0]: line for line in done.out.splitlines()}
    assert "heterodyne-core" in rows["core"]
    assert "models equilibrium, no-flow, static, static-reference, two-component" in rows["core"]
    assert "commands config, convert, demo" in rows["cli"]
    assert "optimizers other, stand" in rows["standing"]


def test_plugins_for_machines(heterodyne):
    found = {row["name"]: row for row in json.loads(heterodyne("plugins", "--json").out)}
    assert found["core"]["error"] is None
    assert {"kind": "writer", "name": "json"} in found["core"]["offers"]
    assert {"kind": "command", "name": "fit"} in found["cli"]["offers"]


class BreaksOnCommands:
    """A plugin whose commands cannot be added."""

    @hookimpl
    def heterodyne_commands(self, app):
        raise RuntimeError("no commands today")


def test_broken_plugins_are_shown_as_broken_and_the_rest_works(heterodyne, only_plugins):
    only_plugins("core", "cli", absent=None, breaking=BreaksOnCommands())
    done = heterodyne("plugins")
    assert done.status == 0
    rows = {line.split()[0]: line for line in done.out.splitlines()}
    assert "broken: ModuleNotFoundError: import of absent_plugin halted" in rows["absent"]
    assert "broken: RuntimeError: no commands today" in rows["breaking"]
    assert "models equilibrium" in rows["core"]
    warned = [line for line in done.err.splitlines() if line.startswith("heterodyne: warning: plugin ")]
    assert len(warned) == len(done.err.splitlines()) == 2


def test_the_predecessor_is_warned_of(heterodyne, monkeypatch):
    monkeypatch.setattr("heterodyne_cli.commands.plugins.version", lambda name: "2.0.0")
    done = heterodyne("plugins")
    assert done.err.startswith("heterodyne: warning: the distribution 'heterodyne' 2.0.0 is installed")
    assert done.status == 0


def test_models_and_their_parameters(heterodyne):
    assert [line.split()[0] for line in heterodyne("models").out.splitlines()] == [
        *("model", "equilibrium", "no-flow", "static", "static-reference", "two-component")
    ]
    shown = heterodyne("models", "two-component").out
    assert "log-normal(ln 1e+04, 3)" in shown
    assert "normal(0, 3/T)" in shown
    listed = json.loads(heterodyne("models", "static", "--json").out)
    assert [row["name"] for row in listed["parameters"]] == ["D0", "alpha", "D_offset"]
    assert {row["name"] for row in json.loads(heterodyne("models", "--json").out)} >= {"static", "no-flow"}


def test_optimizers_and_their_options(heterodyne):
    assert "stays where it is" in heterodyne("optimizers").out
    assert "converged|stalled" in heterodyne("optimizers", "stand").out
    listed = json.loads(heterodyne("optimizers", "stand", "--json").out)
    assert listed["options"][0] == {
        "name": "seed",
        "type": "int",
        "default": 0,
        "help": "seed",
        "choices": [],
        "low": None,
        "many": False,
        "high": None,
    }
    assert len(json.loads(heterodyne("optimizers", "--json").out)) == 2


def test_without_an_optimizer_the_install_line_is_given(heterodyne, rejected, monkeypatch):
    monkeypatch.setenv("HETERODYNE_DISABLE_PLUGINS", "standing")
    manager.cache_clear()
    assert heterodyne("optimizers").out == "no optimizer is installed; pip install heterodyne-nlsq\n"
    assert rejected("demo").endswith("no optimizer named 'nlsq' (known: none); pip install heterodyne-nlsq")
    assert rejected("fit", "run.h5", "--model", "static").endswith("pip install heterodyne-nlsq")


@pytest.mark.parametrize("command", ["models", "optimizers"])
def test_an_unknown_name_is_refused_with_what_exists(rejected, command):
    assert "(known: " in rejected(command, "nonsense")


def test_the_defaults_in_the_help_of_fit_are_true(heterodyne):
    text = " ".join(heterodyne("fit", "--help").out.replace("│", " ").split())
    config = FitConfig()
    for words in (
        f"(default {config.model})",
        f"(default {config.optimizer})",
        f"(default {','.join(OUTPUTS)} and what the optimizer adds)",
    ):
        assert words in text
    assert config.contrast == config.offset == "auto"
    assert config.write is None


def test_warnings_made_errors_end_in_one_line(rejected, run_file):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "dt = 0.2 s as given" in rejected("inspect", run_file, "--dt", "0.2")


def test_too_little_memory_is_told_in_one_line(rejected):
    assert "not enough memory" in rejected("simulate", "-o", "big.h5", "--frames", "10000000")
