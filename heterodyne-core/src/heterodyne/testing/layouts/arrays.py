"""Archives of NumPy under the names that programs give their arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from heterodyne.data.two_time import TwoTime

PREDECESSOR: Mapping[str, str] = {"c2": "c2_exp", "q": "wavevector_q_list", "phi": "phi_angles_list"}
"""The names in caches of earlier programs for heterodyne data, which have the axes t1 and t2 too."""


def write(
    path: Path,
    data: TwoTime,
    c2: Sequence[np.ndarray] | None = None,
    *,
    names: Mapping[str, str] | None = None,
    bins_last: bool = False,
    **fields: Any,
) -> Path:
    """Write ``data`` as arrays c2, q, phi, dt and age, under other ``names`` where these say so.

    ``fields`` replaces values by those names or adds to them; None leaves one out.
    """
    stack = np.stack([np.asarray(matrix) for matrix in (data.c2 if c2 is None else c2)])
    values: dict[str, Any] = {"c2": np.moveaxis(stack, 0, -1) if bins_last else stack}
    values |= {"q": data.q, "phi": data.phi, "dt": data.dt, "age": data.age}
    named = {(names or {}).get(name, name): value for name, value in values.items()} | fields
    np.savez(path, **{name: value for name, value in named.items() if value is not None})
    return path
