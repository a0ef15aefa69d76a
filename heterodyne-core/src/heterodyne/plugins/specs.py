"""The hookspecs. A plugin implements any of them in a module named by an entry point of group `heterodyne`.

A whole plugin::

    from heterodyne.plugins import hookimpl
    from heterodyne.plugins.records import ModelRecord

    @hookimpl
    def heterodyne_models():
        yield ModelRecord("laminar", "steady shear between plates", "my_package.laminar:MODEL")

The module must not import JAX: it is imported to list what exists.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from heterodyne.plugins import hookspec
from heterodyne.plugins.records import (
    ExecutorRecord,
    LoaderRecord,
    ModelRecord,
    OptimizerRecord,
    WriterRecord,
)

if TYPE_CHECKING:
    import typer


@hookspec
def heterodyne_models() -> Iterable[ModelRecord]:
    """Model variants; each target is a `heterodyne.model.Model`.

    Example: ``yield ModelRecord("laminar", "steady shear", "my_package.laminar:MODEL")``
    """
    raise NotImplementedError


@hookspec
def heterodyne_optimizers() -> Iterable[OptimizerRecord]:
    """Optimizers; each target is called as ``target(problem, options, progress)`` and returns a `Solution` or a `Fit`.

    Example: ``yield OptimizerRecord("scan", "grid search", "my_package.scan:scan",
    (Option("points", int, 11, "grid points per parameter"),))``
    """
    raise NotImplementedError


@hookspec
def heterodyne_loaders() -> Iterable[LoaderRecord]:
    """File layouts; each target has ``sniff(path)`` and ``load(path, given)``, which returns all that a file holds.

    Example: ``yield LoaderRecord("p10", "PETRA III P10 results", "my_package.p10")``
    """
    raise NotImplementedError


@hookspec
def heterodyne_writers() -> Iterable[WriterRecord]:
    """Outputs of a result; each target is called as ``target(fit, folder)`` and returns the paths written.

    Example: ``yield WriterRecord("csv", "parameters as text", "my_package.csv:write")``
    """
    raise NotImplementedError


@hookspec
def heterodyne_executors() -> Iterable[ExecutorRecord]:
    """Places where tasks run; each target is called as ``target(tasks, settings, on_event)``.

    ``keepers`` of a record is what serves joint fits (`heterodyne.executors.keepers.OpenKeepers`).

    Example: ``yield ExecutorRecord("slurm", "one job per shard", "my_package.slurm:run")``
    """
    raise NotImplementedError


@hookspec
def heterodyne_commands(app: typer.Typer) -> None:
    """Commands of the program: add them to ``app`` with ``app.command("name")(function)``.

    Example: ``app.command("peek")(peek)``
    """
