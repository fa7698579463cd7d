"""Live events as a client of the interface sees them."""

from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from flujos import Flujo, Recibido, ids
from pedidos_requests import before_the_database, pedir

from comanda.common.streams import STOP
from comanda.testing import FakeClock, Issuer

SCOPES = ("pedidos:crear", "pedidos:propios")


@pytest.fixture
def app(client: httpx2.AsyncClient) -> FastAPI:
    found: FastAPI = client._transport.app  # type: ignore[attr-defined]
    return found


@pytest.fixture
def ana(issuer: Issuer) -> dict[str, str]:
    return issuer.headers(*SCOPES, subject="ana")


async def pasar(app: FastAPI) -> None:
    """The tail looks for what is new."""
    await app.state.eventos.tick()


async def hasta(flujo: Flujo, event: str) -> Recibido:
    while True:
        recibido = await flujo.recibir()
        assert recibido is not None, f"it ended without {event}"
        if recibido.event == event:
            return recibido


class TestEventos:
    async def test_lo_que_pasa_con_un_pedido(
        self, client: httpx2.AsyncClient, app: FastAPI, vecinos: Any, ana: dict[str, str]
    ) -> None:
        async with Flujo(app, ana) as flujo:
            assert flujo.status == 200
            assert flujo.headers["content-type"].split(";")[0] == "text/event-stream"
            assert flujo.headers["cache-control"] == "no-store"
            assert flujo.headers["x-accel-buffering"] == "no"
            assert flujo.headers["x-content-type-options"] == "nosniff"
            abierto = await flujo.recibir()
            assert abierto is not None
            assert (abierto.id, abierto.data) == ("0", None)
            pedido = await pedir(client, vecinos)
            await pasar(app)
            solicitado, reservado = await flujo.pedidos(2)
            assert reservado.data == {
                "id": pedido["id"],
                "en": "2026-01-01T12:00:00Z",
                "de": "SOLICITADO",
                "a": "RESERVADO",
                "causa": "existencias reservadas",
                "estado": "PENDIENTE",
                "fase": "RESERVADO",
                "total": "5.00",
                "moneda": "EUR",
                "cliente_id": "ana",
                "motivo": None,
                "reserva_expira_en": "2026-01-01T12:15:00Z",
                "actualizado_en": "2026-01-01T12:00:00Z",
            }
            assert (solicitado.data["de"], solicitado.data["fase"]) == (None, "SOLICITADO")
            assert solicitado.data["reserva_expira_en"] is None  # as it stood then
            historial = (await client.get(f"/pedidos/{pedido['id']}/historial")).json()
            told = [{name: one.data[name] for name in ("en", "de", "a", "causa")} for one in (solicitado, reservado)]
            assert told == historial
            await client.post(f"/pedidos/{pedido['id']}/cancelar", json={"motivo": "me lo pensé"})
            await pasar(app)
            cancelando, cancelado = await flujo.pedidos(2)
            assert [e.data["fase"] for e in (cancelando, cancelado)] == ["CANCELANDO", "CANCELADO"]
            assert cancelado.data["estado"] == "CANCELADO"
            assert cancelado.data["motivo"] == "me lo pensé"
            assert ids([solicitado, reservado, cancelando, cancelado]) == [1, 2, 3, 4]

    async def test_las_propias_y_el_admin_todas(
        self,
        client: httpx2.AsyncClient,
        app: FastAPI,
        vecinos: Any,
        ana: dict[str, str],
        luis: dict[str, str],
        admin: dict[str, str],
    ) -> None:
        async with Flujo(app, ana) as suyo, Flujo(app, luis) as de_luis, Flujo(app, admin) as todos:
            uno = await pedir(client, vecinos)
            otro = await pedir(client, vecinos, headers=luis)
            await pasar(app)
            assert {e.data["id"] for e in await suyo.pedidos(2)} == {uno["id"]}
            assert {e.data["id"] for e in await de_luis.pedidos(2)} == {otro["id"]}
            assert [e.data["id"] for e in await todos.pedidos(4)] == sorted([uno["id"], otro["id"]] * 2)
            assert suyo.nada_mas()
            assert de_luis.nada_mas()
        async with Flujo(app, luis | {"Last-Event-ID": "0"}) as de_nuevo:  # nor from the history
            assert {e.data["id"] for e in await de_nuevo.pedidos(2)} == {otro["id"]}
            await pasar(app)
            assert de_nuevo.nada_mas()

    async def test_sin_punto_de_partida_desde_ahora(
        self, client: httpx2.AsyncClient, app: FastAPI, vecinos: Any, ana: dict[str, str]
    ) -> None:
        await pedir(client, vecinos)
        await pasar(app)
        await pasar(app)
        async with Flujo(app, ana) as flujo:
            abierto = await flujo.recibir()
            assert abierto is not None
            assert abierto.id == "2"
            await pedir(client, vecinos)
            await pasar(app)
            assert ids(await flujo.pedidos(2)) == [3, 4]

    async def test_desde_el_ultimo_recibido(
        self, client: httpx2.AsyncClient, app: FastAPI, vecinos: Any, ana: dict[str, str]
    ) -> None:
        """Whatever happened while nobody listened, and what happens meanwhile."""
        async with Flujo(app, ana) as flujo:
            await pedir(client, vecinos)
            await pasar(app)
            await flujo.pedidos(1)
        await pedir(client, vecinos)
        await pasar(app)
        async with Flujo(app, ana | {"Last-Event-ID": "1"}) as flujo:
            await pedir(client, vecinos)
            await pasar(app)
            assert ids(await flujo.pedidos(5)) == [2, 3, 4, 5, 6]
            assert flujo.nada_mas()

    async def test_de_otra_base_de_datos(
        self, client: httpx2.AsyncClient, app: FastAPI, vecinos: Any, ana: dict[str, str]
    ) -> None:
        """A number that was never given here, as after a restore, must not silence the stream."""
        async with Flujo(app, ana | {"Last-Event-ID": "1000000"}) as flujo:
            await pedir(client, vecinos)
            await pasar(app)
            assert ids(await flujo.pedidos(2)) == [1, 2]

    @before_the_database
    @pytest.mark.parametrize("last", ["-1", "x", "1.5", str(2**63), ""])
    async def test_punto_de_partida_imposible(self, client: httpx2.AsyncClient, ana: dict[str, str], last: str) -> None:
        response = await client.get("/pedidos/eventos", headers=ana | {"Last-Event-ID": last})
        assert response.status_code == 422
        assert [error["campo"] for error in response.json()["errores"]] == ["Last-Event-ID"]

    @before_the_database
    async def test_head(self, client: httpx2.AsyncClient, app: FastAPI, ana: dict[str, str]) -> None:
        response = await client.head("/pedidos/eventos", headers=ana)
        assert (response.status_code, response.content) == (200, b"")
        assert app.state.eventos.streams == []

    @before_the_database
    async def test_se_describe(self, client: httpx2.AsyncClient) -> None:
        operation = (await client.get("/openapi.json")).json()["paths"]["/pedidos/eventos"]["get"]
        assert list(operation["responses"]["200"]["content"]) == ["text/event-stream"]
        assert {"401", "403", "422", "429", "503"} <= operation["responses"].keys()


