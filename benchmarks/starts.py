"""Fits that start from nothing against fits started at the truth, over random truths.

A fit counts as found if its sum of squares is no more than that of the fit started at the truth (1e-6
relative). Offsets and f2, f3 are held at 0; q 0.008, φ 0, 40, 80, 200 frames, dt 0.1, contrast 0.2, noise 0.02.
With ``--regions`` the truths are those of wider regions, each of which differs in what `REGIONS` says.

    python benchmarks/starts.py [--truths 100] [--models two-component no-flow static-reference]
    python benchmarks/starts.py --regions all [--truths 20]
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import heterodyne as het
from heterodyne.result.statistics import Statistics

OFFSETS = ("D_offset_ref", "D_offset_sample")
HELD = {"D_offset_ref": 0.0, "D_offset_sample": 0.0, "v_offset": 0.0, "f2": 0.0, "f3": 0.0}
MODELS = ("two-component", "no-flow", "static-reference")

Truth = dict[str, float]


class Case(NamedTuple):
    """A truth, what is held, and arguments of the simulation that differ from those above."""

    truth: Truth
    held: Truth
    data: dict[str, Any]


class Outcome(NamedTuple):
    """Excess of the sum of squares over that from the truth, seconds of the fit, and what it said."""

    excess: float
    seconds: float
    verdict: str
    doubtful: bool

    @property
    def found(self) -> bool:
        """Whether it is as low."""
        return self.excess <= 1e-6

    @property
    def silent(self) -> bool:
        """Whether it is not, and said nothing of it."""
        return not self.found and self.verdict == "converged" and not self.doubtful


def random_truth(rng: np.random.Generator) -> Truth:
    """One truth of the two-component model."""
    return {
        "D0_ref": 10 ** rng.uniform(3, 4.3),
        "D0_sample": 10 ** rng.uniform(3, 4.3),
        "alpha_ref": rng.uniform(-0.5, 0.5),
        "alpha_sample": rng.uniform(-0.5, 0.5),
        "v0": 10 ** rng.uniform(2, 3.2),
        "beta": rng.uniform(-0.3, 0.3),
        "f0": rng.uniform(0.2, 0.7),
        "f1": rng.uniform(-0.03, 0.03),
        "phi0": rng.uniform(-45, 45),
    }


T, DT, Q = 20.0, 0.1, 0.008  # s, s, Å⁻¹


def _ordinary(rng: np.random.Generator) -> Case:
    return Case(random_truth(rng), dict(HELD), {})


def _changed(**of: Callable[[np.random.Generator], float]) -> Callable[[np.random.Generator], Case]:
    """An ordinary case with some parameters drawn otherwise."""

    def case(rng: np.random.Generator) -> Case:
        ordinary = _ordinary(rng)
        return ordinary._replace(truth={**ordinary.truth, **{name: draw(rng) for name, draw in of.items()}})

    return case


def _measured(**data: Any) -> Callable[[np.random.Generator], Case]:
    """An ordinary case measured otherwise."""
    return lambda rng: _ordinary(rng)._replace(data=data)


def _alpha_wide(rng: np.random.Generator) -> Case:
    case = _ordinary(rng)
    for name in ("ref", "sample"):
        alpha = rng.uniform(-1, 1.5)
        case.truth[f"alpha_{name}"], case.truth[f"D0_{name}"] = alpha, case.truth[f"D0_{name}"] / 5.0**alpha
    return case


def _f0_extreme(rng: np.random.Generator) -> Case:
    case = _ordinary(rng)
    case.truth["f0"] = rng.uniform(0.05, 0.15) if rng.random() < 0.5 else rng.uniform(0.85, 0.95)
    case.truth["f1"] = rng.uniform(-0.005, 0.0)
    return case


def _f1_large(rng: np.random.Generator) -> Case:
    case = _ordinary(rng)
    case.truth["f1"] = rng.choice([-1.0, 1.0]) * rng.uniform(3, 8) / T
    case.truth["f0"] = rng.uniform(0.4, 0.9) / max(np.exp(case.truth["f1"] * T), 1.0)
    return case


def _with_offsets(rng: np.random.Generator) -> Case:
    case = _ordinary(rng)
    for name in ("ref", "sample"):
        case.truth[f"D_offset_{name}"] = rng.uniform(-0.3, 0.8) * case.truth[f"D0_{name}"]
        case.truth[f"alpha_{name}"] = rng.choice([-1.0, 1.0]) * rng.uniform(0.3, 0.8)
    return case._replace(held={name: value for name, value in HELD.items() if name not in OFFSETS})


def _old(rng: np.random.Generator) -> Case:
    case = _ordinary(rng)
    exponents = {"D0_ref": "alpha_ref", "D0_sample": "alpha_sample", "v0": "beta"}
    for name, exponent in exponents.items():
        case.truth[name] /= 100.0 ** case.truth[exponent]
    return case._replace(data={"age": 100.0})


def _many_q(rng: np.random.Generator) -> Case:
    case, q = _ordinary(rng), 10 ** rng.uniform(np.log10(0.003), np.log10(0.05))
    for name in ("D0_ref", "D0_sample"):
        case.truth[name] *= (Q / q) ** 2
    case.truth["v0"] *= Q / q
    return case._replace(data={"q": q})


def _single(rng: np.random.Generator) -> Case:
    case = _ordinary(rng)
    del case.truth["phi0"]
    return case._replace(held={**HELD, "phi0": 0.0}, data={"phi": [rng.uniform(-90, 90)]})


def _slow(low: float, high: float, unit: float, rates: tuple[float, float]) -> Callable[..., Case]:
    def draw(rng: np.random.Generator) -> float:
        return 10 ** rng.uniform(*rates)

    return _changed(
        beta=lambda rng: 0.0, v0=lambda rng: rng.uniform(low, high) * unit, D0_ref=draw, D0_sample=draw
    )


REGIONS: dict[str, Callable[[np.random.Generator], Case]] = {
    "slow flow": _slow(0.1, 0.8, 2 * np.pi / (Q * T), (2, 3.5)),
    "beyond Nyquist": _slow(1.1, 2.5, np.pi / (Q * DT), (2.5, 3.8)),
    "alpha wide": _alpha_wide,
    "f0 extreme": _f0_extreme,
    "f1 large": _f1_large,
    "D_offset": _with_offsets,
    "noise 0.1": _measured(noise=0.1),
    "contrast 0.02": _measured(contrast=0.02),
    "age 100 s": _old,
    "12 bins": _measured(q=[0.006, 0.009], phi=[0, 30, 60, 90, 120, 150]),
    "q 0.003 to 0.05": _many_q,
    "single bin": _single,
}


def trial(model: str, case: Case, seed: int) -> Outcome:
    """A case fitted from nothing, against its fit from the truth."""
    names = het.create_model(model).parameters
    truth, held = ({k: v for k, v in of.items() if k in names} for of in (case.truth, case.held))
    usual = {"q": Q, "phi": [0, 40, 80], "frames": 200, "contrast": 0.2, "noise": 0.02}
    data = het.simulate(model=model, params={**held, **truth}, seed=seed, **{**usual, **case.data})
    began = time.perf_counter()
    free = het.fit(data, model=model, fix=held)
    seconds = time.perf_counter() - began
    told = het.fit(data, model=model, fix=held, start=truth)
    found: Statistics = free.statistics
    doubtful = str(found.structure).startswith("structure over") or (found.reduced_chi2 or 0.0) > 1.2
    return Outcome(found["ssr"] / told.statistics["ssr"] - 1.0, seconds, free.verdict, doubtful)


def report(name: str, outcomes: list[Outcome]) -> None:
    """Print a row of the table."""
    missed = [seed for seed, outcome in enumerate(outcomes) if not outcome.found]
    silent = [seed for seed, outcome in enumerate(outcomes) if outcome.silent]
    print(
        f"| {name} | {len(outcomes) - len(missed)} of {len(outcomes)} "
        f"| {sum(one.verdict == 'converged' for one in outcomes)} "
        f"| {np.median([one.seconds for one in outcomes]):.2f} "
        f"| {', '.join(map(str, missed)) or 'none'} | {', '.join(map(str, silent)) or 'none'} |",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--truths", type=int)
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--regions", nargs="+", choices=[*REGIONS, "all"])
    wanted = parser.parse_args()
    cases = [(model, model, _ordinary) for model in wanted.models]
    if wanted.regions:
        chosen = REGIONS if "all" in wanted.regions else wanted.regions
        cases = [(region, "two-component", REGIONS[region]) for region in chosen]
    truths = wanted.truths or (20 if wanted.regions else 100)
    print("| truths | found | converged | median s per fit | seeds not found | of these without a word |")
    print("|---|---|---|---|---|---|")
    for name, model, draw in cases:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            report(name, [trial(model, draw(np.random.default_rng(k)), k) for k in range(truths)])


if __name__ == "__main__":
    main()
