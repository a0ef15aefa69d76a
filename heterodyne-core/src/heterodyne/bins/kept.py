"""Bins whose data other processes keep: what needs the data is done there, and what comes back is small.

A `Home` is the client's side of the keepers of an executor, `heterodyne.bins.keeper` is theirs. Every bin is with one
keeper, which has read its file. Here is a `Bin` without data, which names them by a number; a function that goes to a
keeper with such bins among its arguments finds there the bins with their data. How a keeper comes by the data of a
number, a function and its arguments, is the recipe of that number: a keeper that has lost its data, or never had them,
is told the recipes and makes them again.
"""

from __future__ import annotations

import io
import os
import pickle
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from itertools import count
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar, cast
from weakref import WeakValueDictionary, finalize

import numpy as np

from heterodyne.bins.bin import Bin, Kept, at_once
from heterodyne.bins.reading import each_bin, read_bin
from heterodyne.catalogue import is_installed
from heterodyne.data.geometry import axis_of, ring_of
from heterodyne.data.two_time import TwoTime
from heterodyne.device.cores import side_by_side
from heterodyne.errors import ConfigError, HeterodyneError
from heterodyne.executors.keepers import Keepers, OpenKeepers, drained
from heterodyne.model import Model
from heterodyne.plugins.manager import manager
from heterodyne.plugins.records import ExecutorRecord

Result = TypeVar("Result")

_TARGET = "heterodyne.bins.keeper:Keeper"
_ROUNDS = 10  # of losses, one after another, before a fit gives up


def in_place(
    function: Callable[..., Result], bins: Sequence[Bin], rows: Sequence[tuple[Any, ...]]
) -> list[Result]:
    """The function of every row of arguments, where the bin beside it is: in this process or at its keeper.

    What goes to keepers is a function of a module, which takes no bins of other keepers if it can be helped.
    """
    places = [bin.values for bin in bins]
    if not places or not isinstance(places[0], Kept):
        return side_by_side(lambda row: function(*row), rows, at_once(bins))
    home: Home = places[0].home
    return home.called(function, rows, [cast(Kept, place).keeper for place in places])


def remade_in_place(
    function: Callable[..., Bin], bins: Sequence[Bin], rows: Sequence[tuple[Any, ...]]
) -> tuple[Bin, ...]:
    """Bins made of others by a function of rows of arguments, which stay where these are."""
    if not bins or not isinstance(bins[0].values, Kept):
        return tuple(in_place(function, bins, rows))
    home: Home = bins[0].values.home
    return home.remade(function, rows, bins)


@contextmanager
def home_at(
    executor: str, settings: Mapping[str, Any], data: Sequence[TwoTime], tell: Callable[[str], None]
) -> Iterator[Home]:
    """A home at the keepers of an executor, for as long as the block runs; raises `ConfigError` where it has none."""
    listing = cast("Mapping[str, ExecutorRecord]", manager().listing("executor"))
    record = cast(ExecutorRecord, manager().find("executor", executor))
    if not record.keepers:
        able = ", ".join(name for name, other in listing.items() if other.keepers)
        raise ConfigError(
            f"executor {executor!r} keeps nothing from one task to the next, as a joint fit needs it (these do: {able})"
        )
    open_keepers = replace(record, target=record.keepers).resolve(OpenKeepers)
    most = sum(each.n_bins for each in data)
    with open_keepers(_TARGET, settings, most, tell) as keepers:
        words = (
            f"bins are kept by {keepers.count} process{'es' * (keepers.count > 1)} of executor {executor!r}"
        )
        yield Home(keepers, words)


class Question(NamedTuple):
    """What a keeper is told: the working folder, in which paths may begin, data sets and recipes by number that it
    lacks, numbers that nobody needs, and the work.

    ``work`` is pickled: ``rows`` of arguments for a ``function``, or numbers to make where that is None, ``at_once`` of
    them together.
    """

    folder: str
    data: Mapping[int, TwoTime]
    recipes: Mapping[int, bytes]
    dropped: Sequence[int]
    work: bytes
    at_once: int | None = None


