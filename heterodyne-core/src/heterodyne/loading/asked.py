"""What a user asks `load` for, checked: numbers, ranges, frames, seconds, a mask."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from numbers import Integral, Real
from pathlib import Path
from typing import Any, get_args

import numpy as np

from heterodyne.atomic import as_path
from heterodyne.data.selection import Range, Selection
from heterodyne.data.triangle import Symmetrise
from heterodyne.data.validation import frame_mask, number
from heterodyne.errors import DataError
from heterodyne.loading import npz
from heterodyne.words import first_listed, spans

_UNIT = {"q": "q is positive (in Å⁻¹)", "phi": "phi lies in -720 to 720 (in degrees)"}
RING = ("ring", "nan")
"""How a bin without an azimuth may be called."""

_LONGEST = 1 << 22
"""Bytes of a text file that lists frames."""

_PART = re.compile(r"(\d{1,15})(?::(\d{1,15}))?")

Wanted = float | str | Range | Sequence[float | str | Range]
Excluded = int | str | tuple[int, int] | Sequence[int | str | tuple[int, int]]


def asked(**given: Any) -> Selection:
    """The arguments of `load` as a `Selection`; raises `DataError` naming the one that means nothing."""
    return Selection(
        _wanted("q", given["q"]),
        _wanted("phi", given["phi"]),
        _frames(given["frames"]),
        _seconds("dt", given["dt"]),
        _seconds("age", given["age"]),
        _width("dq", given["dq"]),
        _width("dphi", given["dphi"]),
        _baseline(given["baseline"]),
        () if given["exclude_frames"] is None else frame_ranges(given["exclude_frames"]),
        None if given["mask"] is None else _mask(given["mask"]),
        given["allow_links"],
        _symmetrise(given["symmetrise"]),
        given["key"],
    )


def stated(given: Selection) -> dict[str, Any]:
    """What is asked for, without what is not."""
    names = ("q", "phi", "frames", "dt", "age", "dq", "dphi", "baseline", "symmetrise", "key")
    found = {name: value for name in names if (value := getattr(given, name)) not in (None, ())}
    if given.exclude:
        found["exclude_frames"] = given.exclude
    return found if given.mask is None else {**found, "mask": _words_of(given.mask)}


def _words_of(mask: np.ndarray) -> str:
    """What a mask leaves out, and the SHA-256 of its truth values as bytes."""
    digest = sha256(np.ascontiguousarray(mask).tobytes()).hexdigest()
    count = np.count_nonzero(~mask)
    named = (
        f"frames {first_listed(spans((np.flatnonzero(~mask) + 1).tolist()))}"
        if mask.ndim == 1 and count
        else count
    )
    return f"leaves out {named} (sha256 {digest})"


def check_of_lags(given: Selection) -> None:
    """Raise `DataError` for what is asked of frames or matrices, which one-time data do not have."""
    names = {"frames": "frames", "age": "age", "exclude": "exclude_frames", "mask": "mask"}
    for name, told in {**names, "symmetrise": "symmetrise", "key": "key"}.items():
        value = getattr(given, name)
        if value is not None and not (isinstance(value, tuple) and not value):
            raise DataError(f"{told} says nothing of one-time data (g2 over the lag): leave it out")


def check_switch(name: str, value: object) -> None:
    """Raise `DataError` for anything but True and False."""
    if not isinstance(value, bool):
        raise DataError(f"{name} must be True or False, not {value!r}")


def frame_ranges(given: Excluded) -> tuple[tuple[int, int], ...]:
    """First and last frame of every range in numbers, pairs, text such as ``12,40:55`` or ``@FILE``, or lists of these.

    Raises `DataError` for what is none of these.
    """
    if isinstance(given, str):
        parts = _listed(given[1:]) if given.startswith("@") else given.split(",")
        return tuple(frame_range(part) for part in parts)
    if isinstance(given, Integral) or _is_pair(given):
        return (frame_range(given),)
    if isinstance(given, Iterable):
        return tuple(one for item in given for one in frame_ranges(item))
    raise _no_frames(given)


def frame_range(given: object) -> tuple[int, int]:
    """First and last frame, from a number, a pair or text; raises `DataError` for what is none of these."""
    if isinstance(given, str) and (match := _PART.fullmatch(given.strip())):
        first, last = int(match[1]), int(match[2] or match[1])
    elif isinstance(given, Integral) and not isinstance(given, bool):
        first = last = int(given)
    elif _is_pair(given):
        first, last = map(int, given)  # pyright: ignore[reportArgumentType]
    else:
        raise _no_frames(given)
    if not 1 <= first <= last:
        raise DataError(f"exclude_frames: frames count from 1, first to last, not {first}:{last}")
    return first, last


def _no_frames(given: object) -> DataError:
    return DataError(f"exclude_frames: {given!r} is no frame N, no range A:B and no list of them")


def _is_pair(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(isinstance(end, Integral) for end in value)


def _listed(name: str) -> list[str]:
    """The frames and ranges that a text file lists, apart by spaces, commas or lines; # begins a comment."""
    try:
        with Path(name).open("rb") as stream:
            content = stream.read(_LONGEST + 1)
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"exclude_frames: {name} is not UTF-8 text") from None
    except OSError as error:
        raise DataError(f"exclude_frames: {name} cannot be read: {error.strerror}") from None
    if len(content) > _LONGEST:
        raise DataError(
            f"exclude_frames: {name} is longer than {_LONGEST >> 20} MiB: it is no list of frames"
        )
    found = re.split(r"[\s,]+", " ".join(line.split("#")[0] for line in text.splitlines()).strip())
    if found == [""]:
        raise DataError(f"exclude_frames: {name} lists no frames")
    return found


