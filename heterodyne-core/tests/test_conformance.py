"""Core's own models, loaders and writers keep what plugins have to keep; and what does not keep it is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from heterodyne.data.matrices import ALL
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError, HeterodyneError
from heterodyne.kernels._jax import jax, jnp
from heterodyne.loading.layouts import arrays
from heterodyne.model import KnownValues, Model, Stationary, pair_of_components, separable
from heterodyne.parameters import Parameter, ParameterTable
from heterodyne.plugins import hookimpl
from heterodyne.plugins.records import LoaderRecord, WriterRecord
from heterodyne.testing import LoaderConformance, ModelConformance, WriterConformance
from heterodyne.testing.layouts import aps_legacy, matlab, nxxpcs
from heterodyne.testing.layouts import arrays as numpy_files
from heterodyne.testing.layouts.esrf_id02 import write_esrf_id02
from heterodyne.testing.layouts.midtools import write_midtools
from heterodyne.testing.layouts.pychx import write_pychx
from heterodyne.variants import equilibrium, no_flow, static, static_reference, two_component
from heterodyne.writing import fit_json


@pytest.mark.slow
class TestTwoComponent(ModelConformance):
    model = "two-component"
    oracle = two_component.ORACLE
    rounding = 4e-15


@pytest.mark.slow
class TestStaticReference(ModelConformance):
    model = "static-reference"
    oracle = static_reference.ORACLE
    rounding = 4e-15


@pytest.mark.slow
class TestNoFlow(ModelConformance):
    model = "no-flow"
    oracle = no_flow.ORACLE
    rounding = 4e-15


@pytest.mark.slow
class TestEquilibrium(ModelConformance):
    model = "equilibrium"
    oracle = equilibrium.ORACLE
    rounding = 4e-15


@pytest.mark.slow
class TestStatic(ModelConformance):
    model = "static"
    oracle = static.ORACLE
    rounding = 4e-15


class TestOwnFile(LoaderConformance):
    loader = "heterodyne"

    def write(self, folder: Path, data: TwoTime, c2: np.ndarray) -> Path:
        return data.save(folder / "own.h5")


class TestArchive(LoaderConformance):
    loader = "numpy"

    def write(self, folder: Path, data: TwoTime, c2: np.ndarray) -> Path:
        np.savez(folder / "run.npz", c2=c2, q=data.q, phi=data.phi, dt=data.dt, age=data.age)
        return folder / "run.npz"


class TestPredecessor(LoaderConformance):
    loader = "numpy"

    def write(self, folder: Path, data: TwoTime, c2: np.ndarray) -> Path:
        t = {"t1": data.t, "t2": data.t}
        return numpy_files.write(folder / "run.npz", data, c2, names=numpy_files.PREDECESSOR, **t)


class TestMatlab(LoaderConformance):
    loader = "matlab"

    def write(self, folder: Path, data: TwoTime, c2: np.ndarray) -> Path:
        return matlab.write(folder / "run.mat", data, c2)


class TestApsLegacy(LoaderConformance):
    loader = "aps-legacy"

    def write(self, folder: Path, data: TwoTime, c2: np.ndarray) -> Path:
        return aps_legacy.write(folder / "run.hdf", data, c2)


class TestApsU(LoaderConformance):
    loader = "aps-u"
    rings = False

    @pytest.fixture(autouse=True)
    def writer(self, aps_u):
        self.aps_u = aps_u

    def write(self, folder: Path, data: TwoTime, c2: np.ndarray) -> Path:
        path = self.aps_u(
            q=np.unique(data.q),
            phi=np.unique(data.phi),
            empty=(),
            frame_time=data.dt,
            config={"begin_frame": round(data.age / data.dt)},
        )
        with h5py.File(path, "r+") as file:
            matrices = file["xpcs/twotime/correlation_map"]
            for name, matrix in zip(list(matrices), c2, strict=True):
                del matrices[name]
                matrices[name] = matrix
        return path


class TestPychx(LoaderConformance):
    loader = "pychx"
    ages = False

    def write(self, folder: Path, data: TwoTime, c2: np.ndarray) -> Path:
        return write_pychx(folder / "uid=0123abcd_Res.h5", data, c2)


class TestEsrfId02(LoaderConformance):
    loader = "esrf-id02"
    azimuths = False
    halves = ("upper", "full")

    def write(self, folder: Path, data: TwoTime, c2: np.ndarray) -> Path:
        return write_esrf_id02(folder / "id02.h5", data, c2)


class TestEsrfId02First(TestEsrfId02):
    def write(self, folder: Path, data: TwoTime, c2: np.ndarray) -> Path:
        return write_esrf_id02(folder / "id02.h5", data, c2, version=1)


class TestMidtools(LoaderConformance):
    loader = "midtools"
    azimuths = False

    def write(self, folder: Path, data: TwoTime, c2: np.ndarray) -> Path:
        return write_midtools(folder / "r0041.h5", data, c2)


class TestNxxpcs(LoaderConformance):
    loader = "nxxpcs"
    ages = False

    def write(self, folder: Path, data: TwoTime, c2: np.ndarray) -> Path:
        (folder / "run.nxs").unlink(missing_ok=True)
        return nxxpcs.write(folder / "run.nxs", data, c2)


class TestNxxpcsWithTimes(LoaderConformance):
    loader = "nxxpcs"

    def write(self, folder: Path, data: TwoTime, c2: np.ndarray) -> Path:
        (folder / "run.nxs").unlink(missing_ok=True)
        more = {"mode": "data_exchange_keys", "origin": "lower_left", "axis": True}
        return nxxpcs.write(folder / "run.nxs", data, c2, **more)


class TestJson(WriterConformance):
    writer = "json"


class TestNpz(WriterConformance):
    writer = "npz"


class TestProfiles(WriterConformance):
    writer = "profiles"


RATE = Parameter("rate", "1/s", 1.0, 1e-3, 1e3, scale="log")


def decay(rate=lambda p: p["rate"], row=RATE, height=1.0, **statements) -> Model:
    """S = height² e^(-rate τ), made from components."""

    def components(p, t, q, phi):
        return height * jnp.ones_like(t)[None], (rate(p) * t)[None]

    return separable("decay", ParameterTable([row]), components, **{"uses_azimuth": False, **statements})


def slower_components() -> Model:
    right, slow = decay(), decay(lambda p: 0.99 * p["rate"])
    return Model("decay", right.parameters, right.profiles, pair_of_components, slow.components, False)


def frames_first() -> Model:
    right = decay()

    def profiles(p, t, q, phi):
        return p["rate"] * t[:, None]

    return Model("decay", right.parameters, profiles, lambda left, right: jnp.exp(-jnp.abs(right - left)))


def fading() -> Model:
    """S with an amplitude that changes with age, stated to be stationary all the same."""
    right = decay(stationary=Stationary())

    def components(p, t, q, phi):
        return 1.0 / (1.0 + p["rate"] * t)[None], (p["rate"] * t)[None]

    return replace(right, profiles=components, components=components)


WRONG_MODELS = {
    "test_the_table_can_be_started_from": decay(row=Parameter("rate", "1/s", 1.0, 2.0, 3.0)),
    "test_s_is_a_correlation_all_over_the_bounds": decay(height=0.99),
    "test_slopes_are_finite_all_over_the_bounds": decay(lambda p: jnp.sqrt(p["rate"] - 1e-3)),
    "test_slopes_are_those_of_differences": decay(lambda p: jax.lax.stop_gradient(p["rate"])),
    "test_components_give_the_same_s": slower_components(),
    "test_sums_without_the_matrix_are_those_over_the_matrix": slower_components(),
    "test_pairs_of_frames_have_the_s_of_the_matrix": frames_first(),
    "test_the_azimuth_counts_only_where_it_is_said_to": decay(uses_azimuth=True),
    "test_s_depends_on_the_lag_alone_where_that_is_stated": fading(),
    "test_values_known_from_elsewhere": decay(),
}


def rules_of(conformance: type) -> set[str]:
    return {name for name in dir(conformance) if name.startswith("test_")}


@pytest.mark.slow
def test_a_model_of_a_stranger_that_keeps_the_rules_passes():
    class Tests(ModelConformance):
        model = decay()
        oracle = (KnownValues({"rate": 1.0}, np.arange(1, 4), 0.01, 0.0, ((0, 2),), (np.exp(-2.0),)),)

    for test in rules_of(ModelConformance):
        getattr(Tests(), test)()


@pytest.mark.slow
@pytest.mark.parametrize("test", sorted(rules_of(ModelConformance)))
def test_a_model_that_breaks_a_rule_fails_the_test_of_that_rule(test):
    class Tests(ModelConformance):
        model = WRONG_MODELS[test]
        oracle = (KnownValues({"rate": 1.0}, np.arange(1, 4), 0.01, 0.0, ((0, 2),), (0.13,)),)

    with pytest.raises(AssertionError):
        getattr(Tests(), test)()


@pytest.fixture
def offered(only_plugins):
    """A function: a target, a loader or a writer, is what the only plugin offers, by the name `wrong`."""

    def install(kind, record, target):
        @hookimpl
        def hook():
            yield record("wrong", "a test", "wrong_plugin:target")

        only_plugins(wrong=SimpleNamespace(**{f"heterodyne_{kind}s": hook}, target=target))

    return install


class Archive(TestArchive):
    __test__ = False
    loader = "wrong"


def loader(load=arrays.load, sniff=arrays.sniff):
    return SimpleNamespace(load=load, sniff=sniff)


def changed(change):
    """The loader of archives with a change of what it returns."""
    return loader(lambda path, given: replace(data := arrays.load(path, given), **change(data, given)))


def unguarded(path, given):
    try:
        return arrays.load(path, given)
    except DataError as error:
        raise KeyError(path.name) from error


WRONG_LOADERS = {
    "test_it_takes_its_own_files_and_no_others": loader(sniff=lambda path: 0.9),
    "test_all_that_was_written_comes_back": changed(lambda data, given: {"phi": -data.phi}),
    "test_bins_and_frames_are_chosen": loader(
        lambda path, given: arrays.load(path, given).cut(ALL if given.frames is None else slice(2, 7))
    ),
    "test_dt_and_age_that_are_given_count": changed(lambda data, given: {"dt": given.dt or data.dt}),
    "test_bins_without_an_azimuth_are_rings": changed(lambda data, given: {"phi": np.nan_to_num(data.phi)}),
    "test_only_matrices_that_are_asked_for_are_read": changed(lambda data, given: {"c2": list(data.c2)}),
    "test_a_file_that_is_cut_short_is_refused_in_one_line": loader(unguarded),
}


@pytest.mark.parametrize("test", sorted(rules_of(LoaderConformance)))
def test_a_loader_of_a_stranger_that_keeps_the_rules_passes(test, offered, tmp_path):
    offered("loader", LoaderRecord, loader())
    getattr(Archive(), test)(tmp_path)


@pytest.mark.parametrize("test", sorted(rules_of(LoaderConformance)))
def test_a_loader_that_breaks_a_rule_fails_the_test_of_that_rule(test, offered, tmp_path):
    offered("loader", LoaderRecord, WRONG_LOADERS[test])
    with pytest.raises((AssertionError, HeterodyneError)):
        getattr(Archive(), test)(tmp_path)


def with_more(fit, folder):
    (folder / "log.txt").write_text("done")
    return fit_json.write(fit, folder)


def into_the_file(fit, folder):
    (folder / "fit.txt").write_text(fit.report())
    return [folder / "fit.txt"]


def of_the_problem(fit, folder):
    return [*fit_json.write(fit, folder)][: fit.problem.data[0].n_bins]


WRONG_WRITERS = {
    "test_it_returns_what_it_wrote_into_the_folder_and_leaves_nothing_else": with_more,
    "test_a_file_is_replaced_as_a_whole": into_the_file,
    "test_a_result_without_its_data_is_written_or_refused": of_the_problem,
}


@pytest.mark.parametrize("test", sorted(rules_of(WriterConformance)))
def test_a_writer_that_breaks_a_rule_fails_the_test_of_that_rule(test, offered, tmp_path):
    class Tests(WriterConformance):
        writer = "wrong"

    offered("writer", WriterRecord, WRONG_WRITERS[test])
    with pytest.raises((AssertionError, AttributeError)):
        getattr(Tests(), test)(tmp_path)
