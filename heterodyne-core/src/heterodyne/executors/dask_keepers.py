"""Keepers of the executor `dask`: one process beside each dask worker, on its machine.

A keeper is the result of a dask task and lives as long as dask keeps that. It is asked by another task or, as long as
its dask worker is known to be there, without one, which takes a tenth of the time. Where a dask worker is lost, dask
runs its tasks again on another one, where the keeper begins with nothing.
"""

from __future__ import annotations

import asyncio
import logging
import warnings
from asyncio import CancelledError
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError as Cancelled
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Event, Thread
from time import sleep
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4
from weakref import finalize

from heterodyne.errors import HeterodyneError
from heterodyne.executors.dask import LOOK, LOST, connected, stop_when_unwanted
from heterodyne.executors.keepers import KeeperProcess, Keepers, drained
from heterodyne.executors.processes import died_always
from heterodyne.executors.settings import read_settings

if TYPE_CHECKING:
    from distributed import Client, Future, Worker

_ASKED = 4  # questions to one keeper that may be under way


@contextmanager
def keepers(
    target: str, settings: Mapping[str, Any], most: int, tell: Callable[[str], None]
) -> Iterator[Keepers]:
    """A keeper beside each dask worker that has joined, once there are ``workers`` of them, or one by default.

    Raises `ConfigError` without dask.distributed, without the address of a scheduler, if that does not answer, and if
    it goes away.
    """
    chosen = read_settings("dask", settings, ("scheduler", "workers", "retries"))
    with connected(chosen.scheduler) as client, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph")  # data in memory have no other way
        addresses = _joined(client, chosen.workers or 1, tell)
        most = min(most, chosen.workers or most)
        pool = ThreadPoolExecutor(_ASKED * most, thread_name_prefix="heterodyne-keeper")
        try:
            yield _Beside(client, pool, target, addresses[:most], chosen.retries, tell)
        finally:  # questions that are under way end with the client
            pool.shutdown(wait=False, cancel_futures=True)


def _joined(client: Client, wanted: int, tell: Callable[[str], None]) -> list[str]:
    """The addresses of the dask workers, once so many have joined."""
    told = 0
    while len(addresses := _addresses(client)) < wanted:
        if told != (told := len(addresses) + 1):
            tell(f"waiting for dask workers: {len(addresses)} of {wanted} have joined")
        sleep(0.2 * LOOK)
    return addresses


def _addresses(client: Client) -> list[str]:
    try:
        return sorted(cast("dict[str, int]", client.nthreads()))
    except OSError as error:  # it closes the connection, refuses a new one or lets it time out
        raise CancelledError from error


