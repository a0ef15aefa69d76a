"""Bins whose matrices stay where they are: surveyed in one pass, tiles kept as far as memory allows."""

from __future__ import annotations

import numpy as np

from heterodyne.bins.bin import PADDING, Bin, Moments
from heterodyne.bins.nodes import bin_nodes
from heterodyne.bins.reading import each_bin
from heterodyne.bins.survey import Survey
from heterodyne.bins.tiles import TILE, TileIndex, Tiles
from heterodyne.bins.weights import given_weights, left_out_pairs, normalised, padded_times
from heterodyne.data.matrices import windows
from heterodyne.data.triangle import Read
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError

_GIB = 2.0**30

_WORK = 25_000  # bytes per frame of the sums without data, measured with the 14 parameters of two-component


def stream_bins(
    data: tuple[TwoTime, ...], skip_lags: int, memory: float, size: int = TILE
) -> tuple[Bin, ...]:
    """Every bin of every data set; ``memory`` bytes bound reading, sums without data, and the tiles kept.

    Raises `DataError` for a matrix that cannot be used, or that its file only gives whole while ``memory``
    does not hold it.
    """
    every = [(measured, index) for measured in data for index in range(measured.n_bins)]
    reading = [_reading_bytes(*which) for which in every]
    room = memory - _WORK * max(measured.n_frames for measured in data) - max(reading)
    if room < 0 < max(reading):
        measured, index = every[int(np.argmax(reading))]
        raise DataError(
            f"{measured.label(index)}: the file gives this matrix only whole, and streaming it takes "
            f"{(memory - room) / _GIB:.2g} GiB, but memory allows {memory / _GIB:.2g} GiB: raise memory, or "
            "save the data in the program's own file, which is read in parts"
        )

    def streamed(measured: TwoTime, index: int) -> Bin:
        nonlocal room
        bin = stream_bin(measured, index, skip_lags, room, size)
        room -= sum(tile.nbytes for tile in bin.tiles.kept.values())
        return bin

    return each_bin(data, streamed)


def _reading_bytes(data: TwoTime, index: int) -> float:
    """What reading one matrix takes: one that its file gives only whole passes through a buffer as large."""
    source = windows(data.c2, index)
    return 2.0 * source.frames**2 * source.itemsize if source.whole else 0.0


def stream_bin(data: TwoTime, index: int, skip_lags: int, memory: float, size: int = TILE) -> Bin:
    """Bin ``index`` of ``data`` without its first ``skip_lags`` lags, read once and checked.

    Its tiles have ``size`` frames, or are one that is no larger than it need be. They are kept up to ``memory`` bytes,
    all or none where the file gives the matrix only whole. Raises `DataError` for a matrix that cannot be used and for
    weights per pair.
    """
    where = f"{data.provenance.get('file', 'data')} bin {index + 1} ({data.label(index)})"
    of_frames, of_pairs = given_weights(data, index)
    if of_pairs is not None:
        raise DataError(f"{where}: weights per pair need the matrix in memory: use the strategy direct")
    source = windows(data.c2, index)
    if source.frames != data.n_frames:
        raise DataError(f"{where}: the matrix has {source.frames} frames, its time axis {data.n_frames}")
    size = min(size, source.frames + -source.frames % PADDING)
    left_out = left_out_pairs(data, index, skip_lags, None)
    survey = Survey(of_frames * data.mask[index], where)
    with source.opened() as read:
        tiles = Tiles(source, source.half(read), size, _by_tile(left_out, size))
        _survey(survey, tiles, read, memory)
    used = survey.used_frames()
    total, reference, square = survey.moments(used, left_out)
    skipped = left_out[used[left_out].all(axis=1)]
    padding = -data.n_frames % size
    weight, pairs = normalised(np.pad(survey.weight * used, (0, padding)), skipped)
    q, phi = float(data.q[index]), float(data.phi[index])
    return Bin(
        tiles,
        padded_times(data, padding),
        weight,
        q,
        phi,
        bin_nodes(q, phi),
        Moments(pairs, reference, 0.0, square * pairs / total),
        skipped,
        dq=float(data.dq[index]),
        dphi=float(data.dphi[index]),
        diagonal=survey.diagonal,
    )


def _survey(survey: Survey, tiles: Tiles, read: Read, memory: float) -> None:
    """Add every tile to the survey, and keep tiles up to ``memory`` bytes."""
    indices = tiles.indices()
    room = 0.0 if tiles.source.at_hand else memory
    if tiles.source.whole and room < len(indices) * tiles.size**2 * tiles.source.itemsize:
        room = 0.0
    for index, tile in tiles.read_from(read, indices):
        rows, columns = (tiles.frames_of(block) for block in index)
        inside = np.s_[: rows.stop - rows.start, : columns.stop - columns.start]
        keep = None
        if index in tiles.left_out:
            keep = np.ones(tile.shape, dtype=bool)
            keep[tiles.left_out[index]] = False
            keep = keep[inside]
        survey.add(tile[inside], rows, columns, keep)
        if room >= tile.nbytes:
            # a view would keep the whole matrix that it belongs to
            tiles.kept[index] = np.array(tile, order="C", copy=not tile.flags.owndata or None)
            room -= tile.nbytes


def _by_tile(pairs: np.ndarray, size: int) -> dict[TileIndex, tuple[np.ndarray, np.ndarray]]:
    """Pairs of frames by the tile they lie in, as rows and columns within it."""
    block, inside = np.divmod(pairs, size)
    by_tile = {}
    for i, j in np.unique(block, axis=0).tolist():
        rows, columns = inside[(block == (i, j)).all(axis=1)].T
        by_tile[i, j] = (rows, columns)
    return by_tile
