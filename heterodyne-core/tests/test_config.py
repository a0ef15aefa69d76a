"""Configuration: every key means something, and every mistake is named with its place."""

from __future__ import annotations

import re
from inspect import signature
from itertools import pairwise
from pathlib import Path

import pytest

from heterodyne.config.files import check_files, config_text, read_config
from heterodyne.config.schema import FitConfig, check_names, create_config, effective
from heterodyne.config.template import json_schema, template
from heterodyne.errors import ConfigError, DataError, HeterodyneError, ParameterError, PluginError
from heterodyne.fitting.fit import fit
from heterodyne.loading.load import load
from heterodyne.plugins.records import OptimizerRecord, Option

SCAN = OptimizerRecord(
    "scan", "", "nowhere", (Option("points", int, 11, ""), Option("fine", bool, False, ""))
)


@pytest.fixture
def scan(monkeypatch: pytest.MonkeyPatch) -> OptimizerRecord:
    """The only optimizer there is."""

    def record(name: str) -> OptimizerRecord:
        assert name == "scan"
        return SCAN

    monkeypatch.setattr("heterodyne.config.schema.optimizer_record", record)
    monkeypatch.setattr("heterodyne.config.template.optimizer_record", record)
    return SCAN


@pytest.fixture
def written(tmp_path: Path):
    """A function that writes text as a configuration and reads it."""

    def read(text: str) -> FitConfig:
        path = tmp_path / "fit.yaml"
        path.write_text(text, encoding="utf-8")
        return read_config(path)

    return read


def test_everything_that_fit_and_load_accept_has_a_key():
    accepted = {*signature(fit).parameters, *signature(load).parameters} - {"progress", "path"}
    assert set(FitConfig.model_fields) == accepted | {"write", "output", "by", "compare"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("12", ("12",)),
        ("12,40:55", ("12", "40:55")),
        ("[12, 40:55, '3,4']", ("12", "40:55", "3", "4")),
        ("[[40, 55]]", ("40:55",)),
        ("@/bad.txt", ("@/bad.txt",)),
    ],
)
def test_bad_frames_are_numbers_ranges_or_a_file(written, text: str, found: tuple[str, ...]):
    assert (
        written(f"exclude_frames: {text!r}" if text[0] != "[" else f"exclude_frames: {text}").exclude_frames
        == found
    )


def test_files_of_bad_frames_and_masks_are_relative_to_the_file(written, tmp_path: Path):
    config = written("exclude_frames: [12, '@bad.txt']\nmask: mask.npz\n")
    assert config.exclude_frames == ("12", f"@{tmp_path / 'bad.txt'}")
    assert config.mask == str(tmp_path / "mask.npz")


@pytest.mark.parametrize("word", ["ring", "Ring", "nan", ".nan"])
def test_a_ring_is_a_word(written, word: str):
    assert written(f"phi: [{word}, 40:50]").phi == ("ring", (40.0, 50.0))


def test_defaults_are_those_of_fit():
    defaults = {name: p.default for name, p in signature(fit).parameters.items()}
    config = FitConfig()
    for name in ("model", "optimizer", "contrast", "offset", "skip_lags"):
        assert getattr(config, name) == defaults[name]


def test_yaml_and_command_line_spellings_mean_the_same(written):
    in_yaml = written(
        "q: [0.01, [0.02, 0.03]]\nphi: [-10:10, 40:50, 90]\nframes: [1, 50]\ndt: 1e-1\n"
        "fix: {f2: 0, f3: null}\nstart: {v0: 2e3}\nbounds: {v0: [1, 1e4]}\ntie: {D0_ref: D0_sample}\n"
        "contrast: 0.15\nwrite: [json, npz]\n"
    )
    as_options = create_config(
        {
            "q": ["0.01", "0.02:0.03"],
            "phi": ["-10:10", "40:50", "90"],
            "frames": "1:50",
            "dt": "0.1",
            "fix": ["f2=0", "f3"],
            "start": ["v0=2000"],
            "bounds": ["v0=1:10000"],
            "tie": ["D0_ref=D0_sample"],
            "contrast": 0.15,
            "write": ["json,npz"],
        },
        "command line",
    )
    assert in_yaml == as_options
    assert as_options.phi == ((-10.0, 10.0), (40.0, 50.0), 90.0)
    assert as_options.fix == {"f2": 0.0, "f3": None}


def test_yaml_is_read_by_the_rules_of_yaml_1_2(written):
    config = written("q: 40:50\nfix: [no]\nstart: {v0: 010}\ncontrast: shared\nframes: 1:20\nage:\n")
    assert config.q == ((40.0, 50.0),)
    assert config.fix == {"no": None}
    assert config.start == {"v0": 10.0}
    assert config.frames == (1, 20)
    assert config.age is None


