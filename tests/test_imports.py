"""The house: imports run one way, down the rooms of docs/architecture.md, and what that page names is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PACKAGES = {
    init.parent.name: init.parent
    for tree in ("heterodyne-*", "examples/*")
    for init in ROOT.glob(f"{tree}/src/*/__init__.py")
}
CORE = PACKAGES["heterodyne"]
NUMERICS = ("kernels", "evaluators")
FILES = ("h5py", "hdf5plugin", "pathlib", "os", "io", "shutil", "tempfile", "json", "yaml")
ROOMS_OF_FILES = ("atomic", "loading", "writing", "plugins", "catalogue", "config")
NOT_NUMERICS = (*FILES, "pydantic", "pluggy", *(f"heterodyne.{room}" for room in ROOMS_OF_FILES))


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def rows(heading: str) -> list[list[str]]:
    """The cells of the table on the page whose first column has this heading."""
    table = PAGE.split(f"\n| {heading} |", 1)[1].split("\n\n", 1)[0]
    return [line.split("|")[1:-1] for line in table.splitlines()[2:]]


ROOMS = [quoted(room)[0].removesuffix("/") for room, _ in rows("room")]
LIBRARIES = {
    quoted(library)[0]: tuple(place for place in quoted(places) if "/" in place)
    for library, places in rows("library")
}


class Import(NamedTuple):
    """One import, wherever it stands: the module that imports, the dotted name, and where that is."""

    by: str
    name: str
    place: str


@cache
def modules(package: str) -> dict[str, Path]:
    """The modules of an import package by their dotted names."""
    return {
        ".".join(path.relative_to(PACKAGES[package].parent).with_suffix("").parts).removesuffix(
            ".__init__"
        ): path
        for path in sorted(PACKAGES[package].rglob("*.py"))
    }


@cache
def imports(package: str) -> tuple[Import, ...]:
    """All imports of a package, also under TYPE_CHECKING and inside functions."""
    return tuple(
        Import(module, name, f"{path.relative_to(ROOT)}:{node.lineno} imports {name}")
        for module, path in modules(package).items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in names_imported(node)
    )


def names_imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    names = [alias.name for alias in node.names]
    if isinstance(node, ast.Import):
        return names
    assert node.level == 0, "imports are absolute"
    return [f"{node.module}.{name}" for name in names]


def within(name: str, package: str) -> bool:
    return f"{name}.".startswith(f"{package}.")


def arrows(package: str) -> Iterator[tuple[Import, str]]:
    """The imports within a package, each with the module that is reached."""
    for arrow in imports(package):
        if within(arrow.name, package):
            module = arrow.name if arrow.name in modules(package) else arrow.name.rpartition(".")[0]
            yield arrow, module


def room(module: str) -> str:
    """The room of a module of core; the package itself, which hands on the public names, is above all."""
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("package", PACKAGES)
def test_no_two_modules_need_each_other(package: str):
    graph: dict[str, set[str]] = {}
    for arrow, module in arrows(package):
        graph.setdefault(arrow.by, set()).add(module)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' <- '.join(error.args[1])}")


def test_every_room_has_its_row():
    assert sorted(ROOMS) == sorted({room(module) for module in modules("heterodyne")} - {""})


def test_no_room_imports_one_above_it():
    depth = {name: depth for depth, name in enumerate(["", *ROOMS])}
    upwards = [
        arrow.place for arrow, module in arrows("heterodyne") if depth[room(module)] < depth[room(arrow.by)]
    ]
    assert not upwards


@pytest.mark.parametrize("numerics", NUMERICS)
def test_numerics_import_nothing_of_files_plugins_and_configuration(numerics: str):
    assert not [
        arrow.place
        for arrow in imports("heterodyne")
        if room(arrow.by) == numerics and any(within(arrow.name, other) for other in NOT_NUMERICS)
    ]


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_is_imported_in_its_places_and_in_no_other(library: str):
    paths = {
        modules("heterodyne")[arrow.by].relative_to(CORE).as_posix()
        for arrow in imports("heterodyne")
        if within(arrow.name, library)
    }
    places = LIBRARIES[library]
    assert not [path for path in paths if not path.startswith(places)]
    assert not [place for place in places if not any(path.startswith(place) for path in paths)]


@pytest.mark.parametrize("package", PACKAGES)
def test_distributions_import_core_and_never_one_another(package: str):
    strangers = PACKAGES.keys() - {package, "heterodyne"}
    assert not [arrow.place for arrow in imports(package) if arrow.name.split(".")[0] in strangers]


def names_bound(package_file: Path) -> set[str]:
    """The names that an `__init__` defines, imports or lists."""
    names: set[str] = set()
    for node in ast.parse(package_file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names |= set(ast.literal_eval(node.value))
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_no_public_name_is_that_of_a_submodule_which_would_replace_it(package: str):
    for name, path in modules(package).items():
        if path.name == "__init__.py":
            submodules = {other.removeprefix(f"{name}.") for other in modules(package)}
            assert submodules.isdisjoint(names_bound(path)), path


def homes(path: str) -> list[Path]:
    """Where a path of the page lies: in core's sources, in those of a distribution, or in the repository."""
    folders = (CORE, *{package.parent for package in PACKAGES.values()}, ROOT)
    return [folder / path for folder in folders if (folder / path).exists()]


def test_every_path_of_the_page_exists():
    paths = [word for word in quoted(PAGE) if re.fullmatch(r"[\w./-]+(/|\.py|\.md)", word)]
    assert len(paths) > 40
    assert not [path for path in paths if not homes(path)]


def test_every_name_of_the_page_stands_where_the_page_says():
    pairs = re.findall(r"`(\w+)` in `([\w./]+)`", PAGE)
    assert len(pairs) > 20
    for name, path in pairs:
        text = homes(path)[0].read_text(encoding="utf-8")
        assert re.search(rf"^(def|class) {name}\b", text, re.MULTILINE), f"{name} in {path}"
