"""Wrong uses of the command line: one line that says what is wrong, the exit status, nothing written.

Status 2 is of the option parser, which shows its line in a frame.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest

from heterodyne.data.two_time import TwoTime

STAND = "--model static --optimizer stand"

FILES = {
    "text.h5": b"not HDF5",
    "empty.h5": b"",
    "good.yaml": b"model: static\noptimizer: stand\n",
    "twice.yaml": b"q: 0.01\nq: 0.02\n",
    "list.yaml": b"- q\n",
    "deep.yaml": b"[" * 3000,
    "bytes.yaml": b"q: 1\nphi: \xff\n",
    "unset.yaml": b"data: $NOWHERE_SET/run.h5\n",
    "missing.yaml": b"optimizer: stand\ndata: rum.h5\n",
    "both.yaml": b"optimizer: stand\ncompare: [static, no-flow]\nmodel: static\n",
    "fit.json": b"{}",
    "folder/kept": b"",
}
"""What lies beside run.h5, by name."""

REFUSED = (
    # data
    (f"fit {STAND}", "no data to fit: name files"),
    (f"fit rum.h5 {STAND}", "there is no file rum.h5; did you mean run.h5?"),
    (f"fit folder {STAND}", "folder is a folder"),
    (f"fit text.h5 {STAND}", "text.h5"),
    (f"fit empty.h5 {STAND}", "empty.h5 is empty"),
    (f"fit run.h5 run.h5 {STAND}", "given twice"),
    (f"fit '' {STAND}", "data[0]: '' is not a name"),
    ("inspect rum.h5", "there is no file rum.h5; did you mean run.h5?"),
    ("inspect run.h5 --loader apsu", "no loader named 'apsu'; did you mean 'aps-u'?"),
    ("convert run.h5 -o run.h5", "run.h5 exists already: choose another name or add --force"),
    ("convert run.h5 -o out.txt", "out.txt must end in .h5"),
    ("convert run.h5 -o nowhere/out.h5", "there is no folder nowhere"),
    ("convert run.h5 -o folder --force", "folder"),
    # selection
    ("inspect run.h5 --q wide", "q[0]: 'wide' is not a number"),
    ("inspect run.h5 --q 1:2:3", "q[0]: '1:2:3' is not a range LO:HI"),
    ("inspect run.h5 --q nan", "q[0]: 'nan' is not a number"),
    ("inspect run.h5 --phi up", "phi[0]: 'up' is not a number"),
    ("inspect run.h5 --frames 9", "frames: '9' is not a range LO:HI"),
    ("inspect run.h5 --frames 1.5:9", "frames: '1.5:9' is not a range of whole frames A:B"),
    ("inspect run.h5 --frames 9:2", "frames"),
    ("inspect run.h5 --frames 0:9", "frames"),
    ("inspect run.h5 --frames 1:99999", "frames"),
    ("inspect run.h5 --dt 0", "dt"),
    ("inspect run.h5 --dt 1e300", "dt must lie in 1e-15:1e+09 s, not 1e+300"),
    ("inspect run.h5 --dt 1e-300", "dt must lie in 1e-15:1e+09 s, not 1e-300"),
    ("inspect run.h5 --dt inf", "dt: inf is not a number"),
    ("inspect run.h5 --age 1e300", "age"),
    # what is fitted
    ("fit run.h5 --optimizer stand --model statik", "no model named 'statik'; did you mean 'static'?"),
    ("fit run.h5 --optimizer nslq", "no optimizer named 'nslq' (known: other, stand)"),
    ("fit run.h5 --optimizer nlsq", "pip install heterodyne-nlsq"),
    (f"fit run.h5 {STAND} --by r", "by: Input should be 'q', 'phi' or 'file'"),
    (f"fit run.h5 {STAND} --compare static,no-flow", "compare names the models to fit"),
    (f"fit run.h5 {STAND} --fix alhpa", "no parameter named 'alhpa'; did you mean 'alpha'?"),
    (f"fit run.h5 {STAND} --fix alpha=1 --start alpha=0", "'alpha' stands in fix and in start"),
    (f"fit run.h5 {STAND} --fix alpha=", "fix of 'alpha': '' is not a number"),
    (f"fit run.h5 {STAND} --fix alpha=1 --fix alpha=2", "fix: 'alpha' is given twice"),
    (f"fit run.h5 {STAND} --start D0=-5", "start D0=-5 lies outside its bounds 0.01:1e+06"),
    (f"fit run.h5 {STAND} --bounds D0=:", "bounds of 'D0': ':' names neither end of a range LO:HI"),
    (f"fit run.h5 {STAND} --bounds D0=2e6:", "bounds of 'D0' must be low < high, not 2e+06:1e+06"),
    (f"fit run.h5 {STAND} --bounds D0=:1e9", "leave the range of the model, 0.01:1e+06"),
    (f"fit run.h5 {STAND} --tie D0=alpha", "tie D0=alpha joins different units"),
    (f"fit run.h5 {STAND} --tie D0=D0", "tie D0=D0 does not end at a parameter of its own"),
    (f"fit run.h5 {STAND} --prior alpha=cauchy:0:1", "cauchy"),
    (f"fit run.h5 {STAND} --prior alpha=normal:0:-1", "width of a prior must be positive"),
    (f"fit run.h5 {STAND} --contrast 2", "contrast 2 lies outside 0:1"),
    (f"fit run.h5 {STAND} --offset fourier:x", "offset must be auto, individual"),
    (f"fit run.h5 {STAND} --skip-lags 1.5", "skip_lags: '1.5' is not a whole number"),
    (f"fit run.h5 {STAND} --skip-lags 20", "skip_lags=20 leaves too little of 12 frames"),
    (f"fit run.h5 {STAND} --warm-start folder", "cannot read a fit from folder/fit.json: No such file"),
    (f"fit run.h5 {STAND} --warm-start fit.json", "fit.json is not a fit"),
    (f"fit run.h5 {STAND} --verdict maybe", "no value of option 'verdict' named 'maybe'"),
    (f"fit run.h5 {STAND} --depth 2", "'depth' is an option of optimizer other, not of the chosen stand"),
    # outputs
    (f"fit run.h5 {STAND} --write json", "there is something to write but no folder for it: add -o DIR"),
    (f"fit run.h5 {STAND} -o out --write jsno", "no writer named 'jsno'; did you mean 'json'?"),
    (f"fit run.h5 {STAND} -o text.h5", "text.h5 is not a folder"),
    (f"fit run.h5 {STAND} -o text.h5/out", "text.h5 is not a folder"),
    (f"fit run.h5 {STAND} -o ''", "output: '' is not a name"),
    # configurations
    ("fit --config none.yaml", "cannot read configuration none.yaml: No such file"),
    ("fit --config folder", "cannot read configuration folder: Is a directory"),
    ("fit --config twice.yaml", "twice.yaml, line 2, column 1: key 'q' stands twice"),
    ("config check list.yaml", "list.yaml: a configuration is a mapping of keys to values, not list"),
    ("config check deep.yaml", "deep.yaml, line 1, column 21: more than 20 mappings and lists"),
    ("config check bytes.yaml", "bytes.yaml, line 2: byte 0xff is not UTF-8 text"),
    ("config check unset.yaml", "unset.yaml: data: the variable $NOWHERE_SET"),
    ("config check missing.yaml", "there is no file rum.h5; did you mean run.h5?"),
    ("config check both.yaml", "compare names the models to fit to all data: leave model out"),
    ("config check text.h5", "text.h5: a configuration is a mapping of keys to values, not str"),
    ("config new good.yaml --optimizer stand", "good.yaml exists already"),
    ("config new nowhere/new.yaml --optimizer stand", "there is no folder nowhere"),
    ("config new new.yaml --optimizer stand --model statik", "no model named 'statik'"),
    # simulations
    ("simulate -o run.h5", "run.h5 exists already"),
    ("simulate -o out.txt", "out.txt must end in .h5"),
    ("simulate -o nowhere/out.h5", "there is no folder nowhere"),
    ("simulate -o new.h5 --param D0_ref=-5", "D0_ref=-5 lies outside its bounds 0.01:1e+06"),
    ("simulate -o new.h5 --param f0=7", "f0=7 lies outside its bounds 0:1"),
    ("simulate -o new.h5 --param f0", "--param: 'f0' has no value; write NAME=VALUE"),
    ("simulate -o new.h5 --param f0=0 --param f0=1", "--param: 'f0' is given twice"),
    ("simulate -o new.h5 --param f9=0", "no parameter named 'f9'"),
    ("simulate -o new.h5 --offset -7", "offset must be finite and lie in 0.5:1.5, not -7"),
    ("simulate -o new.h5 --noise 1e300", "noise must be at most 10, not 1e+300"),
    ("simulate -o new.h5 --contrast nan", "contrast must lie in 0..1, not nan"),
    ("simulate -o new.h5 --q 0.01 --q 0.01", "q 0.01 is given twice"),
    ("simulate -o new.h5 --q 1e9", "q must lie in 1e-09:100 (in Å⁻¹), not 1e+09"),
    ("simulate -o new.h5 --phi 1e30", "phi must be finite, in -720:720 degrees, or be NaN"),
    ("simulate -o new.h5 --dt 1e300", "dt must lie in 1e-15:1e+09 s, not 1e+300"),
    ("simulate -o new.h5 --age 1e300", "frame times must"),
    ("simulate -o new.h5 --frames 99999999999", "frames must be at most 10000000, not 99999999999"),
    ("simulate -o new.h5 --seed -1", "seed must be a whole number, at least 0, not -1"),
    # names
    ("models statik", "no model named 'statik'; did you mean 'static'?"),
    ("optimizers stnad", "no optimizer named 'stnad'; did you mean 'stand'?"),
)

NOT_UNDERSTOOD = (
    ("nonsense", "No such command 'nonsense'"),
    ("--nonsense", "No such option: --nonsense"),
    ("fit run.h5 --optimiser stand", "No such option: --optimiser"),
    ("fit run.h5 --q", "Option '--q' requires an argument"),
    ("fit run.h5 --seed many", "'--seed': Input should be a valid integer"),
    ("fit run.h5 --depth deep", "'--depth': Input should be a valid number"),
    ("fit run.h5 --quiet=yes", "Option '--quiet' does not take a value"),
    ("simulate", "Missing option '--output'"),
    ("simulate -o new.h5 --frames 2.5", "'--frames': Input should be a valid integer"),
    ("convert run.h5", "Missing option '--output'"),
    ("inspect", "Missing argument 'DATA'"),
    ("inspect run.h5 run.h5", "unexpected extra argument(s) (run.h5)"),
    ("config check", "Missing argument 'FILE'"),
    ("config chekc", "No such command 'chekc'"),
    ("models static static", "unexpected extra argument(s) (static)"),
)


@pytest.fixture(scope="module")
def matrices() -> TwoTime:
    rng = np.random.default_rng(1)
    noise = rng.normal(1.1, 0.01, (2, 12, 12))
    t = 0.1 * np.arange(1, 13)
    return TwoTime((noise + noise.swapaxes(1, 2)) / 2, [0.01, 0.02], [0.0, 45.0], t, 0.1, dq=1e-4, dphi=5.0)


@pytest.fixture
def beside(heterodyne, matrices) -> None:
    """The files that are used wrongly."""
    matrices.save("run.h5")
    Path("folder").mkdir()
    for name, content in FILES.items():
        Path(name).write_bytes(content)


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize(("typed", "words"), REFUSED, ids=[typed for typed, _ in REFUSED])
def test_what_is_refused_is_one_line_and_nothing_is_written(rejected, typed, words):
    files = {path: path.read_bytes() for path in Path.cwd().rglob("*") if path.is_file()}
    assert words in rejected(*shlex.split(typed))
    assert {path: path.read_bytes() for path in Path.cwd().rglob("*") if path.is_file()} == files


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize(("typed", "words"), NOT_UNDERSTOOD, ids=[typed for typed, _ in NOT_UNDERSTOOD])
def test_what_is_not_understood_has_status_2_and_nothing_is_written(heterodyne, typed, words):
    before = sorted(Path.cwd().rglob("*"))
    done = heterodyne(*shlex.split(typed))
    assert (done.status, done.out) == (2, "")
    assert words in " ".join(done.err.replace("│", " ").split())
    assert sorted(Path.cwd().rglob("*")) == before
