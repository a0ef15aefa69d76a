"""A folder of results holds what one run wrote, whatever happens, and what the user put there.

As a program, ``test_switch.py FOLDER``, this file dies at one step after another of a save, and prints what is found.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from heterodyne.atomic import hidden_name, process_tag, replacing
from heterodyne.errors import DataError, HeterodyneError
from heterodyne.switch import JOURNAL, LIST, changing, settle

posix = pytest.mark.skipif(os.name != "posix", reason="forks and kills")

OLD = {"fit.json": "old", "fit.npz": "old", "profile_D0.csv": "old", "q_0.01/fit.json": "old"}
NEW = {"fit.json": "new", "fit.npz": "new", "q_0.02/fit.json": "new", "figures/by_q.png": "new"}
MINE = {"notes.txt": "mine", "figures/mine.png": "mine", "q_0.01/mine.txt": "mine"}


def put(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def save(folder: Path, files: dict[str, str], run: str) -> None:
    with changing(folder, run) as stage:
        for name, text in files.items():
            (stage / name).parent.mkdir(parents=True, exist_ok=True)
            with replacing(stage / name) as temporary:
                temporary.write_text(text)


def seen(folder: Path) -> dict[str, str]:
    """What lies in a folder, without the list."""
    found = {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}
    return {name: text for name, text in found.items() if name != LIST}


def folders(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_dir()}


def hidden(folder: Path) -> list[str]:
    """What is neither a result nor the user's, there and beside it."""
    return [p.name for p in folder.parent.rglob(".*") if p.name != LIST]


def die_at(step: int) -> None:
    """Have this process killed by the step of this number: before or after what changes the disk."""
    left = [step]

    def around(owner: object, name: str) -> None:
        real = getattr(owner, name)

        def counted(*arguments: object, **named: object) -> object:
            tick()
            done = real(*arguments, **named)
            tick()
            return done

        setattr(owner, name, counted)

    def tick() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    for name in ("fsync", "unlink", "rename", "replace", "rmdir", "mkdir", "link"):
        around(os, name)
    for name in ("unlink", "rename", "replace", "rmdir", "mkdir", "write_text"):
        around(Path, name)


def in_child(step: int, folder: Path) -> bool:
    """Whether a save of the new files was killed by this step."""
    child = os.fork()
    if child == 0:
        die_at(step)
        save(folder, NEW, "new")
        os._exit(0)
    return os.waitpid(child, 0)[1] != 0


def main(home: Path) -> None:
    """Die at every step; print a line of what was seen then, after a reader came, and after the next run."""
    step, killed = 0, True
    while killed:
        step += 1
        folder = home / str(step) / "out"
        put(folder, MINE)
        save(folder, OLD, "old")
        killed = in_child(step, folder)
        at_once = seen(folder)
        settle(folder / "q_0.01" if step % 2 else folder)
        settled = seen(folder)
        save(folder, NEW, "next")
        print(json.dumps([at_once, settled, seen(folder), hidden(folder), killed]))


