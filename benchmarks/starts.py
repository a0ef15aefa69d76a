"""Fits that start from nothing against fits started at the truth, over random truths.

A fit counts as found if its sum of squares is no more than that of the fit started at the truth (1e-6
relative). Offsets and f2, f3 are held at 0; q 0.008, φ 0, 40, 80, 200 frames, dt 0.1, contrast 0.2, noise 0.02.

    python benchmarks/starts.py [--truths 100] [--models two-component no-flow static-reference]
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np

import heterodyne as het

HELD = {"D_offset_ref": 0.0, "D_offset_sample": 0.0, "v_offset": 0.0, "f2": 0.0, "f3": 0.0}


def random_truth(rng: np.random.Generator) -> dict[str, float]:
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


def trial(model: str, seed: int) -> tuple[float, float, str]:
    """Excess of the sum of squares over that from the truth, seconds of the fit, and its verdict."""
    names = het.create_model(model).parameters
    truth = {k: v for k, v in random_truth(np.random.default_rng(seed)).items() if k in names}
    held = {k: v for k, v in HELD.items() if k in names}
    data = het.simulate(
        model=model,
        params={**truth, **held},
        q=0.008,
        phi=[0, 40, 80],
        frames=200,
        contrast=0.2,
        noise=0.02,
        seed=seed,
    )
    began = time.perf_counter()
    free = het.fit(data, model=model, fix=held)
    seconds = time.perf_counter() - began
    told = het.fit(data, model=model, fix=held, start=truth)
    return free.statistics["ssr"] / told.statistics["ssr"] - 1.0, seconds, free.verdict


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--truths", type=int, default=100)
    parser.add_argument("--models", nargs="+", default=["two-component", "no-flow", "static-reference"])
    wanted = parser.parse_args()
    print("| model | found | converged | median s per fit | seeds not found |")
    print("|---|---|---|---|---|")
    for model in wanted.models:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rows = [trial(model, seed) for seed in range(wanted.truths)]
        missed = [seed for seed, row in enumerate(rows) if row[0] > 1e-6]
        print(
            f"| {model} | {len(rows) - len(missed)} of {len(rows)} "
            f"| {sum(row[2] == 'converged' for row in rows)} | {np.median([row[1] for row in rows]):.2f} "
            f"| {', '.join(map(str, missed)) or 'none'} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
