"""Whatever a client sends to pedidos, it gets an answer in good form: never a 5xx, never a word of a library."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import unquote

import httpx2
import pytest
import pytest_asyncio
from contract.invariants import assert_invariants
from contract.system import StillClock, System, start

from comanda.testing import Databases, Issuer, fields, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(sqlite_databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """One system for all: what is refused before the database is asked leaves nothing that could disturb the next."""
    clock = StillClock()
    async with AsyncExitStack() as stack:
        folder = tmp_path_factory.mktemp("convenciones")
        system = await start(stack, sqlite_databases, folder, clock, clock, Issuer(clock))
        yield system
        await assert_invariants(system)


JSON = {"Content-Type": "application/json"}
UUID = "019b796d-d600-7000-8000-000000000000"
LEAK = re.compile(rb"Traceback|sqlalchemy|sqlite|asyncpg|pydantic|starlette|SELECT |File \"|line \d+", re.IGNORECASE)


def well_formed(response: httpx2.Response) -> str:
    """The slug of a refusal that is the client's to mend."""
    assert 400 <= response.status_code < 500, (response.status_code, response.text)
    assert not LEAK.search(response.content), response.text
    assert response.headers["X-Request-Id"]
    path = response.request.url.raw_path.decode().split("?")[0]
    assert unquote(response.json()["instance"]) == unquote(path)
    return problem(response)


class TestCuerpo:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{",
            b"{'lineas': []}",
            b"\xff\xfe",
            b'{"lineas": [}',
            b'{"lineas": NaN}',
            b'{"lineas": -Infinity}',
            b'{"lineas": [{"producto_id": "\\ud800", "cantidad": 1}]}',
            b'{"\\udfff": 1}',
            b'{"lineas": 1' + b"0" * 5000 + b"}",
            b"[" * 200_000,
            b'{"a":' * 100_000,
            b'{"lineas": []} x',
        ],
        ids=range(13),
    )
    async def test_lo_que_no_es_json(self, system: System, content: bytes) -> None:
        for path in ("/pedidos", f"/pedidos/{UUID}/cancelar"):
            if content or path == "/pedidos":
                response = await system.pedidos.post(path, content=content, headers=system.cliente() | JSON)
                assert (response.status_code, well_formed(response)) == (400, "json-invalido")

    @pytest.mark.parametrize(
        "content",
        [
            b"null",
            b"[]",
            b'"x"',
            b"1e400",
            b'{"lineas": 1' + b"0" * 4000 + b"}",
            b'{"lineas": [{"producto_id": "a\\u0000b", "cantidad": 1}]}',
            b'{"lineas": [{"producto_id": "' + UUID.encode() + b'", "cantidad": 1' + b"0" * 4000 + b"}]}",
            b'{"lineas": [{"producto_id": "' + UUID.encode() + b'", "cantidad": 1e2}]}',
            b'{"lineas": [{"producto_id": "' + UUID.encode() + b'", "cantidad": 1}], "total_esperado": 1e999999}',
            b'{"lineas": [{"producto_id": "' + UUID.encode() + b'", "cantidad": 1}], "total_esperado": 0.1e-999999}',
            b'{"lineas": ' + b"[" * 400 + b"]" * 400 + b"}",
            b'{"\\u0000": 1, "lineas": []}',
        ],
        ids=range(12),
    )
    async def test_lo_que_no_es_un_pedido(self, system: System, content: bytes) -> None:
        before = await system.todos()
        headers = system.cliente() | JSON | {"Idempotency-Key": "k1"}
        response = await system.pedidos.post("/pedidos", content=content, headers=headers)
        assert (response.status_code, well_formed(response)) == (422, "datos-invalidos")
        assert response.json()["errores"]
        assert await system.todos() == before

    async def test_campos_desconocidos(self, system: System) -> None:
        cafe = await system.producto(10)
        pedido_id = await system.pedir_ok((cafe, 1))
        assert fields(await system.cancelar(pedido_id, razon="x")) == {"razon"}
        assert fields(await system.pedir((cafe, 1), estado="COMPLETADO", id=UUID)) == {"estado", "id"}

    @pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""])
    async def test_de_otro_tipo(self, system: System, media_type: str) -> None:
        headers = system.cliente() | {"Content-Type": media_type}
        response = await system.pedidos.post("/pedidos", content=b'{"lineas": []}', headers=headers)
        assert (response.status_code, well_formed(response)) == (415, "tipo-no-admitido")

    async def test_con_el_tipo_escrito_de_otra_forma(self, system: System) -> None:
        cafe = await system.producto(10)
        content = f'{{"lineas": [{{"producto_id": "{cafe.upper()}", "cantidad": 1}}]}}'
        headers = system.cliente() | {"Content-Type": "Application/JSON; charset=utf-8"}
        response = await system.pedidos.post("/pedidos", content=content, headers=headers)
        assert (response.status_code, response.json()["lineas"][0]["producto_id"]) == (201, cafe)

    async def test_demasiado_grande(self, system: System) -> None:
        content = b'{"lineas": [' + b" " * 1_100_000 + b"]}"
        response = await system.pedidos.post("/pedidos", content=content, headers=system.cliente() | JSON)
        assert (response.status_code, well_formed(response)) == (413, "cuerpo-demasiado-grande")


