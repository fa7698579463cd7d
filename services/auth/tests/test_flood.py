"""A flood of logins: what does not fit is refused, and everything else goes on. `bench/logins.py` measures the same."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest
from argon2 import PasswordHasher
from auth_internals import EMAIL, until
from auth_shop import Shop, shop
from prometheus_client import REGISTRY

from comanda.testing import FakeClock

QUEUE, STRANGERS = 8, 150
HOME = "198.51.100.1"


class Gate:
    """Lets no hash be verified until it is opened."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate, verify = Gate(), PasswordHasher.verify

    def wait_and_verify(self: PasswordHasher, *args: Any) -> Any:
        assert gate.open.wait(60)
        return verify(self, *args)

    monkeypatch.setattr(PasswordHasher, "verify", wait_and_verify)
    return gate


@pytest.fixture
async def tienda(make_settings: Any, clock: FakeClock, gate: Gate) -> AsyncIterator[Shop]:
    async with shop(make_settings, clock, hash_workers=1, hash_queue=QUEUE) as running:
        await running.register()
        yield running
        gate.open.set()


Answers = list["asyncio.Task[httpx2.Response]"]


def send(requests: list[Awaitable[httpx2.Response]]) -> Answers:
    return [asyncio.ensure_future(request) for request in requests]


def strangers(tienda: Shop) -> Answers:
    """Each from a place of its own, half of them after an account that exists."""
    guesses = [(f"203.0.113.{n}", EMAIL if n % 2 else f"nadie-{n}@ejemplo.es") for n in range(STRANGERS)]
    return send([tienda.ask(place, "no es esta", email) for place, email in guesses])


def answered(answers: Answers) -> Callable[[], Awaitable[int]]:
    async def count() -> int:
        return sum(answer.done() for answer in answers)

    return count


async def waiting() -> float:
    return REGISTRY.get_sample_value("comanda_hash_esperando") or 0


class TestFlood:
    async def test_lo_que_no_cabe_se_rechaza_y_los_conocidos_entran(self, tienda: Shop, gate: Gate) -> None:
        session = (await tienda.ask(HOME)).json()
        gate.open.clear()
        flood = strangers(tienda)
        await until(answered(flood), STRANGERS - 1 - QUEUE)  # the others wait for the one thread
        owner = send([tienda.ask(HOME) for _ in range(3)])
        await until(waiting, QUEUE + 3)

        form = {"grant_type": "refresh_token", "refresh_token": session["refresh_token"]}
        assert (await tienda.http.post("/auth/token", data=form)).status_code == 200
        assert (await tienda.http.get("/livez")).status_code == 200

        gate.open.set()
        assert [answer.status_code for answer in await asyncio.gather(*owner)] == [200] * 3
        statuses = Counter(answer.status_code for answer in await asyncio.gather(*flood))
        assert statuses == {503: STRANGERS - 1 - QUEUE, 400: 1 + QUEUE}
        assert all(int(a.result().headers["Retry-After"]) >= 1 for a in flood if a.result().status_code == 503)
        assert await waiting() == 0

    async def test_de_un_solo_sitio_no_se_llena_la_cola(self, tienda: Shop, gate: Gate) -> None:
        gate.open.clear()
        flood = send([tienda.ask("203.0.113.1", "no es esta", f"nadie-{n}@ejemplo.es") for n in range(20)])
        await until(answered(flood), 20 - 1 - QUEUE)
        newcomer = send([tienda.ask("198.51.100.9")])
        await until(answered(flood), 20 - QUEUE)  # the last of them gave up its place
        gate.open.set()
        assert (await newcomer[0]).status_code == 200
        statuses = Counter(answer.status_code for answer in await asyncio.gather(*flood))
        assert statuses == {503: 20 - QUEUE, 400: QUEUE}

    async def test_despues_todo_sigue_igual(self, tienda: Shop, gate: Gate) -> None:
        gate.open.clear()
        flood = strangers(tienda)
        await until(answered(flood), STRANGERS - 1 - QUEUE)
        gate.open.set()
        await asyncio.gather(*flood)
        assert await tienda.status(HOME) == 200
