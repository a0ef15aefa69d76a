"""Finding plugins: every entry point of group `heterodyne`, one broken plugin never taking the rest along."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, cast

import pluggy

from heterodyne.errors import PluginError, unknown
from heterodyne.plugins import PROJECT, specs
from heterodyne.plugins.records import (
    Contract,
    ExecutorRecord,
    LoaderRecord,
    ModelRecord,
    OptimizerRecord,
    Record,
    WriterRecord,
)

if TYPE_CHECKING:
    import typer

KINDS: Mapping[str, type[Record]] = {
    "model": ModelRecord,
    "optimizer": OptimizerRecord,
    "loader": LoaderRecord,
    "writer": WriterRecord,
    "executor": ExecutorRecord,
}
"""What can be offered by records; the hook of each kind is ``heterodyne_<kind>s``."""

_SUPPLIERS: Mapping[tuple[str, str], str] = {
    ("optimizer", "nlsq"): "heterodyne-nlsq",
    ("optimizer", "cmc"): "heterodyne-cmc",
    ("writer", "figures"): "heterodyne-viz",
    ("writer", "posterior"): "heterodyne-cmc",
}


@dataclass(frozen=True)
class Plugin:
    """One entry point: its name, distribution and version, what it offers, and why it is broken, if it is."""

    name: str
    distribution: str
    version: str
    offers: tuple[tuple[str, str], ...] = ()
    error: str | None = None

    @property
    def origin(self) -> str:
        """The plugin with its distribution and version, in words."""
        return f"plugin {self.name!r} of {self.distribution} {self.version}"


@dataclass(frozen=True)
class Manager:
    """The plugins of this environment and their records, by kind and name."""

    plugins: tuple[Plugin, ...]
    records: tuple[tuple[str, Record, str], ...]
    hooks: pluggy.PluginManager

    def listing(self, kind: str) -> dict[str, Record]:
        """The records of one kind by key, sorted; two offers of one key raise `PluginError`."""
        found: dict[str, tuple[Record, str]] = {}
        for of_kind, record, owner in self.records:
            if of_kind != kind:
                continue
            if record.key in found:
                raise PluginError(
                    f"{kind} {record.key!r} is offered by plugins {found[record.key][1]!r} and {owner!r}; "
                    "uninstall one or set HETERODYNE_DISABLE_PLUGINS to its name"
                )
            found[record.key] = record, owner
        return {name: found[name][0] for name in sorted(found)}

    def find(self, kind: str, name: str) -> Record:
        """The record of this kind and name; raises `PluginError` with what exists and what to install."""
        listing = self.listing(kind)
        if name not in listing:
            supplier = _SUPPLIERS.get((kind, name))
            remedy = f"; pip install {supplier}" if supplier else ""
            raise PluginError(unknown(kind, name, listing, remedy))
        return listing[name]

    def owner(self, kind: str, name: str) -> Plugin:
        """The plugin that offers this name."""
        wanted = self.find(kind, name)
        owner = next(owner for _, record, owner in self.records if record is wanted)
        return next(plugin for plugin in self.plugins if plugin.name == owner)

    def add_commands(self, app: typer.Typer) -> tuple[Plugin, ...]:
        """Let every plugin add its commands; those that fail are returned with their error, and warned of."""
        failed = []
        for implementation in self.hooks.hook.heterodyne_commands.get_hookimpls():
            try:
                implementation.function(app)
            except (Exception, SystemExit) as error:  # a stranger's code: it must not take the program along
                plugin = next(p for p in self.plugins if p.name == implementation.plugin_name)
                failed.append(_broken(plugin, error))
        return tuple(failed)


@cache
def manager() -> Manager:
    """The plugins found in this environment, looked up once per process."""
    return discover(sorted(entry_points(group=PROJECT), key=lambda point: point.name))


def discover(points: list[EntryPoint]) -> Manager:
    """The manager of these entry points, less those named in HETERODYNE_DISABLE_PLUGINS."""
    disabled = {name.strip() for name in os.environ.get("HETERODYNE_DISABLE_PLUGINS", "").split(",")}
    if unknown_names := sorted(disabled - {"", *(point.name for point in points)}):
        installed = ", ".join(point.name for point in points)
        warnings.warn(
            f"HETERODYNE_DISABLE_PLUGINS names {', '.join(unknown_names)}, which is no plugin (installed: {installed})",
            stacklevel=3,
        )
    hooks = pluggy.PluginManager(PROJECT)
    hooks.add_hookspecs(specs)
    plugins: list[Plugin] = []
    records: list[tuple[str, Record, str]] = []
    for point in points:
        if point.name in disabled:
            continue
        plugin, offered = _register(hooks, point)
        plugins.append(plugin)
        records.extend((kind, record, point.name) for kind, record in offered)
    return Manager(tuple(plugins), tuple(records), hooks)


def resolve(kind: str, name: str, contract: type[Contract]) -> Contract:
    """The object behind a name; raises `PluginError` if it does not exist or is not what ``contract`` says."""
    return manager().find(kind, name).resolve(contract)


def optimizer_record(name: str) -> OptimizerRecord:
    """The record of an optimizer, with its options."""
    return cast(OptimizerRecord, manager().find("optimizer", name))


def _register(hooks: pluggy.PluginManager, point: EntryPoint) -> tuple[Plugin, list[tuple[str, Record]]]:
    distribution = point.dist
    plugin = Plugin(
        point.name,
        distribution.name if distribution else "unknown",
        distribution.version if distribution else "unknown",
    )
    if hooks.has_plugin(point.name):
        return _broken(plugin, PluginError("another plugin has this name and was found first")), []
    try:
        hooks.register(point.load(), name=point.name)
        hooks.check_pending()
        offered = list(_offers(hooks, point.name))
    except (Exception, SystemExit) as error:  # a stranger's code: it must not take the program along
        if hooks.has_plugin(point.name):
            hooks.unregister(name=point.name)
        return _broken(plugin, error), []
    return replace(plugin, offers=tuple((kind, record.key) for kind, record in offered)), offered


def _broken(plugin: Plugin, error: BaseException) -> Plugin:
    reason = " ".join(f"{type(error).__name__}: {error}".split())  # pluggy's messages have many lines
    warnings.warn(
        f"{plugin.origin} is broken: {reason}",
        stacklevel=2,
    )
    return replace(plugin, error=reason)


def _offers(hooks: pluggy.PluginManager, owner: str) -> Iterator[tuple[str, Record]]:
    for kind, record_type in KINDS.items():
        for implementation in getattr(hooks.hook, f"heterodyne_{kind}s").get_hookimpls():
            if implementation.plugin_name != owner:
                continue
            for record in implementation.function():
                if not isinstance(record, record_type):
                    raise TypeError(f"heterodyne_{kind}s yields {record!r}, not a {record_type.__name__}")
                yield kind, record
