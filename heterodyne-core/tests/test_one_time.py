"""One-time data: what they may hold, how every layout is read, and what is left out or refused."""

from __future__ import annotations

import pickle
from dataclasses import replace

import h5py
import numpy as np
import pytest

import heterodyne as het
from experiments import one_time
from heterodyne.bins.reading import read_bin
from heterodyne.data.one_time import first_row
from heterodyne.errors import ConfigError, DataError, ParameterError
from heterodyne.model import Stationary
from heterodyne.problem.choices import Choices
from heterodyne.problem.problem import create_problem
from heterodyne.testing.layouts import multitau

TRUTH = {"D_ref": 120.0, "D_sample": 900.0, "v": 180.0, "x": 0.23, "phi0": 5.0}
DATA = one_time("equilibrium", TRUTH, q=(0.01, 0.02), lags=12)
RINGS = replace(one_time("static", {"D0": 300.0}, q=(0.01, 0.02), phi=(0.0,), lags=12), phi=[np.nan, np.nan])


def changed(values, place, value):
    found = np.array(values)
    found[place] = value
    return found


def test_it_knows_its_bins_and_lags():
    assert (DATA.n_bins, DATA.n_lags) == (6, 12)
    assert DATA.labels[1] == DATA.label(1) == "q=0.01 phi=45"
    assert repr(DATA) == "<OneTime: 6 bins, 12 lags, 0.1 to 100 s>"
    part = DATA.bins([4, 0])
    np.testing.assert_array_equal(part.g2, DATA.g2[[4, 0]])
    np.testing.assert_array_equal(part.error, DATA.error[[4, 0]])
    assert part.labels == ("q=0.02 phi=45", "q=0.01 phi=0")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(DATA)).g2, DATA.g2)


def test_the_spacing_of_frames_is_the_shortest_lag_if_it_is_not_given():
    assert replace(DATA, dt=None).dt == DATA.tau[0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tau": np.arange(12.0)}, "leave the lag 0 out"),
        ({"tau": DATA.tau[::-1]}, "increasing"),
        ({"tau": 1e13 * DATA.tau}, "are they in s"),
        ({"tau": DATA.tau[:2], "g2": DATA.g2[:, :2], "error": None}, "2 lags are too few"),
        ({"g2": DATA.g2.T}, r"g2 must have shape \(6, 12\)"),
        ({"error": DATA.error[:2]}, r"error must have shape \(6, 12\)"),
        ({"g2": DATA.g2 + 1j}, "g2 must hold numbers"),
        ({"q": -DATA.q}, "q must be positive"),
        ({"phi": [0.0]}, "6 q and 1 phi"),
        ({"dphi": 400.0}, "dphi = 400"),
        ({"dt": -1.0}, "dt must be positive"),
    ],
)
def test_values_that_cannot_be_are_refused(changes, words):
    with pytest.raises(DataError, match=words):
        replace(DATA, **changes)
    with pytest.raises(DataError, match="there is no bin 6"):
        DATA.bins([6])


def test_it_is_the_first_row_of_matrices():
    row = first_row(DATA)
    np.testing.assert_allclose(row.tau, DATA.tau, rtol=1e-14)
    bin = read_bin(row, 2)
    assert bin.moments.pairs == DATA.n_lags
    weights = bin.weights()
    assert not weights[1:, 1:].any()
    np.testing.assert_allclose(weights[0, 1:13], DATA.error[2] ** -2 / np.mean(DATA.error[2] ** -2))
    np.testing.assert_allclose(bin.moments.reference + bin.d[0, 1:13] / weights[0, 1:13], DATA.g2[2])


