"""A run that is killed goes on where it was, to the same draws, and is never taken for another.

As a program, ``test_checkpoint.py FOLDER OPTIONS LINES``, this file samples, and kills its process group when it
has told so many lines: one per block.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import heterodyne as het
from heterodyne.device.compilation import keep_compiled_code
from heterodyne.errors import ConfigError
from heterodyne.parameters import Prior
from heterodyne.plugins.records import OptimizerRecord
from heterodyne.problem.choices import Choices
from heterodyne.problem.problem import Problem, create_problem
from heterodyne.result.fit import Fit
from heterodyne_cmc import nuts
from heterodyne_cmc.plugin import OPTIONS
from heterodyne_cmc.sampling import fit

pytestmark = pytest.mark.slow

posix = pytest.mark.skipif(os.name != "posix", reason="kills process groups")

TRUTH = {"D0": 3e3, "alpha": 0.2}
SHORT = {"chains": 2, "warmup": 40, "draws": 40, "block": 10, "threads": 2, "divergences": 1.0}
BLOCKS = 16
APART = {"shards": 2, "partition": "pairs", "threads": 1}


def problem_of(data_seed: int = 0, **choices: Any) -> Problem:
    """D0 and alpha of simulated static data, started at the truth."""
    params = {**TRUTH, "D_offset": 0.0}
    data = het.simulate("static", params=params, frames=64, phi=0.0, noise=0.02, seed=data_seed)
    return create_problem(
        data, het.create_model("static"), Choices(fix={"D_offset": 0.0}, start=TRUTH, **choices)
    )


def run(
    folder: Path | str,
    problem: Problem | None = None,
    progress: Callable[[str], None] = lambda line: None,
    **options: Any,
) -> Fit:
    """A short run with its checkpoint in ``folder``."""
    record = OptimizerRecord("cmc", "", "heterodyne_cmc.sampling:fit", OPTIONS)
    alone = {"no_warm_start": True, "likelihood": "independent", "checkpoint": str(folder)}
    return fit(problem or problem_of(), record.complete({**SHORT, **alone, **options}), progress)


def main(folder: str, options: str, lines: str) -> None:
    """Sample, and kill this process, those of the shards included, when so many lines of blocks were told."""
    told = []

    def heed(line: str) -> None:
        if "%" in line:
            told.append(line)
        if len(told) == int(lines):
            os.killpg(0, signal.SIGKILL)

    keep_compiled_code()
    run(folder, progress=heed, **json.loads(options))


@contextmanager
def killed(folder: Path, lines: int, **options: Any) -> Iterator[None]:
    """A process that samples while the block runs; it has been killed when the block is left."""
    command = [sys.executable, __file__, str(folder), json.dumps(options), str(lines)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        yield
        _, complaints = process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, complaints
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def stamps(folder: Path) -> dict[Path, tuple[int, int]]:
    """Which file stands under each name, and when it was written."""
    status = {path: path.stat() for path in folder.rglob("*.npz")}
    return {path: (each.st_ino, each.st_mtime_ns) for path, each in status.items()}


def blocks(found: dict[Path, tuple[int, int]]) -> list[Path]:
    return [path for path in found if path.name.startswith("block-")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Fit]:
    """The checkpoint and the fit of a run that was not interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(folder)


@pytest.fixture(scope="module")
def whole_shards(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Fit]:
    """The same of two shards, one after the other."""
    folder = tmp_path_factory.mktemp("shards")
    return folder, run(folder, **APART, executor="serial")


