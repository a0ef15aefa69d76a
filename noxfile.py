"""What can be run on a clean machine: `nox -s demo`, `nox -s tests`, and the checks of a change."""

from __future__ import annotations

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "tests"]

CORE = "./heterodyne-core[compression]"
WHOLE_CORE = "./heterodyne-core[compression,dask]"
PARTS = ("core", "nlsq", "cmc", "viz", "cli")
EXAMPLE = "./examples/heterodyne-stretched"
EVERYTHING = (WHOLE_CORE, *(f"./heterodyne-{part}" for part in PARTS[1:]), EXAMPLE)
SIDE_BY_SIDE = ("-n", "auto", "--maxprocesses", "4", "--dist", "worksteal")
PROJECT = nox.project.load_toml("pyproject.toml")


def install(session: nox.Session, *requirements: str, group: str | None = None) -> None:
    """Install with the tested versions; our own distributions (paths) come editable."""
    editable = [word for name in requirements for word in (("-e", name) if name.startswith(".") else (name,))]
    tools = nox.project.dependency_groups(PROJECT, group) if group else ()
    session.install("-c", "constraints.txt", *editable, *tools)


@nox.session
def demo(session: nox.Session) -> None:
    """Simulate a realistic experiment, fit it and print truth beside fit."""
    install(session, CORE, "./heterodyne-nlsq", "./heterodyne-viz", "./heterodyne-cli")
    session.run("heterodyne", "demo", *session.posargs)


@nox.session
@nox.parametrize("part", [nox.param(part, id=part) for part in (*PARTS, "all")])
def tests(session: nox.Session, part: str) -> None:
    """Each distribution with core and itself only; then everything together."""
    if part == "all":
        install(session, *EVERYTHING, group="tests")
        session.run("pytest", *SIDE_BY_SIDE, f"{EXAMPLE}/tests", "tests", *session.posargs)
        return
    install(session, WHOLE_CORE, *([] if part == "core" else [f"./heterodyne-{part}"]), group="tests")
    session.run("pytest", *SIDE_BY_SIDE, f"heterodyne-{part}/tests", *session.posargs)


@nox.session
def quick(session: nox.Session) -> None:
    """Every test that is not slow, in two to three minutes: what to run after a change, before the rest."""
    install(session, *EVERYTHING, group="tests")
    session.run("pytest", *SIDE_BY_SIDE, "-m", "not slow", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, format and types."""
    install(session, *EVERYTHING, group="lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("basedpyright")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation as HTML in docs/_build; a warning is an error."""
    install(session, *EVERYTHING, group="docs")
    session.run("sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "docs/_build")


@nox.session(venv_backend="virtualenv", reuse_venv=False)
def wheels(session: nox.Session) -> None:
    """All tests against the built wheels, installed by pip, which knows no workspace."""
    built = session.create_tmp()
    session.run("pip", "wheel", "--no-deps", "-w", built, *(name.split("[")[0] for name in EVERYTHING))
    tools = nox.project.dependency_groups(PROJECT, "tests")
    session.install(
        "-c", "constraints.txt", "--find-links", built, "heterodyne-core[compression,dask]", *tools
    )
    session.install(
        *("-c", "constraints.txt", "--find-links", built), "heterodyne-cli[all]", "heterodyne-stretched"
    )
    session.run("pip", "check")
    session.run("pytest", *session.posargs)


@nox.session(venv_backend="uv", reuse_venv=False)
def lowest(session: nox.Session) -> None:
    """All tests with the oldest versions that the distributions admit."""
    session.install("--resolution", "lowest-direct", *EVERYTHING)
    session.install(*nox.project.dependency_groups(PROJECT, "tests"))
    session.run("pytest", *session.posargs)
