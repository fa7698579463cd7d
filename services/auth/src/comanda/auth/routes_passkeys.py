"""HTTP ↔ use cases of passkeys (WebAuthn)."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from comanda.auth.ceremonias import Sitio, sitio
from comanda.auth.domain import NO_STORE, DemasiadosIntentos
from comanda.auth.domain_passkeys import DemasiadasPasskeys, PasskeyIncorrecta, PasskeyRepetida
from comanda.auth.domain_sesion_web import PATH, OrigenNoPermitido
from comanda.auth.fin_de_sesiones import AutenticacionRecienteRequerida
from comanda.auth.oauth import CLIENT_ID
from comanda.auth.passkeys import Passkeys
from comanda.auth.routes import Origen, Persona, sesion_de
from comanda.auth.routes_sesion_web import LaCookie, TokenGuardado, abierta, pagina_propia
from comanda.auth.routes_sesiones import Servicio as ServicioDeSesiones
from comanda.auth.schemas_passkeys import (
    OpcionesDocumento,
    PasskeyDocumento,
    PasskeyNueva,
    PasskeyOpciones,
    PasskeysDocumento,
    SesionConPasskey,
)
from comanda.auth.schemas_sesion_web import SesionWebDocumento
from comanda.auth.settings import Settings
from comanda.common.headers import header
from comanda.common.problems import NoEncontrado, ServicioSaturado, describe
from comanda.common.requests import router


async def _passkeys(request: Request) -> Passkeys:
    passkeys: Passkeys = request.app.state.service.passkeys
    return passkeys


async def _sitio(request: Request) -> Sitio:
    settings: Settings = request.app.state.wiring.settings
    return sitio(settings.tienda, (settings.issuer, *settings.cors_origin_list), header(request, b"host") or "")


Servicio = Annotated[Passkeys, Depends(_passkeys)]
ElSitio = Annotated[Sitio, Depends(_sitio)]

propias = router(prefix="/auth/yo/passkeys", tags=["passkeys"])
sesion = router(prefix=f"{PATH}/passkey", tags=["sesiones"], dependencies=[Depends(pagina_propia)])


@propias.get("", summary="Your passkeys, the oldest first")
async def listar(servicio: Servicio, persona: Persona) -> PasskeysDocumento:
    passkeys = await servicio.listar(UUID(persona.subject))
    return PasskeysDocumento(elementos=[PasskeyDocumento.de(passkey) for passkey in passkeys])


@propias.post(
    "/opciones",
    responses=describe(DemasiadasPasskeys, DemasiadosIntentos, ServicioSaturado),
    summary="With your password: what to ask the authenticator for a new passkey",
)
async def preparar(
    datos: PasskeyOpciones,
    servicio: Servicio,
    persona: Persona,
    origen: Origen,
    el_sitio: ElSitio,
    response: Response,
) -> OpcionesDocumento:
    response.headers.update(NO_STORE)
    opciones = await servicio.preparar(
        UUID(persona.subject),
        password=datos.password,
        codigo=datos.codigo,
        sesion=sesion_de(persona),
        origen=origen,
        sitio=el_sitio,
    )
    return OpcionesDocumento(public_key=opciones)


@propias.post(
    "",
    status_code=201,
    responses=describe(DemasiadasPasskeys, PasskeyRepetida),
    summary="Register the passkey that the authenticator has made",
)
async def registrar(datos: PasskeyNueva, servicio: Servicio, persona: Persona, el_sitio: ElSitio) -> PasskeyDocumento:
    passkey = await servicio.registrar(UUID(persona.subject), datos.alta, datos.nombre, sitio=el_sitio)
    return PasskeyDocumento.de(passkey)


@propias.delete(
    "/{passkey_id}",
    status_code=204,
    response_class=Response,
    responses=describe(NoEncontrado, AutenticacionRecienteRequerida),
    summary="Remove a passkey, soon after your log-in only; every other session ends",
)
async def quitar(passkey_id: UUID, servicio: Servicio, persona: Persona) -> None:
    await servicio.quitar(persona, passkey_id)


@sesion.post(
    "/opciones",
    responses=describe(OrigenNoPermitido),
    summary="What to ask the authenticator for a log-in; it names nobody",
)
async def invitar(servicio: Servicio, el_sitio: ElSitio, response: Response) -> OpcionesDocumento:
    response.headers.update(NO_STORE)
    return OpcionesDocumento(public_key=servicio.invitar(el_sitio))


@sesion.post(
    "",
    responses=describe(PasskeyIncorrecta, OrigenNoPermitido, DemasiadosIntentos),
    summary="Log in as a page with a passkey, which counts as two factors",
)
async def entrar(
    datos: SesionConPasskey,
    servicio: Servicio,
    sesiones: ServicioDeSesiones,
    cookie: LaCookie,
    anterior: TokenGuardado,
    origen: Origen,
    el_sitio: ElSitio,
    request: Request,
    response: Response,
) -> SesionWebDocumento:
    tokens = await servicio.entrar(
        datos.asercion,
        client_id=CLIENT_ID,
        origen=origen,
        dispositivo=request.headers.get("user-agent", ""),
        sitio=el_sitio,
    )
    await sesiones.terminar(anterior)  # nobody could use it any more (ASVS 5.0, V7.2.4)
    return abierta(tokens, cookie, response)


routes: list[APIRouter] = [propias, sesion]
