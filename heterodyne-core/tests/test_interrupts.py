"""Signals wait while HDF5 writes: the file appears whole or not at all, and the signal is not lost."""

from __future__ import annotations

import signal
import threading

import h5py
import numpy as np
import pytest

from heterodyne.data.two_time import TwoTime
from heterodyne.interrupts import held_back


@pytest.fixture
def interrupting(monkeypatch: pytest.MonkeyPatch):
    """Ctrl-C while the data set named is made."""

    def at(wanted: str) -> None:
        made = h5py.Group.create_dataset

        def making(self, name, *arguments, **options):
            if name == wanted:
                signal.raise_signal(signal.SIGINT)
            return made(self, name, *arguments, **options)

        monkeypatch.setattr(h5py.Group, "create_dataset", making)

    return at


@pytest.fixture
def data() -> TwoTime:
    return TwoTime(np.ones((2, 4, 4)), [0.01, 0.02], [0.0, 0.0], [0.1, 0.2, 0.3, 0.4], 0.1)


@pytest.mark.parametrize(("moment", "saved"), [("mask", False), ("c2_00001", False), ("c2_00002", True)])
def test_an_interrupted_file_is_whole_or_absent(tmp_path, data, interrupting, moment, saved):
    interrupting(moment)
    with pytest.raises(KeyboardInterrupt):
        data.save(tmp_path / "run.h5")
    left = [path.name for path in tmp_path.iterdir()]
    assert left == (["run.h5"] if saved and left else [])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def interrupted(passed: list[str], lets_through: bool) -> None:
    with held_back() as let_through:
        signal.raise_signal(signal.SIGINT)
        passed.append("held back")
        if lets_through:
            let_through()
        passed.append("to the end")


@pytest.mark.parametrize("lets_through", [True, False])
def test_a_signal_comes_through_where_it_may_and_at_the_end(lets_through):
    passed = []
    with pytest.raises(KeyboardInterrupt):
        interrupted(passed, lets_through)
    assert passed == (["held back"] if lets_through else ["held back", "to the end"])


def test_ignored_signals_and_other_threads_change_nothing():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with held_back():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    found = []
    with held_back():
        handler = signal.getsignal(signal.SIGINT)
        thread = threading.Thread(target=lambda: found.extend(enter()))
        thread.start()
        thread.join()
    assert found == [handler]


def enter() -> list[object]:
    with held_back():
        return [signal.getsignal(signal.SIGINT)]
