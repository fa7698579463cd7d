"""HTTP ↔ use cases of the second factor. Its part in logging in is in `routes_oauth.py`."""

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request, Response

from comanda.auth.domain import NO_STORE, DemasiadosIntentos
from comanda.auth.routes import Gestor, Origen, Persona, sesion_de
from comanda.auth.schemas_totp import (
    CodigosDocumento,
    CodigosNuevos,
    TotpBaja,
    TotpConfirmacion,
    TotpDocumento,
    TotpNuevo,
    TotpPreparado,
)
from comanda.auth.segundo_factor import SegundoFactor
from comanda.auth.totp import SegundoFactorActivo, SegundoFactorInactivo
from comanda.common.problems import NoEncontrado, describe
from comanda.common.requests import router

routes = router(prefix="/auth", tags=["segundo factor"])


async def _segundo_factor(request: Request) -> SegundoFactor:
    segundo_factor: SegundoFactor = request.app.state.service.segundo_factor
    return segundo_factor


Servicio = Annotated[SegundoFactor, Depends(_segundo_factor)]


@routes.get("/yo/totp", summary="Whether you have a second factor, and how many recovery codes are left")
async def consultar(servicio: Servicio, persona: Persona) -> TotpDocumento:
    return TotpDocumento(**asdict(await servicio.consultar(UUID(persona.subject))))


@routes.post(
    "/yo/totp",
    status_code=201,
    responses=describe(SegundoFactorActivo, DemasiadosIntentos),
    summary="Begin to set up a second factor: the secret for an authenticator app",
)
async def preparar(
    datos: TotpNuevo, servicio: Servicio, persona: Persona, origen: Origen, response: Response
) -> TotpPreparado:
    response.headers.update(NO_STORE)
    preparado = await servicio.preparar(
        UUID(persona.subject), password=datos.password, sesion=sesion_de(persona), origen=origen
    )
    return TotpPreparado(**asdict(preparado))


@routes.post(
    "/yo/totp/confirmar",
    responses=describe(SegundoFactorActivo, SegundoFactorInactivo, DemasiadosIntentos),
    summary="Put the second factor in force; every other session ends",
)
async def confirmar(
    datos: TotpConfirmacion, servicio: Servicio, persona: Persona, origen: Origen, response: Response
) -> CodigosDocumento:
    response.headers.update(NO_STORE)
    codigos = await servicio.confirmar(
        UUID(persona.subject), codigo=datos.codigo, sesion=sesion_de(persona), origen=origen
    )
    return CodigosDocumento(codigos_recuperacion=codigos)


@routes.post(
    "/yo/totp/codigos",
    responses=describe(SegundoFactorInactivo, DemasiadosIntentos),
    summary="New recovery codes; those before are void",
)
async def renovar_codigos(
    datos: CodigosNuevos, servicio: Servicio, persona: Persona, origen: Origen, response: Response
) -> CodigosDocumento:
    response.headers.update(NO_STORE)
    codigos = await servicio.renovar_codigos(UUID(persona.subject), codigo=datos.codigo, origen=origen)
    return CodigosDocumento(codigos_recuperacion=codigos)


@routes.post(
    "/yo/totp/desactivar",
    status_code=204,
    response_class=Response,
    responses=describe(SegundoFactorInactivo, DemasiadosIntentos),
    summary="Remove your second factor; every other session ends",
)
async def desactivar(datos: TotpBaja, servicio: Servicio, persona: Persona, origen: Origen) -> None:
    await servicio.desactivar(
        UUID(persona.subject),
        password=datos.password,
        codigo=datos.codigo,
        sesion=sesion_de(persona),
        origen=origen,
    )


@routes.delete(
    "/usuarios/{usuario_id}/totp",
    status_code=204,
    response_class=Response,
    responses=describe(NoEncontrado),
    summary="Remove the second factor of somebody who has lost it; their sessions end",
)
async def quitar(usuario_id: UUID, servicio: Servicio, gestor: Gestor, origen: Origen) -> None:
    await servicio.quitar(usuario_id, actor_id=UUID(gestor.subject), origen=origen)
