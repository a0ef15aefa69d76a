"""`heterodyne inspect`: what a file holds, as the program understands it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from heterodyne.errors import escaped
from heterodyne.words import table
from heterodyne_cli.output import print_json, show
from heterodyne_cli.selection import Json, load_selected, selecting

if TYPE_CHECKING:
    import numpy as np

    from heterodyne.data.one_time import OneTime
    from heterodyne.data.two_time import TwoTime

_SHOWN = 12


@selecting
def inspect(
    data: Annotated[str, typer.Argument(metavar="DATA", help="File to read.")],
    matrices: Annotated[bool, typer.Option("--matrices", help="Read every matrix and describe it.")] = False,
    json: Json = False,
    *,
    selected: Mapping[str, Any],
) -> None:
    """Say what a file holds: layout, bins, frames and times; matrices are read only on request."""
    from heterodyne.data.one_time import OneTime

    two_time = load_selected(data, selected)
    if isinstance(two_time, OneTime):
        _show_one_time(two_time, json)
        return
    statistics = [_statistics(two_time, bin) for bin in range(two_time.n_bins)] if matrices else []
    if json:
        print_json(_document(two_time, statistics))
        return
    show(_summary(two_time))
    show(table(("q (1/Å)", "bins", "phi (degree)"), _rings(two_time)))
    if statistics:
        show(
            "\n" + table(tuple(statistics[0]), [[_text(v) for v in of_bin.values()] for of_bin in statistics])
        )


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
            "bins": [
                {**_bin_document(data, bin), "n_used": int(used.sum())} for bin, used in enumerate(data.used)
            ],
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
        *_sources(data),
        ("in memory", f"{data.n_bins * data.n_frames**2 * 8 / 2**20:.1f} MiB in float64"),
    ]
    return _lines(rows)


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


def _statistics(data: TwoTime, bin: int) -> dict[str, Any]:
    """One matrix in numbers; first - long is the contrast if the first lag shows no decay and no fringe."""
    import numpy as np

    from heterodyne.bins.weights import given_weights, left_out_pairs
    from heterodyne.data.validation import checked

    raw = data.c2[bin]
    weight, of_pairs = given_weights(data, bin)
    left_out = left_out_pairs(data, bin, 0, of_pairs)
    where = f"{data.provenance.get('file', 'data')} bin {bin + 1} ({data.label(bin)})"
    mask = data.mask[bin] & (weight > 0)
    c2, used = checked(raw, mask, where, left_out if len(left_out) else None)
    c2 = c2.astype(float)
    c2[tuple(left_out.T)] = np.nan
    kept = c2[np.ix_(used, used)]
    first = np.nanmean(np.diag(kept, 1))
    far = np.nanmean(kept[np.triu_indices(len(kept), (3 * len(kept)) // 4)])
    return {
        "q": float(data.q[bin]),
        "phi": float(data.phi[bin]),
        "dtype": str(raw.dtype),
        "unused frames": int((~used).sum()),
        "diagonal": float(np.diag(kept).mean()),
        "first lag": float(first),
        "long lags": float(far),
        "first - long": float(first - far),
    }


def _document(data: TwoTime, statistics: list[dict[str, Any]]) -> dict[str, Any]:
    from heterodyne.result.document import plain

    return plain(
        {
            "provenance": data.provenance,
            "n_frames": data.n_frames,
            "dt": data.dt,
            "age": data.age,
            "t": [data.t[0], data.t[-1]],
            "bins": [_bin_document(data, bin) for bin in range(data.n_bins)],
            **({"matrices": statistics} if statistics else {}),
        }
    )


def _bin_document(data: TwoTime | OneTime, bin: int) -> dict[str, float]:
    return {name: float(getattr(data, name)[bin]) for name in ("q", "phi", "dq", "dphi")}


def _text(value: Any) -> str:
    if isinstance(value, float):
        return "ring" if math.isnan(value) else f"{value:.5g}"
    return str(value)
