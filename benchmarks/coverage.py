"""How often the error bars contain the truth: many simulated experiments, fitted and compared.

Speckle: 192 frames, 3 azimuths, 1000 pixels × 4 modes; free are D0_ref, D0_sample, v0, beta, f0 and phi0. For
every parameter: the share of repeats whose nominal 95 % interval contains the truth, the root mean square
of (fit - truth)/error, and the median ratio of robust to independent errors. ``pairs`` does the same on noise that is
independent from pair to pair.

    python benchmarks/coverage.py [--repeats 200] [--noise speckle|pairs]
"""

from __future__ import annotations

import argparse

import numpy as np

import heterodyne as het
from heterodyne.solution.covariance import quantile

FREE = ("D0_ref", "D0_sample", "v0", "beta", "f0", "phi0")
LOGARITHMIC = ("D0_ref", "D0_sample", "v0")


def experiment(noise: str, seed: int) -> het.TwoTime:
    """One simulated data set."""
    if noise == "speckle":
        return het.simulate_speckle(frames=192, pixels=1000, modes=4, seed=seed)
    return het.simulate(frames=192, contrast=0.25, noise=0.02, seed=seed)


def deviations(data: het.TwoTime) -> tuple[np.ndarray, np.ndarray, float]:
    """(fit - truth)/error with robust and with independent errors, and the degrees of freedom.

    Log-scale parameters deviate in their logarithm, in which the error bars are made.
    """
    truth = data.provenance["truth"]["params"]
    held = {name: value for name, value in truth.items() if name not in FREE}
    fit = het.fit(data, fix=held, start={name: truth[name] for name in FREE})
    off = np.array(
        [
            fit.values[name] * np.log(fit.values[name] / truth[name])
            if name in LOGARITHMIC
            else fit.values[name] - truth[name]
            for name in FREE
        ]
    )
    robust, independent = (
        np.array([errors[name] for name in FREE]) for errors in (fit.errors, fit.errors_independent)
    )
    return off / robust, off / independent, fit.statistics["dof"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--noise", choices=("speckle", "pairs"), default="speckle")
    wanted = parser.parse_args()
    rows = [deviations(experiment(wanted.noise, seed)) for seed in range(wanted.repeats)]
    robust, independent = (np.array([row[k] for row in rows]) for k in (0, 1))
    limits = np.array([quantile(row[2]) for row in rows])[:, None]
    print(f"{wanted.noise}, {wanted.repeats} repeats")
    print("| | " + " | ".join(FREE) + " |")
    print("|---|" + "---|" * len(FREE))
    table = {
        "robust: coverage of 95 %": 100.0 * np.mean(np.abs(robust) < limits, axis=0),
        "robust: rms z": np.sqrt(np.mean(robust**2, axis=0)),
        "independent: coverage of 95 %": 100.0 * np.mean(np.abs(independent) < 1.96, axis=0),
        "independent: rms z": np.sqrt(np.mean(independent**2, axis=0)),
        "robust / independent": np.median(independent / robust, axis=0),
    }
    for name, values in table.items():
        print(f"| {name} | " + " | ".join(f"{value:.3g}" for value in values) + " |")


if __name__ == "__main__":
    main()
