"""`Identifiability`: what the data do not determine, in names, numbers and words. No field is required."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from heterodyne.frozen import FrozenMapping
from heterodyne.result.stated import Stated


@dataclass(frozen=True)
class Finding:
    """One thing that the data cannot tell, in words.

    ``kind`` is ``no correlation``, ``not seen``, ``merged``, ``bounds``, ``minor``, ``open``, ``conditional``,
    ``at bound``, ``other solution``, ``minimum``, ``axis``, ``floor``, ``scaling``, ``aliased`` or ``same speckle``.
    ``parameters`` are those it is about, undetermined where ``undetermined`` says so; ``values`` hold another solution.
    """

    kind: str
    words: str
    parameters: tuple[str, ...] = ()
    undetermined: bool = False
    values: Mapping[str, float] = field(default_factory=FrozenMapping)


class Held(Stated):
    """What was held at the prior along directions that the data do not determine."""

    parameters: Mapping[str, Mapping[str, float]] | None = None
    """By parameter, where it was moved: values ``from`` and ``to``, in the parameter's unit."""
    cost_change: float | None = None
    """By how much the cost changed, as a part of itself."""
    words: str | None = None
    """All of it in words."""

    extra: Mapping[str, Any] = FrozenMapping()
    """What only this optimizer knows."""


class Identifiability(Stated):
    """What the data leave open at a solution."""

    names: tuple[str, ...] | None = None
    """The varying parameters that are off their bounds."""
    rank: int | None = None
    """How many directions in them the data determine."""
    eigenvalues: tuple[float, ...] | None = None
    """The spectrum of the Gram matrix of their coordinates, scaled to unit diagonal."""
    undetermined: tuple[str, ...] | None = None
    """Those that the data do not determine."""
    conditional: tuple[str, ...] | None = None
    """Those whose error bar would hold on a condition only, and stands nowhere."""
    at_bounds: tuple[str, ...] | None = None
    """In words, what lies on a bound."""
    correlated: tuple[tuple[str, str, float], ...] | None = None
    """Pairs of determined parameters, (name, name, correlation), beyond 0.95."""
    learnt: Mapping[str, float] | None = None
    """By parameter, 1 - (posterior variance)/(prior variance)."""
    prior_only: tuple[str, ...] | None = None
    """In words, directions that the prior alone determines."""
    findings: tuple[Finding, ...] | None = None
    """What cannot be told."""
    held: Held | None = None
    """What was held at the prior."""

    extra: Mapping[str, Any] = FrozenMapping()
    """What only this optimizer knows."""