@pytest.fixture
def copied(whole: tuple[Path, Fit], tmp_path: Path) -> Path:
    """A checkpoint of its own, whole."""
    return shutil.copytree(whole[0], tmp_path / "copied")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of the blocks that are drawn in this process."""
    lengths: list[int] = []
    original = nuts._Sampler.advance

    def advance(self: Any, state: Any, steps: int) -> Any:
        lengths.append(steps)
        return original(self, state, steps)

    monkeypatch.setattr(nuts._Sampler, "advance", advance)
    return lengths


@posix
@pytest.mark.parametrize("lines", [3, 11], ids=["warm-up", "draws"])
def test_a_killed_run_goes_on_to_the_bits_of_one_that_was_not(
    whole, drawn, tmp_path, lines, stored_bits, drawn_bits
):
    with killed(tmp_path, lines):
        pass
    before = stamps(tmp_path)
    kept = len(blocks(before))
    assert lines <= kept <= lines + 1  # every block that was told of, and one of the other chain
    told: list[str] = []
    found = run(tmp_path, progress=told.append, resume=True)
    assert told[0] == "going on with the run in the checkpoint folder"
    assert drawn == [10] * (BLOCKS - kept)
    assert {path: stamp for path, stamp in stamps(tmp_path).items() if path in before} == before
    assert stored_bits(tmp_path) == stored_bits(whole[0])
    assert drawn_bits(found) == drawn_bits(whole[1])
    assert (found.values, found.errors) == (whole[1].values, whole[1].errors)


def wait_for(folder: Path, pattern: str) -> Path:
    end = time.monotonic() + 60.0
    while not (found := [*folder.glob(pattern)]):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found[0]


@posix
def test_killed_shards_go_on_and_those_that_were_done_are_not_drawn_again(
    whole_shards, tmp_path, stored_bits, drawn_bits
):
    with killed(tmp_path, BLOCKS + 4, **APART, workers=1):
        second = wait_for(tmp_path, "*/attempt-1/shard-001/target.npz").parent
        (second / "chain-00").mkdir()
        pipe = second / "chain-00" / "block-0004.npz"
        os.mkfifo(pipe)  # as long as nobody writes to it, the second shard waits here for a block to read
    pipe.unlink()
    before = stamps(tmp_path)
    assert [path.parent.name for path in before if path.name == "draws.npz"] == ["shard-000"]
    assert len(blocks(before)) == BLOCKS + 4
    found = run(tmp_path, **APART, workers=1, resume=True)
    assert {path: stamp for path, stamp in stamps(tmp_path).items() if path in before} == before
    assert stored_bits(tmp_path) == stored_bits(whole_shards[0])
    assert drawn_bits(found) == drawn_bits(whole_shards[1])


@pytest.mark.parametrize(("kind", "files"), [("whole", 2 + BLOCKS), ("whole_shards", 1 + 2 * (2 + BLOCKS))])
def test_all_files_are_arrays_without_pickle(request, kind, files, stored_bits):
    folder, _ = request.getfixturevalue(kind)
    paths = [path for path in folder.rglob("*") if not path.is_dir()]
    assert {path.suffix for path in paths} == {".npz"}
    assert len(stored_bits(folder)) == len(paths) == files


def test_files_hold_the_draws_that_are_returned(whole_shards):
    folder, _ = whole_shards
    for shard in folder.glob("*/attempt-1/shard-*"):
        with np.load(shard / "draws.npz") as stored:
            for chain, u in enumerate(stored["u"]):
                files = sorted((shard / f"chain-{chain:02d}").iterdir())[BLOCKS // 4 :]
                assert np.array_equal(u, np.concatenate([np.load(file)["u"] for file in files]))


def test_a_run_that_stands_there_is_not_begun_again_without_being_asked(copied):
    before = stamps(copied)
    with pytest.raises(ConfigError, match=r"begun before: add --resume to go on with it, or remove that"):
        run(copied)
    assert stamps(copied) == before


@pytest.mark.parametrize("there", [True, False], ids=["empty", "missing"])
def test_where_no_run_is_there_is_none_to_go_on_with(tmp_path, there):
    folder = tmp_path / "checkpoint"
    if there:
        folder.mkdir()
    with pytest.raises(ConfigError, match=f"there is no run in {folder} to go on with: leave --resume out"):
        run(folder, resume=True)
    assert folder.exists() == there
    assert [*tmp_path.rglob("*.npz")] == []


OTHER: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "data": ({"data_seed": 1}, {}),
    "prior": ({"prior": {"alpha": Prior("normal", 0.3, 0.01)}}, {}),
    "seed": ({}, {"seed": 1}),
    "draws": ({}, {"draws": 30}),
}


@pytest.mark.parametrize("case", OTHER)
def test_other_data_or_options_begin_anew_with_a_warning(whole, copied, drawn, case, drawn_bits):
    choices, options = OTHER[case]
    before = stamps(copied)
    with pytest.warns(UserWarning, match="holds no run of these data and options: this one begins anew"):
        found = run(copied, problem_of(**choices), resume=True, **options)
    after = stamps(copied)
    assert {path: after[path] for path in before} == before
    assert len(drawn) == len(blocks(after)) - len(blocks(before)) == (14 if case == "draws" else BLOCKS)
    assert drawn_bits(found)["values"] != drawn_bits(whole[1])["values"]


def test_what_is_asked_of_the_draws_does_not_make_another_run(whole, copied, drawn, drawn_bits):
    before = stamps(copied)
    asked = {"rhat": 9.0, "ess": 1.0, "bfmi": 0.01, "divergences": 0.9, "saturated": 1.0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = run(copied, resume=True, **asked)
    assert drawn == []
    assert stamps(copied) == before
    assert drawn_bits(found) == drawn_bits(whole[1])
    assert (whole[1].verdict, found.verdict) == ("diagnostics failed", "converged")


def test_where_shards_run_does_not_make_another_run(whole_shards, drawn_bits):
    folder, fitted = whole_shards
    before = stamps(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = run(folder, **APART, executor="processes", workers=2, resume=True)
    assert stamps(folder) == before
    assert drawn_bits(found) == drawn_bits(fitted)


def test_a_half_written_block_is_ignored(whole, copied, drawn, stored_bits, drawn_bits):
    (chain,) = copied.glob("*/attempt-1/chain-01")
    later = sorted(chain.iterdir())[5:]
    half = chain / f".{later[0].name}.4242.0a1b2c3d.tmp"  # as the writer names it until it is whole
    half.write_bytes(later[0].read_bytes()[:700])
    for path in later:
        path.unlink()
    found = run(copied, resume=True)
    assert drawn == [10] * 3
    assert stored_bits(copied) == stored_bits(whole[0])
    assert drawn_bits(found) == drawn_bits(whole[1])


def test_a_block_is_written_beside_its_name_and_then_renamed(tmp_path, monkeypatch):
    seen: list[list[str]] = []
    original = np.savez

    def savez(stream: Any, **arrays: Any) -> None:
        seen.append([path.name for path in Path(stream.name).parent.iterdir()])
        original(stream, **arrays)

    monkeypatch.setattr(np, "savez", savez)
    file = tmp_path / "block-0003.npz"
    nuts._write_block(file, {"u": np.zeros(2)}, np.ones(3))
    ((name,),) = seen
    assert name.startswith(".block-0003.npz.")
    assert name.endswith(".tmp")
    assert [path.name for path in tmp_path.iterdir()] == ["block-0003.npz"]


def flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    with np.load(file) as stored:
        numbers = max(stored.values(), key=lambda array: array.nbytes).tobytes()
    content[content.index(numbers) + len(numbers) // 2] ^= 1
    file.write_bytes(content)


def scaled(file: Path) -> None:
    with np.load(file) as stored:
        arrays = {name: value * 1.5 if value.dtype.kind == "f" else value for name, value in stored.items()}
    np.savez(file, **arrays)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_bytes(b""),
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-200]),
    "a bit flipped": flipped,
    "other numbers": scaled,
    "other arrays": lambda file: np.savez(file, a=np.zeros(3)),
    "pickles": lambda file: np.savez(file, a=np.array([{}], dtype=object)),
}

KEPT = ("prepared.npz", "block-0000.npz", "block-0007.npz")


@pytest.mark.parametrize("name", KEPT)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_told_and_made_again(whole, copied, drawn, stored_bits, name, damage):
    file = sorted(copied.rglob(name))[-1]
    DAMAGE[damage](file)
    with pytest.warns(UserWarning, match=rf"{file} is damaged, and computed again"):
        run(copied, resume=True)
    assert drawn == ([] if name == "prepared.npz" else [10])
    assert stored_bits(copied) == stored_bits(whole[0])


def test_a_block_of_another_chain_is_not_taken(whole, copied, drawn, stored_bits):
    first, second = sorted(copied.rglob("block-0007.npz"))
    shutil.copy(first, second)
    with pytest.warns(UserWarning, match="its numbers are not those that were written"):
        run(copied, resume=True)
    assert stored_bits(copied) == stored_bits(whole[0])


@pytest.mark.parametrize("name", ["target.npz", "draws.npz"])
def test_a_damaged_file_of_a_shard_is_made_again(whole_shards, tmp_path, stored_bits, name):
    folder = shutil.copytree(whole_shards[0], tmp_path / "copied")
    flipped(sorted(folder.rglob(name))[0])
    run(folder, **APART, executor="serial", resume=True)
    assert stored_bits(folder) == stored_bits(whole_shards[0])


@pytest.mark.parametrize("place", ["checkpoint", "run"])
def test_a_file_where_draws_are_kept_is_named(copied, place):
    file = copied if place == "checkpoint" else next(copied.iterdir())
    shutil.rmtree(file)
    file.write_text("mine")
    with pytest.raises(ConfigError, match=rf"{file} is not a folder"):
        run(copied, resume=True)
    assert file.read_text() == "mine"


def test_a_fit_names_the_folder_of_its_run_and_none_where_nothing_is_kept(whole, tmp_path, monkeypatch):
    (folder,) = whole[0].iterdir()
    assert whole[1].checkpoint == folder
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert run("", draws=20, warmup=20).checkpoint is None
    assert list(tmp_path.iterdir()) == []


if __name__ == "__main__":
    main(*sys.argv[1:])
