"""`LoaderConformance`: what every file layout must keep."""

from __future__ import annotations

import tracemalloc
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from heterodyne.data.two_time import TwoTime
from heterodyne.errors import HeterodyneError, PluginError
from heterodyne.loading.load import Loader, load
from heterodyne.plugins.manager import resolve

_HALVES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "upper": np.triu,
    "lower": np.tril,
    "full": np.copy,
}

AZIMUTHS, RING = (-60.0, 0.0, 60.0), (np.nan,)

Choice = tuple[dict[str, Any], list[int], slice]
"""What is asked of `load`, and the bins and frames that it is."""


class LoaderConformance:
    """Tests of a loader: inherit, state ``loader``, the name under which it is installed, and write `write`.

    ``rings`` says whether the layout can hold bins without an azimuth, ``halves`` in which halves matrices may be
    stored. ``azimuths`` and ``ages`` say whether files hold these: without, bins are rings, and the age is 0.
    ``rounding`` is the relative error of numbers in a file that is let pass.
    """

    loader: str
    rings: bool = True
    azimuths: bool = True
    ages: bool = True
    halves: tuple[str, ...] = ("upper", "lower", "full")
    rounding: float = 1e-6

    def write(self, folder: Path, data: TwoTime, c2: np.ndarray) -> Path:
        """Write ``data`` as a file of the layout, with its matrices stored as in ``c2`` (bins, frames, frames).

        The bins are a grid of q and azimuths, the times t_k = k dt + age with age a multiple of dt.
        """
        raise NotImplementedError

    def test_it_takes_its_own_files_and_no_others(self, tmp_path: Path) -> None:
        """`sniff` scores its own files above 0, and others 0, whatever they are; it wins over what is installed."""
        loader = resolve("loader", self.loader, Loader)
        own = self._file(tmp_path, self._example())
        assert 0.0 < loader.sniff(own) <= 1.0
        assert loaded(own).provenance["loader"] == self.loader
        for path in _foreign(tmp_path):
            assert loader.sniff(path) == 0.0, f"{path.name} is none of its files"

    def test_all_that_was_written_comes_back(self, tmp_path: Path) -> None:
        """q, φ, times and matrices, whichever half is stored."""
        data = self._example()
        for half in self.halves:
            self._compare(loaded(self._file(tmp_path, data, half), loader=self.loader), data)

    def test_bins_and_frames_are_chosen(self, tmp_path: Path) -> None:
        """A loader returns everything: what is chosen has its own q, φ, times and frames."""
        data = self._example()
        path = self._file(tmp_path, data)
        choices = self._azimuth_choices() if self.azimuths else self._ring_choices()
        for choice, bins, frames in choices:
            self._compare(loaded(path, loader=self.loader, **choice), data.bins(bins).cut(frames))

    def _azimuth_choices(self) -> list[Choice]:
        return [
            ({"q": 0.02}, [3, 4, 5], slice(None)),
            ({"q": (0.005, 0.015), "phi": 60.0}, [2], slice(None)),
            ({"phi": (-70.0, 10.0), "frames": (3, 7)}, [0, 1, 3, 4], slice(2, 7)),
            ({"q": 0.01, "frames": (1, 4)}, [0, 1, 2], slice(0, 4)),
        ]

    def _ring_choices(self) -> list[Choice]:
        return [
            ({"q": 0.02}, [1], slice(None)),
            ({"q": (0.005, 0.015), "phi": "ring"}, [0], slice(None)),
            ({"frames": (3, 7)}, [0, 1], slice(2, 7)),
            ({"q": 0.01, "frames": (1, 4)}, [0], slice(0, 4)),
        ]

    def test_dt_and_age_that_are_given_count(self, tmp_path: Path) -> None:
        """Another dt stretches the times, another age moves them."""
        path = self._file(tmp_path, self._example())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            data = loaded(path, loader=self.loader, dt=0.5, age=3.0, frames=(2, 6))
        np.testing.assert_allclose(data.t, 3.0 + 0.5 * np.arange(2, 7), rtol=self.rounding)
        assert (data.dt, data.n_frames) == (0.5, 5)

    def test_bins_without_an_azimuth_are_rings(self, tmp_path: Path) -> None:
        """Their φ is NaN."""
        if self.rings:
            data = self._example(phi=RING)
            self._compare(loaded(self._file(tmp_path, data), loader=self.loader), data)

    def test_only_matrices_that_are_asked_for_are_read(self, tmp_path: Path) -> None:
        """Loading takes less memory than one matrix, reading one of six less than three."""
        path, size = self._file(tmp_path, self._example(frames=400)), 8 * 400**2
        loaded(path, loader=self.loader)  # modules are imported
        tracemalloc.start()
        try:
            data = loaded(path, loader=self.loader, q=0.02)
            loading = tracemalloc.get_traced_memory()[1]
            assert data.c2[data.n_bins - 1].shape == (400, 400)
            reading = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert loading < size, f"loading took {loading} bytes, where one matrix takes {size}"
        assert reading < 4 * size, f"reading one matrix took {reading} bytes, where it takes {size}"

    def test_a_file_that_is_cut_short_is_refused_in_one_line(self, tmp_path: Path) -> None:
        """By the loader itself, naming the file, in the loading or in the reading of the matrices."""
        path = self._file(tmp_path, self._example())
        content = path.read_bytes()
        for part in (0.1, 0.5, 0.9):
            path.write_bytes(content[: int(part * len(content))])
            error = _error_of(lambda: list(loaded(path, loader=self.loader).c2))
            assert isinstance(error, HeterodyneError), f"{part:.0%} of a file is taken for a whole one"
            assert not isinstance(error, PluginError), f"at {part:.0%} of the file: {error}"
            assert "\n" not in str(error), str(error)
            assert path.name in str(error), str(error)

    def _example(self, frames: int = 9, phi: tuple[float, ...] = AZIMUTHS) -> TwoTime:
        return example(frames, phi if self.azimuths else RING, 2.0 if self.ages else 0.0)

    def _file(self, folder: Path, data: TwoTime, half: str = "upper") -> Path:
        return self.write(folder, data, np.stack([_HALVES[half](matrix) for matrix in data.c2]))

    def _compare(self, found: TwoTime, expected: TwoTime) -> None:
        """The same bins in any order, times and matrices."""
        assert found.n_bins == expected.n_bins, f"{found.n_bins} bins, not {expected.n_bins}"
        here, there = (np.lexsort((data.phi, data.q.round(9))) for data in (found, expected))
        for name in ("q", "phi"):
            self._close(name, getattr(found, name)[here], getattr(expected, name)[there])
        for name in ("t", "dt", "age"):
            self._close(name, getattr(found, name), getattr(expected, name))
        for mine, its in zip(here, there, strict=True):
            self._close(f"c2 of {found.label(mine)}", found.c2[mine], expected.c2[its])

    def _close(self, name: str, found: np.ndarray | float, expected: np.ndarray | float) -> None:
        np.testing.assert_allclose(found, expected, rtol=self.rounding, err_msg=name)


