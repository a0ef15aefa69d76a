"""What may be asked of `load`: bins, frames to leave out, masks, widths and baselines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import heterodyne as het
from heterodyne.errors import DataError, HeterodyneError
from heterodyne.loading import asked


def one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "choice",
    [
        {"q": np.nan},
        {"q": 0.0},
        {"q": -1.0},
        {"q": (np.nan, 1.0)},
        {"phi": np.inf},
        {"phi": (0.0, np.inf)},
        {"frames": (1, np.inf)},
        {"dt": "0.1"},
        {"dt": 0.0},
        {"dt": np.nan},
        {"age": [1]},
        {"age": np.inf},
        {"loader": 3},
    ],
)
def test_a_selection_that_means_nothing_is_rejected_without_a_warning(tmp_path, choice, recwarn):
    file = het.simulate("static", frames=12).save(tmp_path / "run.h5")
    with pytest.raises(HeterodyneError):
        het.load(file, **choice)
    assert not recwarn


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        ({"q": 0.016}, "no ring at q = 0.016 1/Å: the nearest is 0.02"),
        ({"phi": 22.0}, "no azimuth at phi = 22: the nearest is 0"),
    ],
)
def test_a_bin_off_the_wanted_value_is_announced(grid, selection, said):
    with pytest.warns(UserWarning, match=said):
        het.load(grid, **selection)


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        ({"q": 9.0}, "no bin with q near 9; the file has q = 0.01, 0.02, 0.1"),
        ({"q": 0.04}, "no bin with q near 0.04"),
        ({"q": [0.01, 0.04]}, "no bin with q near 0.04"),
        ({"q": 1e-9}, "no bin with q near 1e-09"),
        ({"phi": 400}, "no bin with phi near 400; the selected q have phi = 0, 45, 90"),
        ({"phi": 1e30}, "no bin with phi near 1e+30"),
        ({"phi": 200}, "no bin with phi near 200"),
        ({"phi": -30}, "no bin with phi near -30"),
        ({"phi": [(-10.0, 10.0), (200.0, 210.0)]}, "no bin with phi in 200:210"),
        ({"q": [0.01, (5.0, 6.0)]}, "no bin with q in 5:6"),
        ({"phi": [0.0, "ring"]}, "no bin with phi in ring"),
        ({"phi": "ring"}, "no bin with phi in ring; the selected q have phi = 0, 45, 90"),
        ({"phi": (1e30, 2e30)}, "goes round more than twice"),
    ],
)
def test_a_value_near_no_bin_is_refused_with_what_exists(grid, selection, said):
    with pytest.raises(DataError) as error:
        het.load(grid, **selection)
    assert said in one_line(error)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("selection", "bins"), [({"q": 0.0104}, 3), ({"phi": 360.0}, 3), ({"phi": 43.0}, 3), ({"phi": -315}, 3)]
)
def test_a_value_near_a_bin_takes_it_without_a_word(grid, selection, bins):
    assert het.load(grid, **selection).n_bins == bins


@pytest.fixture
def grid(tmp_path):
    """A file of 3 q × 3 azimuths."""
    return het.simulate("static", q=[0.01, 0.02, 0.1], phi=[0.0, 45.0, 90.0], frames=12).save(
        tmp_path / "g.h5"
    )


EVERY = np.arange(1, 13)


@pytest.mark.parametrize(
    ("given", "left_out"),
    [
        (3, [3]),
        ("3,5:7", [3, 5, 6, 7]),
        ([3, (5, 7)], [3, 5, 6, 7]),
        ((5, 7), [5, 6, 7]),
        (np.array([1, 12]), [1, 12]),
        ([], []),
        ("@bad.txt", [2, 4, 5, 6, 9]),
    ],
)
def test_frames_are_left_out_by_number(grid, tmp_path, monkeypatch, given, left_out):
    monkeypatch.chdir(tmp_path)
    Path("bad.txt").write_text("# lost beam\n2\n4:6, 9  # once more\n", encoding="utf-8")
    data = het.load(grid, exclude_frames=given, phi=0.0)
    assert all(
        np.setdiff1d(EVERY, left_out).tolist() == (np.flatnonzero(mask) + 1).tolist() for mask in data.mask
    )
    part = het.load(grid, exclude_frames=given, frames=(4, 9))
    assert part.mask[0].tolist() == [frame not in left_out for frame in range(4, 10)]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"exclude_frames": 13}, "frames 13 cannot be left out; the file has frames 1:12"),
        ({"exclude_frames": "3:13"}, "frames 3:13 cannot be left out"),
        ({"exclude_frames": 0}, "frames count from 1"),
        ({"exclude_frames": "7:3"}, "not 7:3"),
        ({"exclude_frames": "a"}, "'a' is no frame N"),
        ({"exclude_frames": 1.5}, "1.5 is no frame N"),
        ({"exclude_frames": True}, "True is no frame N"),
        ({"exclude_frames": "@none.txt"}, "none.txt cannot be read"),
        (
            {"mask": np.ones((9, 50), bool)},
            "mask must have shape (12,), one per frame of the file, or (9, 12)",
        ),
        ({"mask": np.full(12, 0.5)}, "mask must be True for frames to use"),
        ({"mask": "none.npz"}, "there is no file none.npz"),
        ({"baseline": 0.5}, "baseline must be 0 or 1"),
        ({"dq": -1.0}, "dq must be a full width"),
        ({"dq": 0.5}, "dq = 0.5 is no full width of a bin at q = 0.01"),
        ({"dphi": 720.0}, "dphi = 720 is no full width"),
        ({"dphi": np.inf}, "dphi must be a full width"),
    ],
)
@pytest.mark.filterwarnings("ignore:d(q|phi) = ")
def test_frames_widths_and_baselines_that_cannot_be_are_refused(grid, choice, said):
    with pytest.raises(DataError) as error:
        het.load(grid, **choice)
    assert said in one_line(error)


def test_a_mask_is_read_from_an_archive(grid, tmp_path):
    mask = EVERY != 5
    np.savez(tmp_path / "mask.npz", mask=mask)
    assert np.array_equal(het.load(grid, mask=tmp_path / "mask.npz", q=0.02).mask, np.tile(mask, (3, 1)))
    each = np.ones((9, 12), dtype=np.uint8)
    each[4, 0] = 0
    assert np.argwhere(~het.load(grid, mask=each, q=0.02, frames=(1, 6)).mask).tolist() == [[1, 0]]
    np.savez(tmp_path / "other.npz", masks=mask)
    with pytest.raises(DataError, match=r"other.npz has no array mask; it has masks"):
        het.load(grid, mask=str(tmp_path / "other.npz"))


def test_widths_that_are_given_replace_those_of_the_file_with_a_warning(grid):
    with pytest.warns(UserWarning, match="dphi = 6 degrees as given, not 0 as in the file"):
        data = het.load(grid, dphi=6.0, phi=45.0)
    assert data.dphi.tolist() == [6.0] * 3
    assert data.provenance["dphi_source"] == "given"


def test_a_baseline_that_is_given_shifts_once(tmp_path):
    data = het.simulate("static", frames=12, noise=0.01, phi=0.0)
    np.savez(tmp_path / "g2m1.npz", c2=data.c2 - 1.0, q=0.01, phi=0.0, dt=0.1)
    shifted = het.load(tmp_path / "g2m1.npz", baseline=0)
    np.testing.assert_allclose(shifted.c2[0], data.c2[0])
    assert shifted.provenance["baseline"] == "0 as given: c2 is shifted by +1"
    copy = het.load(shifted.save(tmp_path / "copy.h5"), baseline=0)
    np.testing.assert_allclose(copy.c2[0], data.c2[0])
    np.testing.assert_allclose(het.load(tmp_path / "g2m1.npz", baseline=1).c2[0], data.c2[0] - 1.0)


def test_a_list_of_frames_without_end_is_refused(tmp_path):
    (tmp_path / "long.txt").write_bytes(b"1 " * 2_200_000)
    with pytest.raises(DataError, match="longer than 4 MiB: it is no list of frames"):
        asked.frame_ranges(f"@{tmp_path / 'long.txt'}")
