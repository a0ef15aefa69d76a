"""What is installed: the names of models, optimizers, loaders and writers, each with a line about it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from heterodyne.errors import PluginError
from heterodyne.plugins.manager import manager, resolve

if TYPE_CHECKING:
    from heterodyne.model import Model


def models() -> dict[str, str]:
    """Installed model variants and a line about each, sorted by name."""
    return _summaries("model")


def optimizers() -> dict[str, str]:
    """Installed optimizers and a line about each, sorted by name."""
    return _summaries("optimizer")


def loaders() -> dict[str, str]:
    """Installed loaders and a line about each, sorted by name."""
    return _summaries("loader")


def writers() -> dict[str, str]:
    """Installed writers and a line about each, sorted by name."""
    return _summaries("writer")


def _summaries(kind: str) -> dict[str, str]:
    return {name: record.summary for name, record in manager().listing(kind).items()}


def create_model(name: str) -> Model:
    """The installed model variant of this name; unknown names raise `PluginError` with what exists."""
    from heterodyne.model import Model  # which imports JAX: listings do not

    return resolve("model", name, Model)


def stationary_models() -> list[str]:
    """The names of the installed models that can be stationary, which one-time data need, sorted.

    A model that cannot be loaded is none.
    """
    found = []
    for name in models():
        with suppress(PluginError):
            found += [name] if create_model(name).stationary is not None else []
    return found


def is_installed(model: Model) -> bool:
    """Whether `create_model` gives this very model by its name."""
    return model.name in models() and create_model(model.name) is model
