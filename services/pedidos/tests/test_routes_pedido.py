"""The interface of pedidos: listing, reading, completing and cancelling orders."""

from typing import Any

import httpx2
import pytest
from pedidos_requests import before_the_database, pedir

from comanda.testing import FakeClock, Issuer, fields, problem


class TestListar:
    async def test_solo_los_propios(
        self, client: httpx2.AsyncClient, vecinos: Any, admin: dict[str, str], luis: dict[str, str]
    ) -> None:
        de_ana, de_luis = await pedir(client, vecinos), await pedir(client, vecinos, headers=luis)
        assert (await client.get("/pedidos")).json() == {"elementos": [de_ana], "siguiente": None}
        assert (await client.get("/pedidos?cliente_id=luis")).json()["elementos"] == []
        assert (await client.get("/pedidos?cliente_id=ana")).json()["elementos"] == [de_ana]
        todos = (await client.get("/pedidos", headers=admin)).json()["elementos"]
        assert {pedido["id"] for pedido in todos} == {de_ana["id"], de_luis["id"]}
        assert (await client.get("/pedidos?cliente_id=luis", headers=admin)).json()["elementos"] == [de_luis]

    async def test_por_paginas_el_mas_nuevo_primero(
        self, client: httpx2.AsyncClient, vecinos: Any, clock: FakeClock
    ) -> None:
        ids = []
        for _ in range(5):
            ids.append((await pedir(client, vecinos))["id"])
            clock.advance(1)
        seen: list[str] = []
        url = "/pedidos?limite=2&estado=PENDIENTE"
        while url:
            page = await client.get(url)
            assert len(page.json()["elementos"]) <= 2
            seen += [pedido["id"] for pedido in page.json()["elementos"]]
            url = page.links.get("next", {}).get("url", "")
            assert bool(url) == (page.json()["siguiente"] is not None)
        assert seen == ids[::-1]

    async def test_por_estado_y_fecha(self, client: httpx2.AsyncClient, vecinos: Any, clock: FakeClock) -> None:
        viejo = await pedir(client, vecinos)
        clock.advance(60)
        nuevo = await pedir(client, vecinos)
        await client.post(f"/pedidos/{viejo['id']}/cancelar")

        async def ids(**params: str) -> list[str]:
            response = await client.get("/pedidos", params=params)
            assert response.status_code == 200, response.text
            return [pedido["id"] for pedido in response.json()["elementos"]]

        assert await ids(estado="CANCELADO") == [viejo["id"]]
        assert await ids(estado="PENDIENTE") == [nuevo["id"]]
        assert await ids(estado="COMPLETADO") == []
        assert await ids(desde="2026-01-01T12:01:00Z") == [nuevo["id"]]
        assert await ids(desde="2026-01-01T13:01:00+01:00") == [nuevo["id"]]
        assert await ids(hasta="2026-01-01T12:01:00Z") == [viejo["id"]]
        assert await ids(desde="2026-01-01T12:00:00Z", hasta="2026-01-01T12:00:00Z") == []
        assert await ids(desde="0001-01-01T00:00:00+14:00", hasta="9999-12-31T23:59:59-14:00") == [
            nuevo["id"],
            viejo["id"],
        ]

    @before_the_database
    @pytest.mark.parametrize(
        ("query", "campo"),
        [
            ("limite=0", "limite"),
            ("limite=201", "limite"),
            ("limite=x", "limite"),
            ("limite=" + "9" * 5000, "limite"),
            ("estado=RESERVADO", "estado"),
            ("estado=", "estado"),
            ("desde=ayer", "desde"),
            ("desde=2026-01-01T12:00:00", "desde"),
            ("hasta=2026-13-01T12:00:00Z", "hasta"),
            ("hasta=" + "9" * 400, "hasta"),
            ("cliente_id=a%00b", "cliente_id"),
            ("cliente_id=" + "x" * 201, "cliente_id"),
            ("cursor=x", "cursor"),
            ("cursor=%00", "cursor"),
            ("cursor=W10", "cursor"),
            ("cursor=WyJwZWRpZG9zIiw1XQ", "cursor"),
            ("cursor=WyJvdHJhIiwiMSJd", "cursor"),
            ("cursor=" + "A" * 1001, "cursor"),
        ],
    )
    async def test_lo_que_no_se_puede_preguntar(self, client: httpx2.AsyncClient, query: str, campo: str) -> None:
        assert fields(await client.get(f"/pedidos?{query}")) == {campo}


