"""How long an answer is waited for: what a request may say, what travels on, and what is no longer begun."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextvars import Context, copy_context
from typing import Any

import httpx2
import pytest
from circuits import make_circuit
from fastapi import APIRouter
from neighbour_server import FakeClock, Server, client, close, silence

from comanda.common.batch import Batch
from comanda.common.calls import SharedCalls
from comanda.common.deadlines import DEADLINE, TIMEOUT_HEADER, PlazoAgotado, begin, left_seconds
from comanda.common.http import Neighbour
from comanda.common.problems import DatosInvalidos, ServicioNoDisponible
from comanda.common.resilience import Circuit
from comanda.testing import problem

Start = Callable[..., Awaitable[httpx2.AsyncClient]]
inf = float("inf")


@pytest.fixture(autouse=True)
def _none_before() -> Iterator[None]:
    token = DEADLINE.set(inf)
    yield
    DEADLINE.reset(token)


def sent_timeout(server: Server, number: int = -1) -> int:
    return int(server.requests[number].headers[TIMEOUT_HEADER.lower()])


class TestBegin:
    @pytest.mark.parametrize(("given", "least", "most"), [(None, 30, 40), (b"5000", 0, 5), (b"99999999", 30, 40)])
    async def test_shortened_never_lengthened(self, given: bytes | None, least: float, most: float) -> None:
        begin(given, 40)
        assert least < left_seconds() <= most

    @pytest.mark.parametrize("given", [b"", b"-1", b"1.5", b"1e3", b"123456789", b"5s", b" 5", "٣".encode()])
    async def test_no_number(self, given: bytes) -> None:
        with pytest.raises(DatosInvalidos):
            begin(given, 40)
        assert left_seconds() == inf


class TestService:
    @pytest.fixture(autouse=True)
    def _routes(self, routes: APIRouter) -> None:
        self.served = 0

        @routes.get("/queda")
        async def queda() -> float:
            self.served += 1
            return left_seconds()

    async def test_what_is_left(self, start: Start) -> None:
        client = await start(request_timeout_seconds=30)
        assert 0 < (await client.get("/queda", headers={TIMEOUT_HEADER: "9000"})).json() <= 9
        assert 9 < (await client.get("/queda", headers={TIMEOUT_HEADER: "90000"})).json() <= 30
        assert 9 < (await client.get("/queda")).json() <= 30

    async def test_over_before_it_began(self, start: Start) -> None:
        answer = await (await start()).get("/queda", headers={TIMEOUT_HEADER: "0"})
        assert (answer.status_code, problem(answer)) == (503, "servicio-saturado")
        assert answer.headers["Retry-After"] == "1"
        assert self.served == 0

    async def test_no_number(self, start: Start) -> None:
        answer = await (await start()).get("/queda", headers={TIMEOUT_HEADER: "pronto"})
        assert problem(answer) == "datos-invalidos"
        assert answer.json()["errores"][0]["campo"] == TIMEOUT_HEADER

    async def test_health_has_none(self, start: Start) -> None:
        assert (await (await start()).get("/livez", headers={TIMEOUT_HEADER: "0"})).status_code == 200


class TestNeighbour:
    async def test_less_is_passed_on(self, server: Server, neighbour: Neighbour) -> None:
        begin(b"3000", 40)
        await neighbour.request("GET", "/")
        assert 0 < sent_timeout(server) < 3000

    async def test_no_more_than_a_try(self, server: Server, neighbour: Neighbour) -> None:
        await neighbour.request("GET", "/")
        begin(None, 40)
        await neighbour.request("GET", "/")
        assert [sent_timeout(server, n) for n in (0, 1)] == [5000, 5000]

    async def test_over_so_nothing_is_sent(self, server: Server, neighbour: Neighbour, circuit: Circuit) -> None:
        begin(b"0", 40)
        with pytest.raises(ServicioNoDisponible):
            await neighbour.request("GET", "/")
        assert server.requests == []
        assert circuit.snapshot().fallos == 0

    async def test_impatience_is_no_failure_of_the_neighbour(
        self, server: Server, neighbour: Neighbour, circuit: Circuit
    ) -> None:
        server.behaviour = silence
        begin(b"30", 40)
        with pytest.raises(ServicioNoDisponible):
            await neighbour.request("GET", "/")
        assert len(server.requests) <= 1
        assert circuit.snapshot().fallos == 0

    async def test_no_retry_that_nobody_waits_for(self, server: Server) -> None:
        clock = FakeClock()
        circuit = make_circuit(clock, retry_wait_seconds=60)  # type: ignore[arg-type]  # as good a clock
        neighbour = client(server.url, circuit)
        server.behaviour = close
        begin(None, 40)
        with pytest.raises(ServicioNoDisponible):
            await neighbour.request("GET", "/")
        await neighbour.aclose()
        assert len(server.requests) == 1
        assert circuit.snapshot().fallos == 0


def hurried() -> Context:
    """Where a request is served whose time is over."""
    context = copy_context()
    context.run(DEADLINE.set, -inf)
    return context


class TestBatch:
    async def test_not_begun(self) -> None:
        served: list[int] = []

        async def serve(numbers: Sequence[int]) -> list[int]:
            served.extend(numbers)
            return list(numbers)

        batch = Batch("t", serve)
        late = asyncio.create_task(batch.submit(1), context=hurried())
        assert await batch.submit(2) == 2
        with pytest.raises(PlazoAgotado):
            await late
        assert served == [2]

    async def test_what_ends_something_is_carried_out(self) -> None:
        async def serve(numbers: Sequence[int]) -> list[int]:
            return list(numbers)

        batch = Batch("t", serve, has_deadlines=False)
        assert await asyncio.create_task(batch.submit(1), context=hurried()) == 1

    async def test_work_that_is_shared_has_no_deadline(self) -> None:
        left: list[float] = []

        async def serve(numbers: Sequence[int]) -> list[int]:
            left.append(left_seconds())
            return list(numbers)

        begin(b"60000", 100)
        await Batch("t", serve).submit(1)
        assert left == [inf]


class TestSharedCalls:
    async def test_waits_for_the_most_patient(self, circuit: Circuit) -> None:
        left: dict[tuple[Any, ...], float] = {}

        async def together(numbers: Sequence[int]) -> list[int]:
            left[tuple(numbers)] = left_seconds()
            return list(numbers)

        async def alone(number: int) -> int:
            left[(number,)] = left_seconds()
            return number

        calls = SharedCalls[int, int](
            "t", circuit, alone=alone, together=together, most=4, weigh=lambda _: 1, capacity=9
        )

        async def ask(number: int, timeout: bytes) -> int:
            begin(timeout, 1000)
            return await calls.submit(number)

        async def ask_too_late() -> int:
            begin(b"0", 1000)
            return await calls.submit(3)

        asked = await asyncio.gather(ask(1, b"100000"), ask(2, b"900000"), ask_too_late(), return_exceptions=True)
        assert asked[:2] == [1, 2]
        assert isinstance(asked[2], ServicioNoDisponible)
        assert 100 < left[(1, 2)] <= 900
        assert set(left) == {(1, 2)}

    async def test_alone_has_its_own(self, circuit: Circuit) -> None:
        left: list[float] = []

        async def alone(number: int) -> int:
            left.append(left_seconds())
            return number

        calls = SharedCalls[int, int]("t", circuit, alone=alone, together=None, most=4, weigh=abs, capacity=9)  # type: ignore[arg-type]
        begin(b"100000", 1000)
        await calls.submit(1)
        assert 0 < left[0] <= 100
