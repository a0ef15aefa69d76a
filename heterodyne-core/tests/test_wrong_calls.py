"""Wrong calls of the API: one line that says what is wrong, an error that is a `HeterodyneError`, nothing written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import heterodyne as het
from heterodyne.config.files import read_config
from heterodyne.config.schema import FitConfig, check_names, create_config
from heterodyne.errors import ConfigError, DataError, HeterodyneError, ParameterError, PluginError
from heterodyne.executors.settings import read_settings
from heterodyne.plugins.manager import optimizer_record
from heterodyne.plugins.records import OptimizerRecord, Option
from heterodyne.problem.choices import Choices
from heterodyne.problem.problem import create_problem

T = 0.1 * np.arange(1, 13)
OPTIMIZER = OptimizerRecord(
    "scan",
    "",
    "nowhere",
    (
        Option("points", int, 11, "", low=1, high=100),
        Option("share", float, 0.5, "", low=0.0, high=0.999),
        Option("names", str, (), "", many=True),
        Option("kind", str, "a", "", ("a", "b")),
        Option("fine", bool, True, ""),
    ),
)


def two_time(**changes: object) -> het.TwoTime:
    rng = np.random.default_rng(1)
    noise = rng.normal(1.1, 0.01, (2, 12, 12))
    data = het.TwoTime(
        noise + noise.swapaxes(1, 2) - 1.1, [0.01, 0.02], [0.0, 45.0], T, 0.1, dq=1e-4, dphi=5.0
    )
    return replace(data, **changes)


def problem(data: object = None, model: str = "static", **choices: object):
    return create_problem(two_time() if data is None else data, het.create_model(model), Choices(**choices))


def option(name: str, value: object) -> object:
    return OPTIMIZER.complete({name: value})


Call = Callable[[], object]

WRONG: tuple[tuple[str, Call, type[HeterodyneError], str], ...] = (
    # two-time data in memory
    ("q twice as many", lambda: two_time(q=[0.01, 0.02, 0.03]), DataError, "q"),
    ("q a word", lambda: two_time(q="wide"), DataError, "q must hold numbers"),
    ("q negative", lambda: two_time(q=[-0.01, 0.02]), DataError, "q must be positive"),
    ("q beyond numbers", lambda: two_time(q=[10**400, 1]), DataError, "q must hold numbers"),
    ("q far beyond atoms", lambda: two_time(q=[1.8e19, 0.02]), DataError, "q must lie in 1e-09:100"),
    ("q of whole planets", lambda: two_time(q=[1e-12, 0.02]), DataError, "q must lie in 1e-09:100"),
    ("q infinite", lambda: two_time(q=[np.inf, 0.02]), DataError, "q must be positive"),
    ("phi infinite", lambda: two_time(phi=[np.inf, 0.0]), DataError, "be NaN for a ring, not inf"),
    ("dt zero", lambda: two_time(dt=0.0), DataError, "dt"),
    ("dt a word", lambda: two_time(dt="fast"), DataError, "dt must be a number, not 'fast'"),
    ("dt a truth", lambda: two_time(dt=True), DataError, "dt must be a number, not True"),
    ("dt NaN", lambda: two_time(dt=np.nan), DataError, "dt"),
    ("dt beyond all", lambda: two_time(dt=1e300), DataError, "dt must lie in 1e-15:1e+09 s, not 1e+300"),
    ("dt below all", lambda: two_time(dt=1e-300), DataError, "dt must lie in 1e-15:1e+09 s, not 1e-300"),
    ("dt beyond numbers", lambda: two_time(dt=10**400), DataError, "dt must be a number, not one beyond"),
    ("age beyond all", lambda: two_time(age=1e300), DataError, "age"),
    ("times fall", lambda: two_time(t=T[::-1]), DataError, "frame times must be positive and increasing"),
    ("times beyond all", lambda: two_time(t=T * 1e300), DataError, "frame times must"),
    (
        "two frames",
        lambda: two_time(c2=np.ones((2, 2, 2)), t=T[:2], mask=True),
        DataError,
        "2 frames are too few",
    ),
    ("mask of another shape", lambda: two_time(mask=np.ones((2, 5), bool)), DataError, "mask"),
    ("weight negative", lambda: two_time(weight=-np.ones((2, 12))), DataError, "weight"),
    (
        "weight of another shape",
        lambda: two_time(weight=np.ones((2, 5))),
        DataError,
        "weight must have shape",
    ),
    ("pair of no bin", lambda: two_time(bad_pairs=[[9, 0, 1]]), DataError, "bad_pairs names bin 9"),
    (
        "pairs of two",
        lambda: two_time(bad_pairs=[[0, 1]]),
        DataError,
        "bad_pairs must be whole numbers in rows",
    ),
    ("a bin that is not", lambda: two_time().bins([7]), DataError, "there is no bin 7; bins are 0 to 1"),
    # files
    ("load of none", lambda: het.load("none.h5"), DataError, "there is no file none.h5"),
    ("load of nothing", lambda: het.load(""), DataError, "'' does not name a file"),
    ("load of a number", lambda: het.load(3), DataError, "3 does not name a file"),
    ("load of a NUL", lambda: het.load("a\0b"), DataError, "does not name a file"),
    ("load of a folder", lambda: het.load("."), DataError, "folder"),
    ("save as text", lambda: two_time().save("run.txt"), DataError, "run.txt must end in .h5"),
    ("save nowhere", lambda: two_time().save("nowhere/run.h5"), DataError, "there is no folder nowhere"),
    ("read_fit of none", lambda: het.read_fit("none"), DataError, "cannot read a fit from none"),
    (
        "read_config of none",
        lambda: read_config("none.yaml"),
        ConfigError,
        "cannot read configuration none.yaml",
    ),
    ("read_config of a number", lambda: read_config(3), DataError, "3 does not name a file"),
    # names
    ("model unknown", lambda: het.create_model("statik"), PluginError, "did you mean 'static'?"),
    ("model a number", lambda: het.create_model(3), PluginError, "no model named 3"),
    ("optimizer unknown", lambda: optimizer_record("nslq"), PluginError, "no optimizer named 'nslq'"),
    ("keyword unknown", lambda: het.fit(two_time(), strat=1), ConfigError, "did you mean 'start'?"),
    ("by unknown", lambda: het.fit_by(two_time(), "r"), ConfigError, "by"),
    # options
    ("option unknown", lambda: option("point", 1), ConfigError, "did you mean 'points'?"),
    ("option beyond", lambda: option("points", 1e20), ConfigError, "option 'points' must be at most 100"),
    ("option below", lambda: option("points", 0), ConfigError, "option 'points' must be at least 1, not 0"),
    ("option broken", lambda: option("points", 2.5), ConfigError, "option 'points' must be int, not 2.5"),
    ("option a truth", lambda: option("points", True), ConfigError, "option 'points' must be int, not True"),
    (
        "share above",
        lambda: option("share", 1.5),
        ConfigError,
        "option 'share' must be at most 0.999, not 1.5",
    ),
    ("share NaN", lambda: option("share", np.nan), ConfigError, "option 'share' must be float, not nan"),
    ("share beyond numbers", lambda: option("share", 10**400), ConfigError, "option 'share' must be float"),
    ("kind unknown", lambda: option("kind", "c"), ConfigError, "no value of option 'kind' named 'c'"),
    (
        "switch a word",
        lambda: option("fine", "maybe"),
        ConfigError,
        "option 'fine' must be bool, not 'maybe'",
    ),
    (
        "options a list",
        lambda: OPTIMIZER.complete([("points", 1)]),
        ConfigError,
        "options map names to values",
    ),
    (
        "workers none",
        lambda: read_settings("processes", {"workers": 0}, ("workers",)),
        ConfigError,
        "at least 1",
    ),
    (
        "workers many",
        lambda: read_settings("serial", {"workers": 1e9}, ("workers",)),
        ConfigError,
        "at most 10000",
    ),
    # choices
    ("fix unknown", lambda: problem(fix="alhpa"), ParameterError, "did you mean 'alpha'?"),
    (
        "fix outside",
        lambda: problem(fix={"alpha": 9}),
        ParameterError,
        "alpha=9 lies outside its bounds -2:2",
    ),
    ("fix beyond numbers", lambda: problem(fix={"alpha": 10**400}), ParameterError, "is not a number"),
    ("fix and start", lambda: problem(fix="alpha=1", start="alpha=0"), ParameterError, "in fix and in start"),
    (
        "tie and bounds",
        lambda: problem(tie="alpha=D0", bounds="alpha=0:1"),
        ParameterError,
        "in bounds and in tie",
    ),
    (
        "start outside",
        lambda: problem(start={"D0": -5}),
        ParameterError,
        "start D0=-5 lies outside its bounds",
    ),
    ("bounds without end", lambda: problem(bounds={"D0": (None, None)}), ParameterError, "names neither end"),
    ("bounds upside down", lambda: problem(bounds="D0=9:1"), ParameterError, "must be low < high, not 9:1"),
    ("bounds too high", lambda: problem(bounds={"D0": (2e6, None)}), ParameterError, "low < high, not 2e+06"),
    ("bounds of three", lambda: problem(bounds={"D0": (1, 2, 3)}), ParameterError, "is not a range LO:HI"),
    (
        "tie in a circle",
        lambda: problem(tie="D0=D0"),
        ParameterError,
        "does not end at a parameter of its own",
    ),
    ("tie of units", lambda: problem(tie="D0=alpha"), ParameterError, "joins different units"),
    ("prior unknown", lambda: problem(prior="D0=cauchy:1:2"), ParameterError, "cauchy"),
    ("contrast above", lambda: problem(contrast=2), ConfigError, "contrast 2 lies outside 0:1"),
    (
        "offset misspelt",
        lambda: problem(offset="shraed"),
        ConfigError,
        "offset must be auto, individual, shared",
    ),
    ("lags broken", lambda: problem(skip_lags=1.5), ConfigError, "skip_lags: 1.5 is not a whole number"),
    (
        "lags too many",
        lambda: problem(skip_lags=12),
        ConfigError,
        "skip_lags=12 leaves too little of 12 frames",
    ),
    ("lags without end", lambda: problem(skip_lags=1e300), ConfigError, "skip_lags"),
    ("warm start a number", lambda: problem(warm_start=3), ConfigError, "3 is neither a Fit nor the folder"),
    # data of a fit
    ("data of none", lambda: problem(data=[]), DataError, "there is no data to fit"),
    ("data a name", lambda: problem(data="run.h5"), DataError, "data must be what heterodyne.load returns"),
    ("data a number", lambda: problem(data=[3]), DataError, "data must be what heterodyne.load returns"),
    (
        "a ring with flow",
        lambda: problem(two_time(phi=np.nan * T[:2]), "two-component"),
        DataError,
        "azimuth",
    ),
    # configurations
    (
        "key unknown",
        lambda: create_config({"optimiser": "a"}, "here"),
        ConfigError,
        "did you mean 'optimizer'?",
    ),
    ("key a number", lambda: create_config({3: 1}, "here"), ConfigError, "here: no key named '3'"),
    (
        "frames one",
        lambda: create_config({"frames": 9}, "here"),
        ConfigError,
        "here: frames: 9 is not a range",
    ),
    (
        "q of words",
        lambda: create_config({"q": ["a"]}, "here"),
        ConfigError,
        "here: q[0]: 'a' is not a number",
    ),
    ("output a number", lambda: create_config({"output": 3}, "here"), ConfigError, "output: 3 is not a name"),
    ("loader unknown", lambda: check_names(FitConfig(loader="apsu")), PluginError, "did you mean 'aps-u'?"),
    # simulations
    (
        "rate negative",
        lambda: het.simulate(params={"D0_ref": -5}),
        ParameterError,
        "outside its bounds 0.01:1e+06",
    ),
    (
        "fraction above",
        lambda: het.simulate(params={"f0": 7}),
        ParameterError,
        "f0=7 lies outside its bounds 0:1",
    ),
    ("params a list", lambda: het.simulate(params=["f0"]), ParameterError, "params must map parameter names"),
    (
        "offset away",
        lambda: het.simulate(offset=-7),
        DataError,
        "offset must be finite and lie in 0.5:1.5, not -7",
    ),
    ("noise beyond", lambda: het.simulate(noise=1e300), DataError, "noise must be at most 10, not 1e+300"),
    ("q given twice", lambda: het.simulate(q=[0.01, 0.01]), DataError, "q 0.01 is given twice"),
    ("phi given twice", lambda: het.simulate(phi=[5, 5]), DataError, "phi 5 is given twice"),
    ("q of nothing", lambda: het.simulate(q=[]), DataError, "q and phi must each be a number or a list"),
    ("q of rows", lambda: het.simulate(q=[[0.01]]), DataError, "q and phi must each be a number or a list"),
    ("frames beyond", lambda: het.simulate(frames=10**20), DataError, "frames must be at most 10000000"),
    ("frames a truth", lambda: het.simulate(frames=True), DataError, "frames must be a number, not True"),
    ("dt away", lambda: het.simulate(dt=1e-300), DataError, "dt must lie in 1e-15:1e+09 s, not 1e-300"),
    ("seed broken", lambda: het.simulate(seed=0.5), DataError, "seed must be a whole number"),
    (
        "width too wide",
        lambda: het.simulate(dphi=720),
        DataError,
        "dphi must be a full width in 0..360, not 720",
    ),
    ("speckle without pixels", lambda: het.simulate_speckle(pixels=0), DataError, "pixels"),
    (
        "jitter without photons",
        lambda: het.simulate_speckle(jitter=0.1),
        DataError,
        "jitter needs counts",
    ),
)


@pytest.mark.parametrize(
    ("call", "error", "words"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG]
)
def test_a_wrong_call_is_one_line_and_nothing_is_written(tmp_path, monkeypatch, call, error, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HeterodyneError) as caught:
        call()
    assert type(caught.value) is error
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(Path.cwd().iterdir())
