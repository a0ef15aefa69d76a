"""Finding plugins: broken ones are reported and never take the rest along."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint, distributions

import pytest

from heterodyne.errors import PluginError
from heterodyne.executors.task import Executor
from heterodyne.fitting.fit import Optimizer
from heterodyne.loading.load import Loader
from heterodyne.model import Model
from heterodyne.plugins import records
from heterodyne.plugins.manager import KINDS, discover, manager, resolve
from heterodyne.plugins.outputs import Writer

HEADER = "from heterodyne.plugins import hookimpl\nfrom heterodyne.plugins.records import *\n"
MODEL_PLUGIN = (
    HEADER
    + """
@hookimpl
def heterodyne_models():
    yield ModelRecord({name!r}, "a test", "heterodyne.variants.static:MODEL")
"""
)


@pytest.fixture
def point(tmp_path, monkeypatch, request):
    """Makes an entry point whose module has the given source."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("HETERODYNE_DISABLE_PLUGINS", raising=False)
    made = []

    def make(name, source):
        module = f"plugin_{abs(hash(request.node.nodeid))}_{len(made)}"
        (tmp_path / f"{module}.py").write_text(source)
        made.append(module)
        return EntryPoint(name, module, "heterodyne")

    yield make
    for module in made:
        sys.modules.pop(module, None)


def offered(found, kind="model"):
    return list(found.listing(kind))


BROKEN = {
    "fails to import": "import a_module_that_does_not_exist",
    "fails while it is imported": "1 / 0",
    "leaves the program": "raise SystemExit(7)",
    "is not Python": "def (",
    "has an unknown hook": HEADER + "@hookimpl\ndef heterodyne_modles():\n    yield 1\n",
    "has a hook with an unknown argument": HEADER + "@hookimpl\ndef heterodyne_models(size):\n    yield 1\n",
    "yields the wrong type": HEADER + "@hookimpl\ndef heterodyne_models():\n    yield 'laminar'\n",
    "yields a record of another kind": HEADER
    + "@hookimpl\ndef heterodyne_models():\n    yield WriterRecord('a', 'b', 'c:d')\n",
    "returns nothing": HEADER + "@hookimpl\ndef heterodyne_models():\n    pass\n",
    "fails while it lists": HEADER + "@hookimpl\ndef heterodyne_models():\n    yield 1 / 0\n",
}

REASONS = {
    "fails to import": "a_module_that_does_not_exist",
    "has an unknown hook": "heterodyne_modles",
    "has a hook with an unknown argument": "size",
    "yields the wrong type": "'laminar', not a ModelRecord",
    "yields a record of another kind": "not a ModelRecord",
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_plugin_is_reported_and_the_others_work(point, how):
    points = [
        point("first", MODEL_PLUGIN.format(name="one")),
        point("second", BROKEN[how]),
        point("third", MODEL_PLUGIN.format(name="two")),
    ]
    with pytest.warns(UserWarning, match="plugin 'second' of unknown unknown is broken") as caught:
        found = discover(points)
    assert len(caught) == 1
    assert offered(found) == ["one", "two"]
    assert [plugin.name for plugin in found.plugins] == ["first", "second", "third"]
    assert [plugin.error is None for plugin in found.plugins] == [True, False, True]
    assert found.plugins[1].offers == ()
    assert REASONS.get(how, "") in (found.plugins[1].error or "")
    assert "\n" not in str(caught[0].message)


def test_a_broken_plugin_is_named_with_its_distribution_and_version(tmp_path, point):
    module = point("weak", "import a_module_that_does_not_exist").value
    metadata = tmp_path / "weak_plugin-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: weak-plugin\nVersion: 1.2\n")
    (metadata / "entry_points.txt").write_text(f"[heterodyne]\nweak = {module}\n")
    (distribution,) = distributions(path=[str(tmp_path)])
    with pytest.warns(UserWarning, match="plugin 'weak' of weak-plugin 1.2 is broken"):
        (plugin,) = discover(list(distribution.entry_points)).plugins
    assert (plugin.distribution, plugin.version) == ("weak-plugin", "1.2")


def test_two_offers_of_one_name_are_an_error_that_names_both(point):
    found = discover(
        [point("left", MODEL_PLUGIN.format(name="one")), point("right", MODEL_PLUGIN.format(name="one"))]
    )
    for look_up in (lambda: found.listing("model"), lambda: found.find("model", "one")):
        with pytest.raises(PluginError, match=r"model 'one' is offered by plugins 'left' and 'right'"):
            look_up()
    assert offered(found, "writer") == []


def test_disabling_one_of_two_settles_it(point, monkeypatch):
    points = [point("left", MODEL_PLUGIN.format(name="one")), point("right", MODEL_PLUGIN.format(name="one"))]
    monkeypatch.setenv("HETERODYNE_DISABLE_PLUGINS", "other, left")
    found = discover(points)
    assert offered(found) == ["one"]
    assert [plugin.name for plugin in found.plugins] == ["right"]


