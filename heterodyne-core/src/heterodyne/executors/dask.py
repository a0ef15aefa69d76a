"""The executor `dask`: tasks on the machines of a dask cluster, whose scheduler is given by its address.

A dask worker starts the same process for a task as the other executors do; dask itself carries the task as text
and the answer back. heterodyne-core and what the tasks need must be installed on the scheduler's machine and on
the workers'.
"""

from __future__ import annotations

import asyncio
import json
import logging
from asyncio import CancelledError
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event as Flag
from threading import Thread
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from heterodyne.errors import ConfigError
from heterodyne.executors.keepers import KeeperProcess
from heterodyne.executors.process import Crew, ask
from heterodyne.executors.processes import died_always
from heterodyne.executors.settings import Settings, read_settings
from heterodyne.executors.task import Answer, Event, Outcome, Task

if TYPE_CHECKING:
    from distributed import Client, Future, Worker

_CONNECT = 5.0
"""Seconds after which a scheduler that does not answer is given up."""
LOOK = 1.0
"""Seconds between two looks at what nobody announces: new dask workers, a task that is not wanted any more."""
LOST = "its dask worker was lost"
_ENDING = ("closing", "closed", "failed")


def execute(
    tasks: Sequence[Task], settings: Mapping[str, Any], on_event: Callable[[Event], None]
) -> list[Outcome]:
    """The outcomes of the tasks, at most ``workers`` at once: by default as many as the dask workers have
    threads for, and all as long as no dask worker has joined.

    Raises `ConfigError` without dask.distributed, without the address of a scheduler, if that does not answer,
    and if it goes away. A task runs again ``retries`` times, whether its process died or its dask worker.
    """
    chosen = read_settings("dask", settings, ("scheduler", "workers", "retries"))
    texts = [task.to_json() for task in tasks]
    with connected(chosen.scheduler) as client:
        return _Run(client, tasks, texts, chosen, on_event).outcomes()