class TestClaveDeIdempotencia:
    @pytest.mark.parametrize(
        "key", [b"", b" ", b"a b", b"a\tb", b"x" * 256, "ñ".encode(), "ñ".encode("latin-1"), b"\x7f", b"a\x01"]
    )
    async def test_imposible(self, system: System, key: bytes) -> None:
        cafe = await system.producto(10)
        headers = [(k.encode(), v.encode()) for k, v in system.cliente().items()]
        body = {"lineas": [{"producto_id": cafe, "cantidad": 1}]}
        response = await system.pedidos.post("/pedidos", json=body, headers=[*headers, (b"Idempotency-Key", key)])
        assert (response.status_code, well_formed(response)) == (422, "datos-invalidos")
        assert fields(response) == {"Idempotency-Key"}
        assert await system.existencias(cafe) == (10, 0)

    @pytest.mark.parametrize("key", ["x" * 255, "!", "~", '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "a,b;c=d"])
    async def test_posible(self, system: System, key: str) -> None:
        cafe = await system.producto(10)
        assert await system.pedir_ok((cafe, 1), key=key) == await system.pedir_ok((cafe, 1), key=key)
        assert await system.existencias(cafe) == (10, 1)


class TestRutas:
    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/pedido", 404),
            ("GET", "/pedidos/", 404),
            ("GET", f"/pedidos/{UUID}/nada", 404),
            ("GET", f"/pedidos/{UUID}", 404),
            ("GET", f"/pedidos/{UUID}/historial", 404),
            ("POST", f"/pedidos/{UUID}/completar", 404),
            ("POST", f"/pedidos/{UUID}/cancelar", 404),
            ("POST", "/pedidos/x/completar", 422),
            ("POST", "/pedidos/x/cancelar", 422),
            ("GET", "/pedidos/" + "9" * 2000, 422),
            ("GET", "/pedidos/%ED%A0%80", 422),
            ("GET", "/pedidos/..%2F..%2Fetc%2Fpasswd", 404),
            ("DELETE", f"/pedidos/{UUID}", 405),
            ("PUT", "/pedidos", 405),
            ("GET", f"/pedidos/{UUID}/completar", 405),
        ],
    )
    async def test_lo_que_no_hay(self, system: System, method: str, path: str, status: int) -> None:
        response = await system.pedidos.request(method, path, headers=system.admin)
        assert response.status_code == status, response.text
        well_formed(response)

    async def test_metodos_de_una_ruta(self, system: System) -> None:
        response = await system.pedidos.delete("/pedidos", headers=system.admin)
        assert (response.status_code, well_formed(response)) == (405, "metodo-no-permitido")
        assert set(response.headers["Allow"].split(", ")) == {"GET", "POST"}


