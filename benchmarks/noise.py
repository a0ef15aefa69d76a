"""What error bars, weights and the test of structure are worth on simulated experiments.

Every experiment of ``EXPERIMENTS`` and ``MISFITS`` (`benchmarks/experiments.py`) is fitted from the truth, with bins
weighted by their noise (ordinary least squares) and with pairs weighted by the covariance of speckle. Both fits of a
repeat go to ``--out``, one JSON line each; what is there already is not done again, so that a run can be continued,
and runs side by side have a file each. ``--table`` prints the table of such files:

coverage: the share in % of nominal 95 % intervals that hold the truth; of all repeats with an interval, that of the
profile where there is one.
rms z: root mean square of (fit - truth)/error; error/scatter: median error over the standard deviation of the fits.
Both are of parameters that are determined, of those on a log scale in the logarithm; contrasts and offsets are pooled
over bins.
gain: scatter of ordinary over that of weighted fits, of repeats in which both determine the parameter.

A figure beyond its goal is bold where the scatter of so many repeats does not explain that (two standard errors),
else italic.

    python benchmarks/noise.py --out FILE [--rows NAME ...] [--repeats 60] [--first 0] [--weights noise speckle]
    python benchmarks/noise.py --table FILE ...
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import heterodyne as het
from experiments import EXPERIMENTS, MISFITS, Experiment
from heterodyne.device.compilation import keep_compiled_code
from heterodyne.parameters import REGISTRY
from heterodyne.solution.covariance import quantile

WEIGHTS = ("noise", "speckle")
SEEN_BETTER = {"300 frames": {"frames": 300}, "5 counts": {"counts": 5.0}, "4000 pixels": {"pixels": 4000}}
WRONG: Mapping[str, Experiment] = MISFITS | {
    f"{name}, {words}": replace(wrong, settings={**wrong.settings, **more})
    for words, more in SEEN_BETTER.items()
    for name, wrong in MISFITS.items()
}
_APART = 1000
"""Seeds from those of one experiment to those of the next, so that no two share their speckle."""


NOT_LIKE_THE_REST = ("decay over 300 % of the run", "excess noise")
"""Not taken together with the others: nonlinear, or with noise that is not that of speckle."""

COVERAGE, RMS_Z, ERROR = (92.0, 98.0), (0.85, 1.15), (0.9, 1.15)
LEAST_GAIN = (0.95, np.inf)
BEFORE = {
    "0.05 counts, 10 modes": "64-98 at 0.1 counts",
    "one azimuth": "82 78 84 84 90",
    "600 frames": "36-100 where decay ≥ 10 runs",
    "static, one bin, decay over 5 of 192 frames, D0": "90",
    "static, one bin, decay over 20 of 192 frames, D0": "78",
    "static, one bin, decay over 60 of 192 frames, D0": "40",
    "static, one bin, decay over 125 of 192 frames, D0": "30",
    "static, one bin, decay over 5 of 192 frames, D0 and alpha": "92",
    "static, one bin, decay over 20 of 192 frames, D0 and alpha": "75",
    "static, one bin, decay over 60 of 192 frames, D0 and alpha": "72",
    "static, one bin, decay over 125 of 192 frames, D0 and alpha": "68",
}
"""Coverage of parameters by errors whose variance is summed from the scores of the residual alone."""


def fitted(experiment: Experiment, data: het.TwoTime, weights: str) -> dict[str, Any]:
    """What the table needs of one fit."""
    began = time.process_time()
    fit = het.fit(data, model=experiment.model, options={"weights": weights}, **experiment.choices())
    figures = ("structure", "lag_probability", "age_probability", "reduced_chi2", "noise_ratio", "dof")
    return {
        "weights": weights,
        "verdict": fit.verdict,
        "message": fit.message,
        "seconds": time.process_time() - began,
        **{name: fit.statistics[name] for name in figures},
        "estimates": {
            row.name: (row.value, row.error, *row.interval, row.status) for row in fit.estimates if row.vary
        },
        "contrast": [(row.contrast, row.contrast_error) for row in fit.scaling],
        "offset": [(row.offset, row.offset_error) for row in fit.scaling],
    }


def run(rows: Iterable[str], numbers: Iterable[int], kinds: Iterable[str], out: Path) -> None:
    """Append the fits of these repeats that are not yet there."""
    done = {(of["row"], of["seed"], of["weights"]) for of in read(out)}
    every = list(EXPERIMENTS | WRONG)
    for number, row in product(numbers, rows):
        seed = _APART * every.index(row) + number
        due = [weights for weights in kinds if (row, seed, weights) not in done]
        if not due:
            continue
        experiment = (EXPERIMENTS | WRONG)[row]
        data = experiment.data(seed)
        with out.open("a") as file:
            for weights in due:
                found = fitted(experiment, data, weights)
                file.write(json.dumps({"row": row, "seed": seed, **found}) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """The fits in a file, none where there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class Column(NamedTuple):
    """One parameter over repeats, (n,) each: deviation from the truth and error, NaN where there is none; whether the
    interval holds the truth, NaN where there is no interval; and whether the parameter is determined."""

    off: np.ndarray
    error: np.ndarray
    inside: np.ndarray
    determined: np.ndarray

    @property
    def z(self) -> np.ndarray:
        """(fit - truth)/error of the repeats that determine it."""
        return (self.off / self.error)[self.determined]

    @property
    def repeats(self) -> int:
        """How many determine it."""
        return int(self.determined.sum())