class TestConsultar:
    async def test_lo_ajeno_no_existe(
        self, client: httpx2.AsyncClient, vecinos: Any, admin: dict[str, str], luis: dict[str, str]
    ) -> None:
        pedido = await pedir(client, vecinos)
        for path in (f"/pedidos/{pedido['id']}", f"/pedidos/{pedido['id']}/historial"):
            response = await client.get(path, headers=luis)
            assert (response.status_code, problem(response)) == (404, "no-encontrado")
            assert (await client.get(path, headers=admin)).status_code == 200
        response = await client.post(f"/pedidos/{pedido['id']}/cancelar", headers=luis)
        assert (response.status_code, problem(response)) == (404, "no-encontrado")

    async def test_sin_cambios(self, client: httpx2.AsyncClient, vecinos: Any) -> None:
        path = f"/pedidos/{(await pedir(client, vecinos))['id']}"
        tag = (await client.get(path)).headers["ETag"]
        for header in (tag, f"W/{tag}", f'"x", {tag}', "*"):
            response = await client.get(path, headers={"If-None-Match": header})
            assert (response.status_code, response.content, response.headers["ETag"]) == (304, b"", tag)
        await client.post(f"{path}/cancelar")
        response = await client.get(path, headers={"If-None-Match": tag})
        assert response.status_code == 200
        assert response.headers["ETag"] != tag

    @before_the_database
    @pytest.mark.parametrize("pedido_id", ["x", "123", "019b796d-d600-7000-8000-00000000000g", "%00", "%F0%9F%98%80"])
    async def test_un_id_imposible(self, client: httpx2.AsyncClient, pedido_id: str) -> None:
        for path in (f"/pedidos/{pedido_id}", f"/pedidos/{pedido_id}/historial"):
            assert fields(await client.get(path)) == {"pedido_id"}

    @before_the_database
    async def test_un_etag_imposible(self, client: httpx2.AsyncClient, vecinos: Any) -> None:
        path = f"/pedidos/{(await pedir(client, vecinos))['id']}"
        assert fields(await client.get(path, headers={"If-None-Match": "2"})) == {"If-None-Match"}


class TestHistorial:
    async def test_lo_que_ha_pasado(
        self, client: httpx2.AsyncClient, vecinos: Any, clock: FakeClock, admin: dict[str, str]
    ) -> None:
        pedido = await pedir(client, vecinos)
        clock.advance(60)
        await client.post(f"/pedidos/{pedido['id']}/completar", headers=admin)
        response = await client.get(f"/pedidos/{pedido['id']}/historial")
        antes, despues = "2026-01-01T12:00:00Z", "2026-01-01T12:01:00Z"
        assert response.json() == [
            {"en": antes, "de": None, "a": "SOLICITADO", "causa": "pedido recibido"},
            {"en": antes, "de": "SOLICITADO", "a": "RESERVADO", "causa": "existencias reservadas"},
            {"en": despues, "de": "RESERVADO", "a": "COMPLETANDO", "causa": "completar"},
            {"en": despues, "de": "COMPLETANDO", "a": "COMPLETADO", "causa": "reserva confirmada"},
        ]


class TestCompletar:
    async def test_completado(self, client: httpx2.AsyncClient, vecinos: Any, admin: dict[str, str]) -> None:
        pedido = await pedir(client, vecinos)
        for _ in range(2):
            response = await client.post(f"/pedidos/{pedido['id']}/completar", headers=admin)
            assert response.status_code == 200
            assert response.json() == pedido | {"estado": "COMPLETADO", "fase": "COMPLETADO"}
            assert response.headers["ETag"] == '"4"'

    async def test_transicion_invalida(self, client: httpx2.AsyncClient, vecinos: Any, admin: dict[str, str]) -> None:
        path = f"/pedidos/{(await pedir(client, vecinos))['id']}"
        await client.post(f"{path}/cancelar")
        response = await client.post(f"{path}/completar", headers=admin)
        assert (response.status_code, problem(response)) == (409, "transicion-invalida")
        assert response.json()["estado"] == "CANCELADO"
        assert response.json()["instance"] == f"{path}/completar"


