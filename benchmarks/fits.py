"""Fits as users type them: whole processes of `heterodyne fit`, with and without compiled code at hand.

The data are those of `heterodyne simulate`; all 13 parameters vary that vary by default, with the profiles and weights
of the default. "first" finds nothing in the cache, "again" what the process before left there. Medians of 3. The last
column is the sum of squares over that of a fit that begins at the truth, of fits from given starts (10 to 30 % off)
and from nothing.

    python benchmarks/fits.py [--rows "3 × 300²" ...] [--repeats 3]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import heterodyne as het

OFF = (0.71, 1.13, 1.16, 1.18, 0.82, 1.21, 0.75, 0.79, 1.26, 0.84, 0.87, 0.82, 1.15)
AZIMUTHS = (0.0, 30.0, 60.0, 90.0, 120.0, 150.0)


class Row(NamedTuple):
    """Data and the words of a fit: with ``starts``, or one fit per q."""

    simulated: dict[str, Any]
    starts: bool = False
    by_q: bool = False


ROWS = {
    "3 × 300²": Row({"frames": 300}),
    "3 × 1024²": Row({"frames": 1024}),
    "12 × 1024²": Row({"frames": 1024, "q": (0.008, 0.01), "phi": AZIMUTHS}),
    "10 q × 3 φ × 300², --by q": Row({"frames": 300, "q": tuple(np.linspace(0.006, 0.015, 10))}, by_q=True),
    "3 × 300², with starts": Row({"frames": 300}, starts=True),
    "3 × 1024², with starts": Row({"frames": 1024}, starts=True),
}


def command(row: Row, data: Path, truth: dict[str, float]) -> list[str]:
    """The command line of the fit."""
    words = [sys.executable, "-m", "heterodyne_cli", "fit", str(data), "--json"]
    if row.by_q:
        words += ["--by", "q"]
    if row.starts:
        free = [name for name in truth if name != "f2"]
        words += [f"--fix=f2={truth['f2']}"]
        words += [f"--start={name}={truth[name] * off!r}" for name, off in zip(free, OFF, strict=True)]
    return words


def measured(words: list[str], cache: Path) -> tuple[float, dict[str, Any]]:
    """Wall seconds of one process, and the fit that it printed."""
    # as for a user, whose Python keeps the bytecode of what it imported once
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = {**kept, "HETERODYNE_CACHE": str(cache)}
    began = time.perf_counter()
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    return time.perf_counter() - began, json.loads(done.stdout)


def report(name: str, row: Row, folder: Path, repeats: int) -> None:
    """Print the times of one row."""
    data = het.simulate(noise=0.02, seed=0, **row.simulated)
    path, truth = data.save(folder / "data.h5"), data.provenance["truth"]["params"]
    words = command(row, path, truth)
    caches = [Path(tempfile.mkdtemp(dir=folder)) for _ in range(repeats)]
    first = [measured(words, cache)[0] for cache in caches]
    again = [measured(words, caches[0]) for _ in range(repeats)]
    shown = f"| {name} | {np.median(first):.2f} | {np.median([one for one, _ in again]):.2f} |"
    fit = again[0][1]
    if row.by_q:
        print(f"{shown} | | |", flush=True)
        return
    held = {"f2": truth["f2"]} if row.starts else {}
    told = het.fit(data, fix=held, start={k: v for k, v in truth.items() if k != "f2"})
    excess = fit["statistics"]["ssr"] / told.statistics["ssr"] - 1.0
    print(f"{shown} {fit['statistics']['iterations']} | {fit['verdict']} | {excess:+.1e} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--repeats", type=int, default=3)
    wanted = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores")
    print("| data | first/s | again/s | iterations | verdict | ssr over that from the truth |")
    print("|---|---|---|---|---|---|")
    for name in wanted.rows:
        with tempfile.TemporaryDirectory() as folder:
            report(name, ROWS[name], Path(folder), wanted.repeats)


if __name__ == "__main__":
    main()