def test_an_empty_file_says_nothing(written):
    assert written("# nothing\n") == FitConfig()


def test_paths_are_relative_to_the_file(written, tmp_path: Path):
    config = written("data: [run.h5, /abs/other.h5]\noutput: out\n")
    assert config.data == (str(tmp_path / "run.h5"), "/abs/other.h5")
    assert config.output == str(tmp_path / "out")
    assert "output" not in written("data: run.h5\n").model_fields_set


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modle: static\n", r"fit.yaml: no key named 'modle'; did you mean 'model'\?"),
        ("1: static\n", r"fit.yaml: no key named '1'"),
        ("q: [0.01, wide]\n", r"fit.yaml: q\[1\]: 'wide' is not a number"),
        ("q: [true]\n", r"fit.yaml: q\[0\]: True is not a number"),
        ("phi: 1:2:3\n", r"fit.yaml: phi\[0\]: '1:2:3' is not a range LO:HI"),
        ("frames: 1.5:3\n", r"fit.yaml: frames: '1.5:3' is not a range of whole frames A:B"),
        ("dt: fast\n", r"fit.yaml: dt: 'fast' is not a number"),
        ("dt: [1]\n", r"fit.yaml: dt: \[1\] is not a number"),
        ("start: {v0: quick}\n", r"fit.yaml: start of 'v0': 'quick' is not a number"),
        ("start: {v0: .nan}\n", r"fit.yaml: start of 'v0': '.nan' is not a number"),
        ("bounds: {v0: 1:inf}\n", r"fit.yaml: bounds of 'v0': 'inf' is not a number"),
        ("start: [v0]\n", r"fit.yaml: start: 'v0' has no value; write NAME=VALUE"),
        ("start: [v0=1, v0=2]\n", r"fit.yaml: start: 'v0' is given twice"),
        ("bounds: {v0: 5}\n", r"fit.yaml: bounds of 'v0': 5 is not a range LO:HI"),
        ("model: [static]\n", r"fit.yaml: model: Input should be a valid string"),
        ("options: fast\n", r"fit.yaml: options: Input should be a valid dictionary"),
        ("q: [0.01\nphi: 3\n", r"fit.yaml, line 2, column 4: expected ',' or ']'"),
        ("q: 0.01\nphi: 3\nq: 0.02\n", r"fit.yaml, line 3, column 1: key 'q' stands twice"),
        ("- q\n", r"fit.yaml: a configuration is a mapping of keys to values, not list"),
        ("q: !!python/object:os.system {}\n", r"fit.yaml, line 1, column 4: could not determine a construct"),
    ],
)
def test_a_mistake_in_a_file_is_one_line_with_its_place(written, text: str, message: str):
    with pytest.raises(ConfigError, match=message) as caught:
        written(text)
    assert "\n" not in str(caught.value)


BOMB = "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in pairwise("abcdefghi"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"a: &a [1]\n{BOMB}q: *i\n".encode(), "line 5, column 4: more than 10000 values, each alias"),
        (b"q: [" + b"1, " * 20_000 + b"]", "line 1, column 30002: more than 10000 values"),
        (b"[" * 3000, "line 1, column 21: more than 20 mappings and lists within one another"),
        (b"a:\n " + b"- " * 3000, "line 2, column 40: more than 20 mappings and lists"),
        (b"q: &a [*a]\n", "line 1, column 8: an alias within what it stands for"),
        (b"&a\noptions: *a\n", "line 2, column 10: an alias within what it stands for"),
        (b"q: 1\nphi: \xff\n", "line 2: byte 0xff is not UTF-8 text"),
        (b"\xff\xfeq\x00:\x00", "line 1: byte 0xff is not UTF-8 text"),
        (b"q: 1\nphi: \x00\n", "line 2: character 0 is not text"),
        (b"q: \x1b[2J\n", "line 1: character 27 is not text"),
        (b"x" * 300_000, "fit.yaml: a configuration has at most 256 KiB: is this one?"),
        (b"q: 1\nq: 2\n", "line 2, column 1: key 'q' stands twice"),
        (b"? [1, 2]\n: 3\n", "line 1, column 3: found unhashable key"),
        (b"5\n", "fit.yaml: a configuration is a mapping of keys to values, not int"),
        (b"q: 1\n---\nq: 2\n", "line 2, column 1: but found another document"),
        (b"dt: " + b"9" * 5000, "line 1, column 5: '999999999999...9999999999999' cannot be read as int"),
        (b"dt: " + b"9" * 400, "is not a number"),
        (b"q: !!bool maybe\n", "line 1, column 4: 'maybe' cannot be read as bool"),
        (b"q: !!timestamp 2001-13-45\n", "line 1, column 4: could not determine a constructor"),
        (b"data: !!binary aGk=\n", "line 1, column 7: could not determine a constructor"),
    ],
)
def test_a_file_that_is_none_is_refused_at_once_with_its_place(tmp_path, content: bytes, message: str):
    file = tmp_path / "fit.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_config(file)
    assert str(file) in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_alias_stands_for_its_value(written):
    config = written("q: &ring [0.01, 0.02]\nphi: *ring\n")
    assert config.phi == config.q == (0.01, 0.02)