@before_the_database
class TestFin:
    async def test_cuando_caduca_el_token(
        self, client: httpx2.AsyncClient, app: FastAPI, clock: FakeClock, ana: dict[str, str]
    ) -> None:
        async with Flujo(app, ana) as flujo:
            clock.advance(899)
            app.state.eventos.look_at_the_clock()
            assert len(app.state.eventos.streams) == 1
            clock.advance(1)
            app.state.eventos.look_at_the_clock()
            assert (await hasta(flujo, "fin")).data == {"motivo": "token-caducado"}
            assert await flujo.recibir() is None
            assert flujo.terminado
        assert app.state.eventos.streams == []

    async def test_cuando_se_va_el_cliente(self, client: httpx2.AsyncClient, app: FastAPI, ana: dict[str, str]) -> None:
        async with Flujo(app, ana) as flujo:
            await flujo.recibir()
            assert len(app.state.eventos.streams) == 1
        assert app.state.eventos.streams == []

    async def test_cuando_para_el_servidor(self, client: httpx2.AsyncClient, app: FastAPI, ana: dict[str, str]) -> None:
        async with Flujo(app, ana) as flujo:
            await flujo.recibir()
            flujo.scope[STOP]()
            assert await flujo.recibir() is None
            assert flujo.terminado

    async def test_latidos_mientras_no_pasa_nada(
        self, client: httpx2.AsyncClient, app: FastAPI, clock: FakeClock, ana: dict[str, str]
    ) -> None:
        async with Flujo(app, ana) as flujo:
            await flujo.recibir()
            for _ in range(3):
                clock.advance(14)
                app.state.eventos.look_at_the_clock()
                assert flujo.nada_mas()
                clock.advance(1)
                app.state.eventos.look_at_the_clock()
                latido = await flujo.recibir()
                assert latido is not None
                assert (latido.comment, latido.event, latido.data) == ("latido", None, None)


