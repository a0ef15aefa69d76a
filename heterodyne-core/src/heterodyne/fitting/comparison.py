"""Several models fitted to the same data, which of them the data rule out, and which they show.

A fit weights every bin by the variance that its own residual has, so costs of different models are not
comparable as they are. Models are judged by one χ² for all, in units in which a parameter that is not in the data
lowers it by 1 (`heterodyne.fitting.alike`); where the fits do not allow for that, by their deviance, -2 log L of
Gaussian elements with one σ per bin, each at its best value,

    cost = ½ Σ_b n_b [ 1 + ln(2π ssr_b / n_b) ],      χ² = 2 cost / λ,      λ = tr(H⁻¹ M) / fitted numbers,

λ being the factor by which shared frames stretch all differences. Criteria:

    CLIC = χ² + 2 tr(H⁻¹ M) / λ,      AIC = 2 cost + 2 k,      BIC = 2 cost + k ln n.

M is the covariance of the scores over parameters, contrasts and offsets (Varin & Vidoni, Biometrika 92 (2005) 519).
AIC and BIC take all n elements for independent; k counts parameters, contrasts, offsets and one σ per bin.

A model is ruled out by another whose χ² is lower by more than noise explains: the quantile of χ² for the parameters
that only the other has. A component that is not in the data has no parameters to be
known by, and a search takes of all its curves the one that fits noise best; so the level is far out in
the tail (docs/benchmarks.md). What is not ruled out is left. A model is shown where something simpler was compared and
nothing else is left: one that a richer form of it describes as well may be that form with little of what it adds.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Unpack

from heterodyne.atomic import as_path, file_name, replacing
from heterodyne.catalogue import create_model
from heterodyne.errors import ConfigError, PluginError
from heterodyne.fitting.alike import Judged, judged_alike
from heterodyne.fitting.fit import create_choices, fit_chosen, labelled
from heterodyne.model import Model
from heterodyne.plugins.outputs import OUTPUTS, Output, name_of_run, outputs_of, save_outputs
from heterodyne.problem.choices import ChoiceKeywords, Choices, spells_choices
from heterodyne.problem.kinds import AUTO
from heterodyne.problem.one_time import Data
from heterodyne.result.document import plain
from heterodyne.result.fit import Fit
from heterodyne.solution.claims import rise_needed
from heterodyne.words import table
from heterodyne.writing.csv import write_csv

SCHEMA = "heterodyne/comparison/1"

CRITERIA = ("clic", "aic", "bic")

_NEEDED = ("deviance", "n_variables", "n_pairs", "ssr")


@dataclass(frozen=True)
class Score:
    """One model: verdict, cost, Σ residual², how many parameters were fitted, tr(H⁻¹ M), χ², and the criteria.

    ``parameters`` counts those of the model alone, ``fitted`` contrasts and offsets too, less what lies on a
    bound. ``effective`` and ``chi2`` are in the unit that all models share; they and ``clic`` are NaN where the
    optimizer gives no robust errors.
    """

    model: str
    verdict: str
    cost: float
    ssr: float
    parameters: int
    fitted: int
    effective: float
    clic: float
    aic: float
    bic: float
    chi2: float


class Ruling(NamedTuple):
    """A model that rules another out: its name, by how much its χ² is lower, and how much noise explains."""

    by: str
    difference: float
    margin: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """The fits by model, in the order asked for, and their scores.

    ``alike`` says whether all were judged on the same weights, or each by its deviance.
    """

    fits: Mapping[str, Fit]
    scores: tuple[Score, ...]
    alike: bool = False

    @property
    def success(self) -> bool:
        """Whether every fit converged."""
        return all(fit.success for fit in self.fits.values())

    @property
    def least(self) -> Score | None:
        """The score with the least CLIC among fits that converged; None where there is no CLIC."""
        return min(self._known, key=lambda score: score.clic, default=None)

    @property
    def rulings(self) -> dict[str, Ruling]:
        """The models that are ruled out, each by the one that says most against it."""
        found = {score.model: self._against(score) for score in self._known}
        return {
            name: ruling for name, ruling in found.items() if ruling and ruling.difference > ruling.margin
        }

    @property
    def left(self) -> tuple[str, ...]:
        """The models that are not ruled out, among fits that converged, the simplest first."""
        known = sorted(self._known, key=lambda score: (score.parameters, score.chi2))
        return tuple(score.model for score in known if score.model not in self.rulings)

    @property
    def sufficient(self) -> str | None:
        """The simplest model that is not ruled out; None without χ²."""
        return next(iter(self.left), None)

    @property
    def preferred(self) -> str | None:
        """The model that the data show; None where they do not tell.

        Something simpler was compared, and nothing else is left.
        """
        return None if self.sufficient is None or self._open else self.sufficient

    @property
    def margin(self) -> float:
        """By how much χ² would have to be lower to rule out the sufficient model; NaN without another."""
        found = self._against(self._score(self.sufficient)) if self.sufficient else None
        return found.margin if found else math.nan

    @property
    def _known(self) -> list[Score]:
        return [
            score for score in self.scores if self.fits[score.model].success and math.isfinite(score.chi2)
        ]

    def _score(self, name: str) -> Score:
        return next(score for score in self.scores if score.model == name)

    def _against(self, score: Score) -> Ruling | None:
        """What says most against a model; None where there is no other."""
        rulings = [self._ruling(score, other) for other in self._known if other is not score]
        return max(rulings, key=lambda ruling: ruling.difference - ruling.margin, default=None)

    def _ruling(self, score: Score, other: Score) -> Ruling:
        more = more_parameters(self.fits[other.model], self.fits[score.model])
        return Ruling(other.model, score.chi2 - other.chi2, rise_needed(more))

    @property
    def _open(self) -> str:
        """Why the sufficient model is not shown, in words; nothing where it is."""
        name = self.sufficient
        assert name is not None
        own = self._score(name)
        lost = [score.model for score in self.scores if not self.fits[score.model].success]
        if lost_simpler := [other for other in lost if self._score(other).parameters <= own.parameters]:
            return f"{', '.join(lost_simpler)} did not converge, so that nobody knows how well it can describe the data"
        others = [other for other in self.left if not is_richer(self.fits[other], self.fits[name])]
        if others := [other for other in others if other != name]:
            return f"{' and '.join((name, *others))} describe the data alike"
        if len(self.left) > 1:
            ruled = ", ".join(self.rulings)
            beyond = f", and {ruled} {'are' if len(self.rulings) > 1 else 'is'} ruled out" if ruled else ""
            return f"{name} describes the data as well as richer ones{beyond}"
        if not any(score.parameters < own.parameters for score in self._known):
            return f"{name} describes the data best, and nothing simpler was compared"
        return ""

    def difference(self, score: Score, criterion: str) -> float:
        """By how much a criterion exceeds the least of it over fits that converged; NaN if there is none."""
        known = [getattr(other, criterion) for other in self.scores if self.fits[other.model].success]
        return getattr(score, criterion) - min(filter(math.isfinite, known), default=math.nan)

    def report(self) -> str:
        """The scores as a table, and what they show, as text."""
        header = ("model", "verdict", "cost", "ssr", "parameters", "effective", *map(str.upper, CRITERIA))
        header += (*(f"Δ{name.upper()}" for name in CRITERIA), "Δχ²", "ruled out")
        return "\n".join(
            (
                "[[Comparison]]",
                table(header, [self._cells(score) for score in self.scores]),
                f"{self._conclusion()}{self._remarks()}",
                *self._doubts(),
                "cost = -log L with the noise of every bin at its best; AIC and BIC assume independent elements",
                self._about(),
            )
        )

    def text(self) -> str:
        """The comparison as JSON text, the content of `comparison.json`."""
        rows = [{**self._row(score), "folder": score.model} for score in self.scores]
        least = self.least.model if self.least else None
        about = {"schema": SCHEMA, "preferred": self.preferred, "least_clic": least, "margin": self.margin}
        about |= {
            "sufficient": self.sufficient,
            "conclusion": self._conclusion(),
            "common_weights": self.alike,
        }
        document = plain({**about, "models": rows})
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def save(self, folder: str | Path, write: Iterable[str] | None = None) -> list[Path]:
        """Write `comparison.json` and `comparison.csv` into ``folder`` and every fit into a folder in it.

        ``write`` names the outputs of every fit, as in `Fit.save`. Returns the paths written; raises what
        `Fit.save` raises.
        """
        outputs = [
            output for name, fit in self.fits.items() for output in fit.outputs(write, file_name(name))
        ]
        own = outputs_of(self, OUTPUTS if write is None else write, "comparison")
        outputs += [Output("comparison", self._write_tables), *own]
        return save_outputs(outputs, as_path(folder), name_of_run(self.text()))

    def _write_tables(self, folder: Path) -> list[Path]:
        place = folder / "comparison.json"
        with replacing(place) as temporary:
            temporary.write_text(self.text(), encoding="utf-8")
        rows = [self._row(score) for score in self.scores]
        header = list(rows[0])
        return [place, write_csv(place.with_suffix(".csv"), header, [[*row.values()] for row in rows])]

    def _row(self, score: Score) -> dict[str, Any]:
        return {**asdict(score), **self._differences(score), "ruled_out_by": self._ruler(score, "")}

    def _differences(self, score: Score) -> dict[str, float]:
        return {f"delta_{name}": self.difference(score, name) for name in (*CRITERIA, "chi2")}

    def _ruler(self, score: Score, none: str) -> str:
        ruling = self.rulings.get(score.model)
        return ruling.by if ruling else none

    def _cells(self, score: Score) -> list[str]:
        criteria = [getattr(score, name) for name in CRITERIA] + [*self._differences(score).values()]
        fitted = [score.model, score.verdict, f"{score.cost:.2f}", f"{score.ssr:.6g}", str(score.parameters)]
        numbers = (_number(score.effective, 1), *(_number(value, 2) for value in criteria))
        return [*fitted, *numbers, self._ruler(score, "-")]

    def _conclusion(self) -> str:
        """What the data show, in words."""
        if self.sufficient is None:
            return "preferred: none"
        if self._open:
            return f"not shown: {self._open}{self._difference_in_words()}"
        simpler = [
            name for name in self.rulings if not is_richer(self.fits[name], self.fits[self.sufficient])
        ]
        ruled = ", ".join(f"{name} by Δχ² = {self.rulings[name].difference:.3g}" for name in simpler)
        return f"preferred: {self.sufficient} (ruled out: {ruled}){self._difference_in_words()}"

    def _difference_in_words(self) -> str:
        """How much speaks against the sufficient model."""
        against = self._against(self._score(self.sufficient)) if self.sufficient else None
        if against is None or against.difference <= 0.0:
            return ""
        lower = f"; χ² of {against.by} is lower by {against.difference:.3g}"
        return f"{lower}, where {against.margin:.3g} would rule {self.sufficient} out"

    def _remarks(self) -> str:
        lost = [name for name, fit in self.fits.items() if not fit.success]
        left_out = f"; left out, as not converged: {', '.join(lost)}" if lost else ""
        without = (
            "" if self.sufficient or lost else "; the fits have no robust errors, which the comparison needs"
        )
        return left_out + without

    def _doubts(self) -> list[str]:
        """What the best model leaves over, in words."""
        if self.sufficient is None:
            return []
        structure = self.fits[self.sufficient].statistics.structure or ""
        found = structure.startswith("structure")
        return [f"{self.sufficient} leaves {structure}: no model may be the right one"] if found else []

    def _about(self) -> str:
        if self.alike:
            return "χ² is of one weighted residual for all models; a parameter that is not in the data lowers it by 1"
        return "χ² is the deviance over tr(H⁻¹ M) per fitted number: weights that all models share are not to be had"


@spells_choices
def compare(
    data: Data | Sequence[Data],
    models: Sequence[str | Model] = ("static", "no-flow", "static-reference", "two-component"),
    optimizer: str = "nlsq",
    *,
    options: Mapping[str, Any] | None = None,
    progress: Callable[[str], None] | None = None,
    **choices: Unpack[ChoiceKeywords],
) -> Comparison:
    """The fits of several models to the same data, with criteria of which to prefer.

    What is chosen about a parameter holds where a model has it, as does a warm start. Where ``auto`` shares the
    contrast for one model, it is shared for all. Raises `ConfigError` for fewer than two models or one named
    twice, `ParameterError` for a name that no model has, `PluginError` for an optimizer without a likelihood,
    and what `heterodyne.fit` raises.
    """
    compared = _models(models)
    chosen = create_choices(choices)
    chosen.check_names(name for model in compared.values() for name in model.parameters)
    own = {name: chosen.for_model(model.parameters) for name, model in compared.items()}

    def fitted(name: str, choices: Choices) -> Fit:
        return fit_chosen(data, compared[name], optimizer, choices, options, labelled(progress, name))

    fits = {name: fitted(name, own[name]) for name in compared}
    for name in _to_share(fits, chosen):
        fits[name] = fitted(name, replace(own[name], contrast="shared", warm_start=fits[name]))
    return compared_fits(fits)


def compared_fits(fits: Mapping[str, Fit]) -> Comparison:
    """The comparison of fits of the same data by model.

    Raises `PluginError` where an optimizer gives no likelihood.
    """
    for fit in fits.values():
        _check_stated(fit)
    alike = judged_alike(fits)
    judged = alike or judged_apart(fits)
    return Comparison(
        fits, tuple(score_of(name, fit, judged[name]) for name, fit in fits.items()), bool(alike)
    )


def judged_apart(fits: Mapping[str, Fit]) -> dict[str, Judged]:
    """χ² and tr(H⁻¹ M) of every model from its own deviance, in the unit of the best of them."""
    best = min(fits.values(), key=lambda fit: (not fit.success, fit.statistics["deviance"]))
    unit = best.statistics.get("effective_parameters", math.nan) / best.statistics["n_variables"]
    return {
        name: Judged(
            fit.statistics["deviance"] / unit, fit.statistics.get("effective_parameters", math.nan) / unit
        )
        for name, fit in fits.items()
    }


def more_parameters(other: Fit, fit: Fit) -> int:
    """How many parameters another model has that this one has not: by number if it is a richer form, else by name."""
    varied, own = ({row.name for row in of.estimates if row.vary} for of in (other, fit))
    return len(varied) - len(own) if is_richer(other, fit) else len(varied - own)


def is_richer(other: Fit, fit: Fit) -> bool:
    """Whether another model has all that this one has, and more.

    Judged by the kinds of the curves that models state, and where one states none by the names of parameters.
    """
    curves = [_curves(of) for of in (other, fit)]
    names = [{row.name for row in of.estimates} for of in (other, fit)]
    has_all = curves[0] >= curves[1] if all(curves) else names[0] >= names[1]
    return has_all and sum(row.vary for row in other.estimates) > sum(row.vary for row in fit.estimates)


def _curves(fit: Fit) -> Counter[tuple[type, str]]:
    """How many curves of every kind and unit a model has; none where that is not known."""
    curves = () if fit.problem is None else fit.problem.model.curves
    return Counter((type(curve), curve.unit) for curve in curves)


def _check_stated(result: Fit) -> None:
    """Raise `PluginError` where the optimizer of a fit gives no likelihood."""
    if missing := [figure for figure in _NEEDED if figure not in result.statistics]:
        reason = f"its statistics have no {', '.join(missing)}"
        raise PluginError(
            f"optimizer {result.optimizer!r} gives no likelihood to compare models by ({reason}); use nlsq"
        )


def score_of(name: str, result: Fit, judged: Judged) -> Score:
    """The score of a fit that was so judged."""
    deviance, variables, pairs, ssr = (result.statistics[figure] for figure in _NEEDED)
    varied = [row for row in result.estimates if row.vary]
    at_bounds = sum(row.status in ("at low", "at high") for row in varied)
    k = variables + at_bounds + len(result.scaling)
    return Score(
        model=name,
        verdict=result.verdict,
        cost=0.5 * deviance,
        ssr=ssr,
        parameters=len(varied),
        fitted=variables,
        effective=judged.effective,
        clic=judged.chi2 + 2.0 * judged.effective,
        aic=deviance + 2.0 * k,
        bic=deviance + k * math.log(pairs),
        chi2=judged.chi2,
    )


def _number(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}" if math.isfinite(value) else "-"


def _models(models: Sequence[str | Model]) -> dict[str, Model]:
    if isinstance(models, str) or not isinstance(models, Sequence):
        raise ConfigError(f"models to compare are given as a list of names, not as {models!r}")
    compared = [model if isinstance(model, Model) else create_model(model) for model in models]
    names = [model.name for model in compared]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"model {name!r} is to be compared with itself: name it once")
    if len(names) < 2:
        raise ConfigError(f"a comparison needs two models or more, not {', '.join(names) or 'none'}")
    return dict(zip(names, compared, strict=True))


def _to_share(fits: Mapping[str, Fit], choices: Choices) -> list[str]:
    """The models whose contrast ``auto`` left to the bins though it shared that of another model."""
    if choices.contrast != AUTO:
        return []
    shared = {name for name, fit in fits.items() if "shared" in str(fit.provenance["scaling"]["contrast"])}
    return [name for name in fits if name not in shared] if shared else []
