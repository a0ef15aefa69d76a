"""What is on disk while a run goes on: a killed run goes on where it was, bit by bit."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

import heterodyne as het
from heterodyne.data.bin import read_bins
from heterodyne.errors import ConfigError
from heterodyne_cmc.checkpoint import read_target, write_target
from heterodyne_cmc.coordinates import create_space, form_of
from heterodyne_cmc.density import Code, create_targets, log_density
from heterodyne_cmc.likelihood import scaling_prior
from heterodyne_cmc.nuts import Settings, block_lengths
from heterodyne_cmc.sampling import _fingerprint
from heterodyne_cmc.shards import bin_shards, pair_shards, tile_shards, whole_shard

LONG = {"chains": 2, "warmup": 200, "draws": 3000, "block": 50, "threads": 2}
BLOCKS = 64  # per chain

_RUN = """
import json
import sys
import heterodyne as het
from heterodyne.device.compilation import keep_compiled_code
from heterodyne.problem import create_problem
from heterodyne.plugins.manager import optimizer_record

keep_compiled_code()
folder, d0, alpha = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
truth = {"D0": 3e3, "alpha": 0.2, "D_offset": 0.0}
data = het.simulate("static", params=truth, frames=64, phi=0.0, noise=0.02, seed=0)
start = {"D0": d0, "alpha": alpha}
problem = create_problem(data, het.create_model("static"), fix={"D_offset": 0.0}, start=start)
record = optimizer_record("cmc")
options = {"likelihood": "independent", "checkpoint": folder, **json.loads(sys.argv[4])}
record.resolve()(problem, record.complete(options), lambda line: None)
"""


def blocks_of(folder):
    return sorted(Path(folder).rglob("block-*.npz"))


def killed(folder, problem, enough):
    """Run the sampler in a process of its own and kill it once both chains have so many blocks."""
    numbers = [repr(float(value)) for value in problem.column("start")]
    process = subprocess.Popen([sys.executable, "-c", _RUN, str(folder), *numbers, json.dumps(LONG)])
    end = time.monotonic() + 300
    try:
        while len([path for path in blocks_of(folder) if path.name == f"block-{enough:04d}.npz"]) < 2:
            assert process.poll() is None, "the run ended before it was killed"
            assert time.monotonic() < end
            time.sleep(0.005)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def resumed(static_problem, sampled, tmp_path_factory):
    """The problem, the blocks that a killed run left with their times, and the fit that went on with them."""
    problem, folder = static_problem(), tmp_path_factory.mktemp("killed")
    killed(folder, problem, 3)
    left = {path: path.stat().st_mtime_ns for path in blocks_of(folder)}
    fit = sampled(problem, **LONG, checkpoint=str(folder), resume=True)
    return problem, folder, left, fit


def test_a_run_killed_in_the_middle_gives_the_draws_of_one_that_was_not(resumed, sampled):
    problem, _, left, fit = resumed
    assert 8 <= len(left) < 2 * BLOCKS
    whole = sampled(problem, **LONG)
    np.testing.assert_array_equal(fit.posterior.values, whole.posterior.values)
    np.testing.assert_array_equal(fit.posterior.contrast, whole.posterior.contrast)
    for name, values in whole.posterior.statistics.items():
        np.testing.assert_array_equal(fit.posterior.statistics[name], values)


def test_no_more_than_the_block_at_work_is_drawn_again(resumed):
    _, folder, left, _ = resumed
    assert len(blocks_of(folder)) == 2 * BLOCKS
    for chain in ("chain-00", "chain-01"):
        kept = sorted(path for path in left if path.parent.name == chain)
        # every finished block up to the one at work was there, and is still the same file
        assert [path.name for path in kept] == [f"block-{k:04d}.npz" for k in range(len(kept))]
        assert all(path.stat().st_mtime_ns == left[path] for path in kept)


def test_nothing_on_disk_is_a_pickle(resumed):
    _, folder, _, _ = resumed
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".npz"}
    for path in files:
        with np.load(path, allow_pickle=False) as stored:
            assert all(stored[name].dtype.kind != "O" for name in stored)


def test_a_finished_run_is_read_back_without_sampling(resumed, sampled, monkeypatch):
    problem, folder, _, fit = resumed
    before = {path: path.stat().st_mtime_ns for path in blocks_of(folder)}
    again = sampled(problem, **LONG, checkpoint=str(folder), resume=True)
    np.testing.assert_array_equal(again.posterior.values, fit.posterior.values)
    assert {path: path.stat().st_mtime_ns for path in blocks_of(folder)} == before


def test_a_run_that_was_begun_is_not_begun_again_without_being_asked(resumed, sampled):
    problem, folder, _, _ = resumed
    with pytest.raises(ConfigError, match=r"holds this run, begun before: add --resume to go on with it"):
        sampled(problem, **LONG, checkpoint=str(folder))


def test_an_empty_folder_has_nothing_to_go_on_with(static_problem, sampled, tmp_path):
    with pytest.raises(ConfigError, match=r"there is no run in \S+ to go on with"):
        sampled(static_problem(), checkpoint=str(tmp_path), resume=True)
    with pytest.raises(ConfigError, match="there is nothing to resume: name the folder"):
        sampled(static_problem(), resume=True)


def other_runs(problem):
    """Problems and options that another run has."""
    data = problem.data[0]
    table = problem.parameters.updated("D0", low=1.0)
    c2 = np.array(data.c2)
    c2[0, 3, 9] = c2[0, 9, 3] = 1.1
    mask = np.ones(data.n_frames, dtype=bool)
    mask[5] = False
    yield "an element", replace(problem, data=(replace(data, c2=c2),)), {}
    yield "a mask", replace(problem, data=(replace(data, mask=mask[None]),)), {}
    yield "q", replace(problem, data=(replace(data, q=data.q * 1.01),)), {}
    yield "bad pairs", replace(problem, data=(replace(data, bad_pairs=np.array([[0, 2, 7]])),)), {}
    yield "bounds", replace(problem, parameters=table), {}
    yield "contrast", replace(problem, contrast=0.15), {}
    yield "skipped lags", replace(problem, skip_lags=1), {}
    yield "the seed", problem, {"seed": 1}
    yield "draws", problem, {"draws": 3001}


def test_runs_of_other_data_or_options_are_told_apart(resumed, complete):
    problem, _, _, _ = resumed

    def fingerprint(problem, **options):
        return _fingerprint(problem, read_bins(problem.data, problem.skip_lags), complete(**LONG | options))

    own = fingerprint(problem)
    assert fingerprint(problem) == own
    assert fingerprint(problem, resume=True, rhat=1.2, ess=10.0, saturated=0.1, checkpoint="x") == own
    found = {name: fingerprint(other, **options) for name, other, options in other_runs(problem)}
    assert len({own, *found.values()}) == 1 + len(found)


def test_another_run_in_the_folder_is_told_and_begun_anew(resumed, sampled):
    problem, folder, _, fit = resumed
    with pytest.warns(UserWarning, match=r"holds no run of these data and options: this one begins anew"):
        other = sampled(problem, **LONG, seed=5, checkpoint=str(folder), resume=True)
    assert not np.array_equal(other.posterior.values[0, :20], fit.posterior.values[0, :20])


@pytest.mark.parametrize(
    ("warmup", "draws", "block", "lengths"),
    [(100, 100, 50, [50, 50, 50, 50]), (70, 30, 50, [50, 20, 30]), (20, 20, 500, [20, 20])],
)
def test_blocks_divide_warm_up_and_draws(warmup, draws, block, lengths):
    assert block_lengths(Settings(warmup=warmup, draws=draws, block=block)) == lengths


@pytest.mark.parametrize("partition", ["whole", "tiles", "pairs", "bins"])
def test_what_a_worker_samples_is_read_as_it_was_written(partition, tmp_path):
    data = het.simulate("static", frames=70, phi=[0.0, 40.0])
    start = {"D0": 3e3, "alpha": 0.2}
    model = het.create_model("static")
    problem = het.problem.create_problem(
        data, model, fix={"D_offset": 0.0}, start=start, skip_lags=2, contrast=0.2
    )
    bins, form = read_bins(problem.data, 2), form_of(problem)
    whole = whole_shard(model, bins)
    shards = {
        "whole": lambda: [whole],
        "tiles": lambda: tile_shards(bins, 2, 0),
        "pairs": lambda: pair_shards(bins, 2, 0),
        "bins": lambda: bin_shards(whole, 2, 0),
    }[partition]()
    code = Code(model, form, (False, True))
    space = create_space(problem, problem.column("start"))
    targets = create_targets(
        code,
        space,
        shards,
        scaling_prior(np.full(2, 0.02), (0.2, None)),
        0.5 * np.eye(2),
        np.array([0.1, 0.2]),
    )
    settings, starts = Settings(chains=3, seed=7, target_accept=0.9), np.arange(6.0).reshape(3, 2)
    write_target(tmp_path, code, targets[1 % len(targets)], settings, starts)
    found, target, own, begun = read_target(tmp_path)
    assert (found.model.name, found.form, found.free) == ("static", form, (False, True))
    assert own == settings
    np.testing.assert_array_equal(begun, starts)
    expected = targets[1 % len(targets)]
    assert jax.tree.structure(target) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(target), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(one, other)
    value = jax.jit(log_density, static_argnums=0)
    assert float(value(found, target, np.ones(2))) == float(value(code, expected, np.ones(2)))
