"""The persistent compilation cache: what one process compiled, the next one loads."""

from __future__ import annotations

import os
import platform
from hashlib import sha256
from pathlib import Path

SHORTEST = 0.01
"""Seconds of compilation from which a result is kept."""


def cache_root() -> Path | None:
    """The program's cache folder: ``heterodyne`` in the user's cache folder, None if switched off or nobody's.

    HETERODYNE_CACHE names another folder, or is empty to keep nothing.
    """
    chosen = os.environ.get("HETERODYNE_CACHE")
    if chosen is not None:
        return Path(chosen) if chosen else None
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(root) / "heterodyne" if os.path.isabs(root) else None


def cache_folder() -> Path | None:
    """Where compiled code is kept in the program's cache folder, None where there is none.

    Every kind of processor has a folder of its own: code for one may not run on another that shares the home.
    """
    root = cache_root()
    return None if root is None else root / _processor()


def keep_compiled_code() -> Path | None:
    """Switch JAX's persistent compilation cache on, and that of traced functions; returns the folder, None where none.

    A cache that the user configured for JAX stays as it is. A folder that cannot be written is no error:
    compilation then takes its second or two every time.
    """
    from heterodyne.device.traced import keeper_in
    from heterodyne.kernels._jax import jax, keep_traced_with

    if configured := jax.config.values.get("jax_compilation_cache_dir"):
        return Path(configured)
    folder = cache_folder()
    if folder is None or not writable(folder):
        return None
    keep_traced_with(keeper_in(folder))
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", SHORTEST)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return folder


def _processor() -> str:
    """A name for this kind of processor and what it can execute."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = [platform.processor()]
    features = [line for line in lines if line.startswith(("model name", "flags", "Features"))][:2] or lines[
        :1
    ]
    return f"{platform.machine()}-{sha256(''.join(features).encode()).hexdigest()[:12]}"


def writable(folder: Path) -> bool:
    """Whether files can be made in the folder, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
