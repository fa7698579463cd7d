"""A neighbour that is away or talks nonsense: what the client is told, and what becomes of the orders."""

import asyncio
from typing import Any

import httpx2
import pytest
from contract.system import System

from comanda.testing import problem


def no_disponible(response: httpx2.Response, servicio: str) -> int:
    """The seconds after which a 503 asks to try again."""
    assert (response.status_code, problem(response)) == (503, "servicio-no-disponible"), response.text
    assert response.json()["servicio"] == servicio
    return int(response.headers["Retry-After"])


class TestProductos:
    async def test_caido_no_deja_nada(self, system: System) -> None:
        cafe = await system.producto(10)
        system.red.caer("productos")
        response = await system.pedir((cafe, 1), key="k1")
        assert no_disponible(response, "productos") == 1
        assert "pedido_id" not in response.json()
        assert system.red.requests["productos"] == 1 + 4  # inventario asked once; one try and three retries
        assert await system.todos() == []
        system.red.volver("productos")
        await system.pedir_ok((cafe, 2), key="k1")

    async def test_el_circuito_se_abre_y_prueba_una_vez(self, system: System) -> None:
        cafe = await system.producto(10)
        system.red.caer("productos")
        for _ in range(5):
            assert await system.circuito("productos") == "CERRADO"
            await system.pedir((cafe, 1))
        assert await system.circuito("productos") == "ABIERTO"
        sent = system.red.requests["productos"]
        system.advance(20)
        assert no_disponible(await system.pedir((cafe, 1)), "productos") == 40
        assert system.red.requests["productos"] == sent
        system.red.volver("productos")
        system.advance(40)
        pausa = system.red.pausar("productos", "GET", antes=True)
        probe = asyncio.create_task(system.pedir((cafe, 1)))
        await pausa.llegada.wait()
        assert await system.circuito("productos") == "SEMIABIERTO"
        no_disponible(await system.pedir((cafe, 1)), "productos")
        pausa.seguir.set()
        assert (await probe).status_code == 201
        assert await system.circuito("productos") == "CERRADO"

    async def test_caido_no_impide_lo_demas(self, system: System) -> None:
        cafe = await system.producto(10)
        uno, otro = await system.pedir_ok((cafe, 1)), await system.pedir_ok((cafe, 1))
        system.red.caer("inventario")
        await system.pedir((cafe, 3), key="k1")
        system.red.caer("productos")
        system.red.volver("inventario")
        await system.pedir_ok((cafe, 3), key="k1")
        assert (await system.completar(uno)).status_code == 200
        assert (await system.cancelar(otro)).status_code == 200
        system.red.volver("productos")

    @pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
    @pytest.mark.parametrize(
        "answer", [httpx2.Response(500), httpx2.Response(404), httpx2.Response(200, text="<html>")]
    )
    async def test_responde_otra_cosa(self, system: System, answer: httpx2.Response) -> None:
        cafe = await system.producto(10)
        system.red.answers["productos"] = answer
        for _ in range(6):
            response = await system.pedir((cafe, 1), key="k1")
            assert (response.status_code, problem(response)) == (502, "respuesta-invalida")
            assert response.json()["servicio"] == "productos"
        assert await system.circuito("productos") == "CERRADO"
        assert await system.todos() == []
        system.red.answers.clear()
        await system.pedir_ok((cafe, 2), key="k1")


