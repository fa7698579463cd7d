"""Hostile input to every route of inventario."""

import json
from typing import Any
from uuid import UUID

import pytest
from inventario_examples import ID, alta, before_the_database

from comanda.testing import fields, problem

CON_CUERPO = [
    ("POST", "/inventario", alta()),
    ("POST", "/inventario/disponibilidad", {"lineas": [alta(1)]}),
    ("POST", f"/inventario/{ID}/movimientos", {"tipo": "ENTRADA", "cantidad": 5}),
    ("PUT", f"/reservas/{ID}", {"lineas": [alta(1)]}),
]


CON_ID = [
    ("GET", "/inventario/{}"),
    ("POST", "/inventario/{}/movimientos"),
    ("GET", "/inventario/{}/movimientos"),
    ("PUT", "/reservas/{}"),
    ("POST", "/reservas/{}/confirmar"),
    ("POST", "/reservas/{}/liberar"),
    ("GET", "/reservas/{}"),
]


LISTAS = ["/inventario", f"/inventario/{ID}/movimientos", "/reservas"]


def writer(tienda: Any, path: str) -> dict[str, str]:
    headers: dict[str, str] = tienda.vecino("pedidos") if path.startswith("/reservas") else {}
    return headers


def malformed(valid: dict[str, Any]) -> list[bytes]:
    """Bodies that are no JSON, or JSON that no valid value of this route looks like."""
    text = json.dumps(valid)
    number = json.dumps(valid.get("cantidad", 1))
    return [
        b"",
        b"{",
        b"\xff\xfe{}",
        b"NaN",
        b"null",
        b"5",
        b'"texto"',
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"cantidad":' + b"9" * 5000 + b"}",
        text.replace(f'"cantidad": {number}', '"cantidad": ' + "9" * 5000).encode(),
        text.replace(f'"cantidad": {number}', '"cantidad": 1e999999').encode(),
        text.replace(f'"cantidad": {number}', '"cantidad": 1.0').encode(),
        text.replace(f'"cantidad": {number}', '"cantidad": -9223372036854775809').encode(),
        text.replace(f'"cantidad": {number}', '"cantidad": Infinity').encode(),
        text.replace(f'"cantidad": {number}', f'"cantidad": {number}, "otro": 1').encode(),
        text.replace(f'"cantidad": {number}', f'"cantidad": {number}, "a\\u0000b": 1').encode(),
        text.replace(f'"cantidad": {number}', f'"cantidad": {number}, "motivo": "\\ud800"').encode(),
        text.replace(f'"cantidad": {number}', f'"cantidad": {number}, "motivo": "a\\u0000b"').encode(),
        text.replace(ID, "no-es-un-uuid").encode() if ID in text else b"{}",
        text.replace(ID, "\\u0000" * 36).encode() if ID in text else b"{}",
        text[:-1].encode(),
        text.encode() + b"x",
        text.encode("utf-16"),
    ]


