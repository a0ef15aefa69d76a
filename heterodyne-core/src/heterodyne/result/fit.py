"""`Fit`: what every optimizer returns, and its report in lmfit's form."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodyne.atomic import as_path
from heterodyne.errors import escaped
from heterodyne.result.derived import ABOUT, Derived, derived_of, derived_table
from heterodyne.result.identifiability import Identifiability
from heterodyne.result.provenance import Provenance
from heterodyne.result.stated import Stated
from heterodyne.result.statistics import Statistics
from heterodyne.words import between, significant, table

if TYPE_CHECKING:
    from heterodyne.plugins.outputs import Output
    from heterodyne.problem.problem import Problem
    from heterodyne.result.band import Band
    from heterodyne.result.profile import Profile

CONVERGED = "converged"

STATED: Mapping[str, type[Stated]] = {
    "statistics": Statistics,
    "identifiability": Identifiability,
    "provenance": Provenance,
}
"""What of a fit an optimizer states as it knows it."""


@dataclass(frozen=True)
class Estimate:
    """One parameter at the solution.

    ``error`` is the standard error in use, ``error_independent`` the one that takes all elements of c2
    for independent; both are NaN where there is none. ``start`` is the start value that was given, NaN where none
    was. ``status`` is ``determined``, ``conditional``, ``undetermined``, ``at low``, ``at high``, ``fixed`` or
    ``= other`` for a tie. ``interval`` holds the ends of the 95 % interval within the bounds, symmetric in the
    logarithm for a parameter on a log scale, of the profile where there is one, or of draws; NaN where there is none.
    """

    name: str
    value: float
    error: float
    error_independent: float
    unit: str
    low: float
    high: float
    start: float
    vary: bool
    status: str
    interval: tuple[float, float] = (math.nan, math.nan)

    @property
    def interval_text(self) -> str:
        """The interval to the digits that the error leaves, four where there is none; nothing without interval."""
        if any(map(math.isnan, self.interval)):
            return ""
        if 0.0 < self.error < math.inf:
            return between(*self.interval, self.error)
        low, high = (
            f"{end:.4g}{' (bound)' if end == bound else ''}"
            for end, bound in zip(self.interval, (self.low, self.high), strict=True)
        )
        return f"[{low}, {high}]"


@dataclass(frozen=True)
class BinScaling:
    """One bin at the solution: its place, contrast and offset with errors, noise per element, pairs used."""

    q: float
    phi: float
    contrast: float
    offset: float
    contrast_error: float
    offset_error: float
    noise: float
    n_pairs: int


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted model: estimates, scaling per bin, covariance, statistics, verdict and provenance.

    ``covariance`` is over ``covariance_names``, the determined varying parameters. ``problem`` is what
    was fitted while it is in memory, None after reading a result back. ``statistics``, ``identifiability``
    and ``provenance`` may be given as mappings. ``profiles`` are profile likelihoods by parameter;
    ``curves`` are J(t), v(t) and f(t) with their bands, none after reading a result back; ``derived`` is what they come
    to at the beginning, the middle and the end of the run, made of them where there are any;
    ``posterior`` is what a sampler drew, for the writers that know it, None after reading a result back;
    ``checkpoint`` is the folder in which its optimizer kept what it had done, where that holds other runs, too.
    """

    model: str
    optimizer: str
    estimates: tuple[Estimate, ...]
    scaling: tuple[BinScaling, ...]
    covariance: np.ndarray
    covariance_names: tuple[str, ...]
    statistics: Statistics
    verdict: str
    message: str = ""
    identifiability: Identifiability = field(default_factory=Identifiability)
    provenance: Provenance = field(default_factory=Provenance)
    problem: Problem | None = None
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    curves: tuple[Band, ...] = ()
    derived: tuple[Derived, ...] = ()
    posterior: Any = None
    checkpoint: Path | None = None

    def __post_init__(self) -> None:
        for name, kind in STATED.items():
            if not isinstance(given := getattr(self, name), kind):
                object.__setattr__(self, name, kind.of(given))
        if self.curves:
            constant = self.problem is not None and self.problem.one_time
            object.__setattr__(self, "derived", derived_of(self.curves, constant))

    @property
    def success(self) -> bool:
        """Whether the optimizer converged."""
        return self.verdict == CONVERGED

    @property
    def values(self) -> dict[str, float]:
        """Every parameter's value by name."""
        return {row.name: row.value for row in self.estimates}

    @property
    def errors(self) -> dict[str, float]:
        """The standard errors of the varying parameters by name; NaN where there is none."""
        return {row.name: row.error for row in self.estimates if row.vary}

    @property
    def errors_independent(self) -> dict[str, float]:
        """Standard errors as if all elements of c2 were independent, by name."""
        return {row.name: row.error_independent for row in self.estimates if row.vary}

    @property
    def undetermined(self) -> tuple[str, ...]:
        """The names of the parameters that the data do not determine."""
        return tuple(row.name for row in self.estimates if row.status == "undetermined")

    def report(self) -> str:
        """The result as text, in the form of lmfit's fit reports."""
        numbers = (_variables, _derived, _identifiability, _diagnostics, _profiles, _scaling, _correlations)
        parts = (_head, *numbers)
        return "\n".join(escaped(line) for part in parts for line in part(self))

    def save(self, folder: str | Path, write: Iterable[str] | None = None) -> list[Path]:
        """Write the outputs named in ``write`` into ``folder``; returns the paths written.

        By default json, npz and profiles, and what its optimizer adds (a sampler its posterior), of which a fit
        that was read back has nothing. They replace the outputs of another result in that folder, all at once, and
        join those of this one. Raises what `heterodyne.plugins.outputs.save_outputs` raises, before anything is
        written `PluginError` for an unknown writer.
        """
        from heterodyne.plugins.outputs import name_of_run, save_outputs

        run = name_of_run(f"{self.provenance.date} {self.report()}")
        return save_outputs(self.outputs(write), as_path(folder), run)

    def outputs(self, write: Iterable[str] | None = None, place: str = ".") -> list[Output]:
        """What `save` writes, at this place in the folder of a run."""
        from heterodyne.plugins.outputs import OUTPUTS, default_outputs, outputs_of

        if write is None:
            write = OUTPUTS if self.problem is None else default_outputs(self.optimizer)
        return outputs_of(self, write, place=place)

    def __repr__(self) -> str:
        return f"<Fit of {self.model} by {self.optimizer}: {self.verdict}>"

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(self.report())}</pre>"


