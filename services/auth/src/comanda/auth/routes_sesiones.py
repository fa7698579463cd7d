"""HTTP ↔ use cases of auth: the sessions of one's own account."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request, Response

from comanda.auth.routes import Persona
from comanda.auth.schemas import SesionDocumento
from comanda.auth.sesiones import Sesiones
from comanda.common.pagination import PageQuery, Pagina, page_body
from comanda.common.problems import NoEncontrado, describe
from comanda.common.requests import router

routes = router(prefix="/auth/yo/sesiones", tags=["sesiones"])


async def _sesiones(request: Request) -> Sesiones:
    sesiones: Sesiones = request.app.state.service.sesiones
    return sesiones


Servicio = Annotated[Sesiones, Depends(_sesiones)]


@routes.get("", response_model=Pagina[SesionDocumento], summary="Where you are logged in, the latest first")
async def listar(servicio: Servicio, page: PageQuery, request: Request, persona: Persona) -> Response:
    sesiones = await servicio.listar(UUID(persona.subject), page)
    return page_body(sesiones.map(lambda sesion: SesionDocumento.de(sesion, persona.session_id)), request)


@routes.delete(
    "/{sesion_id}",
    status_code=204,
    response_class=Response,
    responses=describe(NoEncontrado),
    summary="Log one of your devices out; its access token works until it expires",
)
async def terminar(sesion_id: UUID, servicio: Servicio, persona: Persona) -> None:
    await servicio.terminar_una(UUID(persona.subject), sesion_id)


@routes.delete(
    "",
    status_code=204,
    response_class=Response,
    summary="Log all your devices out, this one too; access tokens work until they expire",
)
async def terminar_todas(servicio: Servicio, persona: Persona) -> None:
    await servicio.terminar_todas(UUID(persona.subject))
