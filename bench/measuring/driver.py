"""The process that makes load: many connections, one thread, a few tens of microseconds of CPU for each request.

    python driver.py <load.json

It reads a `Load` from standard input and writes an `Outcome` to standard output, both as JSON. Requests are bytes that
are ready but for a key of their own, and of an answer only the status and the length are looked at, so that on a small
machine the measuring takes little from what is measured. Nothing is repeated: each request is one answer, or a fault.
"""

import asyncio
import json
import re
import secrets
import sys
import time
from bisect import bisect_right
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import cast

loop_factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
with suppress(ImportError):  # a machine without it measures too, and sees what its own driver costs
    import uvloop

    loop_factory = uvloop.new_event_loop

SETTLE_SECONDS = 30
"""How long answers may take once the last request has been sent."""

MOST_CONNECTIONS = 1024
"""Of an open loop; what comes while all are busy waits, and its latency counts from when it should have been sent."""

TIMER_SECONDS = 0.001
"""As finely as an event loop tells time. An open loop may send a request that late, and its latency includes it."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LOCATION = re.compile(rb"\r\nlocation: *\S*/(\S+)\r\n", re.IGNORECASE)


@dataclass(frozen=True)
class Load:
    """What to send. Request n is `heads[n]`, a key of its own if `unique`, and `tails[n]`, each list going round.

    Args:
        clients: connections of the closed loop, each of which sends as soon as it is answered.
        requests: at most so many.
        rate: requests a second, sent at even intervals whatever the answers do (open loop); None: closed loop.
        seconds: no request begins later than that.
        expected: the status of every answer; others are faults.
        within: seconds, counted from when a request should have been sent: how many answers came in that time is told.
        collect: whether to return the last parts of the `Location` headers.
    """

    host: str
    port: int
    heads: list[str]
    tails: list[str]
    expected: int
    requests: int
    clients: int = 64
    rate: float | None = None
    seconds: float | None = None
    unique: bool = False
    within: float | None = None
    collect: bool = False


@dataclass
class Outcome:
    """What came of a load. Latencies, in seconds, are of the answers that were expected."""

    answered: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    longest: float = 0.0
    in_time: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    """How many answers had which; `closed` where the connection ended instead, `none` where nothing came in time."""
    p99_of: dict[str, float] = field(default_factory=dict)
    """Of the answers with each status, expected or not."""
    faults: int = 0
    fault: str = ""
    """The first unexpected answer."""
    locations: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Expected answers a second."""
        return self.answered / self.seconds if self.seconds else 0.0


