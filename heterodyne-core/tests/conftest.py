"""Fixtures of core: APS-U results, and which of their matrices are read."""

from __future__ import annotations

import h5py
import pytest

from aps_u_files import aps_u_matrix, write_aps_u


@pytest.fixture
def aps_u(tmp_path):
    """A function that writes the tree with the given differences and returns its path."""
    return lambda **options: write_aps_u(tmp_path / "A073_results.hdf", **options)


@pytest.fixture
def cell_matrix():
    """A function: the full matrix that belongs to a grid cell."""
    return aps_u_matrix


@pytest.fixture
def matrices_read(monkeypatch):
    """The names of the two-dimensional datasets read from here on."""
    read = []
    original = h5py.Dataset.__getitem__

    def counting(self, *arguments, **options):
        if self.ndim >= 2 and "c2_" in self.name:
            read.append(self.name.rsplit("/", 1)[-1])
        return original(self, *arguments, **options)

    monkeypatch.setattr(h5py.Dataset, "__getitem__", counting)
    return read
