"""The five distributions: independent of one another, one pin on core, every version tested and listed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PLUGINS = ("nlsq", "cmc", "viz", "cli")
OWN = {"heterodyne-core", "heterodyne-stretched", *(f"heterodyne-{name}" for name in PLUGINS)}


def project(folder: str) -> dict:
    return tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))


def requirements(lines: list) -> dict[str, Requirement]:
    found = [Requirement(line) for line in lines if isinstance(line, str)]
    return {requirement.name: requirement for requirement in found}


def listed(file: str, pattern: str) -> set[str]:
    return set(re.findall(pattern, (ROOT / file).read_text(encoding="utf-8"), flags=re.MULTILINE))


def development_tools() -> set[str]:
    groups = project(".")["dependency-groups"]
    return {name for group in ("tests", "lint", "dev") for name in requirements(groups[group])}


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_requires_core_alone_of_its_family_and_pins_its_minor(name: str):
    version = project("heterodyne-core")["project"]["version"]
    major, minor, _ = version.split(".")
    needed = requirements(project(f"heterodyne-{name}")["project"]["dependencies"])
    assert needed.keys() & OWN == {"heterodyne-core"}
    assert str(needed["heterodyne-core"].specifier) == f"<{major}.{int(minor) + 1},>={major}.{minor}"


def test_every_requirement_has_a_tested_version():
    groups = project(".")["dependency-groups"].values()
    needed = {name for group in groups for name in requirements(group)}
    for folder in OWN - {"heterodyne-stretched"}:
        table = project(folder)["project"]
        extras = table.get("optional-dependencies", {}).values()
        needed |= {name for lines in (table["dependencies"], *extras) for name in requirements(lines)}
    assert needed - OWN <= listed("constraints.txt", r"^([\w.-]+)==")


def test_both_ways_to_set_up_install_the_same():
    paths = listed("requirements-dev.txt", r"^-e \./(?:examples/)?([\w-]+)")
    tools = listed("requirements-dev.txt", r"^(\w[\w-]*)$")
    assert paths == OWN
    assert tools == development_tools() - OWN
