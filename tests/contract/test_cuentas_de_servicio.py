"""Service accounts across the system: tokens of the real auth, for programs that are nobody's user."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from contract.invariants import assert_invariants
from contract.system import StillClock, System, start

import comanda.auth.app
from comanda.auth.settings import Settings as AuthSettings
from comanda.testing import Databases, FakeClock, Issuer, problem, running

ADMIN_EMAIL, ADMIN_PASSWORD = "jefa@comanda.test", "la-clave-de-la-jefa"


class WithAuth(Issuer):
    """The issuer of the tests, whose key the services trust beside those of auth."""

    keys_of_auth: list[dict[str, Any]]

    @property
    def jwks(self) -> dict[str, Any]:
        return {"keys": [self.key.public_jwk(), *self.keys_of_auth]}


@dataclass
class Mundo:
    system: System
    auth: httpx2.AsyncClient

    async def administrador(self) -> dict[str, str]:
        form = {"grant_type": "password", "username": ADMIN_EMAIL, "password": ADMIN_PASSWORD}
        return _bearer(await self.auth.post("/auth/token", data=form))

    async def cuenta(self, *alcances: str) -> tuple[str, str]:
        """The id and the secret of a new service account."""
        body = {"nombre": "ERP", "alcances": alcances}
        created = await self.auth.post("/auth/clientes", json=body, headers=await self.administrador())
        assert created.status_code == 201, created.text
        return created.json()["id"], created.json()["client_secret"]

    async def token(self, cuenta: tuple[str, str]) -> dict[str, str]:
        form = {"grant_type": "client_credentials"}
        return _bearer(await self.auth.post("/auth/token", data=form, auth=cuenta))


def _bearer(response: httpx2.Response) -> dict[str, str]:
    assert response.status_code == 200, response.text
    return {"Authorization": f"Bearer {response.json()['access_token']}"}


@pytest.fixture
async def mundo(databases: Databases, clock: FakeClock, tmp_path: Path) -> AsyncIterator[Mundo]:
    settings = AuthSettings(
        database_url=await databases.new("comanda.auth"),
        master_key="una-clave-maestra-de-mas-de-32-letras",  # type: ignore[arg-type]
        admin_email=ADMIN_EMAIL,
        admin_password=ADMIN_PASSWORD,  # type: ignore[arg-type]
        argon2_time_cost=1,
        argon2_memory_kib=8,
        log_level="error",
    )
    async with AsyncExitStack() as stack:
        auth = await stack.enter_async_context(running(comanda.auth.app.create_app(settings, clock=clock)))
        assert isinstance(clock, StillClock)
        await clock.dormidos.acquire()  # the sweep of auth
        issuer = WithAuth(clock)
        issuer.keys_of_auth = (await auth.get("/.well-known/jwks.json")).json()["keys"]
        system = await start(stack, databases, tmp_path, clock, clock, issuer)
        yield Mundo(system, auth)
        await assert_invariants(system)


class TestInventario:
    async def test_un_erp_apunta_existencias(self, mundo: Mundo) -> None:
        producto_id = await mundo.system.producto(stock=10)
        headers = await mundo.token(await mundo.cuenta("inventario:leer", "inventario:escribir"))
        path, body = f"/inventario/{producto_id}/movimientos", {"tipo": "ENTRADA", "cantidad": 5}
        keyed = headers | {"Idempotency-Key": "albaran-1"}
        first = await mundo.system.inventario.post(path, json=body, headers=keyed)
        again = await mundo.system.inventario.post(path, json=body, headers=keyed)
        assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
        assert again.headers["idempotent-replayed"] == "true"
        assert await mundo.system.existencias(producto_id) == (15, 0)

    async def test_la_clave_de_otra_cuenta_es_otra(self, mundo: Mundo) -> None:
        producto_id = await mundo.system.producto(stock=10)
        path, body = f"/inventario/{producto_id}/movimientos", {"tipo": "ENTRADA", "cantidad": 5}
        for _ in range(2):
            headers = await mundo.token(await mundo.cuenta("inventario:escribir"))
            answer = await mundo.system.inventario.post(path, json=body, headers=headers | {"Idempotency-Key": "1"})
            assert "idempotent-replayed" not in answer.headers
        assert await mundo.system.existencias(producto_id) == (20, 0)

    async def test_solo_lo_que_se_le_dio(self, mundo: Mundo) -> None:
        producto_id = await mundo.system.producto(stock=10)
        headers = await mundo.token(await mundo.cuenta("inventario:leer"))
        refused = [
            await mundo.system.inventario.post(
                f"/inventario/{producto_id}/movimientos", json={"tipo": "ENTRADA", "cantidad": 5}, headers=headers
            ),
            await mundo.system.productos.post("/productos", json={}, headers=headers),
            await mundo.system.pedidos.post("/pedidos", json={}, headers=headers),
        ]
        assert [(answer.status_code, problem(answer)) for answer in refused] == [(403, "no-autorizado")] * 3
        assert (await mundo.system.inventario.get(f"/inventario/{producto_id}", headers=headers)).status_code == 200

    async def test_revocada_su_token_dura_lo_que_le_queda(self, mundo: Mundo) -> None:
        cuenta = await mundo.cuenta("inventario:leer")
        headers = await mundo.token(cuenta)
        revoked = await mundo.auth.delete(f"/auth/clientes/{cuenta[0]}", headers=await mundo.administrador())
        assert revoked.status_code == 204
        assert (await mundo.system.inventario.get("/inventario", headers=headers)).status_code == 200
        mundo.system.advance(900 + 30)
        assert (await mundo.system.inventario.get("/inventario", headers=headers)).status_code == 401


class TestProductos:
    async def test_un_pim_escribe_el_catalogo(self, mundo: Mundo) -> None:
        headers = await mundo.token(await mundo.cuenta("productos:leer", "productos:escribir"))
        body = {"sku": "PIM-1", "nombre": "Té", "precio": "2.50"}
        created = await mundo.system.productos.post("/productos", json=body, headers=headers)
        assert created.status_code == 201, created.text
        listed = await mundo.system.productos.get("/productos", headers=headers)
        assert [producto["sku"] for producto in listed.json()["elementos"]] == ["PIM-1"]


class TestPedidos:
    async def test_pide_en_su_nombre_y_ve_lo_suyo(self, mundo: Mundo) -> None:
        producto_id = await mundo.system.producto(stock=10)
        ajeno = await mundo.system.pedir_ok((producto_id, 1))
        cuenta = await mundo.cuenta("pedidos:crear", "pedidos:propios")
        headers = await mundo.token(cuenta)
        body = {"lineas": [{"producto_id": producto_id, "cantidad": 2}]}
        created = await mundo.system.pedidos.post("/pedidos", json=body, headers=headers)
        assert (created.status_code, created.json()["cliente_id"]) == (201, cuenta[0])
        listed = (await mundo.system.pedidos.get("/pedidos", headers=headers)).json()["elementos"]
        assert [pedido["id"] for pedido in listed] == [created.json()["id"]]
        assert (await mundo.system.pedidos.get(f"/pedidos/{ajeno}", headers=headers)).status_code == 404
        cancelled = await mundo.system.pedidos.post(f"/pedidos/{created.json()['id']}/cancelar", headers=headers)
        assert cancelled.json()["estado"] == "CANCELADO"
        completed = await mundo.system.pedidos.post(f"/pedidos/{ajeno}/completar", headers=headers)
        assert completed.status_code == 403
