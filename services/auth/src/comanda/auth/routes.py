"""HTTP ↔ use cases of auth: accounts. The endpoints of OAuth are in `routes_oauth.py`."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request, Response

from comanda.auth.domain import DemasiadosIntentos, EmailEnUso, UltimoAdmin, Usuario
from comanda.auth.privacidad import CuentaBorrada
from comanda.auth.schemas import (
    PasswordCambio,
    UsuarioCambios,
    UsuarioDocumento,
    UsuarioGestionado,
    UsuarioNuevo,
    YoCambios,
)
from comanda.auth.service import Cuentas
from comanda.common.conditional import IfMatch, etag, not_modified
from comanda.common.pagination import PageQuery, Pagina, page_body
from comanda.common.problems import NoAutorizado, NoEncontrado, VersionObsoleta, describe
from comanda.common.requests import router
from comanda.common.security import allow, source
from comanda.common.tokens import Principal

routes = router(prefix="/auth", tags=["usuarios"])


async def _cuentas(request: Request) -> Cuentas:
    cuentas: Cuentas = request.app.state.service.cuentas
    return cuentas


async def _origen(request: Request) -> str:
    """Where a request comes from, for the limits on attempts."""
    return source(request.scope)


async def _persona(principal: Annotated[Principal, allow()]) -> Principal:
    if principal.is_service:
        raise NoAutorizado("Un servicio no tiene cuenta.")
    if principal.is_client:
        raise NoAutorizado("Una cuenta de servicio no es un usuario: use el token de una persona.")
    return principal


def sesion_de(persona: Principal) -> UUID | None:
    """The session that the token stems from."""
    return UUID(persona.session_id) if persona.session_id else None


Servicio = Annotated[Cuentas, Depends(_cuentas)]
Origen = Annotated[str, Depends(_origen)]
Persona = Annotated[Principal, Depends(_persona)]
Gestor = Annotated[Principal, allow("usuarios:gestionar")]


def _propio(usuario: Usuario, response: Response) -> UsuarioDocumento:
    response.headers["ETag"] = etag(usuario.version)
    return UsuarioDocumento.de(usuario)


def _gestionado(usuario: Usuario, response: Response) -> UsuarioGestionado:
    response.headers["ETag"] = etag(usuario.version)
    return UsuarioGestionado.de(usuario)


@routes.post("/usuarios", status_code=201, responses=describe(EmailEnUso, DemasiadosIntentos), summary="Register")
async def registrar(datos: UsuarioNuevo, servicio: Servicio, origen: Origen, response: Response) -> UsuarioDocumento:
    usuario = await servicio.registrar(email=datos.email, password=datos.password, nombre=datos.nombre, origen=origen)
    response.headers["Location"] = f"/auth/usuarios/{usuario.id}"
    return _propio(usuario, response)


@routes.get("/yo", response_model=UsuarioDocumento, summary="Read your own account")
async def consultar_yo(servicio: Servicio, persona: Persona, request: Request, response: Response) -> Any:
    usuario = await servicio.consultar_propio(UUID(persona.subject))
    return not_modified(request, etag(usuario.version)) or _propio(usuario, response)


@routes.patch("/yo", responses=describe(VersionObsoleta), summary="Change your own account")
async def modificar_yo(
    datos: YoCambios, servicio: Servicio, if_match: IfMatch, persona: Persona, response: Response
) -> UsuarioDocumento:
    usuario = await servicio.modificar_propio(UUID(persona.subject), {"nombre": datos.nombre}, if_match)
    return _propio(usuario, response)


@routes.post(
    "/yo/password",
    status_code=204,
    response_class=Response,
    responses=describe(DemasiadosIntentos),
    summary="Change your password; every other session ends",
)
async def cambiar_password(datos: PasswordCambio, servicio: Servicio, persona: Persona, origen: Origen) -> None:
    await servicio.cambiar_password(
        UUID(persona.subject),
        actual=datos.actual,
        nueva=datos.nueva,
        codigo=datos.codigo,
        sesion=sesion_de(persona),
        origen=origen,
    )


@routes.get("/usuarios", response_model=Pagina[UsuarioGestionado], summary="List users, oldest first")
async def listar(servicio: Servicio, page: PageQuery, request: Request, _: Gestor) -> Response:
    found = await servicio.listar(page)
    return page_body(found.map(UsuarioGestionado.de), request)


@routes.get(
    "/usuarios/{usuario_id}",
    response_model=UsuarioGestionado,
    responses=describe(NoEncontrado),
    summary="Read a user",
)
async def consultar(usuario_id: UUID, servicio: Servicio, request: Request, response: Response, _: Gestor) -> Any:
    usuario = await servicio.consultar(usuario_id)
    return not_modified(request, etag(usuario.version)) or _gestionado(usuario, response)


@routes.patch(
    "/usuarios/{usuario_id}",
    responses=describe(NoEncontrado, VersionObsoleta, UltimoAdmin, CuentaBorrada),
    summary="Change a user's role or state",
)
async def gestionar(
    usuario_id: UUID,
    datos: UsuarioCambios,
    servicio: Servicio,
    if_match: IfMatch,
    response: Response,
    gestor: Gestor,
) -> UsuarioGestionado:
    usuario = await servicio.gestionar(usuario_id, datos.cambios(), if_match, actor_id=UUID(gestor.subject))
    return _gestionado(usuario, response)