def test_without_errors_all_lags_count_alike():
    row = first_row(replace(DATA, error=None))
    assert not row.has_errors
    assert np.all(row.row_weights == 1.0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"g2": changed(DATA.g2, (1, 3), np.nan)}, r"NaN or 0: lag 0.7 s of bin q=0.01 phi=45$"),
        ({"error": changed(DATA.error, (slice(None), -1), 0.0)}, "lag 100 s of all bins$"),
        ({"error": changed(DATA.error, (1, [0, 1]), -1.0)}, "lags 0.1 and 0.2 s of bin q=0.01 phi=45$"),
        ({"g2": changed(DATA.g2, (2, slice(2, None)), np.nan)}, "bin q=0.01 phi=90$"),
        ({"g2": changed(DATA.g2, (2, 5), 0.0)}, "of bin q=0.01 phi=90$"),
    ],
)
def test_what_was_not_measured_is_left_out_by_name(changes, words):
    with pytest.warns(UserWarning, match=words):
        row = first_row(replace(DATA, **changes))
    assert np.isfinite(row.weight).all()
    assert np.count_nonzero(row.row_weights) < DATA.g2.size


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"g2": np.full_like(DATA.g2, np.nan)}, "no bin has 3 values of g2"),
        ({"error": np.zeros_like(DATA.g2)}, r"with an error above 0; without errors \(error=None\)"),
    ],
)
def test_where_nothing_is_left_that_is_said(changes, words):
    with pytest.raises(DataError, match=words):
        first_row(replace(DATA, **changes))


@pytest.mark.parametrize(
    ("layout", "data"),
    [*((layout, DATA) for layout in multitau.LAYOUTS), *((layout, RINGS) for layout in multitau.LAYOUTS[1:])],
)
def test_every_layout_is_read(tmp_path, layout, data):
    path = multitau.write(tmp_path / "g2.h5", data, layout)
    found = het.load(path)
    assert isinstance(found, het.OneTime)
    assert found.provenance["loader"] == layout
    for name in ("g2", "q", "phi", "tau", "dt"):
        np.testing.assert_allclose(getattr(found, name), getattr(data, name), rtol=1e-6, err_msg=name)
    if layout == "pychx":
        assert found.error is None
    else:
        np.testing.assert_allclose(found.error, data.error, rtol=1e-6)


CONFIG = "xpcs/multitau/config"


@pytest.mark.parametrize(
    ("layout", "fields", "dt"),
    [
        ("aps-u", {f"{CONFIG}/stride_frame": 2, f"{CONFIG}/avg_frame": 3}, 0.6),
        ("aps-u", {f"{CONFIG}/stride_frame": None, f"{CONFIG}/avg_frame": None}, 0.1),
        ("aps-u", {"entry/instrument/detector_1/frame_time": 0.2}, 0.2),
        ("nxxpcs", {"entry/instrument/detector/frame_time": np.full((1, 1), 0.3, np.float32)}, 0.3),
        ("pychx", {"g2b": DATA.g2.T[:5], "taus2": DATA.tau[:5]}, 0.1),
    ],
)
def test_lags_count_frames(tmp_path, layout, fields, dt):
    found = het.load(multitau.write(tmp_path / "g2.h5", DATA, layout, fields))
    assert found.dt == pytest.approx(dt)
    np.testing.assert_allclose(found.tau, DATA.tau * dt / 0.1, rtol=1e-6)


def test_units_of_lags_and_bins_that_are_declared_count(tmp_path):
    masks = "entry/instrument/masks"
    fields = {
        "entry/data/delay_difference": 1e3 * DATA.tau,
        f"{masks}/dynamic_phi_list": np.radians(DATA.phi),
    }
    path = multitau.write(tmp_path / "g2.h5", DATA, "nxxpcs", fields)
    with h5py.File(path, "a") as file:
        file["entry/data/delay_difference"].attrs["units"] = "ms"
        file[f"{masks}/dynamic_q_list"].attrs["units"] = "nm^-1"
        file[f"{masks}/dynamic_phi_list"].attrs["units"] = "rad"
    found = het.load(path)
    np.testing.assert_allclose(found.tau, DATA.tau)
    np.testing.assert_allclose(found.q, DATA.q / 10)
    np.testing.assert_allclose(found.phi, DATA.phi)


def test_the_lag_0_is_left_out(tmp_path):
    fields = {"taus": np.append(0.0, DATA.tau), "g2": np.vstack([np.full((1, 6), 7.0), DATA.g2.T])}
    found = het.load(multitau.write(tmp_path / "g2.h5", DATA, "pychx", fields))
    np.testing.assert_array_equal(found.g2, DATA.g2)
    assert "lag 0" in found.provenance["left_out"]


