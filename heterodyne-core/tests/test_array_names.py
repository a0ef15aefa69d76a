"""Arrays under the names, units and axes that programs give them."""

from __future__ import annotations

import numpy as np
import pytest

import heterodyne as het
from heterodyne.loading.names import NAMES
from heterodyne.testing.layouts import arrays as files
from heterodyne.testing.loaders import example

T = 0.1 * np.arange(1, 10)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("quantity", "name"), [(quantity, name) for quantity, names in NAMES.items() for name in names]
)
def test_the_names_that_programs_give_their_arrays(tmp_path, quantity, name):
    path, data = tmp_path / "run.npz", example()
    fields = {name: data.t, "dt": None, "age": None} if quantity == "t" else {}
    found = het.load(files.write(path, data, names={quantity: name}, **fields))
    for each in ("q", "phi", "t"):
        np.testing.assert_allclose(getattr(found, each), getattr(data, each))
    np.testing.assert_array_equal(found.c2[4], data.c2[4])
    assert found.provenance["c2_source"] == f"array {name if quantity == 'c2' else 'c2'}"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("fields", [{"wavevector_q_list_unit": "1/nm"}, {"q_unit": "nm^-1"}])
def test_units_of_arrays_under_other_names(tmp_path, fields):
    data = example()
    path = files.write(
        tmp_path / "run.npz", data, names=files.PREDECESSOR, wavevector_q_list=10 * data.q, **fields
    )
    np.testing.assert_allclose(het.load(path).q, data.q)


def predecessor(path, **fields):
    """A cache of earlier programs, with times from 0."""
    t, data = 0.1 * np.arange(9), example()
    return files.write(
        path / "cached.npz", data, names=files.PREDECESSOR, **{"t1": t, "t2": t, "age": None, **fields}
    )


def test_times_of_the_predecessor_count_frames(tmp_path):
    with pytest.warns(UserWarning, match="t1 begins at 0: taken for numbers of frames times dt") as said:
        data = het.load(predecessor(tmp_path))
    assert len(said) == 1
    np.testing.assert_allclose(data.t, T)
    assert data.provenance["age_source"].startswith("t1 begins at 0")
    np.testing.assert_array_equal(data.c2[2], example().c2[2])


@pytest.mark.filterwarnings("error")
def test_times_of_the_predecessor_from_an_age_on(tmp_path):
    np.testing.assert_allclose(het.load(predecessor(tmp_path), age=3.0).t, 3.0 + T)
    np.testing.assert_allclose(het.load(predecessor(tmp_path, t1=T + 2, t2=T + 2)).t, T + 2)


@pytest.mark.filterwarnings("error")
def test_arrays_of_pipelines_with_bins_last(tmp_path):
    data = example()
    path = files.write(tmp_path / "run.npz", data, names={"c2": "g12b", "q": "qval"}, bins_last=True)
    found = het.load(path, q=0.02, phi=60)
    np.testing.assert_array_equal(found.c2[0], data.c2[5])