class TestInventario:
    async def test_caido_la_misma_clave_sigue_con_el_mismo_pedido(self, system: System) -> None:
        cafe = await system.producto(10, "2.50")
        system.red.caer("inventario")
        response = await system.pedir((cafe, 2), key="k1", total_esperado="5.00")
        assert no_disponible(response, "inventario") == 1
        pedido = await system.pedido(response.json()["pedido_id"])
        assert (pedido["estado"], pedido["fase"], pedido["reserva_expira_en"]) == ("PENDIENTE", "SOLICITADO", None)
        await system.productos.patch(f"/productos/{cafe}", json={"precio": "9.99"}, headers=system.admin)
        await system.productos.delete(f"/productos/{cafe}", headers=system.admin)
        system.red.volver("inventario")
        resumed = await system.pedir((cafe, 2), key="k1", total_esperado="5.00")
        assert (resumed.status_code, resumed.json()["id"], resumed.json()["total"]) == (201, pedido["id"], "5.00")

    async def test_el_circuito_abierto_tambien_dice_que_pedido(self, system: System) -> None:
        cafe = await system.producto(10)
        system.red.caer("inventario")
        for n in range(5):
            await system.pedir((cafe, 1), key=f"k{n}")
        sent = system.red.requests["inventario"]
        response = await system.pedir((cafe, 1), key="k")
        assert no_disponible(response, "inventario") == 60
        assert system.red.requests["inventario"] == sent
        system.red.volver("inventario")
        system.advance(60)
        assert await system.pedir_ok((cafe, 1), key="k") == response.json()["pedido_id"]

    async def test_nadie_vuelve(self, system: System) -> None:
        cafe = await system.producto(10)
        system.red.caer("inventario")
        pedido_id = (await system.pedir((cafe, 2), key="k1")).json()["pedido_id"]
        system.advance(299.999)
        assert await system.recuperar() == 0
        system.advance(0.001)
        assert await system.recuperar() == 1
        assert (await system.pedido(pedido_id))["estado"] == "PENDIENTE"  # nobody can say that nothing is held
        response = await system.pedir((cafe, 2), key="k1")
        assert (response.status_code, problem(response)) == (409, "pedido-cancelado")
        system.red.volver("inventario")
        system.advance(2)
        assert await system.recuperar() == 1
        assert await system.estado(pedido_id) == ("CANCELADO", "abandonado")
        assert await system.existencias(cafe) == (10, 0)
        for _ in range(2):
            response = await system.pedir((cafe, 2), key="k1")
            assert (response.status_code, problem(response)) == (409, "pedido-cancelado")
            assert (response.json()["pedido_id"], response.json()["motivo"]) == (pedido_id, "abandonado")

    @pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
    @pytest.mark.parametrize("status", [429, 503])
    async def test_saturado(self, system: System, status: int) -> None:
        cafe = await system.producto(10)
        system.red.answers["inventario"] = httpx2.Response(status, headers={"Retry-After": "7"})
        response = await system.pedir((cafe, 1), key="k1")
        assert no_disponible(response, "inventario") == 7
        system.red.answers.clear()
        assert await system.pedir_ok((cafe, 1), key="k1") == response.json()["pedido_id"]

    @pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
    @pytest.mark.parametrize(
        "answer",
        [
            httpx2.Response(500),
            httpx2.Response(401),
            httpx2.Response(404),
            httpx2.Response(422, json={"type": "https://comanda.dev/problemas/datos-invalidos"}),
            httpx2.Response(409, json={"type": "https://comanda.dev/problemas/otro"}),
            httpx2.Response(201, text="<html>"),
        ],
    )
    async def test_responde_otra_cosa(self, system: System, answer: httpx2.Response) -> None:
        cafe = await system.producto(10)
        pendiente = await system.pedir_ok((cafe, 1))
        system.red.answers["inventario"] = answer
        ids = set()
        for _ in range(6):
            response = await system.pedir((cafe, 1), key="k1")
            assert (response.status_code, problem(response)) == (502, "respuesta-invalida")
            assert response.json()["servicio"] == "inventario"
            ids.add(response.json()["pedido_id"])
        sends = system.red.requests["inventario"]
        if answer.status_code >= 400:
            assert (await system.completar(pendiente)).status_code == 502
            assert system.red.requests["inventario"] == sends + 1  # an answer is not tried again
        assert await system.circuito("inventario") == "CERRADO"
        system.red.answers.clear()
        assert {await system.pedir_ok((cafe, 1), key="k1")} == ids
        await system.recuperar()

    async def test_caido_con_muchos_pedidos_pendientes(self, system: System) -> None:
        """The circuit opens under recovery itself; the orders wait, and all of them end when inventario is back."""
        cafe = await system.producto(100)
        completar = [await system.pedir_ok((cafe, 1)) for _ in range(6)]
        cancelar = [await system.pedir_ok((cafe, 1)) for _ in range(6)]
        system.red.caer("inventario")
        for pedido_id in completar:
            await system.completar(pedido_id)
        for pedido_id in cancelar:
            await system.cancelar(pedido_id)
        assert await system.circuito("inventario") == "ABIERTO"
        for _ in range(4):
            await system.recuperar()
            system.advance(15)
        sent = system.red.requests["inventario"]
        await system.recuperar()  # the probe fails: it opens again
        assert system.red.requests["inventario"] <= sent + 4
        system.red.volver("inventario")
        for _ in range(4):
            system.advance(31)
            await system.recuperar()
        estados = {pedido["id"]: pedido["estado"] for pedido in await system.todos()}
        assert {estados[one] for one in completar} == {"COMPLETADO"}
        assert {estados[one] for one in cancelar} == {"CANCELADO"}
        assert await system.existencias(cafe) == (94, 0)


class TestIdentificador:
    @pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
    async def test_viaja_a_los_vecinos(self, system: System) -> None:
        cafe = await system.producto(10)
        del system.red.peticiones[:]
        headers: dict[str, Any] = system.cliente() | {"X-Request-Id": "pedido.de_ana-1"}
        body = {"lineas": [{"producto_id": cafe, "cantidad": 1}]}
        response = await system.pedidos.post("/pedidos", json=body, headers=headers)
        assert response.headers["X-Request-Id"] == "pedido.de_ana-1"
        assert [request.url.host for request in system.red.peticiones] == ["productos", "inventario"]
        assert {request.headers["X-Request-Id"] for request in system.red.peticiones} == {"pedido.de_ana-1"}

    @pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
    async def test_uno_nuevo_tambien(self, system: System) -> None:
        cafe = await system.producto(10)
        del system.red.peticiones[:]
        response = await system.pedir((cafe, 1))
        sent = {request.headers["X-Request-Id"] for request in system.red.peticiones}
        assert sent == {response.headers["X-Request-Id"]}
