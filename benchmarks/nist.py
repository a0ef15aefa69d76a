"""The trust region on the NIST StRD nonlinear regression sets, from both starts.

Digits are those of the worst parameter, at most 11, to which the values are certified. Models and data are
those of the tests.

    python benchmarks/nist.py
"""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

TESTS = Path(__file__).parents[1] / "heterodyne-nlsq" / "tests" / "test_nist_strd.py"


def main() -> None:
    """Print the table."""
    tests = runpy.run_path(str(TESTS))
    print("| set | difficulty | from start 1: digits | iterations | from start 2: digits | iterations |")
    print("|---|---|---|---|---|---|")
    for name, one in tests["SETS"].items():
        cells = []
        for start in ("start1", "start2"):
            with np.errstate(all="ignore"):
                found = tests["solved"](name, start)
            told = "" if found.verdict == "converged" else f", {found.verdict}"
            digits = tests["digits"](found.x, one["certified"])
            cells += [f"{digits:.1f}{told}", str(found.iterations)]
        print(f"| {name} | {one['level']} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
