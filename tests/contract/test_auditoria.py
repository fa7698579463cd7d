"""Every administrator's write leaves a line in its service's audit log, in the transaction of the effect."""

from typing import Any

import httpx2
import pytest
from contract.conftest import Arrancar
from contract.system import System

from comanda.common.audit import Audit
from comanda.testing import problem


async def apuntes(system: System, service: str, **params: str) -> list[dict[str, Any]]:
    """What the log says, the earliest first."""
    response = await system.clients[service].get(f"/{service}/auditoria", headers=system.auditor, params=params)
    assert response.status_code == 200, response.text
    return list(reversed(response.json()["elementos"]))


def sucesos(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(line["suceso"], line["objeto"]) for line in found]


class TestSucesos:
    async def test_catalogo(self, system: System) -> None:
        uno = await system.producto(stock=None)
        path, headers = f"/productos/{uno}", system.admin | {"X-Request-Id": "una-peticion"}
        for _ in range(2):
            system.advance(1)
            assert (await system.productos.patch(path, json={"precio": "3.00"}, headers=headers)).status_code == 200
        system.advance(1)
        assert (await system.productos.delete(path, headers=headers)).status_code == 204
        lines = await apuntes(system, "productos")
        assert sucesos(lines) == [
            ("producto_creado", uno),
            ("producto_modificado", uno),  # the second one changed nothing
            ("producto_modificado", uno),
        ]
        changes = [line["detalle"]["cambios"] for line in lines[1:]]
        assert changes == [{"precio_centimos": 300}, {"activo": False}]
        assert {key: lines[1][key] for key in ("emisor", "autor", "origen", "peticion", "en")} == {
            "emisor": "http://127.0.0.1:8000",
            "autor": "admin-1",
            "origen": "127.0.0.1",
            "peticion": "una-peticion",
            "en": "2026-01-01T12:00:01Z",
        }

    async def test_existencias(self, system: System) -> None:
        uno = await system.producto(stock=5)
        path, body = f"/inventario/{uno}/movimientos", {"tipo": "ENTRADA", "cantidad": 2}
        headers = system.auditor | {"Idempotency-Key": "una"}
        system.advance(1)
        for _ in range(2):
            assert (await system.inventario.post(path, json=body, headers=headers)).status_code == 201
        refused = await system.inventario.post(
            path, json=body | {"tipo": "SALIDA", "cantidad": 9}, headers=system.auditor
        )
        assert refused.status_code == 409
        lines = await apuntes(system, "inventario")
        assert sucesos(lines) == [("inventario_creado", uno), ("existencias_movidas", uno)]
        assert lines[1]["detalle"]["tipo"] == "ENTRADA"

    async def test_pedidos(self, system: System) -> None:
        producto = await system.producto()
        uno, dos = await system.pedir_ok((producto, 1)), await system.pedir_ok((producto, 1))
        for _ in range(2):
            assert (await system.completar(uno)).status_code == 200
        system.advance(1)
        assert (await system.cancelar(dos)).status_code == 200
        assert (await system.cancelar(uno)).status_code == 409
        lines = await apuntes(system, "pedidos")
        assert [(*pair, line["autor"]) for pair, line in zip(sucesos(lines), lines, strict=True)] == [
            ("pedido_completando", uno, "admin-1"),
            ("pedido_cancelando", dos, "cliente-1"),
        ]

    async def test_lo_que_hace_el_sistema_solo_no_tiene_autor_y_no_se_apunta(self, arrancar: Arrancar) -> None:
        system = await arrancar()
        producto = await system.producto()
        await system.pedir_ok((producto, 1))
        system.advance(2000)
        await system.barrer()
        await system.recuperar()
        assert await apuntes(system, "pedidos") == []


class TestLeer:
    async def test_filtros_y_paginas(self, system: System) -> None:
        productos = [await system.producto(stock=None) for _ in range(3)]
        assert sucesos(await apuntes(system, "productos", objeto=productos[1])) == [("producto_creado", productos[1])]
        assert len(await apuntes(system, "productos", autor="admin-1")) == 3
        assert await apuntes(system, "productos", autor="nadie") == []
        first = await system.productos.get("/productos/auditoria?limite=2", headers=system.admin)
        assert len(first.json()["elementos"]) == 2
        rest = await apuntes(system, "productos", cursor=first.json()["siguiente"], limite="2")
        assert len(rest) == 1
        assert 'rel="next"' in first.headers["link"]

    @pytest.mark.parametrize("service", ["productos", "inventario", "pedidos"])
    async def test_solo_administradores(self, system: System, service: str) -> None:
        async def ask(headers: dict[str, str]) -> httpx2.Response:
            return await system.clients[service].get(f"/{service}/auditoria", headers=headers)

        assert problem(await ask({})) == "no-autenticado"
        assert problem(await ask(system.cliente())) == "no-autorizado"
        assert (await ask(system.admin)).status_code == 200

    async def test_un_filtro_que_no_puede_ser(self, system: System) -> None:
        response = await system.productos.get("/productos/auditoria?autor=%00", headers=system.admin)
        assert (response.status_code, problem(response)) == (422, "datos-invalidos")


async def test_sin_efecto_no_hay_apunte(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the log tells has happened: both are in one transaction."""

    async def fails(*_: Any) -> None:
        raise RuntimeError("no se puede apuntar")

    producto = await system.producto(stock=None)
    monkeypatch.setattr(Audit, "record", fails)
    response = await system.productos.delete(f"/productos/{producto}", headers=system.admin)
    assert response.status_code == 500
    monkeypatch.undo()
    still = await system.productos.get(f"/productos/{producto}", headers=system.admin)
    assert still.json()["activo"] is True
    assert sucesos(await apuntes(system, "productos")) == [("producto_creado", producto)]
