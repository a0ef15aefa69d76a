"""One shard in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from heterodyne.device.compilation import keep_compiled_code
from heterodyne_cmc.arrays import read_arrays, write_arrays
from heterodyne_cmc.checkpoint import read_target
from heterodyne_cmc.nuts import sample
from heterodyne_cmc.watch import Watch

DRAWS = "draws.npz"


def sample_shard(folder: str, progress: Callable[[str], None]) -> str:
    """The file ``draws.npz`` of the shard in ``folder``, drawn now unless it is there whole; done blocks stay."""
    place = Path(folder)
    if read_arrays(place / DRAWS) is None:
        keep_compiled_code()
        code, target, settings, starts = read_target(place)
        watch = Watch(lambda count: progress(count.text()))
        draws = sample(code, target, starts, settings, place, watch)
        write_arrays(place / DRAWS, {"u": draws.u, **draws.statistics})
    return str(place / DRAWS)