def _head(fit: Fit) -> list[str]:
    rows = [("fitting method", fit.optimizer), ("verdict", fit.verdict)]
    rows += [(name, _text(value)) for name, value in fit.statistics.items() if np.isscalar(value)]
    if gain := fit.statistics.weights_gain:
        bought = f"errors {_times_smaller(gain)} those of pairs that weigh alike"
        rows = [(name, bought if name == "weights_gain" else text) for name, text in rows]
    lines = ["[[Model]]", f"    {fit.model}", "[[Fit Statistics]]"]
    lines += [f"    # {name:<17}= {value}" for name, value in rows]
    return lines + ([f"    # {'message':<17}= {fit.message}"] if fit.message else [])


def _times_smaller(gain: float) -> str:
    if abs(gain - 1.0) < 0.01:
        return "as large as"
    return f"{gain:.2f} times smaller than" if gain > 1.0 else f"{1.0 / gain:.2f} times larger than"


def _text(value: Any) -> str:
    return f"{value:.8g}" if isinstance(value, float) else str(value)


def _variables(fit: Fit) -> list[str]:
    width = max((len(row.name) for row in fit.estimates), default=0) + 1
    middle = (
        "value +/- standard error" if fit.statistics.quantiles is None else "median +/- standard deviation"
    )
    lines = [f"    {row.name + ':':<{width}} {_estimate(row)}" for row in fit.estimates]
    return [f"[[Variables]] {middle} [95 % interval]", *lines]


def _estimate(row: Estimate) -> str:
    """The estimate to the digits that its error leaves, with its interval, and where the fit was told to start."""
    unit = "" if row.unit == "1" else f" {row.unit}"
    if not row.vary:
        return f"{row.value:.8g}{unit} ({row.status})"
    init = "" if math.isnan(row.start) else f" (init = {row.start:.6g})"
    interval = f" {row.interval_text}" if row.interval_text else ""
    if not 0.0 < row.error < math.inf:
        return f"{row.value:.5g}{unit} ({row.status}, no error bar){interval}{init}"
    relative = f" ({abs(row.error / row.value):.2%})" if row.value else ""
    note = "" if row.status == "determined" else f" ({row.status})"
    return f"{significant(row.value, row.error)}{relative}{unit}{interval}{note}{init}"


