"""HTTP ↔ use cases of auth: forgotten passwords and verified addresses."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request, Response

from comanda.auth.domain import DemasiadosIntentos
from comanda.auth.enlaces import EnlaceInvalido
from comanda.auth.recuperacion import CorreoNoDisponible, Recuperacion
from comanda.auth.routes import Origen, Persona
from comanda.auth.schemas_password import EmailVerificado, PasswordOlvidada, PasswordRestablecida
from comanda.common.problems import DatosInvalidos, describe
from comanda.common.requests import router

routes = router(prefix="/auth", tags=["recuperación"])


async def _recuperacion(request: Request) -> Recuperacion:
    recuperacion: Recuperacion = request.app.state.service.recuperacion
    return recuperacion


Servicio = Annotated[Recuperacion, Depends(_recuperacion)]


@routes.post(
    "/password/olvidada",
    status_code=202,
    response_class=Response,
    responses=describe(DemasiadosIntentos, CorreoNoDisponible),
    summary="Ask for a link to set a new password; the answer does not tell whether anybody has the address",
)
async def olvidada(datos: PasswordOlvidada, servicio: Servicio, origen: Origen) -> Response:
    await servicio.olvidada(datos.email, origen=origen)
    return Response(status_code=202)


@routes.post(
    "/password/restablecer",
    status_code=204,
    response_class=Response,
    responses=describe(EnlaceInvalido, DatosInvalidos),
    summary="Set a new password with the link of a mail; every session ends",
)
async def restablecer(datos: PasswordRestablecida, servicio: Servicio, origen: Origen) -> None:
    await servicio.restablecer(datos.token, datos.nueva, origen=origen)


@routes.post(
    "/yo/email/verificacion",
    status_code=202,
    response_class=Response,
    responses=describe(DemasiadosIntentos, CorreoNoDisponible),
    summary="Ask for a link that verifies your own address",
)
async def pedir_verificacion(servicio: Servicio, persona: Persona) -> Response:
    await servicio.pedir_verificacion(UUID(persona.subject))
    return Response(status_code=202)


@routes.post(
    "/email/verificar",
    status_code=204,
    response_class=Response,
    responses=describe(EnlaceInvalido, DatosInvalidos),
    summary="Verify an address with the link of a mail",
)
async def verificar(datos: EmailVerificado, servicio: Servicio) -> None:
    await servicio.verificar(datos.token)
