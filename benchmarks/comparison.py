"""Which model `compare` calls for, on simulated speckle of known models.

64 frames of 0.1 s at q = 0.01 Å⁻¹, 1000 pixels. Offsets of rates and velocity, f2 and f3 are held at 0. Of `static`,
whose S falls by 1/e in 10 frames, "weak" has 0.5 counts per pixel and 10 modes, the others no photon noise and 4 modes;
the models that are too rich are searched for from several starts. Of `two-component` the prefactor of J_ref takes
several values: the smaller it is, the more the reference looks static. There fits begin at the truth.

    python benchmarks/comparison.py [--sets 20] [--case NAME ...] [--rows FILE]

A row of FILE is one set: case, seed, and by model χ², parameters and verdict.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import heterodyne as het
from heterodyne.fitting.comparison import Comparison

MODELS = ("static", "no-flow", "static-reference", "two-component")
HELD = ("D_offset", "D_offset_ref", "D_offset_sample", "v_offset", "f2", "f3")
STATIC = {"D0": 1e4, "alpha": 0.0}
MIXED = {
    "D0_ref": 6e3,
    "alpha_ref": 0.0,
    "D0_sample": 1.5e4,
    "alpha_sample": 0.0,
    "v0": 1.5e3,
    "beta": 0.0,
    "f0": 0.5,
    "f1": 0.0,
    "phi0": 10.0,
}
COLUMNS = (
    *("sets", "median Δχ² of the best simpler model", "true model preferred", "nothing shown"),
    *("another preferred", "true model suffices", "true model ruled out"),
)
SEARCH = {"starts": 8, "polish": 2, "profiles": "asked"}


@dataclass(frozen=True)
class Case:
    """Data of one model: its parameters, and what else differs from the module's docstring."""

    model: str
    params: Mapping[str, float]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def data(self, seed: int) -> het.TwoTime:
        """The data of one seed."""
        params = dict(self.params) | {
            name: 0.0 for name in HELD if name in het.create_model(self.model).parameters
        }
        usual = {"q": 0.01, "phi": (0.0, 45.0, 90.0), "frames": 64}
        return het.simulate_speckle(self.model, params=params, seed=seed, **{**usual, **self.settings})

    def compared(self, seed: int) -> Comparison:
        """The comparison of one seed."""
        start = {**STATIC, **self.params}
        fix = dict.fromkeys(HELD, 0.0)
        return het.compare(self.data(seed), MODELS, fix=fix, start=start, options=SEARCH)


def mixed(prefactor: float) -> Case:
    """`two-component` with this prefactor of J_ref."""
    return Case("two-component", MIXED | {"D0_ref": prefactor})


CASES: Mapping[str, Case] = {
    "static, weak": Case("static", STATIC, {"counts": 0.5, "modes": 10}),
    "static, one bin": Case("static", STATIC, {"phi": 0.0}),
    "static, bright": Case("static", STATIC),
    **{f"two-component, D0_ref {of:g}": mixed(of) for of in (180.0, 340.0, 800.0, 3000.0)},
}


def row_of(case: str, seed: int, found: Comparison, seconds: float) -> dict[str, Any]:
    """One set as it is kept."""
    models = {
        score.model: {"chi2": score.chi2, "parameters": score.parameters, "verdict": score.verdict}
        for score in found.scores
    }
    said = {"preferred": found.preferred, "sufficient": found.sufficient, "left": found.left}
    return {"case": case, "seed": seed, "seconds": seconds, **said, "models": models}


def summary(case: str, rows: list[dict[str, Any]]) -> str:
    """The line of one case: median Δχ² of the best other model, and how often which model is called for."""
    true = CASES[case].model
    simpler = [name for name in MODELS if name != true and CASES[case].model != "static"]
    against = [
        min(row["models"][name]["chi2"] for name in simpler) - row["models"][true]["chi2"]
        for row in rows
        if simpler
    ]
    median = f"{np.median(against):.3g}" if against else "-"
    right = sum(row["preferred"] == true for row in rows)
    none = sum(row["preferred"] is None for row in rows)
    sufficient = sum(row["sufficient"] == true for row in rows)
    ruled_out = sum(true not in row["left"] for row in rows)
    numbers = (
        len(rows),
        median,
        right,
        none,
        len(rows) - right - none,
        sufficient,
        ruled_out,
    )
    return f"| {case} | " + " | ".join(map(str, numbers)) + " |"


def main() -> None:
    """Print the table, line by line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", type=int, default=20)
    parser.add_argument("--case", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--rows", type=Path)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    rows: dict[str, list[dict[str, Any]]] = {case: [] for case in asked.case}
    for seed in range(asked.sets):  # all cases of one seed first: what is interrupted has some of each
        for case in asked.case:
            began = time.perf_counter()
            found = CASES[case].compared(seed)
            rows[case].append(row_of(case, seed, found, time.perf_counter() - began))
            if asked.rows:
                with asked.rows.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(rows[case][-1]) + "\n")
    print(f"| data | {' | '.join(COLUMNS)} |\n|---|{'---|' * len(COLUMNS)}")
    for case, of_case in rows.items():
        print(summary(case, of_case))


if __name__ == "__main__":
    main()
