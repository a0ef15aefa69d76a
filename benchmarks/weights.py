"""What weights cost: whole fits weighted by the covariance of frames against those weighted by the noise of bins.

    python benchmarks/weights.py [--frames 300 1024] [--repeats 5]

Both kinds begin at the truth without profiles, or from nothing as users begin, with six parameters free or with all; in
turns, after one of each that compiles. Errors and structure are included.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from statistics import median
from typing import Any

import heterodyne as het
from experiments import FREE, TRUTH

WEIGHTS = ("noise", "speckle")

HELD = {"fix": {name: value for name, value in TRUTH.items() if name not in FREE}}
BEGUN: Mapping[str, Mapping[str, Any]] = {
    "at the truth, 6 parameters": {
        **HELD,
        "start": {name: TRUTH[name] for name in FREE},
        "options": {"profiles": "asked"},
    },
    "from nothing, 6 parameters": HELD,
    "from nothing, all parameters": {},
}


def seconds(data: het.TwoTime, weights: str, choices: Mapping[str, Any]) -> float:
    """Wall time of one fit."""
    began = time.perf_counter()
    het.fit(data, **{**choices, "options": {"weights": weights, **choices.get("options", {})}})
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, nargs="*", default=[300, 1024], help="frames of three bins")
    parser.add_argument("--repeats", type=int, default=5, help="fits of each kind")
    wanted = parser.parse_args()
    print("| data | begun | noise (s) | speckle (s) | ratio |", "|---|---|---|---|---|", sep="\n")
    for frames in wanted.frames:
        data = het.simulate_speckle(frames=frames, dt=12.8 / frames, seed=0)
        for begun, choices in BEGUN.items():
            for weights in WEIGHTS:
                seconds(data, weights, choices)
            pairs = [[seconds(data, weights, choices) for weights in WEIGHTS] for _ in range(wanted.repeats)]
            plain, weighted = (median(column) for column in zip(*pairs, strict=True))
            ratio = median(second / first for first, second in pairs)
            print(f"| 3 × {frames}² | {begun} | {plain:.2f} | {weighted:.2f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
