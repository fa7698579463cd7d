"""HTTP ↔ use cases of auth: service accounts. Their tokens come from the token endpoint, in `routes_oauth.py`."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request, Response

from comanda.auth.cuentas_de_servicio import Actor, CuentasDeServicio
from comanda.auth.domain import NO_STORE
from comanda.auth.domain_clientes import ClienteRevocado, CuentaDeServicio, DemasiadosSecretos
from comanda.auth.routes import Gestor, Origen
from comanda.auth.schemas_clientes import (
    ClienteCambios,
    ClienteConSecreto,
    ClienteDocumento,
    ClienteNuevo,
    SecretoDocumento,
    SecretoNuevo,
    en_orden,
)
from comanda.common.conditional import IfMatch, etag, not_modified
from comanda.common.pagination import PageQuery, Pagina, page_body
from comanda.common.problems import NoEncontrado, VersionObsoleta, describe
from comanda.common.requests import router

routes = router(prefix="/auth/clientes", tags=["cuentas de servicio"])


async def _cuentas(request: Request) -> CuentasDeServicio:
    cuentas: CuentasDeServicio = request.app.state.service.cuentas_de_servicio
    return cuentas


async def _actor(gestor: Gestor, origen: Origen) -> Actor:
    return Actor(UUID(gestor.subject), origen)


Servicio = Annotated[CuentasDeServicio, Depends(_cuentas)]
Administrador = Annotated[Actor, Depends(_actor)]


def _documento(cuenta: CuentaDeServicio, response: Response) -> ClienteDocumento:
    response.headers["ETag"] = etag(cuenta.version)
    return ClienteDocumento.de(cuenta)


@routes.post("", status_code=201, summary="Make a service account; its secret is shown only now")
async def crear(datos: ClienteNuevo, servicio: Servicio, actor: Administrador, response: Response) -> ClienteConSecreto:
    cuenta, secreto = await servicio.crear(nombre=datos.nombre, alcances=en_orden(datos.alcances), actor=actor)
    response.headers.update(NO_STORE | {"Location": f"/auth/clientes/{cuenta.id}", "ETag": etag(cuenta.version)})
    return ClienteConSecreto.con(cuenta, secreto)


@routes.get("", response_model=Pagina[ClienteDocumento], summary="List service accounts, oldest first")
async def listar(servicio: Servicio, page: PageQuery, request: Request, _: Gestor) -> Response:
    found = await servicio.listar(page)
    return page_body(found.map(ClienteDocumento.de), request)


@routes.get(
    "/{cliente_id}",
    response_model=ClienteDocumento,
    responses=describe(NoEncontrado),
    summary="Read a service account",
)
async def consultar(cliente_id: UUID, servicio: Servicio, request: Request, response: Response, _: Gestor) -> Any:
    cuenta = await servicio.consultar(cliente_id)
    return not_modified(request, etag(cuenta.version)) or _documento(cuenta, response)


@routes.patch(
    "/{cliente_id}",
    responses=describe(NoEncontrado, VersionObsoleta, ClienteRevocado),
    summary="Change a service account's name or scopes",
)
async def modificar(
    cliente_id: UUID,
    datos: ClienteCambios,
    servicio: Servicio,
    if_match: IfMatch,
    actor: Administrador,
    response: Response,
) -> ClienteDocumento:
    return _documento(await servicio.modificar(cliente_id, datos.cambios(), if_match, actor=actor), response)


@routes.post(
    "/{cliente_id}/secreto",
    responses=describe(NoEncontrado, ClienteRevocado, DemasiadosSecretos),
    summary="Replace the secret; the one before works for 24 hours more, or not at all",
)
async def rotar(
    cliente_id: UUID,
    servicio: Servicio,
    actor: Administrador,
    response: Response,
    datos: SecretoNuevo | None = None,
) -> SecretoDocumento:
    secreto = await servicio.rotar(cliente_id, inmediato=bool(datos and datos.inmediato), actor=actor)
    response.headers.update(NO_STORE)
    return SecretoDocumento(client_secret=secreto)


@routes.delete(
    "/{cliente_id}",
    status_code=204,
    response_class=Response,
    responses=describe(NoEncontrado, VersionObsoleta),
    summary="Revoke a service account",
)
async def revocar(cliente_id: UUID, servicio: Servicio, if_match: IfMatch, actor: Administrador) -> None:
    await servicio.revocar(cliente_id, if_match, actor=actor)