class Reply(NamedTuple):
    """What a keeper says: the ``values``, or the ``error`` that there was, or that it ``lacks`` data or recipes.

    ``warned`` are the warnings meanwhile.
    """

    values: Sequence[Any] = ()
    error: Exception | None = None
    lacks: bool = False
    warned: Sequence[tuple[str, type[Warning]]] = ()


class Source(NamedTuple):
    """The data set of this number, in a recipe."""

    number: int


class Home:
    """Keepers of bins, which ``words`` describe."""

    def __init__(self, keepers: Keepers, words: str) -> None:
        self._keepers, self.words = keepers, words
        self._numbers = count()
        self._data: dict[int, dict[int, TwoTime]] = {k: {} for k in range(keepers.count)}
        self._kept: WeakValueDictionary[int, Kept] = WeakValueDictionary()
        self._dropped: dict[int, SimpleQueue[int]] = {k: SimpleQueue() for k in range(keepers.count)}

    def read(self, data: Sequence[TwoTime], skip_lags: int) -> tuple[Bin, ...]:
        """Every bin of every data set, read by its keeper; raises what `each_bin` raises."""
        numbers, places = [next(self._numbers) for _ in data], placed(data, self._keepers.count)
        kept = []
        for number, measured in zip(numbers, data, strict=True):
            for index in range(measured.n_bins):
                keeper = places[len(kept)]
                self._data[keeper][number] = measured
                kept.append(self._new(keeper, read_bin, (Source(number), index, skip_lags)))
        made = iter(self._made(kept, 1))

        def next_one(measured: TwoTime, index: int) -> Bin:
            bin = next(made)
            if isinstance(bin, HeterodyneError):
                raise bin
            return bin

        return each_bin(tuple(data), next_one)

    def remade(
        self, function: Callable[..., Bin], rows: Sequence[tuple[Any, ...]], bins: Sequence[Bin]
    ) -> tuple[Bin, ...]:
        """Bins that keepers make of those that they have."""
        plain = [cast(Kept, bin.plain.values) for bin in bins]
        kept = [self._new(of.keeper, function, row, of) for of, row in zip(plain, rows, strict=True)]
        made = []
        for bin, before in zip(self._made(kept, None), bins, strict=True):
            if isinstance(bin, HeterodyneError):
                raise bin
            made.append(bin if bin.is_whitened else before)
        return tuple(made)

    def called(
        self, function: Callable[..., Result], rows: Sequence[tuple[Any, ...]], keepers: Sequence[int]
    ) -> list[Result]:
        """The function of every row at the keeper beside it."""
        work = {
            k: pickled((function, [rows[place] for place in places]))
            for k, places in _by_keeper(keepers).items()
        }
        return _in_order(keepers, self._answers(work, None))

    def _new(
        self, keeper: int, function: Callable[..., Bin], row: tuple[Any, ...], plain: Kept | None = None
    ) -> Kept:
        """Data that nobody has made yet."""
        return Kept(self, keeper, next(self._numbers), pickled((function, row)), plain=plain)

    def _made(self, kept: Sequence[Kept], at_once: int | None) -> list[Bin | HeterodyneError]:
        """The bins of data that are made now, without them, or why there is none."""
        keepers = [of.keeper for of in kept]
        for of in kept:
            self._kept[of.number] = of
        work = {
            k: pickled((None, [(kept[place].number, kept[place].recipe) for place in places]))
            for k, places in _by_keeper(keepers).items()
        }
        return [
            bin if isinstance(bin, HeterodyneError) else self._here(bin, of)
            for bin, of in zip(_in_order(keepers, self._answers(work, at_once)), kept, strict=True)
        ]

    def _here(self, bin: Bin, kept: Kept) -> Bin:
        """The bin, with its data at the keeper for as long as somebody has it here."""
        of_product = bin.values.moments if isinstance(bin.values, Kept) else None
        kept = replace(kept, moments=of_product)
        self._kept[kept.number] = kept
        finalize(kept, self._dropped[kept.keeper].put, kept.number).atexit = False
        return replace(bin, values=kept)

    def _answers(self, work: Mapping[int, bytes], at_once: int | None) -> dict[int, Sequence[Any]]:
        """What the keepers answer, those that lack something once they have been told all."""
        values: dict[int, Sequence[Any]] = {}
        lacking: frozenset[int] = frozenset()
        for _ in range(_ROUNDS):
            questions = {
                k: self._question(k, work[k], at_once, k in lacking) for k in work.keys() - values.keys()
            }
            replies = {k: Reply(*pickle.loads(text)) for k, text in self._keepers.ask(questions).items()}
            for reply in replies.values():
                _warn(reply.warned)
                if reply.error is not None:
                    raise reply.error
            values |= {k: reply.values for k, reply in replies.items() if not reply.lacks}
            lacking = frozenset(work.keys() - values.keys())
            if not lacking:
                return values
        raise HeterodyneError(f"processes that keep bins were lost {_ROUNDS} times, one after another")

    def _question(self, k: int, work: bytes, at_once: int | None, lacking: bool) -> bytes:
        told = drained(self._dropped[k])
        data = self._data[k] if lacking else {}
        recipes = {of.number: of.recipe for of in list(self._kept.values()) if of.keeper == k}
        question = Question(os.getcwd(), data, recipes if lacking else {}, told, work, at_once)
        return b"\n".join([own_version(), pickle.dumps(tuple(question), protocol=pickle.HIGHEST_PROTOCOL)])