@contextmanager
def connected(address: str | None) -> Iterator[Client]:
    """A client of the scheduler, closed at the end; that the scheduler is lost becomes a `ConfigError`."""
    try:
        from distributed import Client
        from distributed.comm.core import CommClosedError
    except ModuleNotFoundError as error:
        line = "executor 'dask' needs dask.distributed: pip install heterodyne-core[dask]"
        raise ConfigError(f"{line} ({error})") from None
    if not address:
        raise ConfigError(
            "executor 'dask' needs the address of a scheduler, such as tcp://host:8786 "
            "(`dask scheduler` starts one and prints it)"
        )
    with _without_log_of_client():
        try:
            with ThreadPoolExecutor(1) as pool:  # the caller may be in a loop of its own, as in a notebook
                pool.submit(asyncio.run, _greet(address)).result()
            client = Client(address, timeout=_CONNECT, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise ConfigError(f"no dask scheduler answers at {address}: {reason}") from None
        with client:
            try:
                yield client
            except (CommClosedError, CancelledError):
                raise ConfigError(f"the dask scheduler at {address} went away while tasks ran") from None


async def _greet(address: str) -> None:
    """Nothing, once a dask scheduler answers there; a client that none answers takes 10 s to end, with a traceback."""
    from distributed import Security
    from distributed.comm.core import connect

    comm = await connect(address, timeout=_CONNECT, **Security().get_connection_args("client"))
    comm.abort()


@contextmanager
def _without_log_of_client() -> Iterator[None]:
    """Dask's client logs a traceback when it loses the scheduler, for which we have a line."""
    log = logging.getLogger("distributed.client")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


@dataclass(eq=False)
class _Entry:
    """A task of a run and what is known of it."""

    task: Task
    text: str
    attempts: int = 0
    running: bool = False
    began: float = 0.0
    future: Future | None = None
    outcome: Outcome | None = None


class _Run:
    """The tasks of one call of the executor, from their submission to their outcomes."""

    def __init__(
        self,
        client: Client,
        tasks: Sequence[Task],
        texts: Sequence[str],
        settings: Settings,
        on_event: Callable[[Event], None],
    ) -> None:
        self.client = client
        self.entries = [_Entry(task, text) for task, text in zip(tasks, texts, strict=True)]
        self.settings = settings
        self.on_event = on_event
        self.waiting = deque(self.entries)
        self.submitted = 0
        self.topic = f"heterodyne-{uuid4().hex}"
        self.inbox: SimpleQueue[tuple[_Entry, str, Any]] = SimpleQueue()
        client.subscribe_topic(self.topic, self._receive)

    def outcomes(self) -> list[Outcome]:
        """The outcomes in the order of the tasks, when all are there."""
        if not self._threads():
            address = self.settings.scheduler
            self.on_event(Event("", "progress", 0, f"waiting for the first dask worker of {address}"))
        while self.waiting or self.submitted:
            while self.waiting and self.submitted < self._capacity():
                self._submit(self.waiting.popleft())
            try:
                entry, kind, value = self.inbox.get(timeout=LOOK)
            except Empty:
                continue
            self._heed(entry, kind, value)
        return [entry.outcome for entry in self.entries if entry.outcome]

    def _capacity(self) -> int:
        """How many tasks may be submitted at once."""
        if self.settings.workers:
            return self.settings.workers
        widest = max(entry.task.threads for entry in self.entries)
        return sum(max(1, threads // widest) for threads in self._threads()) or len(self.entries)

    def _threads(self) -> list[int]:
        """The threads of each dask worker."""
        try:
            return list(cast("dict[str, int]", self.client.nthreads()).values())
        except OSError as error:  # it closes the connection, refuses a new one or lets it time out
            raise CancelledError from error

    def _submit(self, entry: _Entry) -> None:
        index = self.entries.index(entry)
        key = f"{self.topic}-{index}-{entry.attempts}"
        entry.future = self.client.submit(
            run_on_worker, entry.text, entry.task.threads, self.topic, index, key=key, pure=False
        )
        self.submitted += 1
        entry.future.add_done_callback(lambda future: self.inbox.put((entry, "done", future)))

    def _receive(self, event: tuple[float, dict[str, Any]]) -> None:
        """Take in what a dask worker says; called in the thread of the client."""
        words = event[1]
        self.inbox.put((self.entries[words["index"]], words["kind"], words["text"]))

    def _heed(self, entry: _Entry, kind: str, value: Any) -> None:
        if entry.outcome:  # it was given up while this was under way
            return
        if kind == "began":
            self._begin(entry)
        elif kind == "progress":
            self.on_event(Event(entry.task.name, "progress", entry.attempts, value))
        elif value is entry.future:
            self._conclude(entry, value)

    def _begin(self, entry: _Entry) -> None:
        """A dask worker has started the process; if one had already, that one is lost and dask runs it again."""
        if entry.running and not self._may_run_again(entry, LOST):
            return
        entry.running = True
        entry.attempts += 1
        entry.began = entry.began or perf_counter()
        self.on_event(Event(entry.task.name, "began", entry.attempts))

    def _conclude(self, entry: _Entry, future: Future) -> None:
        if future.status == "cancelled":
            raise CancelledError  # not by us: the client has lost its scheduler
        answer = _answer(future)
        if answer.died is None:
            self._settle(entry, answer)
            return
        entry.attempts += not entry.running  # a dask worker may be lost before it says that it began
        if self._may_run_again(entry, answer.died):
            self.submitted -= 1
            self._submit(entry)

    def _may_run_again(self, entry: _Entry, how: str) -> bool:
        """Whether a task that died has retries left; one that has not ends here."""
        entry.running = False
        self.on_event(Event(entry.task.name, "died", entry.attempts, how))
        again = entry.attempts <= self.settings.retries
        if not again:
            self._settle(entry, Answer(error=died_always(entry.attempts, how)))
        return again

    def _settle(self, entry: _Entry, answer: Answer) -> None:
        seconds = perf_counter() - entry.began if entry.began else 0.0
        entry.outcome = Outcome(
            entry.task.name, answer.result, answer.error, entry.attempts, seconds, entry.task.threads
        )
        self.submitted -= 1
        if entry.future is not None and not entry.future.done():
            entry.future.cancel()
        self.on_event(Event(entry.task.name, "ended", entry.attempts, answer.error or ""))


def run_on_worker(text: str, threads: int, topic: str, index: int) -> str:
    """The answer to a task, as JSON, from a process on this dask worker's machine."""
    from distributed import get_worker

    worker = get_worker()

    def say(kind: str, line: str) -> None:
        worker.log_event(topic, {"index": index, "kind": kind, "text": line})

    crew, ended = Crew(), Flag()
    unwanted = Thread(
        target=stop_when_unwanted, args=(worker, worker.get_current_task(), crew, ended), daemon=True
    )
    unwanted.start()
    say("began", "")
    try:
        return json.dumps(asdict(ask(text, threads, partial(say, "progress"), crew)))
    finally:
        ended.set()


def stop_when_unwanted(worker: Worker, key: Any, crew: Crew | KeeperProcess, ended: Flag) -> None:
    """Kill the process once its dask task is: dask itself cannot stop what runs.

    A task is cancelled when the client is gone, whether it closed or was killed.
    """
    while not ended.wait(LOOK):
        task = worker.state.tasks.get(key)
        if task is None or task.state == "cancelled" or worker.status.name in _ENDING:
            crew.stop()
            return


def _answer(future: Future) -> Answer:
    """What became of a dask task: it gave up on one whose dask workers were lost more often than it allows."""
    from distributed.scheduler import KilledWorker

    if future.status != "error":
        return Answer(**json.loads(future.result()))
    error = future.exception()
    if isinstance(error, KilledWorker):
        return Answer(died=LOST)
    return Answer(error=" ".join(f"dask could not run it: {type(error).__name__}: {error}".split()))
