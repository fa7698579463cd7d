"""For each route that takes JSON a request that is right, to be spoilt by an attack."""

import base64
import copy
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import httpx2
from attack.target import PASSWORD, SERVICES, Target, some_email
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from llavero import Llave, Llavero

Place = tuple[str | int, ...]
"""The way to a value: `("lineas", 0, "cantidad")`."""


@dataclass(frozen=True)
class Sample:
    """A request that would be answered with 2xx."""

    service: str
    method: str
    path: str
    body: dict[str, Any]
    headers: dict[str, str]


async def send(target: Target, sample: Sample, content: bytes | None = None) -> httpx2.Response:
    """The answer to it, or to another body in its place."""
    return await target.clients[sample.service].request(
        sample.method,
        sample.path,
        content=json.dumps(sample.body).encode() if content is None else content,
        headers=sample.headers | {"Content-Type": "application/json"},
    )


async def _usuario_nuevo(target: Target) -> Sample:
    body = {"email": some_email(), "password": PASSWORD, "nombre": "Ana"}
    return Sample("auth", "POST", "/auth/usuarios", body, {})


async def _usuario(target: Target) -> Sample:
    path = f"/auth/usuarios/{await target.registrar(some_email())}"
    return Sample("auth", "PATCH", path, {"rol": "cliente", "activo": True}, target.admin)


async def _yo(target: Target) -> Sample:
    return Sample("auth", "PATCH", "/auth/yo", {"nombre": "Ana"}, target.cliente(await target.registrar(some_email())))


async def _password(target: Target) -> Sample:
    headers = target.cliente(await target.registrar(some_email()))
    return Sample("auth", "POST", "/auth/yo/password", {"actual": PASSWORD, "nueva": PASSWORD}, headers)


async def _sesion(target: Target) -> Sample:
    email = some_email()
    await target.registrar(email)
    return Sample("auth", "POST", "/auth/sesion", {"email": email, "password": PASSWORD}, {})


async def _olvidada(target: Target) -> Sample:
    return Sample("auth", "POST", "/auth/password/olvidada", {"email": "ana@ejemplo.es"}, {})


async def _restablecida(target: Target) -> Sample:
    body = {"token": await _enlace(target, "restablecer"), "nueva": PASSWORD}
    return Sample("auth", "POST", "/auth/password/restablecer", body, {})


async def _verificado(target: Target) -> Sample:
    return Sample("auth", "POST", "/auth/email/verificar", {"token": await _enlace(target, "verificar")}, {})


async def _enlace(target: Target, accion: Any) -> str:
    """What a link mailed to a new client holds."""
    auth = target.auth_app.state.service
    usuario = await auth.cuentas.consultar(UUID(await target.registrar(some_email())))
    return str(auth.recuperacion._enlaces.escribir(accion, usuario, target.now + 600))


async def _totp(target: Target) -> Sample:
    headers = target.cliente(await target.registrar(some_email()))
    return Sample("auth", "POST", "/auth/yo/totp", {"password": PASSWORD}, headers)


async def _totp_confirmado(target: Target) -> Sample:
    prepared = await _totp(target)
    secret = base64.b32decode((await send(target, prepared)).json()["secreto"])
    code = TOTP(secret, 6, SHA1(), 30).generate(target.now).decode()  # noqa: S303  # what apps compute
    return replace(prepared, path="/auth/yo/totp/confirmar", body={"codigo": code})


async def _totp_codigos(target: Target) -> Sample:
    confirmed = await _totp_confirmado(target)
    codes = (await send(target, confirmed)).json()["codigos_recuperacion"]
    return replace(confirmed, path="/auth/yo/totp/codigos", body={"codigo": codes[0]})


async def _totp_baja(target: Target) -> Sample:
    active = await _totp_codigos(target)
    return replace(active, path="/auth/yo/totp/desactivar", body={"password": PASSWORD, **active.body})


async def _passkey(target: Target) -> Sample:
    headers = target.cliente(await target.registrar(some_email()))
    return Sample("auth", "POST", "/auth/yo/passkeys/opciones", {"password": PASSWORD}, headers)


