"""The threads that compute hashes, and who gets one next: bounded by time, fair, and out of the way of other work."""

import asyncio
import math
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import prometheus_client

from comanda.common.clock import Clock
from comanda.common.problems import ServicioSaturado
from comanda.common.queues import Queue

Result = TypeVar("Result")

NICENESS = 5
"""By how much the threads stand back: where both want a core, other work gets three quarters of it (sched(7))."""

UNKNOWN_PATIENCE = 2
"""How many times as long as the known the unknown may wait."""

UNKNOWN_TURN = 4
"""Each so many-th thread that becomes free serves the unknown first, so that nobody waits for ever."""

SMOOTHING = 0.1
"""Weight of the latest hash in the moving average of what one takes."""

REFUSED = prometheus_client.Counter("comanda_hash_rechazos", "Hashes refused, by reason.", ["motivo"])
SECONDS = prometheus_client.Histogram(
    "comanda_hash_seconds",
    "Time of one password hash, seconds, without its wait for a thread.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
WAITING = prometheus_client.Gauge("comanda_hash_esperando", "Passwords that wait to be hashed.")


class HashThreads:
    """Runs work in threads, of which each is busy with one at a time.

    Args:
        workers: threads.
        queue: how many may wait for one.
        wait_seconds: who would wait longer for a thread is refused at once, judged by how fast the line has moved
            lately; the unknown may wait longer, see above. Who is let in is served.
        hash_seconds: what one takes, as long as nothing else is known.
    """

    def __init__(self, clock: Clock, *, workers: int, queue: int, wait_seconds: float, hash_seconds: float) -> None:
        self._clock = clock
        self._workers = workers
        self._queue = queue
        self._wait_seconds = wait_seconds
        self._hash_seconds = hash_seconds
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="argon2", initializer=_stand_back)
        self._known = _Line()
        self._unknown = _Line()
        self.queues = [
            Queue("hash-conocidos", self._known.__len__, queue),
            Queue("hash-desconocidos", self._unknown.__len__, queue),
        ]
        self._running = 0
        self._turn = 0

    async def run(self, work: Callable[[], Result], *, source: str, known: bool) -> Result:
        """The result of the work. Known sources go first; where a line is full, a source that holds much of it yields.

        Raises:
            ServicioSaturado: the line is too long, or this source's part of it.
        """
        line = self._known if known else self._unknown
        if self._running >= self._workers:
            self._admit(line, source, self._wait_seconds * (1 if known else UNKNOWN_PATIENCE))
        waiting = _Waiting(work, source, asyncio.get_running_loop().create_future())
        line.join(waiting)
        self._start()
        try:
            result: Result = await waiting.future
        finally:  # also when the caller has left: whoever still waits gives up the place
            line.leave(waiting)
        return result

    def _admit(self, line: "_Line", source: str, patience_seconds: float) -> None:
        pace = line.pace or self._hash_seconds / self._workers
        if len(line) < self._queue and (len(line) + 1) * pace <= patience_seconds:
            return
        retry_after_seconds = max(1, math.ceil(len(line) * pace))
        greedy = line.greediest()
        if greedy is None or line.of_source[greedy] <= line.of_source[source] + 1:
            REFUSED.labels("cola").inc()
            raise ServicioSaturado(retry_after_seconds)
        REFUSED.labels("origen").inc()
        evicted = line.evict(greedy).future
        if not evicted.done():  # its caller may just have left
            evicted.set_exception(ServicioSaturado(retry_after_seconds))

    def _start(self) -> None:
        """Gives free threads to those who are next."""
        while self._running < self._workers and (self._known or self._unknown):
            waiting = self._next()
            if waiting.future.done():
                continue
            self._running += 1
            running = asyncio.get_running_loop().run_in_executor(self._executor, self._timed, waiting.work)
            running.add_done_callback(partial(self._finished, waiting))
        WAITING.set(len(self._known) + len(self._unknown))

    def _next(self) -> "_Waiting":
        self._turn = (self._turn + 1) % UNKNOWN_TURN
        first, second = (self._known, self._unknown) if self._turn else (self._unknown, self._known)
        line = first or second
        waiting = line.first()
        line.leave(waiting)
        line.moved(self._clock.monotonic())
        return waiting

    def _timed(self, work: Callable[[], Result]) -> tuple[float, Result]:
        began = self._clock.monotonic()
        result = work()
        return self._clock.monotonic() - began, result

    def _finished(self, waiting: "_Waiting", done: "asyncio.Future[tuple[float, Any]]") -> None:
        self._running -= 1
        if done.cancelled():
            waiting.future.cancel()  # we are being closed
        elif error := done.exception():
            if not waiting.future.done():
                waiting.future.set_exception(error)
        else:
            seconds, result = done.result()
            SECONDS.observe(seconds)
            self._hash_seconds += SMOOTHING * (seconds - self._hash_seconds)
            if not waiting.future.done():
                waiting.future.set_result(result)
        self._start()

    async def aclose(self) -> None:
        for waiting in (*self._known, *self._unknown):
            waiting.future.cancel()
        self._executor.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    work: Callable[[], Any]
    source: str
    future: "asyncio.Future[Any]"


class _Line:
    """Those who wait, in order of arrival; anybody may leave."""

    def __init__(self) -> None:
        self._waiting: dict[_Waiting, None] = {}
        self.of_source: Counter[str] = Counter()
        self.pace: float | None = None
        """Seconds from one that is served to the next, on average, as long as somebody waits; else unknown."""
        self._moved_at: float | None = None

    def join(self, waiting: _Waiting) -> None:
        self._waiting[waiting] = None
        self.of_source[waiting.source] += 1

    def leave(self, waiting: _Waiting) -> None:
        """Without effect for who has left already."""
        if waiting not in self._waiting:
            return
        del self._waiting[waiting]
        self.of_source[waiting.source] -= 1
        if not self.of_source[waiting.source]:
            del self.of_source[waiting.source]

    def moved(self, now: float) -> None:
        """Somebody got a thread."""
        if not self._waiting:
            self.pace = self._moved_at = None
            return
        if self._moved_at is not None:
            seconds = now - self._moved_at
            self.pace = seconds if self.pace is None else self.pace + SMOOTHING * (seconds - self.pace)
        self._moved_at = now

    def greediest(self) -> str | None:
        """The source of which most wait."""
        return max(self.of_source, key=self.of_source.__getitem__, default=None)

    def evict(self, source: str) -> _Waiting:
        """Sends away the one that came last from there."""
        last = next(waiting for waiting in reversed(self._waiting) if waiting.source == source)
        self.leave(last)
        return last

    def first(self) -> _Waiting:
        return next(iter(self._waiting))

    def __iter__(self) -> Iterator[_Waiting]:
        return iter(self._waiting)

    def __len__(self) -> int:
        return len(self._waiting)


def _stand_back() -> None:
    """On Linux a thread has a priority of its own (setpriority(2), NOTES); elsewhere nothing happens."""
    if hasattr(os, "setpriority") and os.uname().sysname == "Linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
