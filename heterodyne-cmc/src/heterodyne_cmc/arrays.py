"""Arrays by name in files, and the leaves of trees among them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from heterodyne.atomic import replacing
from heterodyne.kernels._jax import jax


def write_arrays(file: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays by name, in a folder that is made if need be."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def read_arrays(file: Path) -> dict[str, np.ndarray]:
    """Arrays by name."""
    with np.load(file, allow_pickle=False) as stored:
        return dict(stored)


def leaves(name: str, tree: Any) -> dict[str, np.ndarray]:
    """The leaves of a tree as arrays, numbered behind this name."""
    return {f"{name}_{k}": np.asarray(leaf) for k, leaf in enumerate(jax.tree.leaves(tree))}


def tree_of(name: str, arrays: Mapping[str, np.ndarray], like: Any) -> Any:
    """The tree of the structure of ``like`` whose `leaves` are among these arrays."""
    structure = jax.tree.structure(like)
    return jax.tree.unflatten(structure, [arrays[f"{name}_{k}"] for k in range(structure.num_leaves)])
