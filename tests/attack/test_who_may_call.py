"""Every route of every service, called by everybody. The tables below say who may; what they leave out may not."""

import re
from typing import Any

import pytest
from attack.target import CALLERS, SERVICES, Target

from comanda.testing import problem

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNKNOWN = "019b796d-d600-7000-8000-000000000000"
ALL = set(CALLERS)
NOBODY: set[str] = set()
"""By a token: the cookie of a session decides."""
PEOPLE = {"cliente", "admin"}
USERS = {*PEOPLE, "cuenta"}
ADMINS = {"admin", "cuenta"}
RULES: dict[str, dict[str, set[str]]] = {
    "auth": {
        "POST /auth/usuarios": ALL,
        "GET /auth/usuarios": {"admin"},
        "GET /auth/usuarios/{usuario_id}": {"admin"},
        "PATCH /auth/usuarios/{usuario_id}": {"admin"},
        "GET /auth/yo": PEOPLE,
        "PATCH /auth/yo": PEOPLE,
        "POST /auth/yo/password": PEOPLE,
        "GET /auth/yo/sesiones": PEOPLE,
        "DELETE /auth/yo/sesiones": PEOPLE,
        "DELETE /auth/yo/sesiones/{sesion_id}": PEOPLE,
        "POST /auth/yo/sesiones/terminar": PEOPLE,
        "GET /auth/terminadas": {"pedidos", "inventario"},
        "POST /auth/password/olvidada": ALL,
        "POST /auth/password/restablecer": ALL,
        "POST /auth/email/verificar": ALL,
        "POST /auth/yo/email/verificacion": PEOPLE,
        "GET /auth/yo/datos": PEOPLE,
        "POST /auth/yo/borrar": PEOPLE,
        "GET /auth/yo/totp": PEOPLE,
        "POST /auth/yo/totp": PEOPLE,
        "POST /auth/yo/totp/confirmar": PEOPLE,
        "POST /auth/yo/totp/codigos": PEOPLE,
        "POST /auth/yo/totp/desactivar": PEOPLE,
        "DELETE /auth/usuarios/{usuario_id}/totp": {"admin"},
        "GET /auth/yo/passkeys": PEOPLE,
        "POST /auth/yo/passkeys": PEOPLE,
        "POST /auth/yo/passkeys/opciones": PEOPLE,
        "DELETE /auth/yo/passkeys/{passkey_id}": PEOPLE,
        "GET /auth/clientes": {"admin"},
        "POST /auth/clientes": {"admin"},
        "GET /auth/clientes/{cliente_id}": {"admin"},
        "PATCH /auth/clientes/{cliente_id}": {"admin"},
        "DELETE /auth/clientes/{cliente_id}": {"admin"},
        "POST /auth/clientes/{cliente_id}/secreto": {"admin"},
        "GET /auth/auditoria": ADMINS,
        "POST /auth/sesion": ALL,
        "DELETE /auth/sesion": ALL,
        "POST /auth/sesion/renovar": NOBODY,
        "POST /auth/sesion/passkey": ALL,
        "POST /auth/sesion/passkey/opciones": ALL,
        "POST /auth/token": ALL,
        "POST /auth/revocar": ALL,
        "GET /.well-known/jwks.json": ALL,
        "GET /.well-known/oauth-authorization-server": ALL,
    },
    "productos": {
        "GET /productos/auditoria": ADMINS,
        "GET /productos": {*USERS, "pedidos", "inventario", "operador"},
        "GET /productos/{producto_id}": {*USERS, "pedidos", "inventario", "operador"},
        "POST /productos": ADMINS,
        "PATCH /productos/{producto_id}": ADMINS,
        "DELETE /productos/{producto_id}": ADMINS,
    },
    "inventario": {
        "GET /inventario/auditoria": ADMINS,
        "GET /inventario": {*USERS, "pedidos", "operador"},
        "GET /inventario/{producto_id}": {*USERS, "pedidos", "operador"},
        "POST /inventario/disponibilidad": {*USERS, "pedidos", "operador"},
        "POST /inventario": ADMINS,
        "POST /inventario/{producto_id}/movimientos": ADMINS,
        "GET /inventario/{producto_id}/movimientos": {*ADMINS, "operador"},
        "PUT /reservas/{pedido_id}": {"pedidos"},
        "POST /reservas/{pedido_id}/confirmar": {"pedidos"},
        "POST /reservas/{pedido_id}/liberar": {"pedidos"},
        "PUT /reservas/{pedido_id}/venta": {"pedidos"},
        "POST /reservas/lote": {"pedidos"},
        "GET /reservas": {*ADMINS, "pedidos", "operador"},
        "GET /reservas/{pedido_id}": {*ADMINS, "pedidos", "operador"},
    },
    "pedidos": {
        "GET /pedidos/auditoria": ADMINS,
        "POST /pedidos": USERS,
        "GET /pedidos": {*USERS, "operador"},
        "GET /pedidos/eventos": {*USERS, "operador"},
        "GET /pedidos/{pedido_id}": {*USERS, "operador"},
        "GET /pedidos/{pedido_id}/historial": {*USERS, "operador"},
        "POST /pedidos/{pedido_id}/completar": ADMINS,
        "POST /pedidos/{pedido_id}/cancelar": USERS,
        "PUT /pedidos/{pedido_id}/venta": ADMINS,
    },
}
EVERYWHERE = {
    "GET /livez": ALL,
    "GET /readyz": ALL,
    "GET /metrics": ALL,
    "GET /circuitos": {*ADMINS, "operador"},
    "GET /operacion": {*ADMINS, "operador"},
}
ENDLESS = {"GET /pedidos/eventos"}
"""Whoever may call it is answered without an end, so that only its head is asked for."""

