"""Work side by side: in order, on threads that stay, one after another inside of itself, also in a fork."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from heterodyne.device import cores
from heterodyne.device.cores import side_by_side

posix = pytest.mark.skipif(not hasattr(cores.os, "fork"), reason="forks")


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(cores, "available_cores", lambda: 2)


def test_results_stand_in_the_order_of_the_items_whatever_ends_first():
    begun = threading.Barrier(2)

    def of(item):
        if item < 2:
            begun.wait(10.0)
        return -item

    assert side_by_side(of, range(5)) == [0, -1, -2, -3, -4]
    assert side_by_side(of, []) == []


def test_threads_stay_and_one_at_a_time_is_this_thread():
    names = {
        name for _ in range(4) for name in side_by_side(lambda _: threading.current_thread().name, range(8))
    }
    assert len(names) <= 2
    here = threading.current_thread().name
    assert side_by_side(lambda _: threading.current_thread().name, range(3), 1) == [here] * 3


def test_work_inside_of_work_follows_one_another():
    def outer(number):
        return threading.current_thread().name, side_by_side(
            lambda _: threading.current_thread().name, range(3)
        )

    for name, inside in side_by_side(outer, range(4)):
        assert inside == [name] * 3


def test_an_error_is_that_of_the_item():
    with pytest.raises(ZeroDivisionError):
        side_by_side(lambda item: 1 / item, [1, 0, 2])
    assert side_by_side(abs, [-1, -2]) == [1, 2]


@posix
def test_a_fork_has_threads_of_its_own():
    code = (
        "import os; os.environ['NPROC'] = '2'\n"
        "from heterodyne.device.cores import side_by_side\n"
        "side_by_side(abs, [1, 2])\n"
        "child = os.fork()\n"
        "if not child: os._exit(side_by_side(abs, [-3, -4]) != [3, 4])\n"
        "raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], timeout=60, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