@posix
@pytest.mark.slow
def test_a_save_that_is_killed_at_any_step_leaves_one_set_of_files(tmp_path):
    program = [sys.executable, __file__, str(tmp_path)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    deaths = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(deaths) > 60
    old, new = OLD | MINE, NEW | MINE
    for step, (at_once, settled, after, left, _) in enumerate(deaths, start=1):
        at_once.pop(JOURNAL, None)
        assert at_once.items() <= old.items() or at_once.items() <= new.items(), (step, at_once)
        assert settled in (old, new), (step, settled)
        assert (after, left) == (new, []), step
    assert any(death[1] == new and death[4] for death in deaths)


def test_what_the_last_run_wrote_goes_and_what_is_the_users_stays(tmp_path):
    put(tmp_path, MINE)
    save(tmp_path, {**OLD, "q_0.03/fit.json": "old"}, "old")
    save(tmp_path, NEW, "new")
    assert seen(tmp_path) == MINE | NEW
    assert folders(tmp_path) == {"figures", "q_0.01", "q_0.02"}


def test_a_file_that_the_user_changed_is_not_removed(tmp_path):
    save(tmp_path, OLD, "old")
    put(tmp_path, {"profile_D0.csv": "noted", "fit.npz": "mended"})
    with pytest.warns(UserWarning, match=r"fit\.npz as fit\.kept-1\.npz"):
        save(tmp_path, NEW, "new")
    assert seen(tmp_path) == {**NEW, "profile_D0.csv": "noted", "fit.kept-1.npz": "mended"}


@pytest.mark.filterwarnings("error")
def test_a_warning_that_is_made_an_error_stops_no_switch(tmp_path):
    put(tmp_path, {"fit.json": "mine"})
    with pytest.raises(UserWarning, match="kept what no run has written"):
        save(tmp_path, NEW, "new")
    assert seen(tmp_path) == NEW | {"fit.kept-1.json": "mine"}


def test_long_names_are_no_matter(tmp_path):
    folder = tmp_path / ("ö" * 120)
    save(folder, {"x" * 240: "old"}, "old")
    save(folder, NEW, "new")
    assert (seen(folder), hidden(folder)) == (NEW, [])


def test_outputs_of_one_run_come_together_in_several_saves(tmp_path):
    save(tmp_path, {"fit.json": "a", "fit.npz": "a"}, "one")
    save(tmp_path, {"figures/curves.png": "a", "fit.npz": "b"}, "one")
    assert seen(tmp_path) == {"fit.json": "a", "fit.npz": "b", "figures/curves.png": "a"}
    save(tmp_path, {"fit.json": "c"}, "two")
    assert seen(tmp_path) == {"fit.json": "c"}


def test_a_save_that_fails_or_writes_nothing_changes_nothing(tmp_path):
    folder = tmp_path / "out"
    save(folder, OLD, "old")
    with (
        pytest.raises(HeterodyneError, match=rf"cannot write {folder}/fit.json: No space left"),
        changing(folder, "new") as stage,
        replacing(stage / "fit.json"),
    ):
        raise OSError(28, "No space left on device")
    save(folder, {}, "nothing")
    with changing(folder, "nothing") as stage:
        (stage / "q_0.01").mkdir()
    assert seen(folder) == OLD
    assert hidden(folder) == []


def test_a_folder_in_the_way_of_a_file_is_named(tmp_path):
    folder = tmp_path / "out"
    save(folder, OLD, "old")
    (folder / "fit.csv").mkdir()
    with pytest.raises(DataError, match=r"out/fit\.csv: it is a folder"):
        save(folder, {"fit.csv": "new"}, "new")
    assert seen(folder) == OLD
    assert hidden(folder) == []


def test_where_nothing_can_be_made_beside_the_folder_it_is_made_in_it(tmp_path, monkeypatch):
    def refuse(*arguments: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "rename", refuse)
    folder = tmp_path / "out"
    save(folder, OLD, "old")
    with changing(folder, "new") as stage:
        assert stage.parent == folder
        put(stage, NEW)
    assert seen(folder) == NEW
    assert hidden(folder) == []


@pytest.mark.parametrize(
    ("alive", "stays"), [(True, True), (False, False)], ids=["of a living process", "of a dead one"]
)
def test_what_was_left_is_removed_unless_its_process_lives(tmp_path, alive, stays):
    mine = process_tag()
    gone = f"{mine.split('-')[0]}-{2**22 + 1}"
    names = [hidden_name("fit.json", "tmp"), f"../{hidden_name(tmp_path.name, 'new')}"]
    left = [tmp_path / (name if alive else name.replace(mine, gone)) for name in names]
    left[0].write_text("half")
    left[1].mkdir()
    save(tmp_path, NEW, "new")
    with replacing(tmp_path / "other") as temporary:
        temporary.write_text("x")
    assert [path.exists() for path in left] == [stays, stays]


HOSTILE = {
    "a list that leads out": (LIST, {"run": "x", "files": {"../mine.txt": None}}),
    "an absolute list": (LIST, {"run": "x", "files": {"/tmp/mine.txt": None}}),
    "a list that is no list": (LIST, [1]),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_names_in_a_list_that_came_with_the_folder_never_lead_out_of_it(tmp_path, case):
    name, document = HOSTILE[case]
    folder = tmp_path / "out"
    save(folder, {"mine.txt": "mine"}, "x")
    digest = json.loads((folder / LIST).read_text())["files"]["mine.txt"]
    (tmp_path / "mine.txt").write_text("mine")
    (folder / name).write_text(json.dumps(document).replace("null", json.dumps(digest)))
    save(folder, NEW, "new")
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert NEW.items() <= seen(folder).items()


JOURNALS = {
    "no JSON": "{",
    "another folder": json.dumps({"stage": "../mine", "new": {}, "old": {}}),
    "a name that leads out": json.dumps({"stage": "../.x.new", "new": {"../../a": "b"}, "old": {}}),
}


@pytest.mark.parametrize("case", JOURNALS)
def test_a_journal_that_is_none_is_named(tmp_path, case):
    put(tmp_path, {JOURNAL: JOURNALS[case], "fit.json": "{}"})
    with pytest.raises(DataError, match="is no journal of heterodyne: remove it"):
        settle(tmp_path)
    assert seen(tmp_path)["fit.json"] == "{}"


def test_a_journal_whose_new_files_are_gone_is_named(tmp_path):
    journal = {"stage": "../.x.new", "new": {"fit.json": "b"}, "old": {}}
    put(tmp_path, {JOURNAL: json.dumps(journal), "fit.json": "{}"})
    with pytest.raises(DataError, match="with the new ones is gone"):
        settle(tmp_path)
    assert seen(tmp_path)["fit.json"] == "{}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))


@posix
@pytest.mark.parametrize("inside", [False, True])
def test_a_journal_whose_stage_leads_elsewhere_moves_nothing(tmp_path, inside):
    put(tmp_path, {"docs/thesis.tex": "mine", "res/fit.json": "old"})
    stage = tmp_path / "res" / ".x.new"
    if inside:
        stage.mkdir()
        (stage / "thesis").symlink_to(tmp_path / "docs")
    else:
        stage.symlink_to(tmp_path / "docs")
    new = {"thesis/thesis.tex" if inside else "thesis.tex": ""}
    (tmp_path / "res" / JOURNAL).write_text(json.dumps({"stage": ".x.new", "new": new, "old": {}}))
    with pytest.raises(DataError, match="with links in it"):
        settle(tmp_path / "res")
    assert (tmp_path / "docs" / "thesis.tex").read_text() == "mine"


@posix
def test_a_folder_of_results_that_is_a_link_is_refused_before_anything_changes(tmp_path):
    save(tmp_path / "out", OLD, "old")
    (tmp_path / "big").mkdir()
    (tmp_path / "out" / "figures").symlink_to(tmp_path / "big")
    with pytest.raises(HeterodyneError, match="figures is a link, and may lead elsewhere"):
        save(tmp_path / "out", NEW, "new")
    settle(tmp_path / "out")
    assert seen(tmp_path / "out") == OLD
    assert not hidden(tmp_path / "out")


def test_a_file_in_the_way_of_a_folder_is_kept_under_another_name(tmp_path):
    put(tmp_path / "out", {"figures": "mine"})
    with pytest.warns(UserWarning, match="figures as figures.kept-1"):
        save(tmp_path / "out", NEW, "new")
    assert seen(tmp_path / "out") == {**NEW, "figures.kept-1": "mine"}
