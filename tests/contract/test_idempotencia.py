"""Idempotency of `POST /pedidos`: one key, one order, one answer — whatever happens between two tries."""

import asyncio
from typing import Any

import httpx2
import pytest
from contract.system import LEASE_SECONDS, System

from comanda.testing import problem

DAY = 24 * 3600


def same(first: httpx2.Response, again: httpx2.Response) -> None:
    """The second is the first one replayed, as it was given."""
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (again.status_code, again.content) == (first.status_code, first.content)
    for header in ("ETag", "Location", "Content-Type"):
        assert again.headers.get(header) == first.headers.get(header)


class TestRepetir:
    async def test_aunque_el_pedido_haya_seguido(self, system: System) -> None:
        cafe = await system.producto(10)
        first = await system.pedir((cafe, 4), key="k1")
        await system.completar(first.json()["id"])
        same(first, await system.pedir((cafe, 4), key="k1"))
        assert await system.existencias(cafe) == (6, 0)

    async def test_tras_un_reinicio(self, system: System) -> None:
        cafe = await system.producto(10)
        placed, refused = await system.pedir((cafe, 4), key="k1"), await system.pedir((cafe, 40), key="k2")
        await system.reiniciar_pedidos()
        same(placed, await system.pedir((cafe, 4), key="k1"))
        same(refused, await system.pedir((cafe, 40), key="k2"))

    async def test_con_todo_caido(self, system: System) -> None:
        cafe = await system.producto(10)
        first = await system.pedir((cafe, 4), key="k1")
        system.red.caer("productos", "inventario")
        same(first, await system.pedir((cafe, 4), key="k1"))
        system.red.volver("productos", "inventario")

    async def test_sin_clave_son_dos_pedidos(self, system: System) -> None:
        cafe = await system.producto(10)
        assert await system.pedir_ok((cafe, 1)) != await system.pedir_ok((cafe, 1))

    async def test_durante_un_dia(self, system: System) -> None:
        cafe = await system.producto(10)
        first = await system.pedir((cafe, 1), key="k1")
        system.advance(DAY)
        await self.barrer_claves(system)
        same(first, await system.pedir((cafe, 1), key="k1"))
        system.advance(DAY + 1)
        await self.barrer_claves(system)
        await system.barrer()
        again = await system.pedir((cafe, 1), key="k1")
        assert again.status_code == 201
        assert again.json()["id"] != first.json()["id"]

    async def barrer_claves(self, system: System) -> None:
        wiring = system.apps["pedidos"].state.wiring
        async with wiring.database.transaction() as connection:
            await wiring.loops[1].__self__.sweep(connection)


class TestAlcance:
    async def test_otro_cuerpo(self, system: System) -> None:
        cafe = await system.producto(10)
        await system.pedir((cafe, 1), key="k1")
        for response in (
            await system.pedir((cafe, 2), key="k1"),
            await system.pedir((cafe, 1), key="k1", total_esperado="2.50"),
        ):
            assert (response.status_code, problem(response)) == (422, "clave-idempotencia-reutilizada")
        assert len(await system.todos()) == 1

    async def test_otro_cliente(self, system: System) -> None:
        cafe = await system.producto(10)
        ana = await system.pedir((cafe, 1), key="k1", cliente="ana")
        luis = await system.pedir((cafe, 2), key="k1", cliente="luis")
        assert (ana.status_code, luis.status_code) == (201, 201)
        assert ana.json()["id"] != luis.json()["id"]

    async def test_el_mismo_cuerpo_escrito_de_otra_forma(self, system: System) -> None:
        cafe = await system.producto(10, "2.50")
        forms = [
            f'{{"lineas": [{{"producto_id": "{cafe}", "cantidad": 2}}], "total_esperado": 5}}',
            f'{{"total_esperado":5.00,"lineas":[{{"cantidad":2,"producto_id":"{cafe}"}}]}}',
            f'\n{{"total_esperado": 0.5e1, "lineas": [{{"cantidad": 2, "producto_id": "{cafe}"}}]}}\n',
            f'{{"total_\\u0065sperado": 5.0, "lineas": [{{"cantidad": 2, "producto_id": "{cafe}"}}]}}',
        ]
        headers = system.cliente() | {"Idempotency-Key": "k1", "Content-Type": "application/json"}
        first, *others = [await system.pedidos.post("/pedidos", content=form, headers=headers) for form in forms]
        assert first.status_code == 201
        for other in others:
            same(first, other)


