"""Memory and time of a streamed fit of one large bin, from an instrument-like file and from our own.

The data are simulated by row blocks: c2 of `static-reference` plus noise in float32, the upper half of
N × N frames. The instrument-like file holds it as one compressed chunk, as detectors' software writes it;
ours in tiles. For each file a fresh process fits it, and prints its peak resident memory, the time to read the
file once, that of the whole fit in units of this, and the time of one iteration with every tile read again, with the
tiles kept in memory, and with compressed tiles, in the same units. With `--model two-component` the fit is a plain one
of 14 parameters: q 0.004 Å⁻¹, 0.02 s per frame, 30 Å/s.

    python benchmarks/streamed.py [--frames 16384] [--folder FOLDER] [--compression gzip] [--errors robust]
        [--model two-component]
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
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

import heterodyne as het
from heterodyne.bins.streaming import stream_bin
from heterodyne.data.two_time import TwoTime
from heterodyne.evaluators import streamed
from heterodyne.evaluators.meshgrid import correlation_tile
from heterodyne.loading.lazy import FileMatrices, Place
from heterodyne.problem.compression import compressed
from heterodyne.problem.objective import create_objective
from heterodyne.problem.problem import create_problem
from heterodyne.simulation.simulate import true_parameters

PHI, CONTRAST, NOISE = 20.0, 0.15, 0.02


class Case(NamedTuple):
    """Wave vector in Å⁻¹, seconds per frame, and what differs from the parameters of a simulation."""

    q: float
    dt: float
    changes: dict[str, float]


CASES = {
    "static-reference": Case(
        0.01,
        0.1,
        {
            "D0_sample": 40.0,
            "alpha_sample": 0.1,
            "D_offset_sample": 5.0,
            "v0": 30.0,
            "v_offset": 1.0,
            "f1": -1e-4,
        },
    ),
    "two-component": Case(0.004, 0.02, {"v0": 30.0}),
}
COLUMNS = {
    "size": "size/GB",
    "peak": "peak/GiB",
    "fit": "whole fit/s",
    "passes": "whole fit/read once",
    "iterations": "iterations",
    "verdict": "verdict",
    "off": "worst error/σ",
    "read": "read once/s",
    "anew": "iteration, read anew/read once",
    "kept": "iteration, tiles kept/read once",
    "compressed": "iteration, compressed/read once",
    "tiles": "tiles",
}
BAND = 512
GIB = 2.0**30


def truth_of(model: str) -> dict[str, float]:
    """The parameters of the simulated data."""
    return true_parameters(het.create_model(model), CASES[model].changes)


def bands(model_name: str, frames: int) -> Iterator[tuple[int, np.ndarray]]:
    """First row and the values from the diagonal on of every band of rows."""
    rng, model = np.random.default_rng(0), het.create_model(model_name)
    case, truth = CASES[model_name], truth_of(model_name)
    t = np.arange(1, frames + 1) * case.dt
    for first in range(0, frames, BAND):
        parts = [
            correlation_tile(model, truth, t, case.q, PHI, first, second, BAND, BAND)
            for second in range(first, frames, BAND)
        ]
        s = np.concatenate([np.asarray(part, dtype=np.float32) for part in parts], axis=1)
        s = (
            1.0
            + np.float32(CONTRAST) * s
            + np.float32(NOISE) * rng.standard_normal(s.shape, dtype=np.float32)
        )
        yield first, s


def write_plain(path: Path, model: str, frames: int) -> None:
    """The upper half, uncompressed, zeros below: what both files are made from."""
    with h5py.File(path, "w") as file:
        stored = file.create_dataset("c2", (frames, frames), np.float32)
        for first, values in bands(model, frames):
            values[:, :BAND] = np.triu(values[:, :BAND])
            stored[first : first + BAND, first:] = values


def write_instrument(path: Path, plain: Path, case: Case, compression: str) -> None:
    """One matrix as one compressed chunk in the tree of APS-U results."""
    with h5py.File(plain) as source, h5py.File(path, "w") as file:
        upper = source["c2"][()]
        file.create_dataset(
            "xpcs/twotime/correlation_map/c2_00001", data=upper, chunks=upper.shape, compression=compression
        )
        file["xpcs/twotime/processed_bins"] = np.array([1])
        qmap = file.create_group("xpcs/qmap")
        qmap["map_names"], qmap["map_units"] = np.array([b"q", b"phi"]), np.array([b"1/A", b"deg"])
        qmap["dynamic_num_pts"], qmap["dynamic_index_mapping"] = np.array([1, 1]), np.array([0], np.uint8)
        qmap["dynamic_v_list_dim0"], qmap["dynamic_v_list_dim1"] = np.array([case.q]), np.array([PHI])
        file["entry/instrument/detector_1/frame_time"] = case.dt
        file["entry/instrument/detector_1/count_time"] = 0.9 * case.dt


def write_own(path: Path, plain: Path, case: Case, frames: int) -> None:
    """The same data in our own file."""
    matrices = FileMatrices(plain, (Place("c2"),), slice(0, frames))
    t = np.arange(1, frames + 1) * case.dt
    TwoTime(matrices, np.array([case.q]), np.array([PHI]), t, case.dt).save(path)


def measure(path: Path, model: str, errors: str) -> dict[str, float | str]:
    """Fit the file in this process, without start values: peak memory, times, and how far from the truth."""
    data, truth = het.load(path), truth_of(model)
    began = time.perf_counter()
    result = het.fit(
        data,
        model=model,
        # one azimuth cannot tell the flow's direction
        fix={} if model == "two-component" else {"phi0": truth["phi0"]},
        options={"strategy": "streamed", "errors": errors},
    )
    seconds = time.perf_counter() - began
    off = [
        abs(result.values[name] - truth[name]) / error for name, error in result.errors.items() if error > 0
    ]
    peak, times = peak_memory(), pass_times(data, model)
    return {
        "peak": peak,
        "fit": seconds,
        "passes": seconds / times["read"],
        "tiles": result.statistics["strategy_reason"].split("; ")[-1],
        "iterations": result.statistics["iterations"],
        "verdict": result.verdict,
        "off": max(off, default=np.nan),
        **times,
    }


def peak_memory() -> float:
    """The most resident memory of this process so far, GiB; Linux only."""
    # ru_maxrss would count what the process that started this one held
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return float(status["VmHWM"].split()[0]) * 1024 / GIB


def pass_times(data: TwoTime, model_name: str) -> dict[str, float]:
    """Seconds to read every tile once, and in this unit those of one iteration of every kind."""
    theta, model = np.array(list(truth_of(model_name).values())), het.create_model(model_name)
    anew, kept = (stream_bin(data, 0, 0, room) for room in (0.0, 8.0 * data.n_frames**2))
    objective = create_objective(create_problem(data, model), (kept,))
    u = objective.point(truth_of(model_name))
    small = compressed(objective, u[None], lambda line: None)
    read = median_seconds(lambda: deque(anew.tiles.read(anew.tiles.indices()), maxlen=0))
    return {
        "read": read,
        "anew": median_seconds(lambda: streamed.bin_sums(model, theta, anew)) / read,
        "kept": median_seconds(lambda: streamed.bin_sums(model, theta, kept)) / read,
        "compressed": median_seconds(lambda: small.sums(u)) / read,
    }


def median_seconds(work: Callable[[], object]) -> float:
    """The median time of 5 calls after one that is not counted."""
    times = []
    for _ in range(6):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return float(np.median(times[1:]))


def main() -> None:
    """Write the files, measure each in a process of its own, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=16384)
    parser.add_argument(
        "--folder", type=Path, help="where the files go; by default one that is removed again"
    )
    parser.add_argument("--compression", default="gzip", choices=["gzip", "lzf"])
    parser.add_argument("--model", default="static-reference", choices=list(CASES))
    parser.add_argument("--errors", default="independent", choices=["independent", "robust"])
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure, given.model, given.errors)))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        rows = compare(Path(folder), given)
    machine = platform.processor() or platform.machine()
    print(
        f"{machine}, {os.cpu_count()} cores, {given.model}, {given.frames} frames, float32, {given.errors} errors"
    )
    print(f"| file | {' | '.join(COLUMNS.values())} |")
    print("|---" * (1 + len(COLUMNS)) + "|")
    for name, row in rows.items():
        cells = (f"{row[key]:.3g}" if isinstance(row[key], float) else str(row[key]) for key in COLUMNS)
        print(f"| {name} | {' | '.join(cells)} |")


def compare(folder: Path, given: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """The measurements of the instrument-like file and of ours, by name."""
    plain, instrument, own = (folder / name for name in ("plain.h5", "instrument.h5", "own.h5"))
    case = CASES[given.model]
    write_plain(plain, given.model, given.frames)
    write_instrument(instrument, plain, case, given.compression)
    write_own(own, plain, case, given.frames)
    plain.unlink()
    rows = {}
    for name, path in ((f"one chunk, {given.compression}", instrument), ("ours", own)):
        own_options = ["--model", given.model, "--errors", given.errors]
        command = [sys.executable, __file__, "--measure", str(path), *own_options]
        found = subprocess.run(command, check=True, capture_output=True, text=True)
        rows[name] = {"size": path.stat().st_size / 1e9, **json.loads(found.stdout.splitlines()[-1])}
    return rows


if __name__ == "__main__":
    main()
