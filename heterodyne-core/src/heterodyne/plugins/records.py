"""What a plugin offers: frozen records whose target is imported on first use."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from heterodyne.errors import ConfigError, PluginError, unknown

Contract = TypeVar("Contract")


@dataclass(frozen=True)
class Option:
    """One option of an optimizer: the source of its command-line flag, configuration key and check.

    ``choices`` are the words that it may be, ``low`` is the least number and ``high`` the greatest. With
    ``many`` it is a tuple of such values, given one by one, as a list or as ``a,b``.
    """

    name: str
    type: type
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    many: bool = False
    high: float | None = None

    def convert(self, value: Any) -> Any:
        """``value`` as this option's type; raises `ConfigError` where it does not fit."""
        if value is None:
            return self.default
        if self.many:
            return tuple(self._one(part) for part in _parts(value))
        return self._one(value)

    def _one(self, value: Any) -> Any:
        try:
            converted = _CONVERTERS.get(self.type, self.type)(value)
        except (TypeError, ValueError, OverflowError):
            wanted = self.type.__name__
            raise ConfigError(f"option {self.name!r} must be {wanted}, not {value!r}") from None
        if self.low is not None and converted < self.low:
            raise ConfigError(f"option {self.name!r} must be at least {self.low:.10g}, not {value!r}")
        if self.high is not None and converted > self.high:
            raise ConfigError(f"option {self.name!r} must be at most {self.high:.10g}, not {value!r}")
        if self.choices and converted not in self.choices:
            raise ConfigError(unknown(f"value of option {self.name!r}", str(value), self.choices))
        return converted


def _parts(value: Any) -> list[Any]:
    """The values in ``a,b`` or in a list of such texts; anything else is one value."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    if isinstance(value, Iterable):
        return [part for item in value for part in _parts(item)]
    return [value]


def _as_bool(value: Any) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    try:
        return words[str(value).lower()]
    except KeyError:
        raise ValueError(value) from None


def _as_int(value: Any) -> int:
    whole = int(value)
    if isinstance(value, bool) or (not isinstance(value, str) and whole != value):
        raise ValueError(value)
    return whole


def _as_float(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError(value)
    return number


_CONVERTERS: Mapping[type, Callable[[Any], Any]] = {bool: _as_bool, int: _as_int, float: _as_float}


@dataclass(frozen=True)
class Record:
    """A name, one line about it, and where it is: ``package.module:attribute`` or ``package.module``."""

    name: str
    summary: str
    target: str

    @property
    def key(self) -> str:
        """What tells the record from others of its kind: its name."""
        return self.name

    def resolve(self, contract: type[Contract]) -> Contract:
        """The target, imported now, which must be what ``contract`` says: a class, or a protocol's members.

        Raises `PluginError` naming it if it cannot be imported or is something else.
        """
        module, _, attribute = self.target.partition(":")
        try:
            found = importlib.import_module(module)
            found = getattr(found, attribute) if attribute else found
        except Exception as error:  # a stranger's module may raise anything
            reason = f"{type(error).__name__}: {error}"
            raise PluginError(f"{self.name!r} cannot be loaded from {self.target}: {reason}") from error
        if not isinstance(found, contract):
            what = f"is {type(found).__name__}, not the {contract.__name__} that it is offered as"
            raise PluginError(f"{self.name!r} at {self.target} {what}")
        return found


@dataclass(frozen=True)
class ModelRecord(Record):
    """A model variant; the target is a `heterodyne.model.Model`."""


@dataclass(frozen=True)
class OptimizerRecord(Record):
    """An optimizer; the target is a `heterodyne.fitting.fit.Optimizer`, ``options`` are what it takes.

    ``outputs`` are writers of what only its own fits hold, such as a posterior: they write by default, too.
    """

    options: tuple[Option, ...] = ()
    outputs: tuple[str, ...] = ()

    def complete(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Every option's value, converted; raises `ConfigError` for a name that is not an option."""
        if not isinstance(given, Mapping):
            raise ConfigError(f"options map names to values, they are not {given!r}")
        known = {option.name: option for option in self.options}
        for name in given:
            if name not in known:
                raise ConfigError(unknown(f"option of optimizer {self.name!r}", name, known))
        return {name: option.convert(given.get(name)) for name, option in known.items()}


@dataclass(frozen=True)
class LoaderRecord(Record):
    """A file layout; the target is a `heterodyne.loading.load.Loader`."""


@dataclass(frozen=True)
class WriterRecord(Record):
    """An output; the target is a `heterodyne.plugins.outputs.Writer` of results of the kind ``of``.

    That is ``fit``, ``series`` or ``comparison``. Writers of several kinds may share a name: each writes what
    that name means for its kind.
    """

    of: str = "fit"

    @property
    def key(self) -> str:
        """The name, after the kind of result where that is no fit: ``series/figures``."""
        return writer_key(self.of, self.name)


def writer_key(of: str, name: str) -> str:
    """The key of the writer of this name for results of the kind ``of``."""
    return name if of == "fit" else f"{of}/{name}"


@dataclass(frozen=True)
class ExecutorRecord(Record):
    """Where tasks run; the target is a `heterodyne.executors.task.Executor`.

    ``keepers`` is where its `heterodyne.executors.keepers.OpenKeepers` are, empty where it keeps nothing between tasks.
    """

    keepers: str = ""
