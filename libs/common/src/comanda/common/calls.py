"""One call for many: requests to a neighbour that come while another is under way share the next one.

The same idea as group commit, and the same queue. What differs is a neighbour that fails: a shared call that fails is a
failure of each request in it, a circuit that is not closed is probed with exactly one request, and an answer that says
nothing of the single requests (a 500, a 413, or a neighbour that knows no shared calls) has each sent by itself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog
from structlog.contextvars import bound_contextvars

from comanda.common.batch import Batch, twin_of
from comanda.common.deadlines import DEADLINE
from comanda.common.problems import RespuestaInvalida, ServicioNoDisponible, ServicioSaturado
from comanda.common.resilience import Circuit
from comanda.common.telemetry import current_request_id

Request = TypeVar("Request")
Result = TypeVar("Result")

OVERLAP_SECONDS = 0.1
"""A call that takes longer than this holds up no other; a quick one gathers those that come meanwhile."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Asked(Generic[Request]):
    request: Request
    request_id: str | None
    """Of the request on whose behalf it is asked, as is the deadline."""
    deadline: float


class SharedCalls(Generic[Request, Result]):
    """Requests to one neighbour, several in one call.

    A shared call travels under the request id of the first; a line in the log names those of the others.

    Args:
        name: for the metrics.
        circuit: of the neighbour.
        alone: sends one request.
        together: sends several in one call, of that weight for the circuit; what became of each, in their order.
        most: how many one call carries; 1: none is shared.
        weigh, capacity: what else bounds a call, see `Batch`.
    """

    def __init__(
        self,
        name: str,
        circuit: Circuit,
        *,
        alone: Callable[[Request], Awaitable[Result]],
        together: Callable[[Sequence[Request]], Awaitable[Sequence[Result | Exception]]],
        most: int,
        weigh: Callable[[Request], int],
        capacity: int,
    ) -> None:
        self._circuit = circuit
        self._alone = alone
        self._together = together
        self._calls: Batch[_Asked[Request], Result] = Batch(
            name,
            self._send,
            most=most,
            weigh=lambda asked: weigh(asked.request),
            capacity=capacity,
            overlap_seconds=OVERLAP_SECONDS,
        )
        self.queue = self._calls.queue

    async def submit(self, request: Request) -> Result:
        """The result of a request.

        A caller who is cancelled leaves at once. A request that is on its way goes on without it, as it would after a
        crash: whoever leaves knows nothing of the outcome, and asks again.

        Raises:
            ServicioNoDisponible, RespuestaInvalida: as `Neighbour.request` does, the first also if it has waited for
                too long to be sent.
        """
        if self._circuit.state != "CERRADO":  # one probes, and all others learn at once that they are refused
            return await self._alone(request)
        try:
            return await self._calls.submit(_Asked(request, current_request_id(), DEADLINE.get()))
        except ServicioSaturado as late:
            raise ServicioNoDisponible(self._circuit.name, self._circuit.retry_after_seconds) from late

    async def _send(self, asked: Sequence[_Asked[Request]]) -> Sequence[Result | Exception]:
        if len(asked) > 1 and self._circuit.state == "CERRADO":
            try:
                return await self._send_together(asked)
            except ServicioNoDisponible as refusal:
                return [twin_of(refusal) for _ in asked]
            except RespuestaInvalida:
                pass
        return await asyncio.gather(*map(self._send_alone, asked))

    async def _send_together(self, asked: Sequence[_Asked[Request]]) -> Sequence[Result | Exception]:
        first, *others = [one.request_id for one in asked]
        DEADLINE.set(max(one.deadline for one in asked))  # the others' patience ends nobody's call
        with bound_contextvars(request_id=first):
            log.info("shared_call", others=others)
            return await self._together([one.request for one in asked])

    async def _send_alone(self, asked: _Asked[Request]) -> Result | Exception:
        DEADLINE.set(asked.deadline)
        with bound_contextvars(request_id=asked.request_id):
            try:
                return await self._alone(asked.request)
            except Exception as refusal:
                return refusal
