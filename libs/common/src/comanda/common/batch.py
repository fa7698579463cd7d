"""Group commit: requests that arrive while a transaction runs share the next one.

Many requests for one row would otherwise queue for its lock, and each would pay for a commit of its own. There is no
timer: an idle service serves a request at once and alone, a busy one serves more at a time. Calls to a neighbour share
the way in the same manner, see `calls.py`.

Source: DeWitt et al., «Implementation Techniques for Main Memory Database Systems», SIGMOD 1984, §5.2.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from dataclasses import dataclass
from math import inf
from typing import Any, Generic, TypeVar

import structlog
from prometheus_client import Counter, Histogram

from comanda.common import tracing
from comanda.common.database import DatabaseUnavailable, RolledBack
from comanda.common.deadlines import DEADLINE, PlazoAgotado
from comanda.common.problems import ServicioSaturado
from comanda.common.queues import Queue

Request = TypeVar("Request")
Result = TypeVar("Result")

SIZES = Histogram(
    "comanda_lote",
    "Requests that shared a transaction, a read or a call",
    ["lote"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 200),
)

LATE = Counter("comanda_lote_vencidos_total", "Requests refused in the queue, where they waited too long", ["lote"])

PATIENCE_SECONDS = 5.0
"""Who has waited for so long is refused: its caller has given up, or is about to."""


@dataclass(slots=True)
class _Entry(Generic[Request, Result]):
    request: Request
    outcome: "asyncio.Future[Result | Exception]"
    arrived: float
    deadline: float
    """When its caller stops waiting; both by the clock of the event loop."""
    turn: "asyncio.Future[None] | None" = None
    """Once it is taken: ends when nobody works any more on all that was taken with it."""
    caller: Any = None
    """Where traces are on: what it was asked for by."""


class Batch(Generic[Request, Result]):
    """Serves requests in the order of their arrival, several in one transaction.

    Args:
        name: for the metrics.
        serve: serves requests in one transaction and returns what becomes of each, in their order: a result, or the
            exception that this request is refused with. If it raises, none of them has had an effect, save after a
            `DatabaseUnavailable` that is not `RolledBack`, when nobody can know.
        most: how many one transaction serves. 1: each has its own, at once, beside all others.
        weigh: the weight of a request, where requests differ.
        capacity: the weight that one transaction serves; a heavier request is served alone.
        overlap_seconds: how long the next group waits for the one before, if that was not full; a caller who leaves
            does not wait for it. None: both wait for its end.
        has_deadlines: whether requests are refused once nobody waits for them; not, where they end what has begun.
    """

    def __init__(
        self,
        name: str,
        serve: Callable[[Sequence[Request]], Awaitable[Sequence[Result | Exception]]],
        *,
        most: int = 200,
        weigh: Callable[[Request], int] = lambda _: 0,
        capacity: int = 0,
        overlap_seconds: float | None = None,
        has_deadlines: bool = True,
    ) -> None:
        self._serve = serve
        self._most = most
        self._weigh = weigh
        self._capacity = capacity
        self._overlap_seconds = overlap_seconds
        self._has_deadlines = has_deadlines
        self._late = LATE.labels(name)
        self._sizes = SIZES.labels(name)
        self.queue = Queue(name, lambda: len(self._queue))
        self._queue: deque[_Entry[Request, Result]] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._turns: dict[asyncio.Task[None], Sequence[_Entry[Request, Result]]] = {}

    async def submit(self, request: Request) -> Result:
        """What becomes of the request.

        A caller who is cancelled while the request waits takes it back. Once it is taken it is carried out, and only
        then the cancellation goes on: whoever cleans up afterwards must find what there is to clean up. Where
        groups overlap it goes on at once.

        Raises:
            ServicioSaturado: it has waited for `PATIENCE_SECONDS`, or until its deadline; nothing was done.
            Exception: what the request is refused with, or what became of its transaction.
        """
        if self._most == 1:
            self._sizes.observe(1)
            return _result((await self._serve([request]))[0])
        entry = self._enqueue(request)
        try:
            return _result(await entry.outcome)
        except asyncio.CancelledError:
            await self._take_back([entry])
            raise

    async def submit_all(self, requests: Sequence[Request]) -> list[Result | Exception]:
        """What becomes of each, in their order; they stand in the queue one behind the other.

        A caller who is cancelled takes back what still waits, as with `submit`.
        """
        if self._most == 1:
            return [await self._outcome(request) for request in requests]
        entries = [self._enqueue(request) for request in requests]
        try:
            await asyncio.wait([entry.outcome for entry in entries])
        except asyncio.CancelledError:
            await self._take_back(entries)
            raise
        return [entry.outcome.exception() or entry.outcome.result() for entry in entries]  # type: ignore[misc]

    async def _outcome(self, request: Request) -> Result | Exception:
        try:
            return await self.submit(request)
        except Exception as refusal:
            return refusal

    def _enqueue(self, request: Request) -> _Entry[Request, Result]:
        loop = asyncio.get_running_loop()
        deadline = DEADLINE.get() if self._has_deadlines else inf
        entry: _Entry[Request, Result] = _Entry(request, loop.create_future(), loop.time(), deadline)
        if tracing.active is not None:
            entry.caller = tracing.active.here()
        self._queue.append(entry)
        if self._worker is None or self._worker.done():
            self._worker = loop.create_task(self._work())
            self._worker.add_done_callback(self._ended)
        return entry

    async def _take_back(self, entries: Sequence[_Entry[Request, Result]]) -> None:
        """Of a caller who leaves: what waits is dropped, what is taken is waited for, if it has to be."""
        for entry in entries:
            if not entry.outcome.cancel() and not entry.outcome.cancelled():
                entry.outcome.exception()  # nobody else will ask for it
        turns = {entry.turn for entry in entries if entry.turn is not None}
        if turns and self._overlap_seconds is None:
            await asyncio.wait(turns)

    async def _work(self) -> None:
        structlog.contextvars.clear_contextvars()  # it serves many requests, so its log lines belong to none
        DEADLINE.set(inf)
        while group := self._take():
            if self._overlap_seconds is None:
                try:
                    await self._turn(group)
                finally:
                    _end(group)
            else:
                turn = asyncio.get_running_loop().create_task(self._turn(group))
                self._turns[turn] = group  # the loop itself keeps no hold on it
                turn.add_done_callback(lambda turn: _end(self._turns.pop(turn)))  # even if it never began
                if not self._queue:  # else it was full, and the next one has gathered already
                    await asyncio.wait([turn], timeout=self._overlap_seconds)
            await asyncio.sleep(0)  # so that the answers leave before the next ones are worked on

    async def _turn(self, group: Sequence[_Entry[Request, Result]]) -> None:
        try:
            await self._carry_out(group)
        except Exception as fault:  # a mistake of ours: all the same nobody may wait for ever
            _tell(group, fault)

    def _ended(self, worker: asyncio.Task[None]) -> None:
        """Lets go whoever waits for a worker that was cancelled, perhaps before it began."""
        if worker.cancelled():
            while self._queue:
                self._queue.popleft().outcome.cancel()

    def _take(self) -> list[_Entry[Request, Result]]:
        group: list[_Entry[Request, Result]] = []
        loop = asyncio.get_running_loop()
        weight, now, turn = 0, loop.time(), loop.create_future()
        while self._queue and len(group) < self._most:
            entry = self._queue.popleft()
            if entry.outcome.done():
                continue  # its caller has left
            if now > entry.arrived + PATIENCE_SECONDS or now >= entry.deadline:
                self._late.inc()
                entry.outcome.set_exception(PlazoAgotado() if now >= entry.deadline else ServicioSaturado())
                continue
            weight += self._weigh(entry.request)
            if group and weight > self._capacity > 0:
                self._queue.appendleft(entry)
                break
            entry.turn = turn
            group.append(entry)
        return group

    async def _carry_out(self, group: Sequence[_Entry[Request, Result]]) -> None:
        """Serves them together; if something breaks, in halves, until what broke it is alone."""
        try:
            outcomes = await self._serve_group(group)
        except Exception as fault:
            perhaps_committed = isinstance(fault, DatabaseUnavailable) and not isinstance(fault, RolledBack)
            if perhaps_committed or len(group) == 1:
                _tell(group, fault)
                return
        else:
            self._sizes.observe(len(group))
            for entry, outcome in zip(group, outcomes, strict=True):
                if not entry.outcome.done():
                    entry.outcome.set_result(outcome)
            return
        middle = len(group) // 2
        await self._carry_out(group[:middle])
        await self._carry_out(group[middle:])

    async def _serve_group(self, group: Sequence[_Entry[Request, Result]]) -> Sequence[Result | Exception]:
        requests = [entry.request for entry in group]
        if tracing.active is None:
            return await self._serve(requests)
        with tracing.active.group(self.queue.name, [entry.caller for entry in group]):
            return await self._serve(requests)


def _end(group: Sequence[_Entry[Any, Any]]) -> None:
    """Nobody works on it any more: lets go whoever waits for it still, if the loop is ending."""
    for entry in group:
        entry.outcome.cancel()
    if (turn := group[0].turn) is not None:
        turn.set_result(None)


def _tell(group: Sequence[_Entry[Any, Any]], fault: Exception) -> None:
    for entry in group:
        if not entry.outcome.done():
            entry.outcome.set_exception(fault if len(group) == 1 else twin_of(fault))


def twin_of(fault: Exception) -> Exception:
    """The same for one of several callers, each of whom adds a traceback of its own."""
    try:
        twin = copy(fault)
    except TypeError:  # it takes other arguments than it keeps
        return fault
    twin.__cause__ = fault
    return twin


def _result(outcome: Result | Exception) -> Result:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