BESIDE_THE_DOCUMENT = {"/openapi.json", "/docs", "/docs/assets"}

STRANGERS = {
    "auth": {"nadie", "basura"},
    "productos": {"nadie", "basura"},
    "inventario": {"nadie", "basura", "inventario"},
    "pedidos": {"nadie", "basura", "pedidos", "inventario"},
}
"""Whom a service does not know: refused with 401, not 403."""


def described(target: Target, service: str) -> set[str]:
    paths = target.apps[service].openapi()["paths"]
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}


async def call(
    target: Target, service: str, caller: str, method: str, path: str, *, meant_for: str | None = None
) -> Any:
    return await target.clients[service].request(
        method,
        re.sub(r"{\w+}", UNKNOWN, path),
        json=None if method in ("GET", "HEAD") else {},
        headers=target.headers(caller, meant_for or service),
    )


@pytest.mark.parametrize("service", SERVICES)
class TestTables:
    async def test_name_every_route_and_no_other(self, target: Target, service: str) -> None:
        assert described(target, service) == RULES[service].keys() | EVERYWHERE.keys()

    async def test_nothing_is_served_beside_what_is_described(self, target: Target, service: str) -> None:
        app: Any = target.apps[service]
        paths = {path for route in app.routes for path in _paths(route)}
        assert paths - {row.split()[1] for row in described(target, service)} == BESIDE_THE_DOCUMENT


def _paths(route: Any) -> list[str]:
    included = getattr(route, "original_router", None)
    return [str(route.path)] if included is None else [str(one.path) for one in included.routes]


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("service", SERVICES)
class TestEveryRoute:
    async def test_by_everybody(self, target: Target, service: str, caller: str) -> None:
        for row, allowed in (RULES[service] | EVERYWHERE).items():
            path = row.split()[1]
            for sent in _sent(row, caller in allowed):
                response = await call(target, service, caller, sent, path)
                if caller in allowed:
                    assert response.status_code not in (401, 403, 405, 500), (row, response.text)
                else:
                    expected = 401 if caller in STRANGERS[service] or allowed is NOBODY else 403
                    assert response.status_code == expected, (row, response.text)
                if sent != "HEAD" and caller not in allowed:
                    refusal = "no-autenticado" if expected == 401 else "no-autorizado"
                    assert problem(response) == ("sesion-terminada" if allowed is NOBODY else refusal), row


def _sent(row: str, allowed: bool) -> tuple[str, ...]:
    """The methods to send for that row."""
    if row in ENDLESS and allowed:
        return ("HEAD",)
    method = row.split()[0]
    return (method, "HEAD") if method == "GET" else (method,)


@pytest.mark.parametrize("caller", ["pedidos", "inventario", "operador"])
@pytest.mark.parametrize("service", SERVICES)
class TestEveryRouteWithAStrayToken:
    async def test_is_closed(self, target: Target, service: str, caller: str) -> None:
        """A service's token opens nothing but the service that it is meant for."""
        for row, allowed in (RULES[service] | EVERYWHERE).items():
            method, path = row.split()
            for other in set(SERVICES) - {service}:
                response = await call(target, service, caller, method, path, meant_for=other)
                assert (response.status_code == 401) == (allowed is not ALL), (row, other, response.text)
