"""Where the bins of a fit are: in this process, or in those of an executor, which read and keep them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from heterodyne.bins.kept import Home, home_at
from heterodyne.errors import ConfigError
from heterodyne.problem.problem import Problem

HERE = "serial"
"""The executor of fits whose bins stay in this process."""


@contextmanager
def home_of(
    problem: Problem, options: Mapping[str, Any], progress: Callable[[str], None]
) -> Iterator[Home | None]:
    """Where bins are kept while the block runs, None where that is this process.

    Raises `ConfigError` for an executor that cannot keep the bins of this fit, and for settings that it does not take.
    """
    executor = options["executor"]
    settings = {name: options[name] for name in ("workers", "scheduler") if options[name]}
    _check(problem, executor, options["strategy"], settings)
    if executor == HERE:
        yield None
        return
    with home_at(executor, settings, problem.data, progress) as home:
        yield home


def _check(problem: Problem, executor: str, strategy: str, settings: Mapping[str, Any]) -> None:
    if executor == HERE:
        for name in settings:
            raise ConfigError(
                f"option {name!r} is about processes that keep bins, and there are none: "
                "add --executor processes or dask"
            )
        return
    if strategy == "streamed":
        raise ConfigError(
            f"strategy streamed reads files in this process, executor {executor!r} keeps matrices in others: "
            "leave one of them out"
        )
    if problem.one_time:
        raise ConfigError(
            f"one-time data are small and stay in this process: leave executor {executor!r} out"
        )