def test_a_disabled_plugin_is_not_even_imported(point, monkeypatch):
    monkeypatch.setenv("HETERODYNE_DISABLE_PLUGINS", "bomb")
    assert discover([point("bomb", "1 / 0")]).plugins == ()


def test_two_plugins_of_one_name_leave_the_first_whole(point):
    commands = "\n@hookimpl\ndef heterodyne_commands(app):\n    app.append('peek')\n"
    points = [
        point("twin", MODEL_PLUGIN.format(name="one") + commands),
        point("twin", MODEL_PLUGIN.format(name="two")),
    ]
    with pytest.warns(UserWarning, match="another plugin has this name"):
        found = discover(points)
    app: list[str] = []
    assert found.add_commands(app) == ()  # type: ignore[arg-type]
    assert app == ["peek"]
    assert offered(found) == ["one"]


def test_a_plugin_whose_command_fails_is_reported_and_the_others_are_added(point):
    commands = HEADER + "@hookimpl\ndef heterodyne_commands(app):\n    "
    found = discover([point("good", commands + "app.append('peek')\n"), point("bad", commands + "1 / 0\n")])
    app: list[str] = []
    with pytest.warns(UserWarning, match="plugin 'bad'"):
        (failed,) = found.add_commands(app)  # type: ignore[arg-type]
    assert app == ["peek"]
    assert (failed.name, failed.error) == ("bad", "ZeroDivisionError: division by zero")


def test_listings_are_sorted_by_name(point):
    points = [point(name, MODEL_PLUGIN.format(name=name)) for name in ("b", "c", "a")]
    assert offered(discover(points)) == ["a", "b", "c"]


def test_an_unknown_name_lists_what_exists_and_the_nearest(point):
    found = discover(
        [point("plugin", MODEL_PLUGIN.format(name="laminar")), point("more", MODEL_PLUGIN.format(name="b"))]
    )
    with pytest.raises(PluginError) as caught:
        found.find("model", "laminr")
    line = "no model named 'laminr'; did you mean 'laminar'? (known: b, laminar)"
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("kind", "name", "distribution"),
    [
        ("optimizer", "nlsq", "heterodyne-nlsq"),
        ("optimizer", "cmc", "heterodyne-cmc"),
        ("writer", "figures", "heterodyne-viz"),
    ],
)
def test_a_name_of_a_sibling_that_is_absent_says_what_to_install(kind, name, distribution):
    with pytest.raises(PluginError, match=rf"\(known: none\); pip install {distribution}$"):
        discover([]).find(kind, name)


def test_core_offers_its_own_through_the_same_door():
    core = discover([EntryPoint("core", "heterodyne.plugins.builtin", "heterodyne")])
    assert offered(core) == ["equilibrium", "no-flow", "static", "static-reference", "two-component"]
    assert offered(core, "executor") == ["dask", "processes", "serial"]
    loaders = "aps-legacy aps-u esrf-id02 heterodyne matlab midtools numpy nxxpcs pychx"
    assert offered(core, "loader") == loaders.split()
    assert offered(core, "writer") == ["json", "npz", "profiles"]
    assert all(record.resolve(Model).name == name for name, record in core.listing("model").items())


def test_the_installed_manager_is_made_once_and_has_core():
    assert manager() is manager()
    assert "core" in [plugin.name for plugin in manager().plugins]
    assert resolve("model", "static", Model).name == "static"


def test_a_target_that_cannot_be_imported_is_a_plugin_error_naming_it():
    for target in ("a_module_that_does_not_exist:MODEL", "heterodyne.variants.static:MODLE"):
        with pytest.raises(PluginError, match=target):
            records.ModelRecord("laminar", "", target).resolve(Model)


def test_listing_imports_neither_numpy_nor_anything_heavier():
    """Listing what core offers; other distributions answer for their own plugin modules."""
    program = f"""
import sys
from importlib.metadata import EntryPoint
from heterodyne.plugins.manager import discover
found = discover([EntryPoint("core", "heterodyne.plugins.builtin", "heterodyne")])
for kind in {list(KINDS)}:
    found.listing(kind)
heavy = ("jax", "jaxlib", "numpy", "scipy", "h5py", "numpyro", "matplotlib", "dask", "distributed")
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_target_that_fails_when_it_is_imported_is_named(tmp_path, monkeypatch):
    (tmp_path / "failing_target.py").write_text("raise RuntimeError('boom')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginError, match="'one' cannot be loaded from failing_target:X: RuntimeError: boom"):
        records.ModelRecord("one", "s", "failing_target:X").resolve(Model)


@pytest.mark.parametrize(
    ("contract", "target"),
    [
        (Model, "math:pi"),
        (Loader, "math"),
        (Optimizer, "math:pi"),
        (Writer, "math:pi"),
        (Executor, "math:pi"),
    ],
)
def test_a_target_that_is_something_else_is_named_with_what_it_should_be(contract, target):
    with pytest.raises(PluginError, match=rf"'one' at {target} is .*, not the {contract.__name__} that it"):
        records.Record("one", "s", target).resolve(contract)
