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

Result = TypeVar("Result")

NICENESS = 10
"""By how much the threads stand back: where both want a core, other work gets nine tenths of it (sched(7))."""

FULL = 0.75
"""The part of the longest wait up to which requests are let in; the rest is for those that overtake them."""

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
        wait_seconds: what could not be served within this time is refused at once, judged by what one hash has taken
            on average; nobody waits longer for a thread.
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
        self._running = 0
        self._turn = 0

    async def run(self, work: Callable[[], Result], *, source: str, known: bool) -> Result:
        """The result of the work. Known sources go first, and no source may hold more than half of the places.

        Raises:
            ServicioSaturado: too many are waiting already, of all or of this source, or it took too long after all.
        """
        line = self._known if known else self._unknown
        if self._running >= self._workers:
            slower = UNKNOWN_TURN if self._known and not known else 1
            ahead = len(line) * slower
            self._admit(ahead, line.of_source[source])
        # In time to be hashed, but where hashes are slower than that, who finds a free thread is served all the same.
        deadline = self._clock.monotonic() + self._wait_seconds - min(self._hash_seconds, self._wait_seconds / 2)
        waiting = _Waiting(work, source, deadline, asyncio.get_running_loop().create_future())
        line.join(waiting)
        self._start()
        try:
            result: Result = await waiting.future
        finally:  # also when the caller has left: whoever still waits gives up the place
            line.leave(waiting)
        return result

    def _admit(self, ahead: int, ahead_of_source: int) -> None:
        seconds = FULL * self._wait_seconds
        places = min(self._queue, int(seconds * self._workers / max(self._hash_seconds, 1e-6)))
        if ahead >= places:
            self._refuse("cola", ahead)
        if 2 * ahead_of_source >= places:
            self._refuse("origen", ahead_of_source)

    def _refuse(self, reason: str, ahead: int) -> None:
        REFUSED.labels(reason).inc()
        raise ServicioSaturado(max(1, math.ceil(ahead * self._hash_seconds / self._workers)))

    def _start(self) -> None:
        """Gives free threads to those who are next, once those who have waited too long are refused."""
        for line in (self._known, self._unknown):
            self._expire(line)
        while self._running < self._workers and (self._known or self._unknown):
            waiting = self._next()
            if waiting.future.done():
                continue
            self._running += 1
            running = asyncio.get_running_loop().run_in_executor(self._executor, self._timed, waiting.work)
            running.add_done_callback(partial(self._finished, waiting))
        WAITING.set(len(self._known) + len(self._unknown))

    def _expire(self, line: "_Line") -> None:
        while line and self._clock.monotonic() > line.first().deadline:
            waiting = line.first()
            line.leave(waiting)
            if not waiting.future.done():
                REFUSED.labels("tarde").inc()
                waiting.future.set_exception(ServicioSaturado(math.ceil(self._wait_seconds)))

    def _next(self) -> "_Waiting":
        self._turn = (self._turn + 1) % UNKNOWN_TURN
        first, second = (self._known, self._unknown) if self._turn else (self._unknown, self._known)
        line = first or second
        waiting = line.first()
        line.leave(waiting)
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
    deadline: float
    future: "asyncio.Future[Any]"


class _Line:
    """Those who wait, in order of arrival; anybody may leave."""

    def __init__(self) -> None:
        self._waiting: dict[_Waiting, None] = {}
        self.of_source: Counter[str] = Counter()

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
