"""How often structure of the residuals is reported, for right and for wrong models.

Fits start at the truth; speckle has 1000 pixels × 4 modes, other noise is independent from pair to pair.

    python benchmarks/structure.py [--repeats 50]
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Mapping

import numpy as np

import heterodyne as het

FREE = ("D0_ref", "D0_sample", "v0", "beta", "f0", "phi0")
FAST = {"D0_ref": 6e4, "D0_sample": 3e4, "v0": 2000.0}
OPTIONS = {"errors": "independent"}
Simulate = Callable[..., het.TwoTime]


def right(data: het.TwoTime) -> het.Fit:
    """The fit of six parameters of the right model, begun at the truth."""
    truth = data.provenance["truth"]["params"]
    held = {name: value for name, value in truth.items() if name not in FREE}
    return het.fit(data, fix=held, start={name: truth[name] for name in FREE}, options=OPTIONS)


def drifting(simulate: Simulate, frames: int, seed: int) -> het.Fit:
    """The same of data whose baseline drifts by 0.01."""
    data = simulate(params=FAST, frames=frames, seed=seed)
    age = np.add.outer(np.arange(frames), np.arange(frames)) / (2.0 * frames)
    matrices = [np.asarray(matrix) + 0.01 * age for matrix in data.c2]
    place = {"dq": data.dq, "dphi": data.dphi, "provenance": data.provenance}
    return right(het.TwoTime(matrices, data.q, data.phi, data.t, data.dt, **place))


def row(words: str, repeats: int, fitted: Callable[[int], het.Fit]) -> None:
    """Print how often these fits show structure."""
    found = [fitted(seed).statistics["structure"] for seed in range(repeats)]
    lag, age = (sum(word in one for one in found) for word in ("lag", "age"))
    print(f"| {words} | {lag} of {repeats} | {age} of {repeats} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=50)
    repeats = parser.parse_args().repeats
    few = max(repeats // 5, 1)
    kinds: Mapping[str, Simulate] = {"speckle": het.simulate_speckle, "independent": het.simulate}
    warnings.simplefilter("ignore")
    print("| noise and fit | structure over lag | over age |")
    print("|---|---|---|")
    for kind, simulate in kinds.items():
        for frames, count in ((192, repeats), (600, few)):
            row(
                f"{kind}, {frames} frames, right model",
                count,
                lambda k, s=simulate, n=frames: right(s(frames=n, seed=k)),
            )
        row(
            f"{kind}, 300 frames, baseline drifts by 0.01",
            few,
            lambda k, s=simulate: drifting(s, 300, k),
        )
        for model in ("static", "no-flow", "static-reference"):
            row(
                f"{kind}, 192 frames, `{model}` on `two-component`",
                few,
                lambda k, s=simulate, m=model: het.fit(s(frames=192, seed=k), model=m, options=OPTIONS),
            )


if __name__ == "__main__":
    main()