class _Beside:
    """Keepers at the dask workers of these addresses, or of others once those are lost."""

    def __init__(
        self,
        client: Client,
        pool: ThreadPoolExecutor,
        target: str,
        addresses: list[str],
        retries: int,
        tell: Callable[[str], None],
    ) -> None:
        self._client, self._target, self._retries, self._tell = client, target, retries, tell
        self._addresses, self._pool, self._lines = addresses, pool, SimpleQueue[str]()
        self._settled: set[int] = set()
        self._keepers = [self._keeper(k) for k in range(len(addresses))]

    @property
    def count(self) -> int:
        return len(self._addresses)

    def ask(self, questions: Mapping[int, bytes]) -> dict[int, bytes]:
        futures = {k: self._pool.submit(self._answer, k, question) for k, question in questions.items()}
        answers = {k: future.result() for k, future in futures.items()}
        for line in drained(self._lines):
            self._tell(line)
        return answers

    def _keeper(self, k: int) -> Future:
        return self._submit(k, keeper_beside, self._target, self._retries)

    def _asked(self, k: int, question: bytes) -> Future:
        return self._submit(k, answer_beside, self._keepers[k], question)

    def _submit(self, k: int, function: Callable[..., Any], *arguments: Any) -> Future:
        """A dask task at the address of keeper ``k``, or at any other if that is lost."""
        return self._client.submit(
            function,
            *arguments,
            key=f"heterodyne-{uuid4().hex}",
            workers=[self._addresses[k]],
            allow_other_workers=True,
            pure=False,
        )

    def _answer(self, k: int, question: bytes) -> bytes:
        """The answer of a keeper; dask gives up on a task whose workers were lost too often, and we ask again."""
        from distributed.scheduler import KilledWorker

        said = self._at_once(k, question) if k in self._settled else None
        if said is not None:
            return self._heard(self._addresses[k], *said)
        for _ in range(self._retries + 1):
            try:
                address, lines, answer = self._asked(k, question).result()
            except Cancelled as error:  # not by us: the client has lost its scheduler
                raise CancelledError from error
            except KilledWorker:
                self._lines.put(f"a dask worker that keeps data was lost: {self._addresses[k]}")
                self._keepers[k] = self._keeper(k)
                continue
            if address != self._addresses[k]:
                self._lines.put(f"a dask worker that keeps data was lost; {address} reads them again")
                self._addresses[k] = address
            self._settled.add(k)
            return self._heard(address, lines, answer)
        raise HeterodyneError(died_always(self._retries + 1, LOST))

    def _at_once(self, k: int, question: bytes) -> tuple[list[str], bytes] | None:
        """What a keeper says without a dask task; None where it cannot be reached so."""
        address = self._addresses[k]
        if address not in _addresses(self._client):  # dask would try to reach it for half a minute
            return None
        try:
            run = self._client.run(
                answer_of, self._keepers[k].key, question, workers=[address], on_error="return"
            )
        except OSError:  # of the scheduler, of which a task tells
            return None
        said = cast("dict[str, Any]", run)[address]
        if isinstance(said, HeterodyneError):
            raise said
        return None if isinstance(said, Exception) else said

    def _heard(self, address: str, lines: list[str], answer: bytes) -> bytes:
        for line in lines:
            self._lines.put(f"{address}: {line}")
        return answer


class BesideWorker:
    """A keeper beside a dask worker, ended when dask forgets it; a copy, at another dask worker, knows nothing."""

    def __init__(self, target: str, retries: int, threads: int) -> None:
        self._arguments = target, retries, threads
        logging.getLogger("distributed.worker").addFilter(_is_no_question)
        self.lines: SimpleQueue[str] = SimpleQueue()
        self.process = KeeperProcess(target, threads, retries, self.lines.put)
        finalize(self, self.process.stop)

    def __reduce__(self) -> tuple[type[BesideWorker], tuple[str, int, int]]:
        return BesideWorker, self._arguments


def keeper_beside(target: str, retries: int) -> BesideWorker:
    """A keeper beside the dask worker that runs this, with as many threads."""
    from distributed import get_worker

    return BesideWorker(target, retries, get_worker().state.nthreads)


def _is_no_question(record: logging.LogRecord) -> bool:
    """Whether a line of the log tells of something else: a dask worker tells of every question."""
    return answer_of.__name__ not in record.getMessage()


def answer_beside(keeper: BesideWorker, question: bytes) -> tuple[str, list[str], bytes]:
    """The address of this dask worker, what its keeper says of itself, and its answer."""
    from distributed import get_worker

    worker, ended = get_worker(), Event()
    watch = (worker, worker.get_current_task(), keeper.process, ended)
    Thread(target=stop_when_unwanted, args=watch, daemon=True).start()
    try:
        answer = keeper.process.ask(question)
        return worker.address, drained(keeper.lines), answer
    finally:
        ended.set()


async def answer_of(key: str, question: bytes, dask_worker: Worker) -> tuple[list[str], bytes]:
    """What the keeper of this name beside a dask worker says of itself, and its answer; it ends if dask forgets it."""
    keeper = cast(BesideWorker, dask_worker.data[key])
    asked = asyncio.ensure_future(asyncio.to_thread(keeper.process.ask, question))
    while not (await asyncio.wait({asked}, timeout=LOOK))[0]:
        if key not in dask_worker.data:
            keeper.process.stop()
    return drained(keeper.lines), asked.result()
