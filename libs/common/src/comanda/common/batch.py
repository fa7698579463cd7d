"""Group commit: requests that arrive while a transaction runs share the next one.

Many requests for one row would otherwise queue for its lock, and each would pay for a commit of its own. There is no
timer: an idle service serves a request at once and alone, a busy one serves more at a time.

Source: DeWitt et al., «Implementation Techniques for Main Memory Database Systems», SIGMOD 1984, §5.2.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from typing import Any, Generic, TypeVar

import structlog
from prometheus_client import Histogram

from comanda.common.database import DatabaseUnavailable
from comanda.common.problems import Problem, ServicioSaturado

Request = TypeVar("Request")
Result = TypeVar("Result")

SIZES = Histogram(
    "comanda_lote", "Requests that one transaction served", ["lote"], buckets=(1, 2, 4, 8, 16, 32, 64, 128)
)


class Batch(Generic[Request, Result]):
    """Serves requests in the order of their arrival, several in one transaction.

    Args:
        name: for the metrics.
        serve: serves requests in one transaction and returns what becomes of each, in their order: a result, or the
            problem that this request is refused with. If it raises, none of them has had an effect, save after
            `DatabaseUnavailable`, when nobody can know.
        most: how many one transaction serves. 1: each has its own, at once, beside all others.
        waiting: how many may wait for their turn; more are refused.
    """

    def __init__(
        self,
        name: str,
        serve: Callable[[Sequence[Request]], Awaitable[Sequence[Result | Problem]]],
        *,
        most: int = 200,
        waiting: int = 2000,
    ) -> None:
        self._serve = serve
        self._most = most
        self._waiting = waiting
        self._sizes = SIZES.labels(name)
        self._queue: deque[tuple[Request, asyncio.Future[Result | Problem]]] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def submit(self, request: Request) -> Result:
        """What becomes of the request.

        A caller who is cancelled while the request waits takes it back; later it is carried out all the same.

        Raises:
            ServicioSaturado: too many wait already.
            Exception: what the request is refused with, or what became of its transaction.
        """
        if len(self._queue) >= self._waiting:
            raise ServicioSaturado
        if self._most == 1:
            return _result((await self._serve([request]))[0])
        future: asyncio.Future[Result | Problem] = asyncio.get_running_loop().create_future()
        self._queue.append((request, future))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return _result(await future)

    async def _work(self) -> None:
        structlog.contextvars.clear_contextvars()  # it serves many requests, so its log lines belong to none
        try:
            while group := self._take():
                await self._carry_out(group)
        finally:
            self._worker = None

    def _take(self) -> list[tuple[Request, asyncio.Future[Result | Problem]]]:
        group: list[tuple[Request, asyncio.Future[Result | Problem]]] = []
        while self._queue and len(group) < self._most:
            request, future = self._queue.popleft()
            if not future.done():  # else its caller has left
                group.append((request, future))
        return group

    async def _carry_out(self, group: Sequence[tuple[Request, asyncio.Future[Result | Problem]]]) -> None:
        """Serves them together; if something breaks, in halves, until what broke it is alone."""
        try:
            outcomes = await self._serve([request for request, _ in group])
        except DatabaseUnavailable as fault:
            _tell(group, fault)
        except Exception as fault:
            if len(group) == 1:
                _tell(group, fault)
                return
            middle = len(group) // 2
            await self._carry_out(group[:middle])
            await self._carry_out(group[middle:])
        except BaseException:  # the loop is ending
            for _, future in [*group, *self._queue]:
                future.cancel()
            raise
        else:
            self._sizes.observe(len(group))
            for (_, future), outcome in zip(group, outcomes, strict=True):
                if not future.done():
                    future.set_result(outcome)


def _tell(group: Sequence[tuple[object, asyncio.Future[Any]]], fault: Exception) -> None:
    for _, future in group:
        if not future.done():
            future.set_exception(copy(fault))  # each caller adds its own traceback


def _result(outcome: Result | Problem) -> Result:
    if isinstance(outcome, Problem):
        raise outcome
    return outcome
