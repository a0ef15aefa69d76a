"""Arrays by name in files that tell damage, and the leaves of trees among them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from heterodyne.atomic import replacing
from heterodyne.kernels._jax import jax

_PRINT = "print_of_contents"


def write_arrays(file: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays by name, with a print of them, in a folder that is made if need be."""
    stored = {name: np.asarray(array) for name, array in arrays.items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **stored, **{_PRINT: _print_of(file, stored)})


def read_arrays(file: Path) -> dict[str, np.ndarray] | None:
    """Arrays by name; None where there is no file, or, with a warning, where it holds not what was written there."""
    if not file.exists():
        return None
    try:
        with np.load(file, allow_pickle=False) as stored:
            arrays = dict(stored)
        print_of_contents = arrays.pop(_PRINT).item()
    except Exception as error:  # of damaged archives zipfile, zlib and NumPy raise whatever comes
        reason = f"{type(error).__name__}: {error}"
    else:
        if print_of_contents == _print_of(file, arrays):
            return arrays
        reason = "its numbers are not those that were written"
    warnings.warn(f"{file} is damaged, and computed again ({reason})", stacklevel=2)
    return None


def _print_of(file: Path, arrays: Mapping[str, np.ndarray]) -> str:
    """The SHA-256 of arrays and of what the file is called in its folder."""
    digest = sha256(f"{file.parent.name}/{file.name}".encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def leaves(name: str, tree: Any) -> dict[str, np.ndarray]:
    """The leaves of a tree as arrays, numbered behind this name."""
    return {f"{name}_{k}": np.asarray(leaf) for k, leaf in enumerate(jax.tree.leaves(tree))}


def tree_of(name: str, arrays: Mapping[str, np.ndarray], like: Any) -> Any:
    """The tree of the structure of ``like`` whose `leaves` are among these arrays."""
    structure = jax.tree.structure(like)
    return jax.tree.unflatten(structure, [arrays[f"{name}_{k}"] for k in range(structure.num_leaves)])
