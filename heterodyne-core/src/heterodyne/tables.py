"""Tables as text for people, and as comma-separated values for figures."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from heterodyne.io.atomic import replacing


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """The rows under their header, columns aligned."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    """Write the rows under their header; numbers that do not exist are empty cells. Returns the path."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([_cell(value) for value in row] for row in rows)
    return path


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return repr(float(value)) if math.isfinite(value) else ""
    return "" if value is None else value


def significant(value: float, error: float) -> str:
    """``value +/- error`` with two digits of the error and the value to the same place."""
    place = 1 - math.floor(math.log10(error))
    if not 1e-4 <= max(abs(value), error) < 1e7:
        return f"{value:.4g} +/- {error:.2g}"
    return " +/- ".join(f"{round(number, place):.{max(place, 0)}f}" for number in (value, error))
