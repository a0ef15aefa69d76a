"""One-time data in a problem: the first row of matrices, and models held at what makes S depend on the lag alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from heterodyne.catalogue import stationary_models
from heterodyne.data.one_time import FirstRow, OneTime, first_row
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import ConfigError, DataError, ParameterError
from heterodyne.model import Model
from heterodyne.problem.choices import MAPPINGS, Choices

Data: TypeAlias = TwoTime | OneTime
"""What `heterodyne.load` returns."""


def as_matrices(sets: Sequence[Data]) -> tuple[TwoTime, ...]:
    """The data sets as two-time data; raises `DataError` for one-time and two-time data together."""
    kinds = {isinstance(data, OneTime | FirstRow) for data in sets}
    if len(kinds) > 1:
        raise DataError("one-time and two-time data cannot be fitted jointly: fit them one after the other")
    return tuple(first_row(data) if isinstance(data, OneTime) else data for data in sets)


def stationary(model: Model, choices: Choices) -> Choices:
    """The choices with all held that makes S of this model depend on the lag alone.

    Raises `ConfigError` for a model that does not say how, `ParameterError` for choices that contradict it.
    """
    if model.stationary is None:
        able = ", ".join(stationary_models())
        raise ConfigError(
            f"model {model.name!r} changes with age and cannot be fitted to one-time data (g2 over the lag); "
            f"models that can: {able}"
        )
    for name, value in model.stationary.held.items():
        if said := list(_against(model, choices, name, value)):
            raise ParameterError(
                f"one-time data need {name}={value:g}, at which S depends on the lag alone: leave out {', '.join(said)}"
            )
    chosen = {name for choice in MAPPINGS for name in getattr(choices, choice)} | {*choices.tie.values()}
    merged = {name: value for name, value in model.stationary.merged.items() if name not in chosen}
    start = {name: value for name, value in choices.start.items() if name not in model.stationary.held}
    return replace(choices, start=start, fix={**choices.fix, **model.stationary.held, **merged})


def _against(model: Model, choices: Choices, name: str, value: float) -> Iterator[str]:
    """The choices that move a parameter away from a value."""
    held = choices.fix.get(name, value)
    if (model.parameters[name].start if held is None else held) != value:
        yield f"fix of {name}"
    if choices.start.get(name, value) != value:
        yield f"start of {name}"
    for choice in ("bounds", "tie", "prior"):
        if name in getattr(choices, choice):
            yield f"{choice} of {name}"