class TestCancelar:
    @pytest.mark.parametrize(
        ("body", "motivo"),
        [(None, "cancelado"), ({}, "cancelado"), ({"motivo": None}, "cancelado"), ({"motivo": "tarde 🐌"}, "tarde 🐌")],
    )
    async def test_motivo(self, client: httpx2.AsyncClient, vecinos: Any, body: Any, motivo: str) -> None:
        pedido = await pedir(client, vecinos)
        response = await client.post(f"/pedidos/{pedido['id']}/cancelar", json=body)
        assert response.status_code == 200
        assert response.json() == pedido | {"estado": "CANCELADO", "fase": "CANCELADO", "motivo": motivo}
        assert response.headers["ETag"] == '"4"'

    async def test_por_el_administrador(
        self, client: httpx2.AsyncClient, vecinos: Any, issuer: Issuer, admin: dict[str, str]
    ) -> None:
        pedido = await pedir(client, vecinos)
        lector = issuer.headers("pedidos:leer", subject="contable")
        assert (await client.post(f"/pedidos/{pedido['id']}/cancelar", headers=lector)).status_code == 403
        assert (await client.post(f"/pedidos/{pedido['id']}/cancelar", headers=admin)).json()["estado"] == "CANCELADO"

    @before_the_database
    @pytest.mark.parametrize("motivo", ["", "x" * 501, "a\0b", "a\nb", "a\x7f", 5, []])
    async def test_motivo_imposible(self, client: httpx2.AsyncClient, vecinos: Any, motivo: Any) -> None:
        pedido = await pedir(client, vecinos)
        response = await client.post(f"/pedidos/{pedido['id']}/cancelar", json={"motivo": motivo})
        assert fields(response) == {"motivo"}
        assert (await client.get(f"/pedidos/{pedido['id']}")).json() == pedido


class TestIfMatch:
    @pytest.mark.parametrize("operacion", ["completar", "cancelar"])
    async def test_version_obsoleta(
        self, client: httpx2.AsyncClient, vecinos: Any, admin: dict[str, str], operacion: str
    ) -> None:
        path = f"/pedidos/{(await pedir(client, vecinos))['id']}"
        for tags in ('"1"', '"1", "7"', 'W/"2"'):
            response = await client.post(f"{path}/{operacion}", headers=admin | {"If-Match": tags})
            assert (response.status_code, problem(response)) == (412, "version-obsoleta")
            assert response.headers["ETag"] == '"2"'
        assert (await client.get(path)).json()["fase"] == "RESERVADO"
        response = await client.post(f"{path}/{operacion}", headers=admin | {"If-Match": '"1", "2"'})
        assert response.status_code == 200

    @pytest.mark.parametrize("operacion", ["completar", "cancelar"])
    async def test_cualquiera(
        self, client: httpx2.AsyncClient, vecinos: Any, admin: dict[str, str], operacion: str
    ) -> None:
        path = f"/pedidos/{(await pedir(client, vecinos))['id']}"
        assert (await client.post(f"{path}/{operacion}", headers=admin | {"If-Match": "*"})).status_code == 200

    @before_the_database
    @pytest.mark.parametrize("tags", ["2", "", "'2'", '"2', "nada"])
    async def test_lo_que_no_es_un_etag(
        self, client: httpx2.AsyncClient, vecinos: Any, admin: dict[str, str], tags: str
    ) -> None:
        path = f"/pedidos/{(await pedir(client, vecinos))['id']}"
        response = await client.post(f"{path}/completar", headers=admin | {"If-Match": tags})
        assert fields(response) == {"If-Match"}
