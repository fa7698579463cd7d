"""HTTP ↔ use cases of auth: sessions that a browser keeps in a cookie. Programs use the token endpoint."""

from typing import Annotated

from fastapi import Depends, Request, Response

from comanda.auth.domain import NO_STORE, ConcesionInvalida, DemasiadosIntentos
from comanda.auth.domain_sesion_web import (
    PATH,
    Cookie,
    CredencialesIncorrectas,
    OrigenNoPermitido,
    SegundoFactorPendiente,
    SesionTerminada,
    exigir_pagina_propia,
)
from comanda.auth.oauth import CLIENT_ID
from comanda.auth.routes import Origen
from comanda.auth.routes_sesiones import Servicio
from comanda.auth.schemas_sesion_web import SesionNueva, SesionWebDocumento
from comanda.auth.sesiones import Sesiones, Tokens
from comanda.auth.settings import Settings
from comanda.auth.totp import SegundoFactorRequerido
from comanda.common.headers import header
from comanda.common.problems import ServicioSaturado, describe
from comanda.common.requests import router

_CODIGO = (
    "El código no es correcto, ha caducado o ya se ha usado: espere al siguiente. "
    "Si tampoco vale, empiece de nuevo con la contraseña."
)


async def pagina_propia(request: Request) -> None:
    settings: Settings = request.app.state.wiring.settings
    exigir_pagina_propia(
        header(request, b"origin"),
        header(request, b"sec-fetch-site"),
        host=header(request, b"host") or "",
        origenes=(settings.issuer, *settings.cors_origin_list),
        secure=_secure(settings),
    )


async def _cookie(request: Request) -> Cookie:
    return Cookie(_secure(request.app.state.wiring.settings))


async def _token(request: Request, cookie: Annotated[Cookie, Depends(_cookie)]) -> str:
    """The refresh token that the browser has kept, empty if none."""
    return request.cookies.get(cookie.name, "")


LaCookie = Annotated[Cookie, Depends(_cookie)]
TokenGuardado = Annotated[str, Depends(_token)]

routes = router(prefix=PATH, tags=["sesiones"], dependencies=[Depends(pagina_propia)])


@routes.post(
    "",
    responses=describe(
        CredencialesIncorrectas, SegundoFactorPendiente, OrigenNoPermitido, DemasiadosIntentos, ServicioSaturado
    ),
    summary="Log in as a page: the refresh token goes into a cookie that no script reads",
)
async def entrar(
    datos: SesionNueva,
    servicio: Servicio,
    cookie: LaCookie,
    anterior: TokenGuardado,
    origen: Origen,
    request: Request,
    response: Response,
) -> SesionWebDocumento:
    dispositivo = request.headers.get("user-agent", "")
    try:
        tokens = await _entrar(datos, servicio, origen, dispositivo)
    except SegundoFactorRequerido as requerido:
        raise SegundoFactorPendiente(requerido.extras["mfa_token"]) from None
    except ConcesionInvalida:
        raise CredencialesIncorrectas(_CODIGO if datos.mfa_token else None) from None
    await servicio.terminar(anterior)  # nobody could use it any more (ASVS 5.0, V7.2.4)
    return abierta(tokens, cookie, response)


@routes.post(
    "/renovar",
    responses=describe(SesionTerminada, OrigenNoPermitido),
    summary="Stay logged in: another access token for the session in the cookie",
)
async def renovar(
    servicio: Servicio, cookie: LaCookie, guardado: TokenGuardado, response: Response
) -> SesionWebDocumento:
    try:
        tokens = await servicio.renovar(guardado, alcance=None)
    except ConcesionInvalida:
        raise SesionTerminada(cookie) from None
    return abierta(tokens, cookie, response)


@routes.delete(
    "",
    status_code=204,
    response_class=Response,
    responses=describe(OrigenNoPermitido),
    summary="Log out: end the session in the cookie, if there is one, and remove it",
)
async def salir(servicio: Servicio, cookie: LaCookie, guardado: TokenGuardado) -> Response:
    await servicio.terminar(guardado)
    return Response(status_code=204, headers=NO_STORE | {"Set-Cookie": cookie.removal})


async def _entrar(datos: SesionNueva, servicio: Sesiones, origen: str, dispositivo: str) -> Tokens:
    if datos.mfa_token is None:
        email, password = datos.email or "", datos.password or ""
        return await servicio.iniciar(
            email, password, alcance=None, client_id=CLIENT_ID, origen=origen, dispositivo=dispositivo
        )
    de_recuperacion = datos.codigo is None
    codigo = datos.codigo or datos.codigo_de_recuperacion or ""
    return await servicio.completar(
        datos.mfa_token, codigo, de_recuperacion=de_recuperacion, origen=origen, dispositivo=dispositivo
    )


def abierta(tokens: Tokens, cookie: Cookie, response: Response) -> SesionWebDocumento:
    guardar = cookie.holding(tokens.refresh_token, tokens.sesion_segundos)
    response.headers.update(NO_STORE | {"Set-Cookie": guardar})
    return SesionWebDocumento(access_token=tokens.access_token, expires_in=tokens.expires_in, scope=tokens.scope)


def _secure(settings: Settings) -> bool:
    return settings.issuer.startswith("https://")
