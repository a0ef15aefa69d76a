"""The folder of a run, whose run it is, and what every shard samples, as plain arrays; `nuts` keeps blocks of draws."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from heterodyne.bins.bin import Moments
from heterodyne.bins.nodes import Nodes
from heterodyne.catalogue import create_model
from heterodyne.errors import ConfigError, DataError
from heterodyne_cmc.arrays import leaves, read_arrays, tree_of, write_arrays
from heterodyne_cmc.coordinates import Form, Space
from heterodyne_cmc.density import Code, Target
from heterodyne_cmc.likelihood import ScalingPrior
from heterodyne_cmc.nuts import SamplerSettings
from heterodyne_cmc.priors import PriorNumbers
from heterodyne_cmc.shards import PairList, Portion, Shard, TileList

TARGET = "target.npz"

_CONTENTS = {"whole": np.ndarray, "tiles": TileList, "pairs": PairList}


def run_folder(root: Path, fingerprint: str, resume: bool) -> Path:
    """The folder in ``root`` of the run with this fingerprint; it exists where the run was begun before.

    Raises `ConfigError` where it was and is not to be resumed, where ``root`` holds nothing to resume, and where a
    file is in the way.
    """
    folder = root / fingerprint[:16]
    for place in (root, folder):
        if os.path.lexists(place) and not place.is_dir():
            raise ConfigError(f"{place} is not a folder, and the draws are kept there: remove or rename it")
    if folder.exists() and not resume:
        raise ConfigError(
            f"{folder} holds this run, begun before: add --resume to go on with it, or remove that folder"
        )
    if resume and not folder.exists():
        if not root.exists() or not any(root.iterdir()):
            raise ConfigError(f"there is no run in {root} to go on with: leave --resume out")
        warnings.warn(f"{root} holds no run of these data and options: this one begins anew", stacklevel=2)
    return folder


def fingerprint_of(description: Mapping[str, Any], arrays: list[np.ndarray]) -> str:
    """A print of what is sampled: a description and data."""
    digest = sha256(json.dumps(description, sort_keys=True, default=str).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def write_target(
    folder: Path, code: Code, target: Target, settings: SamplerSettings, starts: np.ndarray
) -> None:
    """Write what one shard samples."""
    description = {
        "model": code.model.name,
        "families": code.form.families,
        "log": code.form.log,
        "free": code.free,
        "settings": asdict(settings),
        "portions": [_kind(portion) for portion in target.shard.portions],
    }
    arrays = {"starts": starts, "description": json.dumps(description), **leaves("leaf", target)}
    write_arrays(folder / TARGET, arrays)


def _kind(portion: Portion) -> str:
    return next(name for name, kind in _CONTENTS.items() if isinstance(portion.content, kind))


def read_target(folder: Path) -> tuple[Code, Target, SamplerSettings, np.ndarray]:
    """What one shard samples: code, target, settings and starts; raises `DataError` where it cannot be read."""
    arrays = read_arrays(folder / TARGET)
    if arrays is None:
        raise DataError(f"{folder / TARGET} cannot be read: add --resume to write it again and go on")
    description = json.loads(str(arrays["description"]))
    form = Form(tuple(description["families"]), tuple(description["log"]))
    code = Code(create_model(description["model"]), form, tuple(description["free"]))
    target = tree_of("leaf", arrays, _like(description["portions"]))
    return code, target, SamplerSettings(**description["settings"]), arrays["starts"]


def _like(kinds: list[str]) -> Target:
    """A target of this structure, its numbers 0."""

    def filled(kind: Any) -> Any:
        return 0.0 if kind is np.ndarray else kind(*[0.0] * len(kind._fields))

    portions = tuple(
        Portion(0.0, filled(Nodes), 0.0, filled(_CONTENTS[kind]), filled(PairList))  # type: ignore[arg-type]
        for kind in kinds
    )
    space = Space(*[0.0] * 10, filled(PriorNumbers))  # type: ignore[arg-type]
    return Target(space, Shard(0.0, portions, filled(Moments), 0.0), filled(ScalingPrior), 0.0, 0.0)  # type: ignore[arg-type]
