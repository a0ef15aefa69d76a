"""Posteriors as a user samples them: whole processes of `heterodyne fit --optimizer cmc`, on simulated data.

``recovery``: 3 × 300², 9 parameters vary (offsets, f2 and f3 fixed). ``all``: the 13 that vary by default on the
same data, most of them with little to determine them. ``large``: 3 × 1024². ``long``: one bin of 16,384 frames of
`static-reference`, 4 parameters vary. ``exact``: ``recovery`` by the exact likelihood at every step. ESS is the bulk
ESS of the worst parameter; ESS/s counts all seconds of the process, imports, least squares and compilation included.
Beside it stand the seconds of cores that it used, which on a machine with other work are what stays the same.

    python benchmarks/posterior.py [recovery] [all] [large] [long] [exact]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil

import heterodyne as het

HELD = ("D_offset_ref", "D_offset_sample", "v_offset", "f2", "f3")
LONG_HELD = ("D_offset_sample", "v_offset", "f1", "f2", "f3", "phi0", "beta")
GIB = 2**30


class Case(NamedTuple):
    """A run: frames of the data, parameters fixed at the truth, the options of the sampler, model and azimuths."""

    frames: int
    held: tuple[str, ...]
    options: tuple[str, ...] = ()
    model: str = "two-component"
    phi: tuple[float, ...] = (0.0, 45.0, 90.0)


CASES = {
    "recovery": Case(300, HELD),
    "all": Case(300, ("f2",)),
    "large": Case(1024, HELD),
    "long": Case(16_384, LONG_HELD, model="static-reference", phi=(20.0,)),
    "exact": Case(300, HELD, ("--exact",)),
}


class Run(NamedTuple):
    """Seconds, those of cores, most memory of all processes together in GiB, exit status and what was printed."""

    seconds: float
    of_cores: float
    memory: float
    status: int
    fit: dict[str, Any]


def run(words: list[str]) -> Run:
    """One process, watched."""
    began, most, done = time.perf_counter(), [0.0], threading.Event()
    used = os.times()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)

    def watch() -> None:
        while not done.wait(0.2):
            most[0] = max(most[0], resident(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    printed, _ = process.communicate()
    done.set()
    watcher.join()
    now = os.times()
    of_cores = now.children_user + now.children_system - used.children_user - used.children_system
    return Run(time.perf_counter() - began, of_cores, most[0], process.returncode, json.loads(printed))


def resident(pid: int) -> float:
    """Memory that a process and its children hold now, in GiB; shared pages count once for each."""
    try:
        process = psutil.Process(pid)
        return sum(one.memory_info().rss for one in (process, *process.children(recursive=True))) / GIB
    except psutil.NoSuchProcess:
        return 0.0


def truth_inside(folder: Path, truth: dict[str, float]) -> tuple[int, int]:
    """In how many of the varying parameters the central 99 % of the draws hold the truth, and of how many."""
    import arviz

    draws = arviz.from_netcdf(folder / "posterior.nc").posterior
    names = [name for name in truth if name in draws]
    ends = [np.quantile(draws[name].values, [0.005, 0.995]) for name in names]
    inside = [low <= truth[name] <= high for name, (low, high) in zip(names, ends, strict=True)]
    return sum(inside), len(names)


def report(name: str, folder: Path) -> None:
    """Sample one case and print its row."""
    case = CASES[name]
    data = het.simulate(case.model, frames=case.frames, phi=list(case.phi), noise=0.02, seed=0)
    path, truth = data.save(folder / f"{name}.h5"), data.provenance["truth"]["params"]
    words = [sys.executable, "-m", "heterodyne_cli", "fit", str(path), "--optimizer=cmc", "--json"]
    words += [f"--model={case.model}"]
    words += [f"--fix={held}={truth[held]!r}" for held in case.held]
    out = folder / name
    found = run([*words, *case.options, "-o", str(out)])
    statistics = found.fit["statistics"]
    draws = statistics["chains"] * statistics["draws"]
    rank, error = statistics.get("reduced_rank"), statistics.get("reduced_error")
    reduced = "exact" if rank is None else f"{rank}, {error:.1g}"
    ess, (inside, of) = statistics["min_ess_bulk"], truth_inside(out, truth)
    print(
        f"| {name}: {len(case.phi)} × {case.frames}², {of} vary | {found.seconds:.0f} | {found.of_cores:.0f} "
        f"| {found.status} | {reduced} "
        f"| {statistics['max_rhat']:.4f} | {statistics['divergences']} of {draws} | {ess:.0f} "
        f"| {1000 * ess / draws:.0f} | {ess / found.seconds:.1f} "
        f"| {ess / found.of_cores:.1f} | {statistics['leapfrog_steps']:.1f} | {inside} of {of} "
        f"| {found.memory:.2f} |",
        flush=True,
    )
    print(f"  {found.fit['verdict']}: {found.fit['message']}", file=sys.stderr)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", default=list(CASES), metavar="case", help=", ".join(CASES))
    wanted = parser.parse_args().cases
    print(f"{platform.platform()}, {os.cpu_count()} cores")
    print(
        "| case | process/s | cores/s | exit | rank, error | R-hat | divergences | bulk ESS | per 1000 draws "
        "| ESS/s | ESS per s of cores | steps per draw | truth in 99 % | peak GiB |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in wanted:
            report(name, Path(folder))


if __name__ == "__main__":
    main()
