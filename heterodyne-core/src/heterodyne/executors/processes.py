"""The executor `processes`: several tasks at once on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from time import perf_counter
from typing import Any

from heterodyne.device.cores import available_cores
from heterodyne.executors.process import Crew, ask
from heterodyne.executors.settings import read_settings
from heterodyne.executors.task import Answer, Event, Outcome, Task


def execute(
    tasks: Sequence[Task], settings: Mapping[str, Any], on_event: Callable[[Event], None]
) -> list[Outcome]:
    """The outcomes of the tasks, ``workers`` at once: by default as many as the cores have threads for."""
    chosen = read_settings("processes", settings, ("workers", "retries"))
    widest = max((task.threads for task in tasks), default=1)
    return run(tasks, chosen.workers or max(1, available_cores() // widest), chosen.retries, on_event)


def run(
    tasks: Sequence[Task], workers: int, retries: int, on_event: Callable[[Event], None]
) -> list[Outcome]:
    """The outcomes of the tasks, ``workers`` at once; whatever is raised here ends all processes.

    ``on_event`` is called in this thread.
    """
    texts = [task.to_json() for task in tasks]
    crew = Crew()
    events: SimpleQueue[Event | None] = SimpleQueue()

    def one(task: Task, text: str) -> Outcome:
        try:
            return _run_task(task, text, retries, events.put, crew)
        finally:
            events.put(None)

    with ThreadPoolExecutor(workers, thread_name_prefix="heterodyne-task") as pool:
        futures = [pool.submit(one, task, text) for task, text in zip(tasks, texts, strict=True)]
        try:
            _pass_on(events, len(tasks), on_event)
        except BaseException:
            crew.stop()
            pool.shutdown(cancel_futures=True)
            raise
    return [future.result() for future in futures]


def _pass_on(events: SimpleQueue[Event | None], ends: int, on_event: Callable[[Event], None]) -> None:
    """Call ``on_event`` with every event until ``ends`` tasks have ended."""
    while ends:
        event = events.get()
        if event is None:
            ends -= 1
        else:
            on_event(event)


def _run_task(task: Task, text: str, retries: int, emit: Callable[[Event], None], crew: Crew) -> Outcome:
    began = perf_counter()
    answer, attempt = Answer(), 0
    for attempt in range(1, retries + 2):
        emit(Event(task.name, "began", attempt))
        answer = ask(text, task.threads, partial(_progress, emit, task.name, attempt), crew)
        if answer.died is None:
            break
        emit(Event(task.name, "died", attempt, answer.died))
    error = died_always(attempt, answer.died) if answer.died else answer.error
    emit(Event(task.name, "ended", attempt, error or ""))
    return Outcome(task.name, answer.result, error, attempt, perf_counter() - began, task.threads)


def _progress(emit: Callable[[Event], None], name: str, attempt: int, line: str) -> None:
    emit(Event(name, "progress", attempt, line))


def died_always(attempts: int, how: str) -> str:
    """The error of a task whose process died in every attempt, the last time as ``how`` says."""
    return f"its process died {attempts} times, at last {how}" if attempts > 1 else f"its process died: {how}"