@cache
def own_version() -> bytes:
    """The version of this program, which questions begin with: another one may not understand them."""
    return version("heterodyne-core").encode()


def placed(data: Sequence[TwoTime], keepers: int) -> list[int]:
    """The keeper of every bin: whole files where there are enough, else what may hold the same speckle, together."""
    units = [unit for k, measured in enumerate(data) for unit in _units(k, measured, len(data) < keepers)]
    cost = [len(members) * float(data[k].n_frames) ** 2 for k, members in units]
    load, place = np.zeros(keepers), {}
    for number in sorted(range(len(units)), key=lambda number: -cost[number]):
        k, members = units[number]
        keeper = int(np.argmin(load))
        load[keeper] += cost[number]
        place.update({(k, index): keeper for index in members})
    return [place[k, index] for k, measured in enumerate(data) for index in range(measured.n_bins)]


def _units(number: int, data: TwoTime, parted: bool) -> list[tuple[int, list[int]]]:
    """Bins of a file that stay together."""
    if not parted:
        return [(number, list(range(data.n_bins)))]
    axis = axis_of(data.phi, data.dphi, ring_of(data.q, data.phi).tolist())
    return [(number, np.flatnonzero(axis == k).tolist()) for k in range(axis.max() + 1)]


def _by_keeper(keepers: Sequence[int]) -> dict[int, list[int]]:
    """The places in a list that belong to each keeper."""
    return {k: [place for place, of in enumerate(keepers) if of == k] for k in sorted(set(keepers))}


def _in_order(keepers: Sequence[int], values: Mapping[int, Sequence[Any]]) -> list[Any]:
    """The values of every keeper at the places that belong to it."""
    left = {k: iter(of) for k, of in values.items()}
    return [next(left[k]) for k in keepers]


def _warn(warned: Sequence[tuple[str, type[Warning]]]) -> None:
    for text, category in warned:
        warnings.warn(text, category, stacklevel=2)


class _Pickler(pickle.Pickler):
    """What goes to a keeper: bins and data sets that it has by their numbers, installed models by their names."""

    def persistent_id(self, obj: Any) -> tuple[Any, ...] | None:
        if isinstance(obj, Bin) and isinstance(obj.values, Kept):
            return "bin", obj.values.number, tuple(obj.nodes)
        if isinstance(obj, Source):
            return "data", obj.number
        if isinstance(obj, Model) and is_installed(obj):
            return "model", obj.name
        return None


def pickled(work: Any) -> bytes:
    """What goes to a keeper; raises `HeterodyneError` for a model that cannot."""
    stream = io.BytesIO()
    try:
        _Pickler(stream, protocol=pickle.HIGHEST_PROTOCOL).dump(work)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise HeterodyneError(f"this fit cannot leave its process, install its model: {error}") from error
    return stream.getvalue()