async def _passkey_nueva(target: Target) -> Sample:
    return (await _con_passkey(target))[1]


async def _con_passkey(target: Target) -> tuple[Llave, Sample]:
    options = await _passkey(target)
    llave, credencial = Llavero().crear((await send(target, options)).json())
    return llave, replace(options, path="/auth/yo/passkeys", body={"nombre": "Móvil", "credencial": credencial})


async def _sesion_con_passkey(target: Target) -> Sample:
    llave, sample = await _con_passkey(target)
    await send(target, sample)
    options = (await target.auth.post("/auth/sesion/passkey/opciones")).json()
    return Sample("auth", "POST", "/auth/sesion/passkey", {"credencial": Llavero().usar(llave, options)}, {})


async def _sesiones(target: Target) -> Sample:
    headers = target.cliente(await target.registrar(some_email()))
    return Sample("auth", "POST", "/auth/yo/sesiones/terminar", {"password": PASSWORD}, headers)


async def _borrada(target: Target) -> Sample:
    active = await _totp_codigos(target)
    return replace(active, path="/auth/yo/borrar", body={"password": PASSWORD, **active.body})


async def _cliente_nuevo(target: Target) -> Sample:
    body = {"nombre": "ERP", "alcances": ["productos:leer"]}
    return Sample("auth", "POST", "/auth/clientes", body, target.admin)


async def _cliente(target: Target) -> Sample:
    made = (await send(target, await _cliente_nuevo(target))).json()
    body = {"nombre": "CRM", "alcances": ["pedidos:leer"]}
    return Sample("auth", "PATCH", f"/auth/clientes/{made['id']}", body, target.admin)


async def _secreto(target: Target) -> Sample:
    made = (await send(target, await _cliente_nuevo(target))).json()
    return Sample("auth", "POST", f"/auth/clientes/{made['id']}/secreto", {"inmediato": True}, target.admin)


async def _producto_nuevo(target: Target) -> Sample:
    body = {"sku": some_email(), "nombre": "Café", "descripcion": "De Colombia", "precio": "2.50"}
    return Sample("productos", "POST", "/productos", body, target.admin)


async def _producto(target: Target) -> Sample:
    body = {"sku": some_email(), "nombre": "Té", "descripcion": "Verde", "precio": "9.99", "activo": True}
    return Sample("productos", "PATCH", f"/productos/{await target.system.producto(10)}", body, target.admin)


async def _inventario_nuevo(target: Target) -> Sample:
    body = {"producto_id": await target.system.producto(None), "cantidad": 5}
    return Sample("inventario", "POST", "/inventario", body, target.admin)


async def _movimiento(target: Target) -> Sample:
    path = f"/inventario/{await target.system.producto(10)}/movimientos"
    body = {"tipo": "AJUSTE", "cantidad": 5, "fisico_esperado": 10, "motivo": "recuento"}
    return Sample("inventario", "POST", path, body, target.admin)


async def _lineas(target: Target) -> list[dict[str, Any]]:
    return [{"producto_id": await target.system.producto(10), "cantidad": 1}]


async def _disponibilidad(target: Target) -> Sample:
    body = {"lineas": await _lineas(target)}
    return Sample("inventario", "POST", "/inventario/disponibilidad", body, target.admin)


async def _reserva(target: Target) -> Sample:
    path = f"/reservas/{target.system.clock.new_id()}"
    return Sample("inventario", "PUT", path, {"lineas": await _lineas(target)}, target.headers("pedidos", "inventario"))


async def _venta(target: Target) -> Sample:
    sample = await _reserva(target)
    return replace(sample, path=f"{sample.path}/venta")


async def _lote(target: Target) -> Sample:
    operacion = {
        "pedido_id": str(target.system.clock.new_id()),
        "operacion": "reservar",
        "lineas": await _lineas(target),
    }
    headers = target.headers("pedidos", "inventario")
    return Sample("inventario", "POST", "/reservas/lote", {"operaciones": [operacion]}, headers)


async def _pedido_nuevo(target: Target) -> Sample:
    body = {"lineas": await _lineas(target), "total_esperado": "2.50"}
    return Sample("pedidos", "POST", "/pedidos", body, target.cliente(target.ana))


