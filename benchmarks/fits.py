"""Joint fits as a user runs them: whole processes of `heterodyne fit`, with and without compiled code at hand.

The data are those of `heterodyne simulate` (3 azimuths); starts lie 10 to 30 % off the truth, f2 is held.
"cold" compiles everything, "again" finds it in the cache of the process before. Medians of 3.

    python benchmarks/fits.py [--frames 300 1024]
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

import numpy as np

import heterodyne as het

REPEATS = 3
OFF = (0.71, 1.13, 1.16, 1.18, 0.82, 1.21, 0.75, 0.79, 1.26, 0.84, 0.87, 0.82, 1.15)


def command(data: Path, truth: dict[str, float]) -> list[str]:
    """The command line of the fit."""
    free = [name for name in truth if name != "f2"]
    starts = [f"--start={name}={truth[name] * off!r}" for name, off in zip(free, OFF, strict=True)]
    return [
        sys.executable,
        "-m",
        "heterodyne_cli",
        "fit",
        str(data),
        f"--fix=f2={truth['f2']}",
        *starts,
        "--json",
    ]


def measured(words: list[str], cache: Path) -> tuple[float, dict]:
    """Wall seconds of one process, and the fit that it printed."""
    # as for a user, whose Python keeps the bytecode of what it imported once
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = {**kept, "HETERODYNE_CACHE": str(cache)}
    began = time.perf_counter()
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    return time.perf_counter() - began, json.loads(done.stdout)


def row(folder: Path, frames: int) -> None:
    """Print the times of one size."""
    data = het.simulate(frames=frames, noise=0.02, seed=0)
    path, truth = data.save(folder / f"{frames}.h5"), data.provenance["truth"]["params"]
    words = command(path, truth)
    measured(words, folder / "bytecode")
    cold = [measured(words, folder / f"cold-{frames}-{k}")[0] for k in range(REPEATS)]
    again = [measured(words, folder / f"cold-{frames}-0") for _ in range(REPEATS)]
    fit = again[0][1]
    held = het.fit(data, fix={"f2": truth["f2"]}, start={k: v for k, v in truth.items() if k != "f2"})
    excess = fit["statistics"]["ssr"] / held.statistics["ssr"] - 1.0
    solver = np.median([one["statistics"]["seconds"] for _, one in again])
    print(
        f"| 3 × {frames}² | {np.median(cold):.2f} | {np.median([one for one, _ in again]):.2f} | {solver:.2f} "
        f"| {fit['statistics']['iterations']} | {fit['verdict']} | {excess:+.1e} |",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, nargs="+", default=[300, 1024])
    print(f"{platform.platform()}, {os.cpu_count()} cores")
    print(
        "| data | cold/s | again/s | reading to result/s | iterations | verdict | ssr over that from the truth |"
    )
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for frames in parser.parse_args().frames:
            row(Path(folder), frames)


if __name__ == "__main__":
    main()
