"""What this distribution offers to heterodyne."""

from __future__ import annotations

from collections.abc import Iterator

from heterodyne.plugins import hookimpl
from heterodyne.plugins.records import ModelRecord


@hookimpl
def heterodyne_models() -> Iterator[ModelRecord]:
    """The one model of this distribution."""
    yield ModelRecord("stretched", "one component, stretched by its age", "heterodyne_stretched.model:MODEL")
