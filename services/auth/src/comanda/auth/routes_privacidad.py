"""HTTP ↔ use cases of auth: what a person may ask about themselves."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request, Response

from comanda.auth.domain import DemasiadosIntentos, UltimoAdmin
from comanda.auth.privacidad import Privacidad
from comanda.auth.routes import Origen, Persona, sesion_de
from comanda.auth.schemas_privacidad import Baja, DatosDocumento
from comanda.common.problems import describe
from comanda.common.requests import router

routes = router(prefix="/auth/yo", tags=["privacidad"])


async def _privacidad(request: Request) -> Privacidad:
    privacidad: Privacidad = request.app.state.service.privacidad
    return privacidad


Servicio = Annotated[Privacidad, Depends(_privacidad)]


@routes.get("/datos", summary="Everything that is kept of you here; your orders are at `GET /pedidos`")
async def exportar(servicio: Servicio, persona: Persona, response: Response) -> DatosDocumento:
    response.headers["Content-Disposition"] = 'attachment; filename="mis-datos.json"'
    return DatosDocumento.de(await servicio.exportar(UUID(persona.subject)), persona.session_id)


@routes.post(
    "/borrar",
    status_code=204,
    response_class=Response,
    responses=describe(UltimoAdmin, DemasiadosIntentos),
    summary="Erase your account for ever; your orders stay, without you",
)
async def borrar(datos: Baja, servicio: Servicio, persona: Persona, origen: Origen) -> None:
    await servicio.borrar(
        UUID(persona.subject),
        password=datos.password,
        codigo=datos.codigo,
        sesion=sesion_de(persona),
        origen=origen,
    )