class TestListas:
    @pytest.mark.parametrize(
        "query",
        [
            "limite=0",
            "limite=201",
            "limite=-1",
            "limite=1.5",
            "limite=" + "9" * 5000,
            "cursor=x",
            "cursor=%00",
            "cursor=" + "A" * 900,
            "cursor=W10",
            "cursor=bnVsbA",
            "cursor=WyJwZWRpZG9zIiwgIlx1ZDgwMCJd",
            "estado=pendiente",
            "desde=x",
            "hasta=2026-02-30T00:00:00Z",
            "cliente_id=%00",
            "cliente_id=" + "x" * 201,
        ],
    )
    async def test_lo_que_no_se_puede_preguntar(self, system: System, query: str) -> None:
        response = await system.pedidos.get(f"/pedidos?{query}", headers=system.admin)
        assert (response.status_code, well_formed(response)) == (422, "datos-invalidos")

    async def test_el_cursor_de_otra_lista(self, system: System) -> None:
        for _ in range(2):
            await system.producto(1)
        page = await system.productos.get("/productos?limite=1", headers=system.admin)
        cursor = page.json()["siguiente"]
        assert cursor
        response = await system.pedidos.get("/pedidos", params={"cursor": cursor}, headers=system.admin)
        assert fields(response) == {"cursor"}


class TestCabeceras:
    @pytest.mark.parametrize("name", ["If-Match", "If-None-Match"])
    @pytest.mark.parametrize("value", [b"x", b'"', b"", b'"a" b', b"W/", b"\xff", b"2"])
    async def test_un_etag_imposible(self, system: System, name: str, value: bytes) -> None:
        pedido_id = await system.pedir_ok((await system.producto(10), 1))
        headers = [(k.encode(), v.encode()) for k, v in system.admin.items()] + [(name.encode(), value)]
        method, path = ("POST", "/cancelar") if name == "If-Match" else ("GET", "")
        response = await system.pedidos.request(method, f"/pedidos/{pedido_id}{path}", headers=headers)
        assert (response.status_code, well_formed(response)) == (422, "datos-invalidos")
        assert fields(response) == {name}
        assert (await system.pedido(pedido_id))["fase"] == "RESERVADO"

    @pytest.mark.parametrize("sent", ["x" * 128, "a.B_c-9"])
    async def test_el_identificador_se_devuelve(self, system: System, sent: str) -> None:
        response = await system.pedidos.get("/pedidos", headers=system.admin | {"X-Request-Id": sent})
        assert response.headers["X-Request-Id"] == sent

    @pytest.mark.parametrize("sent", ["x" * 129, "a b", "a/b", ""])
    async def test_un_identificador_imposible_se_cambia(self, system: System, sent: str) -> None:
        response = await system.pedidos.get("/pedidos", headers=system.admin | {"X-Request-Id": sent})
        assert re.fullmatch(r"[0-9a-f-]{36}", response.headers["X-Request-Id"])

    @pytest.mark.parametrize("value", ["", "Bearer", "Bearer x", "Basic eDp4", "Bearer " + "a" * 5000, "Bearer a.b.c"])
    async def test_sin_un_token_valido(self, system: System, value: str) -> None:
        for method, path in (("GET", "/pedidos"), ("POST", f"/pedidos/{UUID}/cancelar"), ("GET", "/circuitos")):
            response = await system.pedidos.request(method, path, headers={"Authorization": value})
            assert (response.status_code, well_formed(response)) == (401, "no-autenticado")
            assert response.headers["WWW-Authenticate"].startswith("Bearer")

    async def test_el_token_de_otro_servicio_no_sirve(self, system: System) -> None:
        """pedidos trusts no calling service but the operator: its own token, meant for inventario, opens nothing."""
        cafe: Any = await system.producto(10)
        await system.pedir_ok((cafe, 1))
        token = system.red.peticiones[-1].headers["Authorization"]
        response = await system.pedidos.get("/pedidos", headers={"Authorization": token})
        assert (response.status_code, well_formed(response)) == (401, "no-autenticado")
