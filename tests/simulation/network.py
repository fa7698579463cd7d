"""The network between clients and processes: it loses, delays, repeats, reorders and garbles, as its weather says."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

import httpx2

from simulation.process import CURRENT, here
from simulation.trace import Trace

if TYPE_CHECKING:
    from simulation.hosts import Host
    from simulation.process import Process

LONGEST_DELAY_SECONDS = 35.0
"""A copy or a late request arrives after this time at the latest: longer than a reservation lives."""

GARBAGE = (
    (500, b"<html>"),
    (502, b"<html>"),
    (401, b"<html>"),
    (422, b"<html>"),
    (200, b"<html>"),
    (200, b'{"estado": "OK", "elementos": null}'),
)
"""What a proxy, or another program at that address, may answer in place of the neighbour."""


@dataclass(frozen=True, slots=True)
class Message:
    """A request. `subject` and `scope_all` stand for what its token would say."""

    method: str
    path: str
    body: bytes | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    subject: str = ""
    everything: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path} {(self.body or b'').decode()}".rstrip()


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Weather:
    """Probabilities, for each message, of what can happen to it."""

    lose_request: float = 0.0
    lose_answer: float = 0.0
    repeat: float = 0.0
    late: float = 0.0
    garble: float = 0.0
    cancel: float = 0.0


class Network:
    def __init__(self, loop: asyncio.AbstractEventLoop, random: Random, trace: Trace) -> None:
        self.hosts: dict[str, list[Host]] = {}
        self.weather = Weather()
        self.in_flight = 0
        self.arrivals: Counter[str] = Counter()
        """How often each client's writing request without a key has reached a service: it may take effect as often."""
        self._cut: dict[frozenset[str], None] = {}
        self._loop = loop
        self._random = random
        self._trace = trace

    def cut(self, one: str, other: str, seconds: float) -> None:
        """Between those two nothing passes for a while."""
        pair = frozenset((one, other))
        self._cut[pair] = None
        self._loop.call_later(seconds, self._cut.pop, pair, None)

    def heal(self) -> None:
        self._cut.clear()
        self.weather = Weather()

    def deliver(self, source: str, service: str, message: Message, after_seconds: float) -> None:
        """A request that has been under way for long, and whose sender does not wait any more."""
        self._later(after_seconds, self._arrive, source, self.hosts[service][0], message, None)

    async def exchange(self, source: str, service: str, message: Message, timeout: float) -> Reply:
        """One request to some replica of a service, and its answer.

        Raises:
            RequestError: as a client of a real network would get it.
        """
        host = self._random.choice(self.hosts[service])
        await here(f"sends to {host.name}", message)
        garble = self.weather.garble / 2 if CURRENT.get() is not None else 0
        if self._happens(garble, source, "another answers", message):
            return Reply(*self._random.choice(GARBAGE))
        answer: asyncio.Future[Reply] = self._loop.create_future()
        timer = self._loop.call_later(timeout, _fail, answer, httpx2.ReadTimeout("no answer in time"))
        self._send(source, host, message, answer)
        try:
            reply = await answer
        except httpx2.RequestError:
            await here("hears nothing", message)
            raise
        finally:
            timer.cancel()
        if CURRENT.get() is not None:
            await here(f"hears {reply.status} to", message)
            if self._happens(garble, source, "garbled answer", message):
                return Reply(*self._random.choice(GARBAGE))
        return reply

    def _send(self, source: str, host: "Host", message: Message, answer: asyncio.Future[Reply]) -> None:
        weather = self.weather
        if frozenset((source, host.name)) in self._cut:
            self._trace.add(source, "unreachable", host.name)
            if self._random.random() < 0.3:
                self._later(self._latency(), _fail, answer, httpx2.ConnectError("no route"))
            return
        if self._happens(weather.repeat, source, "repeated request", message):
            self._later(self._late(), self._arrive, source, host, message, None)
        if self._happens(weather.lose_request, source, "lost request", message):
            return
        late = self._happens(weather.late, source, "late request", message)
        self._later(self._late() if late else self._latency(), self._arrive, source, host, message, answer)

    def _arrive(self, source: str, host: "Host", message: Message, answer: asyncio.Future[Reply] | None) -> None:
        process = host.process
        if process is None:
            if answer is not None:
                _fail(answer, httpx2.ConnectError("connection refused"))
            return
        self.in_flight += 1
        if message.method == "POST" and message.subject and "Idempotency-Key" not in message.headers:
            self.arrivals[f"{source} {message}"] += 1
        task = process.spawn(self._serve(source, host, process, message, answer))
        task.add_done_callback(self._served)
        if self._happens(self.weather.cancel, host.name, "cancelled request", message):
            self._loop.call_later(self._random.choice((0.0, 0.001, 0.01, 0.5)), task.cancel)

    async def _serve(
        self, source: str, host: "Host", process: "Process", message: Message, answer: asyncio.Future[Reply] | None
    ) -> None:
        try:
            await process.step("receives", message)
            reply = await host.serve(message)
            await process.step(f"answers {reply.status} to", message)
        except asyncio.CancelledError:
            if answer is not None:
                self._later(self._latency(), _fail, answer, httpx2.ReadError("connection lost"))
            raise
        if answer is None:
            return
        lost = frozenset((source, host.name)) in self._cut
        if not lost and not self._happens(self.weather.lose_answer, host.name, "lost answer", message):
            late = self._happens(self.weather.late, host.name, "late answer", message)
            self._later(self._late() if late else self._latency(), _deliver, answer, reply)

    def _served(self, _: "asyncio.Task[Any]") -> None:
        self.in_flight -= 1

    def _later(self, seconds: float, function: Callable[..., None], *arguments: Any) -> None:
        self.in_flight += 1
        self._loop.call_later(seconds, self._now, function, arguments)

    def _now(self, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self.in_flight -= 1
        function(*arguments)

    def _happens(self, probability: float, actor: str, what: str, message: Message) -> bool:
        if probability <= 0 or self._random.random() >= probability:
            return False
        self._trace.add(actor, f"fault: {what}", f"{message.method} {message.path}")
        return True

    def _latency(self) -> float:
        return self._random.uniform(0.0005, 0.02)

    def _late(self) -> float:
        """Mostly a little, so that requests overtake each other; sometimes when nobody expects it any more."""
        return (
            self._random.uniform(0.02, 2.0)
            if self._random.random() < 0.7
            else self._random.uniform(2, LONGEST_DELAY_SECONDS)
        )


def _deliver(answer: "asyncio.Future[Reply]", reply: Reply) -> None:
    if not answer.done():
        answer.set_result(reply)


def _fail(answer: "asyncio.Future[Reply]", error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