def test_a_group_of_results_elsewhere_is_found(tmp_path):
    fields = {
        "xpcs/output_data": "/exchange_2",
        **{
            f"exchange_2/{name}": value for name, value in (("tau", DATA.tau / 0.1), ("norm-0-g2", DATA.g2.T))
        },
    }
    found = het.load(multitau.write(tmp_path / "g2.h5", DATA, "aps-legacy", fields))
    assert found.error is None
    assert found.provenance["g2"] == "exchange_2/norm-0-g2"


def test_bins_and_widths_are_chosen(tmp_path):
    path = multitau.write(tmp_path / "g2.h5", DATA, "aps-u")
    found = het.load(path, q=0.02, phi=(40, 100), dphi=6.0, baseline=0)
    assert found.labels == ("q=0.02 phi=45", "q=0.02 phi=90")
    np.testing.assert_allclose(found.dphi, 6.0)
    np.testing.assert_allclose(found.g2, DATA.g2[4:] + 1.0, rtol=1e-6)
    assert (found.provenance["dphi_source"], found.provenance["selection"]["q"]) == ("given", (0.02,))


def test_a_file_with_both_gives_what_is_asked_for(tmp_path):
    path = tmp_path / "both.h5"
    het.simulate("static", frames=20, q=0.01, phi=(0.0, 45.0, 90.0)).save(path)
    multitau.write(path, one_time("static", {"D0": 300.0}, lags=12), "aps-u")
    assert isinstance(het.load(path), het.TwoTime)
    assert isinstance(het.load(path, one_time=True), het.OneTime)


@pytest.mark.parametrize("layout", ["aps-u", "aps-legacy"])
def test_a_layout_can_be_forced(tmp_path, layout):
    path = multitau.write(tmp_path / "g2.h5", DATA, "aps-u")
    multitau.write(path, DATA, "aps-legacy")
    with pytest.raises(DataError, match="of the layouts aps-u and aps-legacy: choose with --loader"):
        het.load(path)
    assert het.load(path, one_time=True, loader=layout).provenance["loader"] == layout
    with pytest.raises(DataError, match="no loader of one-time data named 'numpy'"):
        het.load(path, one_time=True, loader="numpy")


def test_cells_without_pixels_have_no_column(tmp_path):
    lists = {"xpcs/dqlist": np.append(np.nan, DATA.q), "xpcs/dphilist": np.append(np.nan, DATA.phi)}
    found = het.load(multitau.write(tmp_path / "g2.h5", DATA, "aps-legacy", lists))
    np.testing.assert_array_equal(found.q, DATA.q)


