"""What pedidos adds to `GET /operacion`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from pedidos_requests import lineas
from pedidos_world import Mundo

from comanda.common.database import DatabaseUnavailable
from comanda.pedidos.domain import Fase
from comanda.pedidos.operation import KEPT_SECONDS, FasesAbiertas
from comanda.pedidos.repository import Repository
from comanda.testing import FakeClock

NONE = {"SOLICITADO": 0, "RESERVADO": 0, "COMPLETANDO": 0, "CANCELANDO": 0}


async def operacion(client: httpx2.AsyncClient, admin: dict[str, str]) -> Any:
    response = await client.get("/operacion", headers=admin)
    assert response.status_code == 200, response.text
    return response.json()


class TestOperacion:
    async def test_tres_pedidos(
        self, client: httpx2.AsyncClient, admin: dict[str, str], vecinos: Any, clock: FakeClock
    ) -> None:
        body = await operacion(client, admin)
        assert (body["servicio"], body["fases"], body["pedidos_por_segundo"]) == ("pedidos", NONE, 0.0)
        cafe = vecinos.producto()
        placed = [(await client.post("/pedidos", json=lineas((cafe, 1)))).json()["id"] for _ in range(3)]
        await client.post("/pedidos", json=lineas((cafe, 0)))
        await client.get(f"/pedidos/{placed[0]}")
        clock.advance(KEPT_SECONDS)
        body = await operacion(client, admin)
        assert body["fases"] == NONE | {"RESERVADO": 3}
        assert body["pedidos_por_segundo"] == 1.5  # in two seconds; what was refused is no order
        rows = {(row["metodo"], row["ruta"]): row["por_segundo"] for row in body["peticiones"]["rutas"]}
        assert rows == {("POST", "/pedidos"): 2.0, ("GET", "/pedidos/{pedido_id}"): 0.5}
        await client.post(f"/pedidos/{placed[0]}/completar", headers=admin)
        clock.advance(KEPT_SECONDS)
        assert (await operacion(client, admin))["fases"] == NONE | {"RESERVADO": 2}
        clock.advance(60)
        assert (await operacion(client, admin))["pedidos_por_segundo"] == 0.0

    async def test_circuitos_y_colas(self, client: httpx2.AsyncClient, admin: dict[str, str], vecinos: Any) -> None:
        body = await operacion(client, admin)
        assert [circuito["nombre"] for circuito in body["circuitos"]] == ["productos", "inventario"]
        queues = {cola["nombre"]: (cola["en_espera"], cola["maximo"]) for cola in body["colas"]}
        pools = {"conexiones-productos": (0, 100), "conexiones-inventario": (0, 100)}
        batches = dict.fromkeys(("claves", "altas", "transiciones", "operaciones", "fichas"), (0, 1000))
        assert {name: queues[name] for name in pools | batches} == pools | batches
        assert queues.keys() - (pools | batches).keys() <= {"conexiones-base-de-datos"}

    async def test_sin_permiso(self, client: httpx2.AsyncClient) -> None:
        assert (await client.get("/operacion")).status_code == 403

    async def test_la_base_de_datos_no_esta(
        self, client: httpx2.AsyncClient, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch, clock: FakeClock
    ) -> None:
        async def away(*_: Any) -> Any:
            raise DatabaseUnavailable("away")

        monkeypatch.setattr(Repository, "fases", away)
        body = await operacion(client, admin)
        assert (body["fases"], body["servicio"]) == (None, "pedidos")
        monkeypatch.undo()
        clock.advance(KEPT_SECONDS)
        assert (await operacion(client, admin))["fases"] == NONE


class Contada:
    """A database that counts how often it is read, and answers when it is let."""

    def __init__(self) -> None:
        self.reads = 0
        self.let = asyncio.Event()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[None]:
        self.reads += 1
        await self.let.wait()
        yield None

    async def fases(self, *_: Any) -> dict[str, int]:
        return {"RESERVADO": self.reads}


class TestFasesAbiertas:
    async def test_muchos_a_la_vez_y_poco_despues_cuentan_una_vez(self, clock: FakeClock) -> None:
        counted: Any = Contada()
        fases = FasesAbiertas(counted, counted, clock)
        asking = [asyncio.create_task(fases.leer()) for _ in range(20)]
        await asyncio.sleep(0)
        clock.advance(60)  # however long it takes
        asking += [asyncio.create_task(fases.leer()) for _ in range(20)]
        await asyncio.sleep(0)
        counted.let.set()
        assert {tuple((await one or {}).items()) for one in asking} == {(("RESERVADO", 1),)}
        clock.advance(KEPT_SECONDS - 0.01)
        assert await fases.leer() == {"RESERVADO": 1}
        clock.advance(0.01)
        assert await fases.leer() == {"RESERVADO": 2}

    async def test_quien_no_espera_mas_no_estorba_a_los_demas(
        self, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        counted: Any = Contada()
        fases = FasesAbiertas(counted, counted, clock)
        with monkeypatch.context() as patched:
            patched.setattr("comanda.pedidos.operation.PATIENCE_SECONDS", 0)
            assert await fases.leer() is None
        leaving = asyncio.create_task(fases.leer())
        await asyncio.sleep(0)
        leaving.cancel()
        counted.let.set()
        assert await fases.leer() == {"RESERVADO": 1}

    async def test_no_cuenta_mas_de_los_que_debe(self, mundo: Mundo) -> None:
        for _ in range(3):
            await mundo.en_fase()
        async with mundo.database.read() as connection:
            assert (await mundo.repository.fases(connection, 2))[Fase.RESERVADO] == 2
            assert (await mundo.repository.fases(connection, 20))[Fase.RESERVADO] == 3
