"""`Stated`: a record of what an optimizer states about a fit, and no more than it states, that reads as a mapping."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from numbers import Real
from typing import Any, Self, dataclass_transform

from heterodyne.frozen import FrozenMapping

_TYPES = {"float": Real, "int": int, "bool": bool, "str": str, "tuple": tuple, "Mapping": Mapping}


def check_types(kind: type, entries: Mapping[str, Any]) -> None:
    """Raise `TypeError` naming an entry that is not of the type that ``kind`` declares for it; None is of any.

    NaN stands for a number that is not known.
    """
    for name, annotation in kind.__annotations__.items():
        expected = _TYPES.get(annotation.partition("[")[0].partition(" ")[0])
        value = entries.get(name)
        if value is None or expected is None:
            continue
        unknown = expected in (Real, int) and isinstance(value, float) and math.isnan(value)
        fits = isinstance(value, expected) and isinstance(value, bool) == (expected is bool)
        if not (fits or unknown):
            raise TypeError(f"{name} is {value!r:.40}")
        if expected is Real:
            float(value)  # an integer may be too large to be one


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Stated(Mapping[str, Any]):
    """A record of fields of which any may be left out; what has no field of its own is stated in ``extra``.

    A field that was left out is None as an attribute and absent from the mapping, in which the entries of
    ``extra`` follow the fields. ``a | b`` has the entries of both, those of b where both have one.
    """

    extra: Mapping[str, Any]

    def __init__(self, *, extra: Mapping[str, Any] | None = None, **fields: Any) -> None:
        own = FrozenMapping(extra or {})
        if misplaced := [*(fields.keys() - self.fields()), *(own.keys() & self.fields())]:
            raise TypeError(
                f"{type(self).__name__}: {', '.join(sorted(misplaced))}: state a field by its name, all else in extra"
            )
        vars(self).update(fields, extra=own)

    @classmethod
    def fields(cls) -> frozenset[str]:
        """The names of the fields."""
        return frozenset(cls.__annotations__) - {"extra"}

    @classmethod
    def of(cls, entries: Mapping[str, Any]) -> Self:
        """The record of these entries, those without a field in ``extra``."""
        known = cls.fields()
        extra = {name: value for name, value in entries.items() if name not in known}
        return cls(**{name: entries[name] for name in entries if name in known}, extra=extra)

    def __or__(self, other: Mapping[str, Any]) -> Self:
        return self.of({**self, **other})

    def _entries(self) -> dict[str, Any]:
        fields = {name: value for name, value in vars(self).items() if name != "extra"}
        return {**fields, **self.extra}

    def __getitem__(self, name: str) -> Any:
        return self._entries()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries())

    def __len__(self) -> int:
        return len(self._entries())

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a {type(self).__name__} is immutable: join it with another by |")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.items())})"