class Driver:
    """Sends a load over its connections."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._heads = [head.encode("latin-1") for head in load.heads]
        self._tails = [tail.encode("latin-1") for tail in load.tails]
        self._nonce = f"{secrets.token_hex(6)}-".encode() if load.unique else b""
        self._sent = 0
        self._answers = 0
        self._latencies: defaultdict[str, list[float]] = defaultdict(list)
        self._statuses: Counter[str] = Counter()
        self._outcome = Outcome()
        self._deadline = float("inf")
        self._began = 0.0
        self._finished = asyncio.Event()
        self._idle: list[Connection] = []
        self._waiting: deque[float] = deque()

    async def run(self) -> Outcome:
        load, loop = self._load, asyncio.get_running_loop()
        count = load.clients if load.rate is None else min(load.clients, MOST_CONNECTIONS)
        for _ in range(count):
            self._idle.append(await self._connect())
        cpu, self._began = time.process_time(), time.perf_counter()
        self._deadline = self._began + (load.seconds if load.seconds is not None else float("inf"))
        if load.rate is None:
            connections, self._idle = self._idle, []
            for connection in connections:
                self.free(connection)
        else:
            loop.call_soon(self._arrive, loop)
        limit = SETTLE_SECONDS + (load.seconds or 3600)
        try:
            await asyncio.wait_for(self._finished.wait(), limit)
        except TimeoutError:
            self._statuses["none"] = self._sent - self._answers
        return self._summary(time.perf_counter() - self._began, time.process_time() - cpu)

    def answered(self, began: float, status: str, answer: bytes) -> None:
        """One request has come to its end."""
        self._answers += 1
        self._statuses[status] += 1
        self._latencies[status].append(time.perf_counter() - began)
        if status == str(self._load.expected):
            if self._load.collect and (found := _LOCATION.search(answer)):
                self._outcome.locations.append(found[1].decode())
        elif not self._outcome.fault:
            self._outcome.fault = answer.decode("utf-8", "replace")[:2000]

    def free(self, connection: "Connection") -> None:
        """That connection can send the next request."""
        if self._waiting:
            connection.send(self._next(), self._waiting.popleft())
        elif self._load.rate is not None:
            self._idle.append(connection)
            self._check_finished()
        elif self._more():
            connection.send(self._next(), time.perf_counter())
        else:
            self._check_finished()

    def lost(self, connection: "Connection") -> None:
        """That connection has ended; another takes its place."""
        if connection in self._idle:
            self._idle.remove(connection)
        if self._more() or self._waiting:
            self._reconnecting = asyncio.get_running_loop().create_task(self._replace())
        else:
            self._check_finished()

    async def _replace(self) -> None:
        try:
            self.free(await self._connect())
        except OSError as error:
            self._outcome.fault = self._outcome.fault or str(error)
            self._statuses["none"] += max(1, self._sent - self._answers)
            self._finished.set()

    async def _connect(self) -> "Connection":
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: Connection(self), self._load.host, self._load.port)
        return connection

    def _arrive(self, loop: asyncio.AbstractEventLoop) -> None:
        """Sends what is due by now, and comes again when the next one is."""
        assert self._load.rate is not None  # noqa: S101  # an open loop
        scheduled = self._sent + len(self._waiting)
        while True:
            due = self._began + scheduled / self._load.rate
            if scheduled >= self._load.requests or due >= self._deadline:
                self._deadline = 0.0
                self._check_finished()
                return
            wait = due - time.perf_counter()
            if wait > 0:
                break
            if self._idle:
                self._idle.pop().send(self._next(), due)
            else:
                self._waiting.append(due)
            scheduled += 1
        loop.call_later(max(wait, TIMER_SECONDS), self._arrive, loop)

    def _more(self) -> bool:
        return self._sent < self._load.requests and time.perf_counter() < self._deadline

    def _next(self) -> bytes:
        number, self._sent = self._sent, self._sent + 1
        head, tail = self._heads[number % len(self._heads)], self._tails[number % len(self._tails)]
        return b"%b%b%x%b" % (head, self._nonce, number, tail) if self._nonce else head + tail

    def _check_finished(self) -> None:
        if self._answers == self._sent and not self._waiting and not self._more():
            self._finished.set()

    def _summary(self, seconds: float, cpu_seconds: float) -> Outcome:
        outcome, ordered = self._outcome, sorted(self._latencies[str(self._load.expected)])
        outcome.answered, outcome.seconds, outcome.cpu_seconds = len(ordered), seconds, cpu_seconds
        outcome.statuses = dict(self._statuses)
        outcome.p99_of = {
            status: _part(sorted(seconds), 0.99) for status, seconds in self._latencies.items() if seconds
        }
        outcome.faults = sum(self._statuses.values()) - len(ordered)
        if ordered:
            outcome.p50, outcome.p90, outcome.p99 = (_part(ordered, part) for part in (0.5, 0.9, 0.99))
            outcome.longest = ordered[-1]
        if self._load.within is not None:
            outcome.in_time = bisect_right(ordered, self._load.within)
        return outcome


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection, with at most one request on its way."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._buffer = b""
        self._began: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = cast(asyncio.WriteTransport, transport).write

    def send(self, request: bytes, began: float) -> None:
        self._began = began
        self._write(request)

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        if not _whole(data):
            self._buffer = data
            return
        self._buffer = b""
        began, self._began = self._began, None
        assert began is not None  # noqa: S101  # nobody answers unasked
        self._driver.answered(began, data[9:12].decode(), data)
        self._driver.free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._began is not None:
            self._driver.answered(self._began, "closed", str(exc or "").encode())
        self._driver.lost(self)


def _part(ordered: list[float], part: float) -> float:
    return ordered[round((len(ordered) - 1) * part)]


def _whole(data: bytes) -> bool:
    """Whether that is an answer to its end."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return False
    position = data.find(b"\r\ncontent-length: ", 0, end)  # as our services write it, found without a search for cases
    if position >= 0:
        return len(data) >= end + 4 + int(data[position + 18 : data.find(b"\r\n", position + 18)])
    found = _LENGTH.search(data, 0, end + 2)
    return found is None or len(data) >= end + 4 + int(found[1])


async def _drive(load: Load) -> Outcome:
    return await Driver(load).run()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        json.dump(asdict(runner.run(_drive(Load(**json.load(sys.stdin))))), sys.stdout)
