"""What a user chooses about a fit besides data, model and optimizer: `Choices`, one field for each.

The arguments of `heterodyne.fit`, the keys of a configuration, the flags of the command line and the
documentation of all three are made from these fields. This module loads no numerics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from inspect import Parameter, cleandoc, signature
from pathlib import Path
from typing import Any, TypedDict, TypeVar, get_args

from heterodyne.errors import ParameterError
from heterodyne.parameters import SCALING, Family, ParameterTable, Prior, unknown_parameter
from heterodyne.problem import kinds
from heterodyne.problem.priors import check_scaling_prior
from heterodyne.problem.warm_start import EarlierFit, WarmStart
from heterodyne.words import listed


@dataclass(frozen=True)
class Spelling:
    """How a choice is written and described.

    What is said of a parameter in one choice contradicts what is said of it in those named in ``against``.
    """

    kind: kinds.Kind
    help: str
    against: tuple[str, ...] = ()


def _spelled(kind: kinds.Kind, help: str, against: tuple[str, ...] = ()) -> dict[str, Spelling]:
    return {"spelling": Spelling(kind, help, against)}


@dataclass(frozen=True)
class Choices:
    """The choices of one fit: read and checked when made, whichever way they are written.

    Raises `ParameterError` for what is said of parameters and means nothing or contradicts itself, `ConfigError`
    for other values that a choice cannot have. Whether a model has the parameters, `create_problem` sees.
    """

    fix: Mapping[str, float | None] = field(
        default_factory=dict,
        metadata=_spelled(
            kinds.HELD,
            "parameters held at a value, or at the start value where none is given or both agree",
            ("start", "tie", "prior"),
        ),
    )
    start: Mapping[str, float] = field(
        default_factory=dict,
        metadata=_spelled(kinds.NUMBERS, "start values of parameters; none is needed", ("fix", "tie")),
    )
    bounds: Mapping[str, tuple[float | None, float | None]] = field(
        default_factory=dict,
        metadata=_spelled(
            kinds.BOUNDS, "bounds LO:HI of parameters, LO: or :HI for one of them", ("fix", "tie")
        ),
    )
    tie: Mapping[str, str] = field(
        default_factory=dict,
        metadata=_spelled(
            kinds.NAMES,
            "parameters kept equal to another one",
            ("fix", "start", "bounds", "prior"),
        ),
    )
    prior: Mapping[str, Prior] = field(
        default_factory=dict,
        metadata=_spelled(
            kinds.PRIORS,
            "priors FAMILY:LOCATION:WIDTH of parameters, contrast or offset, for a sampler: "
            f"{listed(get_args(Family))} (uniform stands alone)",
            ("fix", "tie"),
        ),
    )
    contrast: str | float = field(
        default=kinds.AUTO,
        metadata=_spelled(
            kinds.DESIGN,
            "one per bin (individual), one per q (shared), harmonics of phi per q (fourier:M), or a number at "
            "which it is held; auto takes one per bin where every contrast is known to 20 %, else one per q",
        ),
    )
    offset: str | float = field(
        default=kinds.AUTO,
        metadata=_spelled(
            kinds.DESIGN,
            "individual, shared, fourier:M or a number, as for the contrast, which auto follows",
        ),
    )
    skip_lags: int = field(
        default=0,
        metadata=_spelled(kinds.WHOLE, "lags next to the diagonal to leave out, in frames"),
    )
    warm_start: WarmStart | str | None = field(
        default=None,
        metadata=_spelled(
            kinds.EARLIER,
            "an earlier fit of any model, by its folder or fit.json: its estimates are the start values, and "
            "only what it does not have is searched",
        ),
    )

    def __post_init__(self) -> None:
        for choice, spelling in SPELLINGS.items():
            object.__setattr__(self, choice, spelling.kind.read(choice, getattr(self, choice)))
        self._hold_at_starts()
        for choice, spelling in SPELLINGS.items():
            for other in spelling.against:
                self._check_against(choice, other)
        for name, prior in self.scaling_priors.items():
            check_scaling_prior(SCALING[name], prior, getattr(self, name))

    def _hold_at_starts(self) -> None:
        """Take parameters that are fixed and started as held there, where the two do not contradict each other."""
        held = {n: v for n, v in self.start.items() if n in self.fix and self.fix[n] in (None, v)}
        started = {name: value for name, value in self.start.items() if name not in held}
        object.__setattr__(self, "fix", {**self.fix, **held})
        object.__setattr__(self, "start", started)

    def _check_against(self, choice: str, other: str) -> None:
        is_mutual = choice in SPELLINGS[other].against
        for name in getattr(self, choice) if is_mutual else ():
            if name in getattr(self, other):
                raise ParameterError(
                    f"parameter {name!r} stands in {choice} and in {other}: give one of the two"
                )

    @property
    def scaling_priors(self) -> dict[str, Prior]:
        """The priors of contrast and offset, normal ones, each the same for all bins."""
        return {name: prior for name, prior in self.prior.items() if name in SCALING}

    def check_names(self, known: Iterable[str]) -> None:
        """Raise `ParameterError` for the first parameter chosen about that is not ``known``."""
        known = tuple(known)
        for name in self._names():
            if name not in known:
                raise ParameterError(unknown_parameter(name, known))

    def _names(self) -> Iterator[str]:
        for choice in MAPPINGS:
            yield from (name for name in getattr(self, choice) if choice != "prior" or name not in SCALING)
        yield from self.tie.values()

    def for_model(self, table: ParameterTable) -> Choices:
        """What of these choices holds for a model with these parameters.

        Left out are entries and ties of other parameters, and a warm start that has none of these.
        """
        known = {*table, *SCALING}
        own = {c: {n: v for n, v in getattr(self, c).items() if n in known} for c in MAPPINGS}
        own["tie"] = {name: source for name, source in own["tie"].items() if source in table}
        earlier = self.warm_start
        has_none = isinstance(earlier, WarmStart) and earlier.values.keys().isdisjoint(table)
        return replace(self, **own, warm_start=None if has_none else earlier)


SPELLINGS: Mapping[str, Spelling] = {choice.name: choice.metadata["spelling"] for choice in fields(Choices)}
"""Every choice by name, and how it is spelled."""

MAPPINGS = tuple(choice for choice, spelling in SPELLINGS.items() if spelling.kind.is_mapping)
"""The choices that are made parameter by parameter."""

NO_CHOICES = Choices()


class ChoiceKeywords(TypedDict, total=False):
    """The choices as keywords, in the spellings that suit Python."""

    fix: Mapping[str, float | None] | Iterable[str] | None
    start: Mapping[str, float] | None
    bounds: Mapping[str, tuple[float | None, float | None]] | None
    tie: Mapping[str, str] | None
    prior: Mapping[str, Prior | str | Mapping[str, Any]] | None
    contrast: str | float
    offset: str | float
    skip_lags: int
    warm_start: EarlierFit | str | Path | None


Function = TypeVar("Function", bound=Callable[..., Any])


def spells_choices(function: Function) -> Function:
    """``function``, whose ``**choices`` are `ChoiceKeywords`, with each in its signature and docstring."""
    keywords = [
        Parameter(
            choice,
            Parameter.KEYWORD_ONLY,
            default=getattr(NO_CHOICES, choice),
            annotation=kind.__forward_arg__,
        )
        for choice, kind in ChoiceKeywords.__annotations__.items()
    ]
    own = signature(function)
    others = [part for part in own.parameters.values() if part.kind is not Parameter.VAR_KEYWORD]
    first = [part for part in others if part.kind is not Parameter.KEYWORD_ONLY]
    vars(function)["__signature__"] = own.replace(parameters=[*first, *keywords, *others[len(first) :]])
    described = "\n".join(f"- ``{choice}``: {spelling.help}" for choice, spelling in SPELLINGS.items())
    function.__doc__ = f"{cleandoc(function.__doc__ or '')}\n\nThe choices:\n\n{described}\n"
    return function
