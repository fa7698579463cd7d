"""One call for many: who shares one, and what a neighbour that fails means for each."""

import asyncio
from collections.abc import Sequence

import httpx2
import pytest
from structlog.contextvars import bound_contextvars

from comanda.common.calls import OVERLAP_SECONDS, SharedCalls
from comanda.common.problems import NoEncontrado, RespuestaInvalida, ServicioNoDisponible
from comanda.common.resilience import Circuit, CircuitOpen
from comanda.common.telemetry import current_request_id
from comanda.testing import FakeClock


class Neighbour:
    """Doubles numbers, alone or together; refuses negative ones. Keeps what was sent, and waits while it is held."""

    def __init__(self, clock: FakeClock) -> None:
        self.circuit = Circuit("n", clock=clock, fail_max=5, timeout_seconds=60, retry_attempts=0, retry_wait_seconds=0)
        self.sent: list[list[int]] = []
        self.request_ids: list[str | None] = []
        self.fault: Exception | None = None
        self.knows_shared_calls = True
        self.open = asyncio.Event()
        self.open.set()
        self.calls = SharedCalls[int, int](
            "t",
            self.circuit,
            alone=self.alone,
            together=self.together,
            most=4,
            weigh=abs,
            capacity=100,
        )

    async def alone(self, number: int) -> int:
        [answer] = await self._send([number])
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def together(self, numbers: Sequence[int]) -> list[int | Exception]:
        return await self._send(numbers)

    async def _send(self, numbers: Sequence[int]) -> list[int | Exception]:
        async def attempt() -> list[int | Exception]:
            self.sent.append(list(numbers))
            self.request_ids.append(current_request_id())
            await self.open.wait()
            if self.fault:
                raise self.fault
            return [NoEncontrado() if number < 0 else 2 * number for number in numbers]

        try:
            answers = await self.circuit.call(attempt, weight=len(numbers))
        except (httpx2.RequestError, CircuitOpen) as error:
            raise ServicioNoDisponible("n") from error
        if len(numbers) > 1 and not self.knows_shared_calls:
            raise RespuestaInvalida("n")
        return answers


