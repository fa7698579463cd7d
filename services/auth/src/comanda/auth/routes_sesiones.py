"""HTTP ↔ use cases of auth: the sessions of one's own account."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request, Response

from comanda.auth.domain import DemasiadosIntentos
from comanda.auth.fin_de_sesiones import AutenticacionRecienteRequerida, FinDeSesiones
from comanda.auth.routes import Origen, Persona
from comanda.auth.schemas import SesionDocumento
from comanda.auth.schemas_sesiones import SesionesTerminadas
from comanda.auth.sesiones import Sesiones
from comanda.common.pagination import PageQuery, Pagina, page_body
from comanda.common.problems import NoEncontrado, describe
from comanda.common.requests import router

routes = router(prefix="/auth/yo/sesiones", tags=["sesiones"])


async def _sesiones(request: Request) -> Sesiones:
    sesiones: Sesiones = request.app.state.service.sesiones
    return sesiones


async def _fin_de_sesiones(request: Request) -> FinDeSesiones:
    fin: FinDeSesiones = request.app.state.service.fin_de_sesiones
    return fin


Servicio = Annotated[Sesiones, Depends(_sesiones)]
Fin = Annotated[FinDeSesiones, Depends(_fin_de_sesiones)]


@routes.get("", response_model=Pagina[SesionDocumento], summary="Where you are logged in, the latest first")
async def listar(servicio: Servicio, page: PageQuery, request: Request, persona: Persona) -> Response:
    sesiones = await servicio.listar(UUID(persona.subject), page)
    return page_body(sesiones.map(lambda sesion: SesionDocumento.de(sesion, persona.session_id)), request)


@routes.delete(
    "/{sesion_id}",
    status_code=204,
    response_class=Response,
    responses=describe(NoEncontrado, AutenticacionRecienteRequerida),
    summary="Log one of your devices out; another than this one only soon after your log-in",
)
async def terminar(sesion_id: UUID, fin: Fin, persona: Persona) -> None:
    await fin.terminar_una(persona, sesion_id)


@routes.delete(
    "",
    status_code=204,
    response_class=Response,
    responses=describe(AutenticacionRecienteRequerida),
    summary="Log all your devices out, this one too; only soon after your log-in",
)
async def terminar_todas(fin: Fin, persona: Persona) -> None:
    await fin.terminar_todas(persona)


@routes.post(
    "/terminar",
    status_code=204,
    response_class=Response,
    responses=describe(NoEncontrado, DemasiadosIntentos),
    summary="With your password: log one of your devices out, or all but this one",
)
async def terminar_con_password(datos: SesionesTerminadas, fin: Fin, persona: Persona, origen: Origen) -> None:
    await fin.terminar_con_password(persona, password=datos.password, sesion_id=datos.sesion, origen=origen)
