"""Several models fitted to the same data, and which of them the data prefer.

A fit weights every bin by the variance that its own residual has, so costs of different models are not
comparable as they are. Here the cost of every model is -log L of Gaussian elements with one σ per bin, each σ
at its best value,

    cost = ½ Σ_b n_b [ 1 + ln(2π ssr_b / n_b) ],

which depends on the data and the residual alone. Criteria:

    CLIC = 2 cost + 2 tr(H⁻¹ M),      AIC = 2 cost + 2 k,      BIC = 2 cost + k ln n.

M is the robust meat, over parameters, contrasts and offsets: CLIC (Varin & Vidoni, Biometrika 92 (2005) 519)
allows for elements that share frames. AIC and BIC take all n elements for independent; k counts parameters,
contrasts, offsets and one σ per bin. A criterion of this kind takes a model that is too rich now and then, the
more so as parameters of a component that is not there fit noise in many ways. So a richer model must win by
10, the difference that leaves a model without support (Burnham & Anderson, Model Selection and Multimodel Inference,
2002, section 2.6), times tr(H⁻¹ M) per parameter, the factor by which shared frames stretch all differences.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Unpack

from heterodyne.atomic import as_path, file_name, replacing
from heterodyne.catalogue import create_model
from heterodyne.errors import ConfigError, PluginError
from heterodyne.fitting.fit import create_choices, fit_chosen, labelled
from heterodyne.model import Model
from heterodyne.plugins.outputs import OUTPUTS, Output, name_of_run, outputs_of, save_outputs
from heterodyne.problem.choices import ChoiceKeywords, Choices, spells_choices
from heterodyne.problem.kinds import AUTO
from heterodyne.problem.one_time import Data
from heterodyne.result.document import plain
from heterodyne.result.fit import Fit
from heterodyne.words import table
from heterodyne.writing.csv import write_csv

SCHEMA = "heterodyne/comparison/1"

CRITERIA = ("clic", "aic", "bic")

_NEEDED = ("deviance", "n_variables", "n_pairs", "ssr")

_SUPPORT = 10.0  # up to this difference, for independent elements, the simpler model is not ruled out


@dataclass(frozen=True)
class Score:
    """One model: verdict, cost, Σ residual², how many parameters were fitted, tr(H⁻¹ M), and the criteria.

    ``parameters`` counts those of the model alone, ``fitted`` contrasts and offsets too, less what lies on a
    bound. ``effective`` and ``clic`` are NaN where the optimizer gives no robust errors.
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


@dataclass(frozen=True, eq=False)
class Comparison:
    """The fits by model, in the order asked for, and their scores."""

    fits: Mapping[str, Fit]
    scores: tuple[Score, ...]

    @property
    def success(self) -> bool:
        """Whether every fit converged."""
        return all(fit.success for fit in self.fits.values())

    @property
    def least(self) -> Score | None:
        """The score with the least CLIC among fits that converged; None where there is no CLIC."""
        known = [
            score for score in self.scores if self.fits[score.model].success and math.isfinite(score.clic)
        ]
        return min(known, key=lambda score: score.clic, default=None)

    @property
    def margin(self) -> float:
        """The difference of CLIC up to which a simpler model is not ruled out; NaN where there is no CLIC."""
        return _SUPPORT * self.least.effective / self.least.fitted if self.least else math.nan

    @property
    def preferred(self) -> str | None:
        """The simplest model that CLIC does not rule out, among fits that converged; None without a CLIC."""
        if self.least is None:
            return None
        top = self.least.clic + self.margin
        close = [score for score in self.scores if self.fits[score.model].success and score.clic <= top]
        return min(close, key=lambda score: (score.parameters, score.clic)).model

    def difference(self, score: Score, criterion: str) -> float:
        """By how much a criterion exceeds the least of it over fits that converged; NaN if there is none."""
        known = [getattr(other, criterion) for other in self.scores if self.fits[other.model].success]
        return getattr(score, criterion) - min(filter(math.isfinite, known), default=math.nan)

    def report(self) -> str:
        """The scores as a table, and which model is preferred, as text."""
        header = ("model", "verdict", "cost", "ssr", "parameters", "effective", *map(str.upper, CRITERIA))
        header += tuple(f"Δ{name.upper()}" for name in CRITERIA)
        return "\n".join(
            (
                "[[Comparison]]",
                table(header, [self._cells(score) for score in self.scores]),
                f"preferred by CLIC: {self._preference()}{self._remarks()}",
                "cost = -log L with the noise of every bin at its best; AIC and BIC assume independent elements",
            )
        )

    def text(self) -> str:
        """The comparison as JSON text, the content of `comparison.json`."""
        rows = [{**asdict(score), **self._differences(score), "folder": score.model} for score in self.scores]
        least = self.least.model if self.least else None
        about = {"schema": SCHEMA, "preferred": self.preferred, "least_clic": least, "margin": self.margin}
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
        rows = [{**asdict(score), **self._differences(score)} for score in self.scores]
        header = list(rows[0])
        return [place, write_csv(place.with_suffix(".csv"), header, [[*row.values()] for row in rows])]

    def _differences(self, score: Score) -> dict[str, float]:
        return {f"delta_{name}": self.difference(score, name) for name in CRITERIA}

    def _cells(self, score: Score) -> list[str]:
        criteria = [getattr(score, name) for name in CRITERIA] + [*self._differences(score).values()]
        fitted = [score.model, score.verdict, f"{score.cost:.2f}", f"{score.ssr:.6g}", str(score.parameters)]
        return [*fitted, _number(score.effective, 1), *(_number(value, 2) for value in criteria)]

    def _preference(self) -> str:
        if self.least is None:
            return "none"
        margin = f"differences up to {self.margin:.3g} do not rule out the simpler model"
        return f"{self.preferred} (the least is that of {self.least.model}; {margin})"

    def _remarks(self) -> str:
        lost = [name for name, fit in self.fits.items() if not fit.success]
        left_out = f"; left out, as not converged: {', '.join(lost)}" if lost else ""
        without = "" if self.preferred or lost else "; the fits have no robust errors, which CLIC needs"
        return left_out + without


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
    return Comparison(fits, tuple(score_of(name, fit) for name, fit in fits.items()))


def score_of(name: str, result: Fit) -> Score:
    """The score of a fit; raises `PluginError` where its optimizer gives no likelihood."""
    if missing := [figure for figure in _NEEDED if figure not in result.statistics]:
        reason = f"its statistics have no {', '.join(missing)}"
        raise PluginError(
            f"optimizer {result.optimizer!r} gives no likelihood to compare models by ({reason}); use nlsq"
        )
    deviance, variables, pairs, ssr = (result.statistics[figure] for figure in _NEEDED)
    effective = result.statistics.get("effective_parameters", math.nan)
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
        effective=effective,
        clic=deviance + 2.0 * effective,
        aic=deviance + 2.0 * k,
        bic=deviance + k * math.log(pairs),
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
