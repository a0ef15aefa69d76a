"""Sphinx configuration of the one documentation site."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sphinx.application import Sphinx

from heterodyne.config.schema import FitConfig
from heterodyne.model import Model
from heterodyne.parameters import REGISTRY, SCALING, Prior
from heterodyne.plugins.manager import manager

project = "Heterodyne"
author = "Heterodyne developers"
copyright = "2026, Heterodyne developers"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "_generated"]
default_role = "code"
html_theme = "furo"
html_title = "Heterodyne"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"


def parameters() -> Iterator[str]:
    """The registry as a table."""
    yield from _head("name", "unit", "start", "low", "high", "prior", "scale", "varies")
    for row in (*REGISTRY.values(), *SCALING.values()):
        yield _line(
            f"`{row.name}`", row.unit, row.start, row.low, row.high, _prior(row.prior), row.scale, row.vary
        )


def models() -> Iterator[str]:
    """Core's own variants as a table."""
    yield from _head("model", "what it is", "parameters")
    for kind, record, owner in manager().records:
        if (kind, owner) == ("model", "core"):
            yield _line(f"`{record.name}`", record.summary, len(record.resolve(Model).parameters))


def configuration() -> Iterator[str]:
    """The keys of a configuration as a table."""
    yield from _head("key", "what it is", "default")
    for name, field in FitConfig.model_fields.items():
        default = "none" if field.default in (None, (), {}) else f"`{_plain(field.default)}`"
        yield _line(f"`{name}`", field.description, default)


def _head(*names: str) -> tuple[str, str]:
    return _line(*names), "|---" * len(names) + "|"


def _line(*cells: object) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _prior(prior: Prior) -> str:
    if prior.family == "uniform":
        return prior.family
    width = f"{prior.width:g}" + (" / duration" if prior.per_duration else "")
    return f"{prior.family}({prior.location:.4g}, {width})"


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def write_tables(app: Sphinx) -> None:
    """The tables that pages include: each from its only definition in the code."""
    folder = Path(app.srcdir, "_generated")
    folder.mkdir(exist_ok=True)
    for name, rows in (
        ("parameters", parameters()),
        ("models", models()),
        ("configuration", configuration()),
    ):
        (folder / f"{name}.md").write_text("\n".join(rows) + "\n", encoding="utf-8")


def keep_equations(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Indented equations of a docstring are literal: without this `|x|` and `a_` would be markup."""
    for index in range(len(lines) - 1, 0, -1):
        starts = lines[index].startswith("    ") and not lines[index - 1].strip()
        if starts and (index < 2 or not lines[index - 2].startswith("    ")):
            lines[index:index] = ["::", ""]


def setup(app: Sphinx) -> None:
    """Connect both to the build."""
    app.connect("builder-inited", write_tables)
    app.connect("autodoc-process-docstring", keep_equations)
