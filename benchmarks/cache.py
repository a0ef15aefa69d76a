"""What `--cache` saves: a matrix read whole and in tiles, from a file that stores it in one piece and from its entry.

Run: python benchmarks/cache.py [FRAMES ...]. Times are the best of three, with the files in the system's cache.
"""

from __future__ import annotations

import os
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import h5py
import numpy as np

from heterodyne.data.matrices import upper, windows
from heterodyne.data.two_time import TwoTime
from heterodyne.loading.cache import through_cache
from heterodyne.loading.lazy import FileMatrices, Place
from heterodyne.loading.provenance import file_provenance
from heterodyne.words import table

TILE, BINS, DT = 256, 2, 0.1


def write(path: Path, frames: int) -> None:
    """Upper halves in one chunk each, lzf, as boost_corr writes them."""
    rng, lag = np.random.default_rng(0), np.abs(np.subtract.outer(np.arange(frames), np.arange(frames)))
    with h5py.File(path, "w") as file:
        for bin in range(BINS):
            c2 = 1 + 0.2 * np.exp(-lag / 50) + 0.02 * rng.standard_normal((frames, frames))
            file.create_dataset(
                f"c2_{bin}", data=np.triu(c2).astype(np.float32), chunks=(frames, frames), compression="lzf"
            )


def tiles(data: TwoTime) -> None:
    """Read the upper half of the first matrix, as a streamed fit does."""
    stored = windows(data.c2, 0)
    with stored.opened() as read:
        part = upper(read, "upper")
        for i in range(0, data.n_frames, TILE):
            for j in range(i, data.n_frames, TILE):
                part(slice(i, min(i + TILE, data.n_frames)), slice(j, min(j + TILE, data.n_frames)))


def best(work: Callable[[], object], repeats: int = 3) -> float:
    """The least seconds of several runs."""
    seconds = []
    for _ in range(repeats):
        began = perf_counter()
        work()
        seconds.append(perf_counter() - began)
    return min(seconds)


def peak(work: Callable[[], object]) -> float:
    """The most MiB that arrays took."""
    tracemalloc.start()
    work()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 2**20


def measured(frames: int, folder: Path) -> list[str]:
    """One row of the table."""
    path = folder / f"run{frames}.h5"
    write(path, frames)
    c2 = FileMatrices(path, [Place(f"c2_{bin}") for bin in range(BINS)])
    origin = {**file_provenance(path), "selection": {}, "dt_source": "", "frames": [1, frames]}
    t = DT * np.arange(1, frames + 1)
    plain = TwoTime(c2, [0.01, 0.02], [0.0, 0.0], t, DT, provenance=origin)
    making = best(lambda: through_cache(plain, path, "heterodyne"), 1)
    kept = through_cache(plain, path, "heterodyne")
    entry = Path(kept.provenance["cache"]["file"])
    row = [frames, path.stat().st_size / 2**20, entry.stat().st_size / 2**20, making]
    for work in (lambda data: data.c2[0], tiles):
        row += [best(lambda w=work, d=data: w(d)) for data in (plain, kept)]
    row += [peak(lambda d=data: tiles(d)) for data in (plain, kept)]
    return [f"{value:.3g}" for value in row]


def main(sizes: list[int]) -> None:
    """Print the table."""
    header = ("frames", "file/MiB", "entry/MiB", "making it/s", "whole: file/s", "entry/s")
    header += ("in tiles: file/s", "entry/s", "peak: file/MiB", "entry/MiB")
    with TemporaryDirectory() as folder:
        os.environ["HETERODYNE_CACHE"] = folder
        print(table(header, [measured(frames, Path(folder)) for frames in sizes]))


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [1500, 3000])