def columns(experiment: Experiment, fits: list[dict[str, Any]]) -> dict[str, Column]:
    """Every free parameter, the contrast and the offset over these fits."""
    found = {
        name: Column(*zip(*(of_parameter(experiment, fit, name) for fit in fits), strict=True))
        for name in experiment.free
    }
    for name in ("contrast", "offset"):
        truth = getattr(experiment, name)
        value, error = np.moveaxis(np.array([fit[name] for fit in fits]), -1, 0)
        limit = np.array([quantile(fit["dof"]) for fit in fits])[:, None]
        off = value - truth
        inside = np.where(np.isfinite(error), np.abs(off) <= limit * error, np.nan)
        found[name] = Column(*map(np.ravel, (off, error, inside, np.isfinite(error))))
    return {name: Column(*map(np.asarray, column)) for name, column in found.items()}


def of_parameter(
    experiment: Experiment, fit: Mapping[str, Any], name: str
) -> tuple[float, float, float, bool]:
    """The entries of a `Column` of one fit."""
    value, error, low, high, status = fit["estimates"][name]
    truth = experiment.truth[name]
    determined = status == "determined" and fit["verdict"] == "converged"
    inside = np.nan if np.isnan(low) else float(low <= truth <= high)
    if REGISTRY[name].scale == "log":
        return float(np.log(value / truth)), error / value, inside, determined
    return value - truth, error, inside, determined


def marked(value: float, goal: tuple[float, float], margin: float, digits: int = 2) -> str:
    """The figure, bold where beyond the goal by more than this ``margin`` (two standard errors)."""
    if not np.isfinite(value):
        return "-"
    shown = f"{value:.0f}" if digits == 0 else f"{value:.{digits}f}"
    beyond = max(goal[0] - value, value - goal[1], 0.0)
    mark = "**" if beyond > margin else ""
    return f"{mark}{shown}{mark}"


def coverage(column: Column) -> str:
    """The share of intervals that hold the truth."""
    known = column.inside[~np.isnan(column.inside)]
    if not len(known):
        return "-"
    return marked(100.0 * known.mean(), COVERAGE, 200.0 * np.sqrt(0.95 * 0.05 / len(known)), 0)


def rms_z(column: Column) -> str:
    """The root mean square of (fit - truth)/error."""
    if column.repeats < 3:
        return "-"
    value = float(np.sqrt(np.mean(column.z**2)))
    return marked(value, RMS_Z, value * np.sqrt(2.0 / column.repeats))


def relative_error(column: Column) -> str:
    """The median error over the standard deviation."""
    if column.repeats < 3:
        return "-"
    scatter = np.std(column.off[column.determined], ddof=1)
    value = float(np.median(column.error[column.determined]) / scatter) if scatter > 0.0 else np.nan
    return marked(value, ERROR, value * np.sqrt(2.0 / column.repeats))


def share(of: Iterable[bool]) -> str:
    """How many are true, of all."""
    them = list(of)
    return f"{sum(them)}/{len(them)}"


def flagged(fit: Mapping[str, Any]) -> bool:
    """Whether structure is reported."""
    return fit["structure"].startswith("structure")


def open_statuses(fits: list[dict[str, Any]]) -> str:
    """How many statuses of parameters are not `determined`, of all."""
    return share(row[-1] != "determined" for fit in fits for row in fit["estimates"].values())


def by_row(fits: Iterable[dict[str, Any]], weights: str) -> dict[str, list[dict[str, Any]]]:
    """The fits of these weights by row, in the order of their seeds."""
    found: dict[str, list[dict[str, Any]]] = {}
    for fit in sorted(fits, key=lambda fit: fit["seed"]):
        if fit["weights"] == weights:
            found.setdefault(fit["row"], []).append(fit)
    return found


def lines(fits: list[dict[str, Any]], weights: str) -> Iterator[str]:
    """The table of the experiments of which there are fits with these weights."""
    yield "| experiment | repeats | coverage | before | rms z | error/scatter | gain | structure | open | failed |"
    yield "|" + "---|" * 10
    ordinary, here = by_row(fits, "noise"), by_row(fits, weights)
    together: dict[tuple[str, ...], list[dict[str, Column]]] = {}
    for name in filter(here.__contains__, EXPERIMENTS):
        experiment, own = EXPERIMENTS[name], here[name]
        of = columns(experiment, own)
        if name not in NOT_LIKE_THE_REST:
            together.setdefault(experiment.free, []).append(of)
        texts = [" ".join(map(figure, of.values())) for figure in (coverage, rms_z, relative_error)]
        gains = "" if weights == "noise" else gains_of(experiment, ordinary.get(name, []), own)
        counts = (share(map(flagged, own)), open_statuses(own), failed(own))
        yield row_of(name, len(own), texts[0], BEFORE.get(name, ""), *texts[1:], gains, *counts)
    for free, rows in together.items():
        all_of = {name: joined([of[name] for of in rows]) for name in rows[0]}
        texts = [" ".join(map(figure, all_of.values())) for figure in (coverage, rms_z)]
        repeats = len(next(iter(all_of.values())).off)
        yield row_of(f"all {len(rows)} with {', '.join(free)}", repeats, texts[0], "", texts[1], *[""] * 5)