def _derived(fit: Fit) -> list[str]:
    if not fit.derived:
        return []
    return [f"[[Derived]] {ABOUT}", *(f"    {line}" for line in derived_table(fit.derived).splitlines())]


def _identifiability(fit: Fit) -> list[str]:
    """Rank, and what the data leave open in words; nothing where the optimizer does not tell."""
    known = fit.identifiability
    words = [finding.words for finding in known.findings or ()]
    words += [known.held.words or ""] if known.held else []
    if (alone := known.prior_only) is not None:
        count = f"{len(alone) or 'no'} direction{'' if len(alone) == 1 else 's'}"
        lines = [line for text in (*alone, *words) for line in _wrapped(text)]
        return [f"[[Identifiability]] {count} that only the prior determines", *lines]
    if known.rank is None or known.names is None:
        return []
    known_errors = sum(row.vary and row.error > 0.0 for row in fit.estimates)
    head = (
        f"[[Identifiability]] {known.rank} of {len(known.names)} directions are determined by the curvature of the "
        f"cost; {known_errors} parameter{'' if known_errors == 1 else 's'} with an error bar"
    )
    return [head, *(line for text in words for line in _wrapped(text))]


def _diagnostics(fit: Fit) -> list[str]:
    """What samplers say of every parameter's chains, the worst of all shards; nothing for other optimizers."""
    shards, learnt = fit.statistics.diagnostics, fit.identifiability.learnt or {}
    if not shards:
        return []
    rows = [
        (
            name,
            f"{max(shard.rhat[name] for shard in shards):.4f}",
            f"{min(shard.ess_bulk[name] for shard in shards):.0f}",
            f"{min(shard.ess_tail[name] for shard in shards):.0f}",
            f"{learnt[name]:.1%}" if name in learnt else "-",
        )
        for name in shards[0].rhat
    ]
    header = ("parameter", "R-hat", "bulk ESS", "tail ESS", "learnt")
    about = "learnt is the part of the prior variance that the data have taken away"
    lines = table(header, rows).splitlines()
    return [f"[[Diagnostics]] {about}", *(f"    {line}" for line in lines)]


def _wrapped(text: str) -> list[str]:
    return wrap(text, 110, initial_indent="    ", subsequent_indent="        ", break_long_words=False)


def _profiles(fit: Fit) -> list[str]:
    lines = ["[[Profiles]]"] if fit.profiles else []
    for name, profile in fit.profiles.items():
        lines += [f"    {name}: {line}" for line in profile.lines()]
    return lines


def _scaling(fit: Fit) -> list[str]:
    designs = ", ".join(f"{which} {name}" for which, name in (fit.provenance.scaling or {}).items())
    return [
        f"[[Scaling]] {designs}".rstrip(),
        *(
            f"    q={row.q:<9.4g} {_azimuth(row):<12} contrast = {_solved(row.contrast, row.contrast_error)}, "
            f"offset = {_solved(row.offset, row.offset_error)}, noise = {row.noise:.3g}"
            for row in fit.scaling
        ),
    ]


def _solved(value: float, error: float) -> str:
    return significant(value, error) if 0.0 < error < math.inf else f"{value:.7g} (no error bar)"


def _azimuth(row: BinScaling) -> str:
    return "ring" if np.isnan(row.phi) else f"phi={row.phi:.4g}"


def _correlations(fit: Fit) -> list[str]:
    pairs = strong_correlations(fit.covariance, fit.covariance_names)
    lines = [f"[[Correlations]] (unreported correlations are < {STRONG})"] if pairs else []
    return [*lines, *(f"    C({one}, {two}) = {value:+.4f}" for one, two, value in pairs)]


STRONG = 0.95
"""Correlations above this are reported."""


def strong_correlations(covariance: np.ndarray, names: tuple[str, ...]) -> list[tuple[str, str, float]]:
    """Pairs of ``names`` whose correlation exceeds 0.95 in size, with it, the strongest first."""
    sd = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(sd, sd)
    first, second = np.nonzero(np.triu(np.abs(correlation) > STRONG, 1))
    pairs = [(names[i], names[j], float(correlation[i, j])) for i, j in zip(first, second, strict=True)]
    return sorted(pairs, key=lambda pair: -abs(pair[2]))
