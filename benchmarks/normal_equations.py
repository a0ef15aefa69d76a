"""Normal equations by the structured and the dense evaluator against the time to read the data.

In one run, for N frames and several bins: (a) ``D.sum()`` over the contiguous float64 matrices of all bins
in one thread, (b) the structured sums with the 14 × 14 Gauss-Newton matrix, (v) structured value and
gradient alone, (c) the dense sums. Times are medians of 9; ratios are to (a).

    python benchmarks/normal_equations.py [--frames 256 512 1024] [--bins 1 3] [--dense-up-to 1024]
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import time
from collections.abc import Callable

import numpy as np

import heterodyne as het
from heterodyne.bins.bin import Bin
from heterodyne.bins.reading import read_bins
from heterodyne.evaluators import dense, structured
from heterodyne.evaluators.sums import pair_sums
from heterodyne.kernels._jax import jax

REPEATS = 9
MODEL = het.create_model("two-component")
THETA = np.array(list(het.simulate(frames=3).provenance["truth"]["params"].values()))


def median_seconds(work: Callable[[], object]) -> float:
    """The median time of 9 calls after one that is not counted."""
    work()
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return float(np.median(times))


@jax.jit
def value_and_gradient(theta, t, nodes, weight, d):
    """A weighted sum of the three value sums and its gradient: the work of one likelihood evaluation."""

    def value(parameters):
        sums = structured.value_sums(MODEL, parameters, t, nodes, weight, d)
        return sums.cross[0] - 0.1 * sums.total[0] - 0.2 * sums.gram[0, 0]

    return jax.value_and_grad(value)(theta)


def all_gradients(bins: tuple[Bin, ...]) -> None:
    """Value and gradient of every bin."""
    for bin in bins:
        jax.block_until_ready(value_and_gradient(THETA, bin.t, bin.nodes, bin.weight, bin.d))


def row(frames: int, n_bins: int, with_dense: bool) -> dict[str, float]:
    """The times of one size, in ms."""
    data = het.simulate(frames=frames, phi=list(np.linspace(0.0, 90.0, n_bins)), seed=1)
    bins = read_bins((data,))
    times = {
        "read": median_seconds(lambda: [bin.d.sum() for bin in bins]),
        "structured": median_seconds(lambda: pair_sums(MODEL, THETA, bins)),
        "gradient": median_seconds(lambda: all_gradients(bins)),
    }
    if with_dense:
        times["dense"] = median_seconds(lambda: [dense.bin_sums(MODEL, THETA, bin) for bin in bins])
    return {name: 1e3 * seconds for name, seconds in times.items()}


def compile_seconds(frames: int = 1024) -> float:
    """The time of the first evaluation of a size less that of the second."""
    bins = read_bins((het.simulate(frames=frames, phi=[0.0]),))
    began = time.perf_counter()
    pair_sums(MODEL, THETA, bins)
    first = time.perf_counter() - began
    began = time.perf_counter()
    pair_sums(MODEL, THETA, bins)
    return first - (time.perf_counter() - began)


def main() -> None:
    """Print the table and the exponent with which the structured time grows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, nargs="+", default=[256, 512, 1024, 2048, 4096])
    parser.add_argument("--bins", type=int, nargs="+", default=[1, 3, 12])
    parser.add_argument("--dense-up-to", type=int, default=1024)
    wanted = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, jax {jax.__version__}, numpy {np.__version__}")
    print(
        f"first evaluation at N = 1024, compilation included: {compile_seconds():.2f} s more than the second"
    )
    print(f"{'N':>6} {'bins':>4} {'(a) ms':>8} {'(b) ms':>8} {'(b)/(a)':>8} {'(v) ms':>8} {'(v)/(a)':>8} "
          f"{'(c) ms':>9} {'(c)/(b)':>8} {'peak GiB':>8}")  # fmt: skip
    grown: dict[int, list[tuple[int, float]]] = {}
    for n_bins in wanted.bins:
        for frames in wanted.frames:
            if frames**2 * n_bins * 8 > 2**31:
                continue
            t = row(frames, n_bins, frames <= wanted.dense_up_to)
            grown.setdefault(n_bins, []).append((frames, t["structured"]))
            slow = (
                f"{t['dense']:9.1f} {t['dense'] / t['structured']:8.1f}"
                if "dense" in t
                else f"{'-':>9} {'-':>8}"
            )
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            print(f"{frames:6d} {n_bins:4d} {t['read']:8.2f} {t['structured']:8.2f} {t['structured'] / t['read']:8.1f} "
                  f"{t['gradient']:8.2f} {t['gradient'] / t['read']:8.1f} {slow} {peak:8.2f}", flush=True)  # fmt: skip
    for n_bins, points in grown.items():
        large = np.log([point for point in points if point[0] >= 1024])
        if len(large) > 1:
            print(f"{n_bins} bins: (b) grows as N^{np.polyfit(*large.T, 1)[0]:.2f} from N = 1024 on")


if __name__ == "__main__":
    main()
