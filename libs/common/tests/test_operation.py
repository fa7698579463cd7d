"""`GET /operacion` of a service of nothing but what a test gives it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from circuits import make_circuit
from fastapi import APIRouter, Request, Response

from comanda.common.queues import Queue
from comanda.common.requests import router
from comanda.testing import FakeClock, Issuer, problem

Start = Callable[..., Awaitable[httpx2.AsyncClient]]


@pytest.fixture
def routes() -> APIRouter:
    routes = router()

    @routes.get("/hola/{quien}")
    async def hola(quien: str) -> str:
        return quien

    @routes.get("/roto")
    async def roto() -> None:
        raise RuntimeError

    @routes.post("/eco")
    async def eco(request: Request) -> Response:
        return Response(await request.body())

    return routes


@pytest.fixture
def operacion(issuer: Issuer) -> Callable[[httpx2.AsyncClient], Awaitable[Any]]:
    async def ask(client: httpx2.AsyncClient) -> Any:
        response = await client.get("/operacion", headers=issuer.headers("operaciones:leer"))
        assert response.status_code == 200, response.text
        return response.json()

    return ask


class TestOperacion:
    async def test_nothing_was_asked(self, start: Start, operacion: Any) -> None:
        body = await operacion(await start())
        assert body == {
            "servicio": "servicio",
            "version": body["version"],
            "instancia": body["instancia"],
            "en": "2026-01-01T12:00:00Z",
            "arrancado_en": "2026-01-01T12:00:00Z",
            "ventana_segundos": 60,
            "peticiones": {
                "en_curso": 0,
                "por_segundo": 0.0,
                "errores_por_segundo": 0.0,
                "latencia_ms": {"p50": None, "p95": None, "p99": None},
                "rutas": [],
            },
            "circuitos": [],
            "colas": [],
        }
        assert body["version"].count(".") == 2
        assert body["instancia"].rpartition(":")[2].isdigit()

    async def test_only_for_who_operates(self, start: Start, issuer: Issuer) -> None:
        client = await start()
        assert problem(await client.get("/operacion")) == "no-autenticado"
        assert problem(await client.get("/operacion", headers=issuer.headers("otro"))) == "no-autorizado"

    async def test_routes_are_templates(self, start: Start, operacion: Any) -> None:
        client = await start()
        for n in range(20):
            await client.get(f"/hola/{n}")
            await client.get(f"/no-hay-{n}")
        await client.get("/roto")
        peticiones = (await operacion(client))["peticiones"]
        rows = [(row["metodo"], row["ruta"], row["por_segundo"]) for row in peticiones["rutas"]]
        assert rows == [("GET", "-", 20.0), ("GET", "/hola/{quien}", 20.0), ("GET", "/roto", 1.0)]
        assert (peticiones["por_segundo"], peticiones["errores_por_segundo"]) == (41.0, 1.0)
        assert peticiones["latencia_ms"]["p99"] is not None

    async def test_after_a_minute_nothing_is_left(self, start: Start, operacion: Any, clock: FakeClock) -> None:
        client = await start()
        await client.get("/hola/1")
        clock.advance(59)
        assert (await operacion(client))["peticiones"]["rutas"] != []
        clock.advance(1)
        assert (await operacion(client))["peticiones"] == {
            "en_curso": 0,
            "por_segundo": 0.0,
            "errores_por_segundo": 0.0,
            "latencia_ms": {"p50": None, "p95": None, "p99": None},
            "rutas": [],
        }

    async def test_who_looks_is_not_counted(self, start: Start, operacion: Any) -> None:
        client = await start()
        for path in ("/livez", "/readyz", "/metrics"):
            await client.get(path)
        await operacion(client)
        assert (await operacion(client))["peticiones"]["rutas"] == []

    async def test_what_is_in_hand(self, start: Start, operacion: Any) -> None:
        client = await start()
        arrived, release = asyncio.Event(), asyncio.Event()

        async def body() -> Any:
            arrived.set()
            await release.wait()
            yield b"{}"

        asking = asyncio.create_task(client.post("/eco", content=body()))
        await arrived.wait()
        assert (await operacion(client))["peticiones"]["en_curso"] == 1
        release.set()
        await asking
        assert (await operacion(client))["peticiones"]["en_curso"] == 0

    async def test_circuits_and_queues(self, start: Start, operacion: Any, clock: FakeClock) -> None:
        waiting = [3, 0]
        client = await start(
            circuits=[make_circuit(clock)],  # type: ignore[arg-type]  # as good a clock
            queues=[Queue("hash", lambda: waiting[0], 8), Queue("lote", lambda: waiting[1])],
            max_concurrency=50,
        )
        body = await operacion(client)
        assert body["circuitos"] == [{"nombre": "inventario", "estado": "CERRADO", "fallos": 0, "abre_hasta": None}]
        assert body["colas"] == [
            {"nombre": "hash", "en_espera": 3, "maximo": 8},
            {"nombre": "lote", "en_espera": 0, "maximo": 50},
        ]
        waiting[1] = 5
        assert (await operacion(client))["colas"][1]["en_espera"] == 5

    async def test_is_described(self, start: Start) -> None:
        document = (await (await start()).get("/openapi.json")).json()
        operation = document["paths"]["/operacion"]["get"]
        assert operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/Operacion")
        assert {"peticiones", "circuitos", "colas"} <= document["components"]["schemas"]["Operacion"][
            "properties"
        ].keys()