@pytest.fixture
def neighbour(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Neighbour:
    monkeypatch.setattr("comanda.common.calls.OVERLAP_SECONDS", 60)  # so that a busy machine makes no call a slow one
    return Neighbour(clock)


async def behind(neighbour: Neighbour, *numbers: int) -> list[asyncio.Task[int]]:
    """Those numbers, waiting behind a call, of 0, that does not end yet; the first task is its."""
    neighbour.open.clear()
    first = asyncio.create_task(neighbour.calls.submit(0))
    while not neighbour.sent:  # noqa: ASYNC110  # a few turns of the loop
        await asyncio.sleep(0)
    waiting = [asyncio.create_task(neighbour.calls.submit(number)) for number in numbers]
    await asyncio.sleep(0)
    return [first, *waiting]


async def outcomes(neighbour: Neighbour, *numbers: int) -> list[int | BaseException]:
    """What becomes of numbers that share a call, if they may."""
    tasks = await behind(neighbour, *numbers)
    neighbour.open.set()
    return (await asyncio.gather(*tasks, return_exceptions=True))[1:]


class TestSharing:
    async def test_one_alone_is_sent_at_once(self, neighbour: Neighbour) -> None:
        assert await neighbour.calls.submit(3) == 6
        assert neighbour.sent == [[3]]

    async def test_what_comes_meanwhile_shares_the_next_call(self, neighbour: Neighbour) -> None:
        assert await outcomes(neighbour, 3, 1, 2) == [6, 2, 4]
        assert neighbour.sent == [[0], [3, 1, 2]]

    async def test_never_more_than_the_most(self, neighbour: Neighbour) -> None:
        await outcomes(neighbour, 1, 2, 3, 4, 5)
        assert neighbour.sent == [[0], [1, 2, 3, 4], [5]]

    async def test_never_heavier_than_the_capacity(self, neighbour: Neighbour) -> None:
        await outcomes(neighbour, 60, 40, 1, 500)
        assert neighbour.sent == [[0], [60, 40], [1], [500]]

    async def test_one_refused_leaves_the_others(self, neighbour: Neighbour) -> None:
        first, refused, last = await outcomes(neighbour, 1, -1, 2)
        assert (first, last) == (2, 4)
        assert isinstance(refused, NoEncontrado)

    async def test_a_slow_call_holds_up_nobody_for_long(self, clock: FakeClock) -> None:
        neighbour = Neighbour(clock)
        slow, waiting = await behind(neighbour, 7)
        await asyncio.sleep(3 * OVERLAP_SECONDS)
        assert neighbour.sent == [[0], [7]]
        neighbour.open.set()
        assert await asyncio.gather(slow, waiting) == [0, 14]

    async def test_who_leaves_before_it_is_sent_is_not_sent(self, neighbour: Neighbour) -> None:
        first, leaves, stays = await behind(neighbour, 1, 2)
        leaves.cancel()
        await asyncio.sleep(0)
        neighbour.open.set()
        assert await asyncio.gather(first, stays) == [0, 4]
        assert neighbour.sent == [[0], [2]]

    async def test_who_leaves_while_it_is_under_way_leaves_at_once(self, neighbour: Neighbour) -> None:
        leaves, waiting = await behind(neighbour, 1)
        leaves.cancel()
        for _ in range(3):
            await asyncio.sleep(0)
        assert leaves.cancelled()
        neighbour.open.set()
        assert await waiting == 2
        assert neighbour.sent == [[0], [1]]

    async def test_travels_under_the_id_of_the_first(self, neighbour: Neighbour) -> None:
        async def submit(number: int) -> int:
            with bound_contextvars(request_id=f"r{number}"):
                return await neighbour.calls.submit(number)

        neighbour.open.clear()
        tasks = [asyncio.create_task(submit(number)) for number in (1, 2, 3)]
        await asyncio.sleep(0)
        neighbour.open.set()
        await asyncio.gather(*tasks)
        assert neighbour.request_ids == ["r1"]
        await submit(4)
        assert neighbour.request_ids == ["r1", "r4"]


class TestFailures:
    async def test_one_failed_call_counts_once_for_each(self, neighbour: Neighbour) -> None:
        tasks = await behind(neighbour, 1, 2, 3)
        neighbour.open.set()
        await tasks[0]
        neighbour.fault = httpx2.ConnectError("refused")
        refused = await asyncio.gather(*tasks[1:], return_exceptions=True)
        assert [type(one) for one in refused] == [ServicioNoDisponible] * 3
        assert len({id(one) for one in refused}) == 3  # each may add what concerns it
        assert neighbour.circuit.snapshot().fallos == 3

    async def test_it_opens_the_circuit_once_there_are_enough(self, neighbour: Neighbour) -> None:
        tasks = await behind(neighbour, 1, 2, 3, 4, 5)
        neighbour.open.set()
        await tasks[0]
        neighbour.fault = httpx2.ConnectError("refused")
        await asyncio.gather(*tasks[1:], return_exceptions=True)
        assert neighbour.circuit.state == "ABIERTO"
        assert neighbour.circuit.snapshot().fallos == 5

    async def test_an_answer_resets_what_was_counted(self, neighbour: Neighbour) -> None:
        neighbour.fault = httpx2.ConnectError("refused")
        with pytest.raises(ServicioNoDisponible):
            await neighbour.calls.submit(1)
        neighbour.fault = None
        await outcomes(neighbour, 1, 2)
        assert neighbour.circuit.snapshot().fallos == 0

    async def test_one_alone_probes(self, neighbour: Neighbour, clock: FakeClock) -> None:
        neighbour.fault = httpx2.ConnectError("refused")
        for _ in range(5):
            with pytest.raises(ServicioNoDisponible):
                await neighbour.calls.submit(1)
        clock.advance(61)
        neighbour.sent.clear()
        neighbour.fault = None
        neighbour.open.clear()
        probe, *others = [asyncio.create_task(neighbour.calls.submit(number)) for number in (1, 2, 3)]
        refused = await asyncio.gather(*others, return_exceptions=True)  # while the probe is under way
        assert [type(one) for one in refused] == [ServicioNoDisponible] * 2
        neighbour.open.set()
        assert await probe == 2
        assert neighbour.sent == [[1]]
        assert neighbour.circuit.state == "CERRADO"

    async def test_while_open_nothing_is_sent(self, neighbour: Neighbour) -> None:
        neighbour.fault = httpx2.ConnectError("refused")
        for _ in range(5):
            with pytest.raises(ServicioNoDisponible):
                await neighbour.calls.submit(1)
        neighbour.sent.clear()
        refused = await asyncio.gather(*(neighbour.calls.submit(n) for n in range(4)), return_exceptions=True)
        assert [type(one) for one in refused] == [ServicioNoDisponible] * 4
        assert neighbour.sent == []

    async def test_who_has_waited_for_long_hears_of_the_neighbour(
        self, neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("comanda.common.batch.PATIENCE_SECONDS", -1.0)
        with pytest.raises(ServicioNoDisponible) as refusal:
            await neighbour.calls.submit(1)
        assert refusal.value.extras == {"servicio": "n"}
        assert refusal.value.headers == {"Retry-After": "1"}
        assert neighbour.sent == []

    async def test_a_neighbour_that_knows_no_shared_calls_is_asked_singly(self, neighbour: Neighbour) -> None:
        neighbour.knows_shared_calls = False
        first, refused, last = await outcomes(neighbour, 1, -1, 2)
        assert (first, type(refused), last) == (2, NoEncontrado, 4)
        assert neighbour.sent == [[0], [1, -1, 2], [1], [-1], [2]]
