"""What weights cost: whole fits weighted by the covariance of frames against those weighted by the noise of bins.

    python benchmarks/weights.py [--frames 300 1024] [--repeats 5]

Both begin at the truth, in turns, after one of each that compiles; errors and structure are included, profiles are not.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import heterodyne as het
from experiments import FREE, TRUTH

WEIGHTS = ("noise", "speckle")


def seconds(data: het.TwoTime, weights: str) -> float:
    """Wall time of one fit."""
    held = {name: value for name, value in TRUTH.items() if name not in FREE}
    start = {name: TRUTH[name] for name in FREE}
    began = time.perf_counter()
    het.fit(data, fix=held, start=start, options={"weights": weights, "profiles": "asked"})
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, nargs="*", default=[300, 1024], help="frames of three bins")
    parser.add_argument("--repeats", type=int, default=5, help="fits of each kind")
    wanted = parser.parse_args()
    print("| data | noise (s) | speckle (s) | ratio |", "|---|---|---|---|", sep="\n")
    for frames in wanted.frames:
        data = het.simulate_speckle(frames=frames, dt=12.8 / frames, seed=0)
        for weights in WEIGHTS:
            seconds(data, weights)
        pairs = [[seconds(data, weights) for weights in WEIGHTS] for _ in range(wanted.repeats)]
        plain, weighted = (median(column) for column in zip(*pairs, strict=True))
        ratio = median(second / first for first, second in pairs)
        print(f"| 3 × {frames}² | {plain:.2f} | {weighted:.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
