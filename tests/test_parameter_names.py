"""Parameters are named by the models alone: everything else derives from what a model states about them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import heterodyne as het
from heterodyne.plugins.manager import manager

ROOT = Path(__file__).parents[1]
CORE = ROOT / "heterodyne-core" / "src" / "heterodyne"
SOURCES = {
    home.name: [
        path
        for path in sorted(home.rglob("*.py"))
        if path != CORE / "parameters.py" and not path.is_relative_to(CORE / "variants")
    ]
    for home in ROOT.glob("heterodyne-*/src/*")
}
VARIANTS = [record.name for kind, record, owner in manager().records if (kind, owner) == ("model", "core")]
NAMES = {name for variant in VARIANTS for name in het.create_model(variant).parameters}
TELLING = "|".join(sorted(name for name in NAMES if re.search("[_0-9]", name)))
"""Names that mean nothing else, so that they count inside a text too: not v, x, alpha."""


def strings(tree: ast.Module) -> Iterator[ast.Constant]:
    """The strings that are code: neither docstrings, nor sentences below a constant, nor how a file is opened."""
    spared: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            spared.add(node.value)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("open"):
            spared.update(node.args)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in spared:
            yield node


def named(text: str) -> set[str]:
    return {*re.findall(rf"(?<!\w)(?:{TELLING})(?!\w)", text), *(NAMES & {text})}


@pytest.mark.parametrize("package", SOURCES)
def test_no_module_outside_of_the_models_names_a_parameter(package: str):
    places = [
        f"{path.relative_to(ROOT)}:{string.lineno} names {', '.join(sorted(named(string.value)))}"
        for path in SOURCES[package]
        for string in strings(ast.parse(path.read_text(encoding="utf-8")))
        if named(string.value)
    ]
    assert not places, "\n" + "\n".join(places)


def test_what_counts_as_naming_one():
    code = ast.parse('"""D0_ref"""\nx = 1\n"""D0_ref"""\nfile.open("x")\nf(f"{x}: v0 > 0", "v", "f0 of")\n')
    assert sorted(name for string in strings(code) for name in named(string.value)) == ["f0", "v", "v0"]
    assert not named("v of the sample, D0_reference, alphabet")
