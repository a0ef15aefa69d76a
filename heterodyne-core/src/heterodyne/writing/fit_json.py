"""`fit.json`: the whole result as text."""

from __future__ import annotations

from pathlib import Path

from heterodyne.atomic import replacing
from heterodyne.result.document import FILE, fit_text
from heterodyne.result.fit import Fit


def write(fit: Fit, folder: Path) -> list[Path]:
    """Write `fit.json` (schema ``heterodyne/fit/1``) into ``folder``."""
    path = folder / FILE
    with replacing(path) as temporary:
        temporary.write_text(fit_text(fit), encoding="utf-8")
    return [path]
