"""`heterodyne inspect`: what a file holds, as the program understands it, and what is odd about it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from heterodyne.errors import ConfigError, EmptyBin, escaped
from heterodyne.words import first_listed, spans, table
from heterodyne_cli.output import print_json, show
from heterodyne_cli.picture import draw, picture_file
from heterodyne_cli.selection import Json, load_selected, selecting

if TYPE_CHECKING:
    import numpy as np

    from heterodyne.data.one_time import OneTime
    from heterodyne.data.quality import Quality
    from heterodyne.data.two_time import TwoTime

_SHOWN = 12

_OUTPUT = "Picture"


@selecting
def inspect(
    data: Annotated[str, typer.Argument(metavar="DATA", help="File to read.")],
    matrices: Annotated[
        bool,
        typer.Option(
            "--matrices",
            help="Read every matrix: dark and bright frames, contrast, baseline, fringes, gaps, equal bins.",
        ),
    ] = False,
    json: Json = False,
    picture: Annotated[
        int | None,
        typer.Option(
            metavar="BIN",
            help="Draw the matrix of this bin, from 1, here or with -o as PNG.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE.png", help="PNG to write.", rich_help_panel=_OUTPUT),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing PNG.", rich_help_panel=_OUTPUT)
    ] = False,
    *,
    selected: Mapping[str, Any],
) -> None:
    """Say what a file holds, and what is odd about it: layout, bins, frames, times.

    Matrices are read only with --matrices, and one of them with --picture.
    """
    from heterodyne.data.one_time import OneTime

    _check(picture, matrices or json, output, force)
    two_time = load_selected(data, selected)
    if isinstance(two_time, OneTime):
        if picture is not None or matrices:
            raise ConfigError(
                f"{data} gives one-time data, without matrices: leave --matrices and --picture out"
            )
        _show_one_time(two_time, json)
        return
    if picture is not None:
        draw(two_time, picture, output)
        return
    found = _qualities(two_time) if matrices else []
    odd = _odd(two_time, found)
    if json:
        print_json(_document(two_time, found, odd))
        return
    show(_summary(two_time))
    show("\n".join(f"odd        {line}" for line in odd or ["nothing"]) + "\n")
    show(table(("q (1/Å)", "bins", "phi (degree)"), _rings(two_time)) + "\n")
    show(_bin_table(two_time, found))


def _check(picture: int | None, others: bool, output: Path | None, force: bool) -> None:
    """Raise `ConfigError` for options that contradict one another."""
    if picture is None and output is not None:
        raise ConfigError("-o is the PNG of a picture: add --picture BIN")
    if picture is not None and others:
        raise ConfigError("--picture draws one matrix: leave --matrices and --json out")
    if output is not None:
        picture_file(output, force)


def _qualities(data: TwoTime) -> list[Quality]:
    """The quality of every matrix; raises `EmptyBin` where there is nothing in any of them."""
    from heterodyne.data.quality import quality

    found = [quality(data, bin) for bin in range(data.n_bins)]
    if all(each.empty for each in found):
        raise EmptyBin(f"{data.provenance['file']} {found[0].refused}")
    return found


def _odd(data: TwoTime, found: Sequence[Quality]) -> list[str]:
    from heterodyne.data.oddities import oddities, oddities_of_matrices

    return [*oddities(data), *oddities_of_matrices(found)]


def _show_one_time(data: OneTime, json: bool) -> None:
    """Bins and lags of one-time data, and how many values of every bin count."""
    if json:
        print_json(_one_time_document(data))
        return
    origin, lost = data.provenance, int((~data.used).sum())
    errors = "unknown" if data.error is None else f"from {origin.get('error_source', 'source unknown')}"
    rows = [
        *_head(data),
        (
            "lags",
            f"{data.n_lags}, {data.tau[0]:g} to {data.tau[-1]:g} s, of g2 in {origin.get('g2', 'unknown')}",
        ),
        ("dt", f"{data.dt:g} s ({origin.get('dt_source', 'source unknown')})"),
        ("errors", errors),
        ("unused", f"{lost} of {data.g2.size} values (NaN or 0, or without an error above 0)"),
        *([("left out", origin["left_out"])] if "left_out" in origin else []),
        *_sources(data),
    ]
    show(_lines(rows))
    show(table(("q (1/Å)", "bins", "phi (degree)"), _rings(data)))


def _one_time_document(data: OneTime) -> dict[str, Any]:
    from heterodyne.result.document import plain

    return plain(
        {
            "provenance": data.provenance,
            "one_time": True,
            "n_lags": data.n_lags,
            "dt": data.dt,
            "tau": data.tau,
            "bins": [{**_place(data, bin), "n_used": int(used.sum())} for bin, used in enumerate(data.used)],
        }
    )


def _head(data: TwoTime | OneTime) -> list[tuple[str, Any]]:
    origin = data.provenance
    return [
        ("file", f"{origin['file']}, {origin['size'] / 2**20:.1f} MiB"),
        ("layout", origin["loader"]),
        ("bins", data.n_bins),
    ]


def _sources(data: TwoTime | OneTime) -> list[tuple[str, Any]]:
    """Where q and phi come from, and the widths."""
    origin = data.provenance
    return [
        *((name, f"from {origin[f'{name}_source']}") for name in ("q", "phi") if f"{name}_source" in origin),
        ("widths", f"dq {_extent(data.dq, ' 1/Å')}, dphi {_extent(data.dphi, ' degree')}"),
    ]


def _lines(rows: list[tuple[str, Any]]) -> str:
    return "\n".join(f"{name:<10} {escaped(str(value))}" for name, value in rows) + "\n"


def _summary(data: TwoTime) -> str:
    origin = data.provenance
    first, last = origin.get("frames", (1, data.n_frames))
    rows = [
        *_head(data),
        ("frames", f"{data.n_frames}, {first}:{last} of the file"),
        ("dt", f"{data.dt:g} s ({origin.get('dt_source', 'source unknown')})"),
        ("age", f"{data.age:g} s before the first frame ({origin.get('age_source', 'source unknown')})"),
        ("times", f"{data.t[0]:g} to {data.t[-1]:g} s"),
        *([("left out", _left_out(data, first))] if not data.mask.all() else []),
        *([("baseline", origin["baseline"])] if "baseline" in origin else []),
        *_sources(data),
        ("in memory", f"{data.n_bins * data.n_frames**2 * 8 / 2**20:.1f} MiB in float64"),
    ]
    return _lines(rows)


def _left_out(data: TwoTime, first: int) -> str:
    """The frames that are masked, counted as in their file."""
    import numpy as np

    in_all = np.asarray(~data.mask.any(axis=0))
    frames = first_listed(spans((np.flatnonzero(in_all) + first).tolist())) if in_all.any() else "none"
    others = int((~data.mask & ~in_all).sum())
    return f"frames {frames}" + (f", and {others} frames of single bins" if others else "")


def _rings(data: TwoTime | OneTime) -> list[tuple[str, int, str]]:
    """Every ring: its q, its number of bins and their azimuths."""
    from heterodyne.data.geometry import ring_of

    ring = ring_of(data.q, data.phi)
    members = [ring == number for number in range(ring.max() + 1)]
    return [(_extent(data.q[m]), int(m.sum()), _listing(data.phi[m])) for m in members]


def _listing(phi: np.ndarray) -> str:
    words = ["ring" if math.isnan(value) else f"{value:.4g}" for value in phi]
    half = _SHOWN // 2
    return ", ".join(words if len(words) <= _SHOWN else [*words[:half], "...", *words[-half:]])


def _extent(values: np.ndarray, unit: str = "") -> str:
    """The values in words: one, from-to, or unknown."""
    known = [float(value) for value in values if not math.isnan(value)]
    if not known:
        return "unknown"
    return " to ".join(dict.fromkeys(f"{end(known):.4g}" for end in (min, max))) + unit


def _bin_table(data: TwoTime, found: Sequence[Quality]) -> str:
    """Every bin with what is known of it and, where they were read, of its matrix."""
    rows = list(_bins(data))
    statistics = [_statistics(each) for each in found]
    header = [*rows[0], *(statistics[0] if statistics else ())]
    cells = [[_text(name, row[name]) for name in rows[0]] for row in rows]
    for row, numbers in zip(cells, statistics, strict=False):
        row += [_text(name, value) for name, value in numbers.items()]
    return table(header, cells)


def _bins(data: TwoTime) -> Iterator[dict[str, Any]]:
    """Number, place, widths and pixels of every bin; pixels only where the file has them."""
    pixels = data.provenance.get("pixels")
    for bin in range(data.n_bins):
        row = {"bin": bin + 1, **_place(data, bin)}
        yield {**row, "pixels": pixels[bin]} if pixels is not None and len(pixels) == data.n_bins else row


def _statistics(found: Quality) -> dict[str, Any]:
    """The numbers of one matrix; lists of frames as their lengths."""
    return {
        "dtype": found.dtype,
        "masked": found.masked,
        "dark": len(found.dark),
        "bright": len(found.bright),
        "not finite": found.gaps,
        "diagonal": found.diagonal,
        "first lag": found.first_lag,
        "baseline": found.baseline,
        "contrast": found.contrast,
    }


def _document(data: TwoTime, found: Sequence[Quality], odd: Sequence[str]) -> dict[str, Any]:
    from heterodyne.result.document import plain

    matrices = [
        {
            **_statistics(each),
            **{name: getattr(each, name) for name in ("dark", "bright", "fringe", "halves", "refused")},
        }
        for each in found
    ]
    return plain(
        {
            "provenance": data.provenance,
            "n_frames": data.n_frames,
            "dt": data.dt,
            "age": data.age,
            "t": [data.t[0], data.t[-1]],
            "odd": odd,
            "bins": list(_bins(data)),
            **({"matrices": matrices} if matrices else {}),
        }
    )


def _place(data: TwoTime | OneTime, bin: int) -> dict[str, float]:
    return {name: float(getattr(data, name)[bin]) for name in ("q", "phi", "dq", "dphi")}


def _text(name: str, value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return "ring" if name == "phi" else "unknown" if name in ("dq", "dphi") else "-"
    return f"{value:.5g}"