@before_the_database
class TestEntradaHostil:
    @pytest.mark.parametrize(("method", "path", "valid"), CON_CUERPO)
    async def test_cuerpo(self, tienda: Any, method: str, path: str, valid: dict[str, Any]) -> None:
        headers = {"Content-Type": "application/json", **writer(tienda, path)}
        for body in malformed(valid):
            response = await tienda.http.request(method, path, content=body, headers=headers)
            assert problem(response) in ("json-invalido", "datos-invalidos"), body[:200]

    @pytest.mark.parametrize(("method", "path", "valid"), CON_CUERPO)
    async def test_tipo_de_contenido(self, tienda: Any, method: str, path: str, valid: dict[str, Any]) -> None:
        headers = {"Content-Type": "text/plain", **writer(tienda, path)}
        response = await tienda.http.request(method, path, content=json.dumps(valid), headers=headers)
        assert problem(response) == "tipo-no-admitido"

    @pytest.mark.parametrize(("method", "path", "valid"), CON_CUERPO)
    async def test_cuerpo_enorme(self, tienda: Any, method: str, path: str, valid: dict[str, Any]) -> None:
        headers = {"Content-Type": "application/json", **writer(tienda, path)}
        response = await tienda.http.request(method, path, content=b" " * 1_048_577, headers=headers)
        assert (response.status_code, problem(response)) == (413, "cuerpo-demasiado-grande")

    @pytest.mark.parametrize(("method", "path"), CON_ID)
    async def test_id(self, tienda: Any, method: str, path: str) -> None:
        cuerpo = None
        if method != "GET":
            cuerpo = {"lineas": [alta(1)]} if method == "PUT" else {"tipo": "ENTRADA", "cantidad": 1}
        for identifier in ("5", "null", "%00", "%ED%A0%80", "%ff", "x" * 5000, ID + "0", ID[:-1] + "g", "..%2f.."):
            url = path.format(identifier)
            response = await tienda.http.request(method, url, json=cuerpo, headers=writer(tienda, path))
            assert problem(response) in ("datos-invalidos", "no-encontrado"), url
            assert 400 <= response.status_code < 500

    @pytest.mark.parametrize("path", LISTAS)
    async def test_pagina(self, tienda: Any, path: str) -> None:
        if ID in path:
            await tienda.alta(producto=ID)
        for campo, valor in [
            ("limite", "0"),
            ("limite", "201"),
            ("limite", "-1"),
            ("limite", "1.5"),
            ("limite", "x"),
            ("limite", "9" * 4000),
            ("cursor", "x"),
            ("cursor", "\0"),
            ("cursor", "bnVsbA"),
            ("cursor", "WyJyZXNlcnZhcyIsNV0"),
            ("cursor", "x" * 1001),
        ]:
            response = await tienda.http.get(path, params={campo: valor})
            assert fields(response) == {campo}, valor[:50]

    async def test_cursor_de_otra_lista(self, tienda: Any) -> None:
        for _ in range(2):
            await tienda.alta()
        cursor = (await tienda.http.get("/inventario?limite=1")).json()["siguiente"]
        assert fields(await tienda.http.get("/reservas", params={"cursor": cursor})) == {"cursor"}

    @pytest.mark.parametrize(
        ("campo", "valor"),
        [
            ("ids", "x"),
            ("ids", "\0"),
            ("ids", f"{ID},{ID[:-1]}"),
            ("ids", ",".join([ID] * 201)),
            ("ids", "x" * 8001),
            ("estado", "activa"),
            ("estado", ""),
            ("estado", "\0"),
        ],
    )
    async def test_filtro_de_reservas(self, tienda: Any, campo: str, valor: str) -> None:
        assert fields(await tienda.http.get("/reservas", params={campo: valor})) == {campo}

    @pytest.mark.parametrize(
        "cuerpo",
        [
            {"lineas": []},
            {"lineas": [{"producto_id": str(UUID(int=n)), "cantidad": 1} for n in range(101)]},
            {"lineas": [alta(1), alta(2)]},
            {"lineas": [alta(1), alta(2, ID.upper())]},
            {"lineas": {"producto_id": ID, "cantidad": 1}},
            {"lineas": None},
            {"lineas": [alta(0)]},
            {"lineas": [alta(-1)]},
            {"lineas": [alta(1_000_001)]},
            {"lineas": [alta(1.0)]},
            {"lineas": [alta("1")]},
            {"lineas": [alta(1) | {"precio": 1}]},
            {"lineas": [alta(1, 5)]},
        ],
    )
    async def test_lineas(self, tienda: Any, cuerpo: dict[str, Any]) -> None:
        for method, path in (("POST", "/inventario/disponibilidad"), ("PUT", f"/reservas/{ID}")):
            response = await tienda.http.request(method, path, json=cuerpo, headers=tienda.vecino("pedidos"))
            assert all(campo.startswith("lineas") for campo in fields(response))
        assert problem(await tienda.http.get(f"/reservas/{ID}")) == "no-encontrado"

    @pytest.mark.parametrize("valor", ["1", "x", '"', '"1" x', "W/"])
    async def test_etiqueta(self, tienda: Any, valor: str) -> None:
        producto = await tienda.alta()
        assert fields(await tienda.mover(producto, "ENTRADA", 1, {"If-Match": valor})) == {"If-Match"}
        response = await tienda.http.get(f"/inventario/{producto}", headers={"If-None-Match": valor})
        assert fields(response) == {"If-None-Match"}
