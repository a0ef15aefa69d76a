"""Signals, closed pipes and odd terminals: one line or none, and the exit status says what happened."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time

import pytest

from heterodyne_cli import app
from heterodyne_cli.signals import noted

PROGRAM = (sys.executable, "-m", "heterodyne_cli")


def swallowed() -> None:
    """An interruption in a callback, from which no exception gets out; the program goes on for a while."""

    class Closing:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    Closing()
    gc.collect()
    time.sleep(10)


def converted() -> None:
    """An interruption that a library passes on as something else."""
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        raise RuntimeError("Can't decrement id ref count") from None


def ended() -> None:
    raise SystemExit(0)


@pytest.mark.parametrize(
    ("running", "status", "line"),
    [
        (lambda: signal.raise_signal(signal.SIGINT), 130, "heterodyne: interrupted\n"),
        (lambda: signal.raise_signal(signal.SIGTERM), 143, "heterodyne: terminated\n"),
        (lambda: signal.raise_signal(signal.SIGHUP), 129, "heterodyne: ended, as the terminal is gone\n"),
        (converted, 130, "heterodyne: interrupted\n"),
        (swallowed, 130, "heterodyne: interrupted\n"),
        (ended, 0, ""),
    ],
)
def test_a_signal_ends_the_program_in_one_line(heterodyne, monkeypatch, running, status, line):
    monkeypatch.setattr(app, "_run", lambda arguments: running())
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    done = heterodyne("models")
    assert (done.status, done.out, done.err) == (status, "", line)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_signals_that_are_ignored_stay_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with noted(restored=True):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("arguments", [("config", "schema"), ("models",)])
def test_output_that_nobody_reads_ends_quietly(arguments):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*PROGRAM, *arguments], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_output_that_cannot_be_written_is_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*PROGRAM, "models"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "No space left on device" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_files_change_nothing_else(closed):
    command = f'"$0" -m heterodyne_cli models nope {closed}'
    done = subprocess.run(["sh", "-c", command, sys.executable], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "" if "2>" in closed else "no model named 'nope'" in done.stderr


@pytest.mark.parametrize("width", ["abc", "0", "-5", "1", "99999999999", "²"])
@pytest.mark.parametrize("variable", ["COLUMNS", "TERMINAL_WIDTH"])
def test_no_width_of_a_terminal_spoils_the_help(heterodyne, monkeypatch, variable, width):
    monkeypatch.setenv(variable, width)
    assert "Usage: heterodyne [OPTIONS] COMMAND" in heterodyne("--help").out