@before_the_database
class TestLimites:
    @pytest.fixture
    def ajustes(self) -> dict[str, Any]:
        return {"max_streams": 3, "max_streams_per_user": 2, "max_concurrency": 1}

    async def test_de_un_usuario(
        self, client: httpx2.AsyncClient, app: FastAPI, ana: dict[str, str], luis: dict[str, str]
    ) -> None:
        async with Flujo(app, ana):
            async with Flujo(app, ana):
                response = await client.get("/pedidos/eventos", headers=ana)
                assert response.status_code == 429
                assert response.json()["type"].endswith("/demasiados-flujos")
                assert int(response.headers["Retry-After"]) > 0
                async with Flujo(app, luis) as otro:
                    assert otro.status == 200
            async with Flujo(app, ana) as de_nuevo:
                assert de_nuevo.status == 200

    async def test_del_proceso_que_atiende_lo_demas(
        self, client: httpx2.AsyncClient, app: FastAPI, issuer: Issuer, ana: dict[str, str]
    ) -> None:
        """Streams are no work in hand: with all of them open the service is as ready as without."""
        async with AsyncExitStack() as stack:
            for cliente in ("a", "b", "c"):
                flujo = await stack.enter_async_context(Flujo(app, issuer.headers(*SCOPES, subject=cliente)))
                assert flujo.status == 200
            response = await client.get("/pedidos/eventos", headers=ana)
            assert response.status_code == 503
            assert response.headers["Retry-After"] == "5"
            assert (await client.get("/readyz")).status_code == 200
            assert (await client.get("/pedidos")).status_code == 200


class TestLento:
    async def test_quien_no_lee_se_pone_al_dia_desde_el_historial(
        self, client: httpx2.AsyncClient, app: FastAPI, vecinos: Any, ana: dict[str, str], luis: dict[str, str]
    ) -> None:
        """Its queue is bounded, and others do not wait for it."""
        async with Flujo(app, ana, lento=True) as lento, Flujo(app, ana) as otro:
            for _ in range(70):
                await pedir(client, vecinos)
                await pasar(app)
            assert ids(await otro.pedidos(140)) == list(range(1, 141))
            [atrasado] = [stream for stream in app.state.eventos.streams if stream.behind]
            assert not atrasado.queue
            assert ids(await lento.pedidos(140)) == list(range(1, 141))
            await pedir(client, vecinos)
            await pasar(app)
            assert ids(await lento.pedidos(2)) == [141, 142]
