"""`heterodyne plugins`: what is installed, what it offers, and what is broken."""

from __future__ import annotations

import warnings
from importlib.metadata import PackageNotFoundError, version

import typer

from heterodyne.plugins.manager import Plugin, manager
from heterodyne.words import table
from heterodyne_cli.output import print_json
from heterodyne_cli.selection import Json

_PREDECESSOR = "heterodyne"


def plugins(context: typer.Context, json: Json = False) -> None:
    """List the installed plugins: distribution, version, and what each offers."""
    _warn_of_predecessor()
    without_commands = {plugin.name: plugin for plugin in context.obj.broken}
    installed = [without_commands.get(plugin.name, plugin) for plugin in manager().plugins]
    if json:
        print_json([_plain(plugin) for plugin in installed])
    else:
        rows = [(p.name, p.distribution, p.version, _offers(p)) for p in installed]
        print(table(("plugin", "distribution", "version", "offers"), rows))


def _offers(plugin: Plugin) -> str:
    kinds: dict[str, list[str]] = {}
    for kind, name in plugin.offers:
        kinds.setdefault(f"{kind}s", []).append(name)
    for name in _commands(plugin):
        kinds.setdefault("commands", []).append(name)
    offered = "; ".join(f"{kind} {', '.join(sorted(names))}" for kind, names in kinds.items()) or "nothing"
    return offered if plugin.error is None else f"broken: {plugin.error}"


def _commands(plugin: Plugin) -> list[str]:
    """The commands that a plugin adds, found by letting it add them to a program of its own."""
    if plugin.error is not None:
        return []
    app = typer.Typer()
    for implementation in manager().hooks.hook.heterodyne_commands.get_hookimpls():
        if implementation.plugin_name == plugin.name:
            implementation.function(app)
    groups = [info.name for info in app.registered_groups]
    return sorted(str(name) for name in (*(info.name for info in app.registered_commands), *groups))


def _plain(plugin: Plugin) -> dict[str, object]:
    return {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "offers": [
            *({"kind": kind, "name": name} for kind, name in plugin.offers),
            *({"kind": "command", "name": name} for name in _commands(plugin)),
        ],
        "error": plugin.error,
    }


def _warn_of_predecessor() -> None:
    try:
        installed = version(_PREDECESSOR)
    except PackageNotFoundError:
        return
    warnings.warn(
        f"the distribution {_PREDECESSOR!r} {installed} is installed and owns the same import name: "
        f"pip uninstall {_PREDECESSOR}, then reinstall heterodyne-core",
        stacklevel=2,
    )