def _mask(given: Any) -> np.ndarray:
    """The mask given as an array, or stored in a file: ``mask`` of an .npz archive."""
    if not isinstance(given, str | Path):
        return frame_mask(given)
    path = as_path(given)
    if not path.is_file():
        raise DataError(f"mask: there is no file {path}")
    if not npz.is_npz(path):
        raise DataError(f"mask: {path} must be an .npz archive with the key mask, True for frames to use")
    held = npz.headers(path)
    if "mask" not in held:
        raise DataError(f"mask: {path} has no array mask; it has {', '.join(held) or 'none'}")
    return frame_mask(npz.array(path, "mask"))


def _wanted(name: str, value: Any) -> tuple[float | Range, ...]:
    if value is None:
        return ()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    several = isinstance(value, list) or (isinstance(value, tuple) and not _is_range(value))
    return tuple(_one(name, item) for item in (value if several else [value]))


def _one(name: str, item: Any) -> float | Range:
    if name == "phi" and isinstance(item, str) and item.strip().lower() in RING:
        return math.nan
    if isinstance(item, Real) and not isinstance(item, bool):
        value = float(item)
        if (not 0 < value < math.inf) if name == "q" else math.isinf(value):  # a phi of NaN states a ring
            raise DataError(f"{name} = {value:g} cannot be selected: {_UNIT[name]}")
        return value
    if _is_range(item):
        low, high = map(float, item)
        if not (math.isfinite(low) and math.isfinite(high)):
            raise DataError(f"the ends of the {name} range {low:g}:{high:g} must be finite")
        if name == "q" and low > high:
            raise DataError(f"the q range {low:g}:{high:g} has its ends exchanged")
        if name == "phi" and max(abs(low), abs(high)) > 720.0:
            raise DataError(f"the phi range {low:g}:{high:g} goes round more than twice: {_UNIT[name]}")
        return low, high
    raise DataError(f"{name} must be a number, a (low, high) tuple or a list of those, not {item!r}")


def _is_range(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and all(isinstance(end, Real) for end in value)


def _seconds(name: str, value: Any) -> float | None:
    if value is None:
        return None
    seconds = number(name, value)
    if not math.isfinite(seconds) or (name == "dt" and seconds <= 0):
        raise DataError(f"{name} must be {'positive' if name == 'dt' else 'finite'} (in s), not {seconds:g}")
    return seconds


def _width(name: str, value: Any) -> float | None:
    if value is None:
        return None
    width = number(name, value)
    if not 0 <= width < math.inf:
        raise DataError(f"{name} must be a full width, 0 or more, not {width:g}")
    return width


def _baseline(value: Any) -> float | None:
    if value is None:
        return None
    level = number("baseline", value)
    if level not in (0.0, 1.0):
        raise DataError(f"baseline must be 0 or 1, c2 as stored where nothing is correlated, not {level:g}")
    return level


def _symmetrise(value: Any) -> Symmetrise | None:
    if value is not None and value not in get_args(Symmetrise):
        raise DataError(f"symmetrise must be {', '.join(get_args(Symmetrise))}, not {value!r}")
    return value


def _frames(frames: Any) -> tuple[int, int] | None:
    if frames is None:
        return None
    try:
        first, last = frames
        if int(first) == first and int(last) == last:
            return int(first), int(last)
    except (TypeError, ValueError, OverflowError):
        pass
    raise DataError(f"frames must be two whole numbers (first, last), not {frames!r}")