class TestALaVez:
    async def test_un_solo_pedido(self, system: System) -> None:
        cafe = await system.producto(10)
        responses = await asyncio.gather(*(system.pedir((cafe, 1), key="k1") for _ in range(8)))
        placed = [response for response in responses if response.status_code == 201]
        assert len({response.content for response in placed}) == 1
        assert sum("Idempotent-Replayed" not in response.headers for response in placed) == 1
        for response in responses:
            if response.status_code != 201:
                assert (response.status_code, problem(response)) == (409, "peticion-en-curso")
                assert 1 <= int(response.headers["Retry-After"]) <= LEASE_SECONDS
        assert await system.existencias(cafe) == (10, 1)

    async def test_en_dos_replicas(self, system: System) -> None:
        cafe = await system.producto(10)
        replica = await system.replica()
        responses = await asyncio.gather(*(one.pedir((cafe, 1), key="k1") for one in (system, replica) * 3))
        assert {response.status_code for response in responses} <= {201, 409}
        assert len({response.json()["id"] for response in responses if response.status_code == 201}) == 1
        assert await system.existencias(cafe) == (10, 1)

    async def test_muchos_clientes_con_la_misma_clave(self, system: System) -> None:
        cafe = await system.producto(10)
        responses = await asyncio.gather(*(system.pedir((cafe, 1), key="k1", cliente=f"c{n}") for n in range(6)))
        assert len({response.json()["id"] for response in responses}) == 6


class TestEnCurso:
    async def en_curso(self, system: System, cafe: str, *, antes: bool) -> tuple[Any, Any]:
        pausa = system.red.pausar("inventario", "PUT", antes=antes)
        request = asyncio.create_task(system.pedir((cafe, 1), key="k1"))
        await pausa.llegada.wait()
        return request, pausa

    async def test_mientras_dura(self, system: System) -> None:
        cafe = await system.producto(10)
        request, pausa = await self.en_curso(system, cafe, antes=True)
        response = await system.pedir((cafe, 1), key="k1")
        assert (response.status_code, problem(response)) == (409, "peticion-en-curso")
        assert int(response.headers["Retry-After"]) == 1
        assert problem(await system.pedir((cafe, 2), key="k1")) == "clave-idempotencia-reutilizada"
        pausa.seguir.set()
        same(await request, await system.pedir((cafe, 1), key="k1"))

    @pytest.mark.parametrize("antes", [True, False])
    async def test_una_peticion_cancelada_la_suelta(self, system: System, antes: bool) -> None:
        cafe = await system.producto(10)
        request, _ = await self.en_curso(system, cafe, antes=antes)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        response = await system.pedir((cafe, 1), key="k1")
        assert response.status_code == 201
        assert [pedido["id"] for pedido in await system.todos()] == [response.json()["id"]]
        assert await system.existencias(cafe) == (10, 1)

    @pytest.mark.parametrize("antes", [True, False])
    async def test_una_caida_la_suelta_cuando_acaba_el_arriendo(self, system: System, antes: bool) -> None:
        """The process dies in the middle and another one starts on its database."""
        cafe = await system.producto(10)
        request, pausa = await self.en_curso(system, cafe, antes=antes)
        await system.reiniciar_pedidos()
        system.advance(LEASE_SECONDS - 0.001)
        assert problem(await system.pedir((cafe, 1), key="k1")) == "peticion-en-curso"
        system.advance(0.001)
        resumed = await system.pedir((cafe, 1), key="k1")
        assert resumed.status_code == 201
        assert await system.existencias(cafe) == (10, 1)
        # Had it only slept: its own answer is the one that was given, or none at all.
        pausa.seguir.set()
        late = await request
        assert late.status_code == (502 if antes else 201)
        same(resumed, await system.pedir((cafe, 1), key="k1"))
        assert await system.existencias(cafe) == (10, 1)


class TestSoltar:
    async def test_tras_un_503_o_un_502(self, system: System) -> None:
        cafe = await system.producto(10)
        ids = set()
        system.red.caer("inventario")
        ids.add((await system.pedir((cafe, 1), key="k1")).json()["pedido_id"])
        system.red.volver("inventario")
        for status in (500, 503, 429, 401):
            system.red.answers["inventario"] = httpx2.Response(status)
            ids.add((await system.pedir((cafe, 1), key="k1")).json()["pedido_id"])
            assert problem(await system.pedir((cafe, 2), key="k1")) == "clave-idempotencia-reutilizada"
        system.red.answers.clear()
        ids.add(await system.pedir_ok((cafe, 1), key="k1"))
        assert len(ids) == len(await system.todos()) == 1
        assert await system.existencias(cafe) == (10, 1)

    async def test_lo_que_no_deja_nada_no_ata_la_clave(self, system: System) -> None:
        cafe = await system.producto(10)
        system.red.caer("productos")
        assert (await system.pedir((cafe, 1), key="k1")).status_code == 503
        system.red.volver("productos")
        assert (await system.pedir((cafe, 1), key="k1", total_esperado="1.00")).status_code == 409
        assert (await system.pedir((cafe, 0), key="k1")).status_code == 422
        await system.pedir_ok((cafe, 2), key="k1")