def joined(parts: list[Column]) -> Column:
    """One parameter over several experiments, in errors."""
    off, inside, determined = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("off", "inside", "determined")
    )
    error = np.concatenate([part.error for part in parts])
    return Column(off / error, np.ones_like(off), inside, determined)


def row_of(*cells: object) -> str:
    """A line of a markdown table."""
    return "| " + " | ".join(map(str, cells)) + " |"


def failed(fits: list[dict[str, Any]]) -> str:
    """How many did not converge, of all."""
    return share(fit["verdict"] != "converged" for fit in fits)


def gain_figures(
    experiment: Experiment, ordinary: list[dict[str, Any]], weighted: list[dict[str, Any]]
) -> dict[str, tuple[float, int]]:
    """By parameter, contrast and offset, the scatter of ordinary over that of weighted fits, NaN where fewer than 3
    repeats determine it in both, and the number of these repeats."""
    seeds = {fit["seed"] for fit in ordinary} & {fit["seed"] for fit in weighted}
    if not seeds:
        return {}
    of, by = (
        columns(experiment, [fit for fit in fits if fit["seed"] in seeds]) for fits in (ordinary, weighted)
    )
    found = {}
    for name in of:
        both = of[name].determined & by[name].determined
        few = both.sum() < 3
        value = np.nan if few else float(np.std(of[name].off[both]) / np.std(by[name].off[both]))
        found[name] = value, int(both.sum())
    return found


def gains_of(experiment: Experiment, ordinary: list[dict[str, Any]], weighted: list[dict[str, Any]]) -> str:
    """The gain of every parameter, contrast and offset, over the seeds that both have."""
    return " ".join(
        marked(value, LEAST_GAIN, value * np.sqrt(2.0 / max(count, 1)))
        for value, count in gain_figures(experiment, ordinary, weighted).values()
    )


def misfits(fits: list[dict[str, Any]]) -> Iterator[str]:
    """How often wrong models are seen, over lag and over age, and the median reduced χ²."""
    yield "| data and model | weights | flagged | lag | age | reduced χ² | not converged |"
    yield "|" + "---|" * 7
    for name in WRONG:
        for weights in WEIGHTS:
            own = by_row(fits, weights).get(name, [])
            if own:
                over = [share(word in fit["structure"] for fit in own) for word in ("lag", "age")]
                chi2 = f"{np.median([fit['reduced_chi2'] for fit in own]):.3g}"
                yield row_of(name, weights, share(map(flagged, own)), *over, chi2, failed(own))


def summary(fits: list[dict[str, Any]]) -> Iterator[str]:
    """Gains over the experiments with at least 1 photon per pixel and frame, and structure of right fits."""
    ordinary, weighted = (by_row(fits, weights) for weights in WEIGHTS)
    gains = []
    for name in filter(weighted.__contains__, EXPERIMENTS):
        counts = EXPERIMENTS[name].settings.get("counts")
        figures = gain_figures(EXPERIMENTS[name], ordinary.get(name, []), weighted[name])
        if (counts is None or counts >= 1.0) and figures:
            gains += [value for value, _ in figures.values() if np.isfinite(value)]
    if gains:
        yield f"gain, geometric mean over {len(gains)} figures: {np.exp(np.mean(np.log(gains))):.2f}"
    for weights, rows in zip(WEIGHTS, (ordinary, weighted), strict=True):
        right = [fit for name in EXPERIMENTS if name != "excess noise" for fit in rows.get(name, [])]
        yield f"structure in right fits, weights {weights}, excess noise apart: {share(map(flagged, right))}"


def main() -> None:
    """Run fits, or print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="*", default=list(EXPERIMENTS), choices=[*EXPERIMENTS, *WRONG])
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--first", type=int, default=0, help="first repeat")
    parser.add_argument("--weights", nargs="*", default=list(WEIGHTS), choices=WEIGHTS)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", type=Path, nargs="+")
    wanted = parser.parse_args()
    warnings.simplefilter("ignore")
    keep_compiled_code()
    if wanted.out:
        run(wanted.rows, range(wanted.first, wanted.first + wanted.repeats), wanted.weights, wanted.out)
    if wanted.table:
        fits = [fit for path in wanted.table for fit in read(path)]
        for weights in reversed(WEIGHTS):
            print(f"weights: {weights}\n", *lines(fits, weights), "", sep="\n")
        print(*misfits(fits), "", *summary(fits), sep="\n")


if __name__ == "__main__":
    main()
