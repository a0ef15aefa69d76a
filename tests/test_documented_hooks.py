"""Every hook is documented on the plugin page, with an example that is Python and implements it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from pluggy import PluginManager

from heterodyne.plugins import PROJECT, specs

PAGE = (Path(__file__).parents[1] / "docs" / "plugins.md").read_text(encoding="utf-8")
SECTIONS = {part.split("\n", 1)[0].strip(): part for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]}


def hooks() -> set[str]:
    manager = PluginManager(PROJECT)
    manager.add_hookspecs(specs)
    return {name for name in vars(manager.hook) if name.startswith(PROJECT)}


def test_the_page_has_a_section_for_every_hook_and_no_other():
    assert set(SECTIONS) == hooks()


@pytest.mark.parametrize("hook", sorted(hooks()))
def test_every_hook_has_an_example_that_implements_it_with_its_arguments(hook: str):
    blocks = re.findall(r"```python\n(.*?)```", SECTIONS[hook], flags=re.DOTALL)
    examples = {
        node.name: [argument.arg for argument in node.args.args]
        for block in blocks
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.FunctionDef)
    }
    code = getattr(specs, hook).__code__
    assert examples[hook] == list(code.co_varnames[: code.co_argcount])