@pytest.mark.parametrize(
    ("layout", "fields", "words"),
    [
        ("aps-u", {"xpcs/multitau/normalized_g2": DATA.g2}, r"must be \(lags, bins\) with 12 lags"),
        ("aps-u", {"xpcs/multitau/normalized_g2_err": DATA.error.T[:, :2]}, r"normalized_g2_err \(2, 12\)"),
        ("aps-u", {"xpcs/multitau/delay_list": DATA.tau[::-1]}, "increasing lags"),
        ("aps-u", {"xpcs/multitau/delay_list": DATA.tau}, "must count frames, and .* is no whole number"),
        ("aps-u", {"entry/instrument/detector_1/frame_time": None}, "give dt"),
        ("aps-u", {"xpcs/qmap/dynamic_index_mapping": np.arange(7)}, "g2 has 6 bins, but .* names 7"),
        ("aps-legacy", {"xpcs/avg_frames": 2}, "whether exchange/tau counts raw frames or stored ones"),
        ("aps-legacy", {"xpcs/dqlist": DATA.q[:4], "xpcs/dphilist": DATA.phi[:4]}, "names 4"),
        ("pychx", {"taus": np.arange(12.0)}, "begins at 1 s, but frame_time in md is 0.1 s"),
        ("pychx", {"g2": DATA.g2.T[:, :4]}, "qval_dict 6 regions, and which of them is not in the file"),
    ],
)
def test_what_is_not_certain_is_refused_in_one_line(tmp_path, layout, fields, words):
    path = multitau.write(tmp_path / "g2.h5", DATA, layout, fields)
    with pytest.raises(DataError, match=words) as error:
        het.load(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_columns_of_some_regions_are_those_that_are_given(tmp_path):
    path = multitau.write(tmp_path / "g2.h5", DATA, "pychx", {"g2": DATA.g2.T[:, 3:5]})
    found = het.load(path, q=[0.02, 0.02], phi=[0.0, 45.0])
    assert found.labels == ("q=0.02 phi=0", "q=0.02 phi=45")
    with pytest.raises(DataError, match=r"there is no region q = 0\.03, phi = 45"):
        het.load(path, q=[0.02, 0.03], phi=[0.0, 45.0])


@pytest.mark.parametrize(
    "asked", [{"frames": (1, 3)}, {"age": 1.0}, {"exclude_frames": 2}, {"mask": [True] * 3}, {"key": "g2"}]
)
def test_what_is_asked_of_frames_is_refused(tmp_path, asked):
    path = multitau.write(tmp_path / "g2.h5", DATA, "aps-u")
    with pytest.raises(DataError, match=f"{next(iter(asked))} says nothing of one-time data"):
        het.load(path, **asked)


def test_a_file_without_one_time_data_says_where_it_was_looked_for(tmp_path):
    path = het.simulate("static", frames=20).save(tmp_path / "two.h5")
    with pytest.raises(DataError, match=r"no one-time data .* entry/data/g2"):
        het.load(path, one_time=True)
    with pytest.raises(DataError, match="one_time must be True or False"):
        het.load(path, one_time="yes")


# into a problem


@pytest.mark.parametrize("name", ["two-component", "no-flow", "static-reference"])
def test_models_that_change_with_age_are_refused_by_name(name):
    with pytest.raises(ConfigError, match="models that can: equilibrium, static") as error:
        create_problem(DATA, het.create_model(name))
    assert "\n" not in str(error.value)


def test_static_is_held_at_what_makes_it_stationary():
    problem = create_problem(DATA, het.create_model("static"))
    assert problem.varying == ("D0",)
    assert (problem.parameters["alpha"].start, problem.parameters["D_offset"].start) == (0.0, 0.0)
    freed = create_problem(DATA, het.create_model("static"), Choices(start={"D_offset": 5.0, "alpha": 0.0}))
    assert freed.varying == ("D0", "D_offset")
    held = create_problem(DATA, het.create_model("static"), Choices(fix={"D_offset": 7.0}))
    assert held.parameters["D_offset"].start == 7.0


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"fix": {"alpha": 0.3}}, "leave out fix of alpha"),
        ({"start": {"alpha": 0.3}}, "leave out start of alpha"),
        ({"bounds": {"alpha": (-1, 1)}}, "leave out bounds of alpha"),
    ],
)
def test_choices_that_make_it_change_with_age_are_refused(choices, words):
    with pytest.raises(ParameterError, match=f"one-time data need alpha=0.*{words}"):
        create_problem(DATA, het.create_model("static"), Choices(**choices))


def test_a_model_cannot_be_stationary_by_what_it_does_not_have():
    with pytest.raises(ParameterError, match="'beta', which it does not have"):
        replace(het.create_model("static"), stationary=Stationary({"beta": 0.0}))


def test_one_time_and_two_time_data_are_not_joined():
    two_time = het.simulate("equilibrium", frames=10, phi=(0.0,))
    with pytest.raises(DataError, match="cannot be fitted jointly"):
        create_problem([DATA, two_time], het.create_model("equilibrium"))


def test_too_few_values_are_refused():
    few = replace(DATA.bins([0]), g2=DATA.g2[:1, :4], error=None, tau=DATA.tau[:4])
    with pytest.raises(DataError, match="4 values of g2 cannot determine 7 numbers"):
        create_problem(few, het.create_model("equilibrium"))
    with pytest.raises(DataError, match="3 values of g2 cannot determine 7 numbers"):
        create_problem(
            replace(few, g2=DATA.g2[:1, :8], tau=DATA.tau[:8]),
            het.create_model("equilibrium"),
            Choices(skip_lags=5),
        )


def test_one_file_is_not_fitted_twice(tmp_path):
    data = het.load(multitau.write(tmp_path / "g2.h5", DATA, "aps-u"))
    with pytest.raises(DataError, match="given twice"):
        create_problem([data, data], het.create_model("equilibrium"))