def loaded(path: Path, **asked: Any) -> TwoTime:
    """The two-time data of a file."""
    data = load(path, **asked)
    assert isinstance(data, TwoTime), f"{path.name} gives {data!r}"
    return data


def _error_of(call: Callable[[], Any]) -> Exception | None:
    """What a call raises; None if nothing."""
    try:
        call()
    except Exception as error:  # judged by who asks
        return error
    return None


def example(frames: int = 9, phi: tuple[float, ...] = AZIMUTHS, age: float = 2.0) -> TwoTime:
    """Two q and some azimuths; matrices that tell bin, age and lag."""
    q, azimuth = np.repeat([0.01, 0.02], len(phi)), np.tile(phi, 2)
    k = np.arange(1, frames + 1)
    lag, middle = np.abs(np.subtract.outer(k, k)), np.add.outer(k, k) / frames
    c2 = np.stack([1.0 + 0.01 * bin + 0.01 * middle + 0.1 * np.exp(-lag / 3.0) for bin in range(len(q))])
    return TwoTime(c2, q, azimuth, age + 0.1 * k, 0.1, age)


def _foreign(folder: Path) -> list[Path]:
    """Files that no loader of two-time data may take for its own."""
    content: dict[str, Any] = {
        "empty.dat": b"",
        "notes.txt": b"q = 0.01\n",
        "noise.bin": bytes(range(256)) * 8,
    }
    for name, data in content.items():
        (folder / name).write_bytes(data)
    with h5py.File(folder / "other.h5", "w") as file:
        file["images"] = np.zeros((4, 4))
    return [*(folder / name for name in content), folder / "other.h5"]