def test_homes_and_variables_in_paths_are_expanded(written, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("RUN", "run7")
    config = written("data: [~/a.h5, $HOME/b.h5, '${RUN}.h5', cost$1.h5]\noutput: $RUN\nwarm_start: ~/fit\n")
    assert config.data == (
        "/home/me/a.h5",
        "/home/me/b.h5",
        str(tmp_path / "run7.h5"),
        str(tmp_path / "cost$1.h5"),
    )
    assert (config.output, config.warm_start) == (str(tmp_path / "run7"), "/home/me/fit")
    monkeypatch.delenv("RUN")
    with pytest.raises(ConfigError, match=r"fit.yaml: output: the variable \$RUN in '\$RUN/out' is not set"):
        written("output: $RUN/out\n")


def test_files_that_are_not_there_are_named(written, tmp_path):
    (tmp_path / "run.h5").write_bytes(b"x")
    check_files(written("data: run.h5\n"))
    with pytest.raises(DataError, match=r"there is no file .*/rum.h5; did you mean .*/run.h5"):
        check_files(written("data: [run.h5, rum.h5]\n"))
    with pytest.raises(DataError, match=r"cannot read a fit from .*/fit.json: No such file"):
        check_files(written("data: run.h5\nwarm_start: fit.json\n"))


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"cannot read configuration .*none.yaml: No such file"):
        read_config(tmp_path / "none.yaml")


def test_an_override_replaces_values_and_merges_mappings():
    file = FitConfig(q=[0.01], model="static", start={"D0": 1.0, "alpha": 0.1}, options={"points": 3})
    joined = file.overridden(FitConfig(q=[0.02], start={"D0": 2.0}, options={"fine": True}))
    assert joined.q == (0.02,)
    assert joined.model == "static"
    assert joined.start == {"D0": 2.0, "alpha": 0.1}
    assert joined.options == {"points": 3, "fine": True}


def test_an_override_takes_away_what_it_contradicts():
    file = FitConfig(fix=["f2"], start={"f0": 0.4, "f3": 0.1}, tie={"D0_ref": "D0_sample"})
    joined = file.overridden(FitConfig(fix={"f0": 0.5}, start={"f2": 1.0}, bounds={"D0_ref": "1:10"}))
    assert joined.fix == {"f0": 0.5}
    assert joined.start == {"f3": 0.1, "f2": 1.0}
    assert joined.tie == {}


def test_a_parameter_that_is_fixed_later_is_held_at_the_start_of_the_file():
    file = FitConfig(start={"D0": 5e3, "alpha": 0.1})
    held = file.overridden(FitConfig(fix=["D0", "alpha=0"])).choices
    assert (held.fix, held.start) == ({"D0": 5e3, "alpha": 0.0}, {})
    freed = FitConfig(fix=["D0"]).overridden(FitConfig(start={"D0": 5e3})).choices
    assert (freed.fix, freed.start) == ({}, {"D0": 5e3})


def test_a_bound_may_be_left_out_in_yaml(written):
    config = written("bounds: {D0: [null, 5e4], alpha: '0:', f2: ':3'}\n")
    assert config.bounds == {"D0": (None, 5e4), "alpha": (0.0, None), "f2": (None, 3.0)}
    assert written(config_text({"bounds": {"D0": [None, 5e4]}})).bounds == {"D0": (None, 5e4)}


def test_another_optimizer_does_not_inherit_options():
    file = FitConfig(optimizer="one", options={"points": 3})
    assert file.overridden(FitConfig(optimizer="two")).options == {}
    assert file.overridden(FitConfig(optimizer="one")).options == {"points": 3}


def test_the_effective_configuration_is_complete_and_a_configuration_again(scan, written):
    config = FitConfig(data="run.h5", phi=["-10:10", 45], optimizer="scan", options={"points": "5"})
    found = effective(config)
    assert set(found) == set(FitConfig.model_fields)
    assert found["options"] == {"points": 5, "fine": False}
    again = create_config(found, "result")
    assert effective(again) == found
    assert written(config_text({**found, "data": []})).phi == config.phi


