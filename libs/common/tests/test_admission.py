"""Who is let in when more is asked than can be done."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter

from comanda.common.admission import READS_AT_ONCE, Clase
from comanda.testing import problem

Start = Callable[..., Awaitable[httpx2.AsyncClient]]


def classify(method: str, path: str, _query: bytes) -> Clase:
    if path.startswith("/fin"):
        return "critica"
    return "lectura" if method == "GET" else "ordinaria"


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comanda.common.admission.REFUSAL_SECONDS", 0)


class Doors:
    """What is being served, until it is let go."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.order: list[str] = []
        self.inside = 0
        self.most_inside = 0

    async def pass_through(self, name: str) -> None:
        self.order.append(name)
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        await self.open.wait()
        self.inside -= 1


@pytest.fixture
def doors(routes: APIRouter) -> Doors:
    doors = Doors()

    @routes.get("/cosas")
    async def leer() -> None:
        await doors.pass_through("lectura")

    @routes.get("/rapidas")
    async def rapida() -> None:
        doors.order.append("rapida")

    @routes.post("/cosas")
    async def crear() -> None:
        await doors.pass_through("ordinaria")

    @routes.post("/fin")
    async def fin() -> None:
        doors.order.append("critica")

    return doors


async def asked(client: httpx2.AsyncClient, method: str, path: str, times: int) -> list[Any]:
    """So many at once, as far as they come without being let go."""
    tasks = [asyncio.create_task(client.request(method, path)) for _ in range(times)]
    for _ in range(50):
        await asyncio.sleep(0)
    return tasks


class TestShares:
    async def test_a_flood_of_reads_keeps_nobody_else_out(self, start: Start, doors: Doors) -> None:
        client = await start(classify=classify, max_reads=5)
        reads = await asked(client, "GET", "/cosas", 40)
        assert (await client.post("/fin")).status_code == 200
        assert (await client.get("/livez")).status_code == 200
        orders = await asked(client, "POST", "/cosas", 3)
        doors.open.set()
        assert [(await order).status_code for order in orders] == [200] * 3
        answers = [await read for read in reads]
        assert [answer.status_code for answer in answers].count(200) == 5
        refused = [answer for answer in answers if answer.status_code != 200]
        assert {(answer.status_code, problem(answer)) for answer in refused} == {(503, "servicio-saturado")}
        assert all(answer.headers["Retry-After"] == "1" for answer in refused)

    async def test_a_flood_of_orders_does_not_keep_them_from_ending(self, start: Start, doors: Doors) -> None:
        client = await start(classify=classify, max_ordinary=3)
        orders = await asked(client, "POST", "/cosas", 10)
        assert (await client.post("/fin")).status_code == 200
        doors.open.set()
        assert sorted([(await order).status_code for order in orders]) == [200] * 3 + [503] * 7

    async def test_places_are_given_back(self, start: Start, doors: Doors) -> None:
        client = await start(classify=classify, max_reads=1, max_ordinary=1)
        doors.open.set()
        for _ in range(2 * READS_AT_ONCE + 1):
            assert (await client.get("/cosas")).status_code == 200
            assert (await client.get("/cosas", headers={"X-Request-Timeout-Ms": "0"})).status_code == 503
            assert (await client.post("/cosas", headers={"X-Request-Timeout-Ms": "x"})).status_code == 422
            assert (await client.post("/cosas")).status_code == 200

    async def test_who_leaves_gives_its_place_back(self, start: Start, doors: Doors) -> None:
        client = await start(classify=classify, max_reads=READS_AT_ONCE + 1)
        for read in await asked(client, "GET", "/cosas", READS_AT_ONCE + 1):  # one of them waits for its turn
            read.cancel()
            await asyncio.wait([read])
        doors.open.set()
        for _ in range(READS_AT_ONCE + 2):
            assert (await client.get("/cosas")).status_code == 200


class TestTurns:
    async def test_a_few_reads_at_a_time(self, start: Start, doors: Doors) -> None:
        client = await start(classify=classify)
        reads = await asked(client, "GET", "/cosas", 10)
        assert doors.most_inside == READS_AT_ONCE
        doors.open.set()
        await asyncio.gather(*reads)
        assert doors.order == ["lectura"] * 10
        assert doors.most_inside == READS_AT_ONCE

    async def test_others_come_between_reads_that_never_wait(self, start: Start, doors: Doors) -> None:
        client = await start(classify=classify)
        reads = [asyncio.create_task(client.get("/rapidas")) for _ in range(40)]
        end = asyncio.create_task(client.post("/fin"))
        await asyncio.gather(end, *reads)
        assert doors.order.index("critica") <= 2 * READS_AT_ONCE
