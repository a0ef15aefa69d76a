"""The boundary of the program: whatever a user can mend ends in one line and an exit status.

Exit status: 0 done and converged; 1 rejected; 2 not understood by the option parser; 3 ran but did not
converge; 130 interrupted, 143 terminated; 141 nobody reads the output any more.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

from heterodyne.errors import HeterodyneError, escaped
from heterodyne_cli.output import NAME
from heterodyne_cli.signals import STATUS, noted, words

_NARROWEST = 20
"""Columns of a terminal for which help can be laid out."""

_REJECTED, _INTERRUPTED, _UNREAD = 1, STATUS + 2, STATUS + 13


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program with these arguments (those of the process if None) and exit with its status."""
    typed = tuple(sys.argv[1:] if arguments is None else arguments)
    _prepare_streams()
    status, line = 0, ""
    with noted(restored=arguments is not None) as received:
        try:
            status, line = _ended(typed)
        except BaseException:
            if not received:
                raise
    if (
        received or status == _INTERRUPTED
    ):  # whatever became of the exception in the libraries it went through
        number = received[0] if received else signal.SIGINT
        status, line = STATUS + number, f"{NAME}: {words(number)}"
    if line:
        print(line, file=sys.stderr, flush=True)
    if received and arguments is None:
        os._exit(status)  # at the interpreter's end, libraries that were interrupted may crash it
    sys.exit(status)


def _ended(arguments: tuple[str, ...]) -> tuple[int, str]:
    """The exit status of the program, and the line that says what was wrong, if anything was."""
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            _run(arguments)
        except SystemExit as ended:  # of Typer, which hides the interrupted pipe in it
            broken = isinstance(ended.__context__, BrokenPipeError)
            return (_UNREAD if broken else int(ended.code or 0)), ""
        except BrokenPipeError:
            return _UNREAD, ""
        except HeterodyneError as error:
            return _REJECTED, _error(error)
        except MemoryError as error:
            return _REJECTED, _error(f"not enough memory: {error}")
        except Warning as warning:  # where PYTHONWARNINGS or -W makes errors of warnings
            return _REJECTED, _error(warning)
        except OSError as error:
            parts = (error.filename, error.strerror or error)
            return _REJECTED, _error(": ".join(str(part) for part in parts if part))
        return 0, ""


def _run(arguments: tuple[str, ...]) -> None:
    """Run the command; what it printed has left the program when this ends."""
    from heterodyne_cli.program import run  # here, where an interruption of the import is a line, too

    try:
        run(arguments)
    finally:
        _flush_output()


def _prepare_streams() -> None:
    """Open what is closed of the standard files, and let no character and no width end the program."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # else the next file opened would be taken for standard output by libraries
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # Å and α must not end a fit on a narrow terminal
    for name in ("COLUMNS", "TERMINAL_WIDTH"):
        width = os.environ.get(name, "80")
        if not (width.isdecimal() and len(width) < 5 and int(width) >= _NARROWEST):
            del os.environ[name]


def _flush_output() -> None:
    """Write what is still in the buffer; what cannot be written is dropped, as the interpreter would try again."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError as error:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        raise HeterodyneError(f"cannot write to standard output: {error.strerror}") from error


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    print(f"{NAME}: warning: {_one_line(message)}", file=file or sys.stderr)


def _error(message: object) -> str:
    return f"{NAME}: error: {_one_line(message)}"


def _one_line(message: object) -> str:
    return escaped(" ".join(str(message).split()))