def test_names_are_checked_against_what_is_installed(scan):
    good = {"optimizer": "scan", "model": "static"}
    check_names(FitConfig(**good, fix=["alpha"], options={"points": 3}, prior={"offset": "normal:1:0.1"}))
    wrong = [
        ({"options": {"point": 3}}, ConfigError, "did you mean 'points'"),
        ({"options": {"points": "many"}}, ConfigError, "must be int"),
        ({"loader": "apsu"}, PluginError, "did you mean 'aps-u'"),
        ({"write": ["jsno"]}, PluginError, "did you mean 'json'"),
        ({"model": "statik"}, PluginError, "did you mean 'static'"),
        ({"fix": ["alhpa"]}, ParameterError, "did you mean 'alpha'"),
        ({"start": {"offset": 1.0}}, ParameterError, "'offset' is no parameter of a model"),
        ({"prior": {"g0": "uniform"}}, ParameterError, "no parameter named 'g0'"),
        ({"tie": {"D0": "D_ofset"}}, ParameterError, "did you mean 'D_offset'"),
    ]
    for change, kind, message in wrong:
        with pytest.raises(kind, match=message):
            check_names(FitConfig(**{**good, **change}))


@pytest.mark.parametrize("model", ["two-component", "static", "equilibrium"])
def test_the_template_is_a_configuration_with_and_without_its_comments(scan, written, model: str):
    text = template(model, "scan")
    assert effective(written(text)) == effective(FitConfig(model=model, optimizer="scan"))
    uncommented = re.sub(r"^#(?=\S|  )", "", text, flags=re.MULTILINE)
    config = written(uncommented)
    check_names(config)
    assert config.model_fields_set == set(FitConfig.model_fields)


def test_the_json_schema_knows_every_key_and_forbids_others():
    schema = json_schema()
    assert set(schema["properties"]) == set(FitConfig.model_fields)
    assert schema["additionalProperties"] is False
    assert schema["properties"]["options"]["additionalProperties"] is False


def test_every_configuration_error_is_a_user_error():
    assert issubclass(ConfigError, HeterodyneError)


@pytest.mark.parametrize("text", ['output: ""', 'data: ""', 'loader: ""', "q: !!float x"])
def test_empty_names_and_false_tags_are_rejected(tmp_path, text):
    file = tmp_path / "fit.yml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"fit.yml"):
        read_config(file)


@pytest.mark.parametrize(
    ("kind", "value"),
    [(int, 2.5), (int, True), (int, float("inf")), (int, -1), (float, "nan"), (float, True), (float, -1)],
)
def test_an_option_takes_whole_finite_numbers_from_its_least(kind, value):
    with pytest.raises(ConfigError, match="option 'n' must be"):
        Option("n", kind, 1, "a number", low=0).convert(value)


@pytest.mark.parametrize(("given", "found"), [(3, 3), ("12", 12), (0.0, 0)])
def test_lags_to_skip_are_a_whole_number(given, found):
    assert create_config({"skip_lags": given}, "here").skip_lags == found


@pytest.mark.parametrize("given", [-1, 1.5, "many", True])
def test_other_lags_to_skip_are_named(given):
    with pytest.raises(ConfigError, match=r"here: skip_lags: .* is not a"):
        create_config({"skip_lags": given}, "here")


@pytest.mark.parametrize("given", ["a, b", ["a", "b"], ("a,b",), [" a", "b "]])
def test_an_option_of_many_values_takes_them_joined_or_listed(given):
    assert Option("names", str, (), "names", many=True).convert(given) == ("a", "b")
    assert Option("counts", int, (), "counts", many=True).convert(3) == (3,)
    assert Option("names", str, (), "names", many=True).convert(None) == ()


def test_every_one_of_many_values_is_checked():
    with pytest.raises(ConfigError, match="option 'counts' must be int, not 'x'"):
        Option("counts", int, (), "counts", many=True).convert("3,x")


def test_comparison_and_groups_exclude_what_they_replace(scan):
    both = FitConfig(optimizer="scan", compare="static,no-flow", fix={"f2": 0.0, "D0": 1.0})
    check_names(both)
    assert both.compare == ("static", "no-flow")
    assert "model" not in effective(both)
    for other in ({"model": "static"}, {"by": "q"}):
        with pytest.raises(ConfigError, match=f"leave {next(iter(other))} out"):
            check_names(FitConfig(optimizer="scan", compare="static,no-flow", **other))
        joined = both.overridden(FitConfig(**other))
        assert not joined.compare
    assert FitConfig(by="q", model="static").overridden(both).by is None
    with pytest.raises(ParameterError, match="no parameter named 'v0'"):
        check_names(FitConfig(optimizer="scan", compare="static,no-flow", fix=["v0"]))


def test_a_warm_start_is_relative_to_the_file(written, tmp_path: Path):
    assert written("warm_start: out\n").warm_start == str(tmp_path / "out")
