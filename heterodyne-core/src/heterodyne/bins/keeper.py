"""The keeper's side of bins that are kept: from a question to the answer, with data that stay between them."""

from __future__ import annotations

import io
import os
import pickle
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from heterodyne.bins.bin import Bin, Dense, Kept, Whitened
from heterodyne.bins.kept import Question, Reply, own_version
from heterodyne.bins.nodes import Nodes
from heterodyne.catalogue import create_model
from heterodyne.data.two_time import TwoTime
from heterodyne.device.compilation import keep_compiled_code
from heterodyne.device.cores import side_by_side
from heterodyne.errors import ConfigError, HeterodyneError


class Keeper:
    """Data sets and bins by number, and the recipes of those that are not made yet or were lost."""

    def __init__(self) -> None:
        keep_compiled_code()
        self._data: dict[int, TwoTime] = {}
        self._bins: dict[int, Bin] = {}
        self._recipes: dict[int, bytes] = {}

    def __call__(self, question: bytes) -> bytes:
        """The reply to a question, both pickled."""
        version, _, pickled = question.partition(b"\n")
        if version != own_version():
            words = f"heterodyne-core is {own_version().decode()} at a worker and {version.decode()} here"
            return _told(Reply(error=ConfigError(f"{words}: install one version everywhere")))
        asked = Question(*pickle.loads(pickled))
        with suppress(OSError):  # where there is none, reading a file there says so
            os.chdir(asked.folder)
        self._data.update(asked.data)
        self._recipes.update(asked.recipes)
        for number in asked.dropped:
            self._bins.pop(number, None)
            self._recipes.pop(number, None)
        warned: list[tuple[str, type[Warning]]] = []
        warnings.showwarning = lambda message, category, *_: warned.append((str(message), category))
        return _told(self._reply(asked)._replace(warned=warned))

    def _reply(self, asked: Question) -> Reply:
        try:
            function, rows = self._loaded(asked.work)
            if function is None:
                return Reply(side_by_side(lambda row: self._new(*row), rows, asked.at_once))
            return Reply(side_by_side(lambda row: function(*row), rows, asked.at_once))
        except _Lacking:
            return Reply(lacks=True)
        except HeterodyneError as error:
            return Reply(error=error)
        except Exception as error:  # the client knows what it asked for
            return Reply(error=_picklable(error))

    def _new(self, number: int, recipe: bytes) -> Bin | HeterodyneError:
        """The bin that a recipe gives, without the data, which stay; or why there is none."""
        self._recipes[number] = recipe
        try:
            return _without_data(self._bin(number))
        except HeterodyneError as error:
            return error

    def _bin(self, number: int) -> Bin:
        if number not in self._bins:
            if number not in self._recipes:
                raise _Lacking
            function, row = self._loaded(self._recipes[number])
            self._bins[number] = function(*row)
        return self._bins[number]

    def _loaded(self, work: bytes) -> Any:
        return _Unpickler(io.BytesIO(work), self).load()

    def found(self, kind: str, *names: Any) -> Any:
        """What a number or name in a question stands for; raises `_Lacking`."""
        if kind == "model":
            return create_model(*names)
        number, *nodes = names
        if kind == "bin":
            return replace(self._bin(number), nodes=Nodes(*nodes[0]))
        if number not in self._data:
            raise _Lacking
        return self._data[number]


class _Lacking(Exception):
    """Data or recipes are asked for that this keeper does not have."""


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, keeper: Keeper) -> None:
        super().__init__(stream)
        self._keeper = keeper

    def persistent_load(self, pid: Sequence[Any]) -> Any:
        return self._keeper.found(*pid)


def _told(reply: Reply) -> bytes:
    return pickle.dumps(tuple(reply), protocol=pickle.HIGHEST_PROTOCOL)


def _without_data(bin: Bin) -> Bin:
    """The bin as the client has it: of whitened data the moments stay with it."""
    values = bin.values
    if isinstance(values, Whitened):
        return replace(bin, values=Kept(None, 0, 0, b"", values.moments))
    return replace(bin, values=Dense(np.zeros((0, 0))))


def _picklable(error: Exception) -> Exception:
    """The error, or another one with its words."""
    try:
        return type(error)(*error.args)
    except TypeError:
        return RuntimeError(f"{type(error).__name__}: {error}")
