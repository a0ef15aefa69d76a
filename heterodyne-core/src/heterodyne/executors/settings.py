"""The settings of an executor, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from heterodyne.errors import ConfigError, unknown
from heterodyne.plugins.records import Option

_SETTINGS = {
    option.name: option
    for option in (
        Option("workers", int, None, "tasks that run at once", low=1, high=10_000),
        Option("scheduler", str, None, "address of the scheduler"),
        Option("retries", int, 2, "times that a task whose process died runs again", low=0, high=100),
    )
}


@dataclass(frozen=True)
class Settings:
    """``workers`` tasks at once (None: by cores), address of the ``scheduler``, ``retries`` after a death."""

    workers: int | None
    scheduler: str | None
    retries: int


def read_settings(executor: str, given: Mapping[str, Any], taken: tuple[str, ...]) -> Settings:
    """The settings in ``given``, where None is not given; raises `ConfigError`.

    A name that does not exist, a value that does not fit, and a setting that this executor has no use for,
    because it is not in ``taken``, are errors.
    """
    for name, value in given.items():
        if name not in _SETTINGS:
            raise ConfigError(unknown(f"setting of executor {executor!r}", name, taken))
        if value is not None and name not in taken:
            raise ConfigError(
                f"executor {executor!r} takes no {name!r} (it takes: {', '.join(sorted(taken))})"
            )
    return Settings(**{name: option.convert(given.get(name)) for name, option in _SETTINGS.items()})
