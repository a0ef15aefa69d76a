"""What fitting finite bins as points costs: bias with and without the average over the bin.

The default truth of simulations in sectors of ±5° and ±2° and with δq/q = ±2.5 %, three bins of 300
frames; free are D0_ref, D0_sample, v0, f0 and phi0, the others are held at the truth.

    python benchmarks/finite_bins.py
"""

from __future__ import annotations

import warnings
from time import perf_counter

import heterodyne as het
from heterodyne.variants.two_component import TRUTH

FREE = ("D0_ref", "D0_sample", "v0", "f0", "phi0")
WIDTHS = {"±5°": {"dphi": 10.0}, "±2°": {"dphi": 4.0}, "δq/q ±2.5 %": {"dq": 5e-4}}


def main() -> None:
    """Print the table."""
    print("| bin | S averaged over | D0_sample | phi0 | largest deviation | seconds |")
    print("|---|---|---|---|---|---|")
    for name, widths in WIDTHS.items():
        data = het.simulate(seed=0, **widths)
        for average in (False, True):
            print(row(name, data, average))


def row(name: str, data: het.TwoTime, average: bool) -> str:
    """One fit."""
    held = {k: v for k, v in TRUTH.items() if k not in FREE}
    start = {k: TRUTH[k] for k in FREE}
    began = perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the bins are fitted as points is the subject
        fit = het.fit(data, fix=held, start=start, contrast="individual", options={"bin_average": average})
    seconds = perf_counter() - began
    cells = (f"{_bias(fit, k):+.1%} ({_deviation(fit, k):+.1f} sd)" for k in ("D0_sample", "phi0"))
    worst = max(abs(_deviation(fit, k)) for k in FREE)
    return (
        f"| {name} | {fit.statistics['bin_average']} | {' | '.join(cells)} | {worst:.1f} sd | {seconds:.1f} |"
    )


def _bias(fit: het.Fit, name: str) -> float:
    return fit.values[name] / TRUTH[name] - 1.0


def _deviation(fit: het.Fit, name: str) -> float:
    return (fit.values[name] - TRUTH[name]) / fit.errors[name]


if __name__ == "__main__":
    main()
