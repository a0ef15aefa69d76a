"""The cores that this process may use."""

from __future__ import annotations

import os


def available_cores() -> int:
    """NPROC where it is set, as for XLA's pools, else the cores that the system lets this process use."""
    chosen = os.environ.get("NPROC", "")
    if chosen.isdecimal() and int(chosen) > 0:
        return int(chosen)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