async def _cancelacion(target: Target) -> Sample:
    pedido = await target.pedir(target.ana, await target.system.producto(10))
    path = f"/pedidos/{pedido.json()['id']}/cancelar"
    return Sample("pedidos", "POST", path, {"motivo": "ya no"}, target.cliente(target.ana))


SAMPLES: dict[str, Callable[[Target], Awaitable[Sample]]] = {
    "POST /auth/usuarios": _usuario_nuevo,
    "PATCH /auth/usuarios/{usuario_id}": _usuario,
    "PATCH /auth/yo": _yo,
    "POST /auth/yo/password": _password,
    "POST /auth/sesion": _sesion,
    "POST /auth/password/olvidada": _olvidada,
    "POST /auth/password/restablecer": _restablecida,
    "POST /auth/email/verificar": _verificado,
    "POST /auth/yo/totp": _totp,
    "POST /auth/yo/totp/confirmar": _totp_confirmado,
    "POST /auth/yo/totp/codigos": _totp_codigos,
    "POST /auth/yo/totp/desactivar": _totp_baja,
    "POST /auth/yo/passkeys/opciones": _passkey,
    "POST /auth/yo/passkeys": _passkey_nueva,
    "POST /auth/sesion/passkey": _sesion_con_passkey,
    "POST /auth/yo/borrar": _borrada,
    "POST /auth/yo/sesiones/terminar": _sesiones,
    "POST /auth/clientes": _cliente_nuevo,
    "PATCH /auth/clientes/{cliente_id}": _cliente,
    "POST /auth/clientes/{cliente_id}/secreto": _secreto,
    "POST /productos": _producto_nuevo,
    "PATCH /productos/{producto_id}": _producto,
    "POST /inventario": _inventario_nuevo,
    "POST /inventario/{producto_id}/movimientos": _movimiento,
    "POST /inventario/disponibilidad": _disponibilidad,
    "PUT /reservas/{pedido_id}": _reserva,
    "PUT /reservas/{pedido_id}/venta": _venta,
    "POST /reservas/lote": _lote,
    "POST /pedidos": _pedido_nuevo,
    "POST /pedidos/{pedido_id}/cancelar": _cancelacion,
}


def routes_with_json(target: Target) -> set[str]:
    """The routes that take JSON, as their services describe them."""
    return {
        f"{method.upper()} {path}"
        for service in SERVICES
        for path, methods in target.apps[service].openapi()["paths"].items()
        for method, operation in methods.items()
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    }


def known_fields(target: Target, sample: Sample, row: str) -> dict[Place, set[str]]:
    """For each object in the sample the fields that its schema has."""
    document = target.apps[sample.service].openapi()
    method, path = row.split()
    schema = document["paths"][path][method.lower()]["requestBody"]["content"]["application/json"]["schema"]
    return dict(_fields(sample.body, schema, document["components"]["schemas"], ()))


def _fields(value: Any, schema: Any, named: dict[str, Any], place: Place) -> Iterator[tuple[Place, set[str]]]:
    while "$ref" in schema or "anyOf" in schema:
        schema = named[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema["anyOf"][0]
    if isinstance(value, dict):
        yield place, set(schema["properties"])
        for name, inner in value.items():
            yield from _fields(inner, schema["properties"][name], named, (*place, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _fields(inner, schema["items"], named, (*place, index))


def leaves(value: Any, place: Place = ()) -> Iterator[Place]:
    """The way to each value that holds no others."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*place, key))
    else:
        yield place


def changed(body: dict[str, Any], place: Place, value: Any) -> dict[str, Any]:
    """A copy with that value there."""
    copied = copy.deepcopy(body)
    *way, last = place
    where: Any = copied
    for step in way:
        where = where[step]
    where[last] = value
    return copied


def raw(body: dict[str, Any], place: Place, text: str) -> bytes:
    """The JSON of a copy with that text, which need not be JSON, in place of a value."""
    return re.sub('"<here>"', lambda _: text, json.dumps(changed(body, place, "<here>"))).encode(
        "utf-8", "surrogatepass"
    )
