"""HTTP ↔ use cases of auth: tokens (RFC 6749, 7009), their keys (RFC 7517) and where all that is (RFC 8414)."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Depends, Request, Response

from comanda.auth.domain import (
    ALCANCES,
    NO_STORE,
    AlcanceInvalido,
    ClienteInvalido,
    ConcesionInvalida,
    ConcesionNoAdmitida,
    DemasiadosIntentos,
    SolicitudInvalida,
)
from comanda.auth.oauth import (
    CLIENT_CREDENTIALS,
    CLIENT_ID,
    MFA_OTP,
    MFA_RECOVERY_CODE,
    PASSWORD,
    client_credentials,
    describe_refusals,
    form,
    form_body,
    grants,
    required,
    token_form,
)
from comanda.auth.routes import Origen
from comanda.auth.routes_clientes import Servicio as CuentasDeServicio
from comanda.auth.routes_sesiones import Servicio
from comanda.auth.schemas import ConjuntoDeClaves, Metadatos, TokenDocumento
from comanda.auth.schemas_clientes import TokenDeServicioDocumento
from comanda.auth.service import Auth
from comanda.auth.totp import SegundoFactorRequerido
from comanda.common.problems import describe
from comanda.common.requests import router

CACHEABLE = {"Cache-Control": "public, max-age=300"}

routes = router(tags=["tokens"])

Formulario = Annotated[dict[str, str], Depends(form)]


async def _auth(request: Request) -> Auth:
    auth: Auth = request.app.state.service
    return auth


@routes.post(
    "/auth/token",
    response_model=TokenDocumento | TokenDeServicioDocumento,
    summary="Log in, or stay logged in; or a token for a service account",
    openapi_extra=form_body(
        ["grant_type"],
        grant_type=(
            "`password`, `refresh_token` or `client_credentials`; "
            f"`{MFA_OTP}` or `{MFA_RECOVERY_CODE}` after `mfa_required`"
        ),
        username="the email, for `password`",
        password="the password, for `password`",  # noqa: S106  # a description
        refresh_token="the token that the last answer gave, for `refresh_token`",  # noqa: S106  # a description
        mfa_token="what came with `mfa_required`; good for five minutes and one session",  # noqa: S106  # a description
        otp=f"the code of the authenticator app, for `{MFA_OTP}`",
        recovery_code=f"one of the recovery codes, for `{MFA_RECOVERY_CODE}`",
        scope="narrows what the token allows; in a log-in of two steps that of the first counts",
        client_id=f"`{CLIENT_ID}`, also when left out; for `client_credentials` the account, unless sent as HTTP Basic",
        client_secret="its secret, for `client_credentials`, unless sent as HTTP Basic",  # noqa: S106  # a description
    ),
    responses=describe_refusals(
        SolicitudInvalida,
        ConcesionInvalida,
        ConcesionNoAdmitida,
        AlcanceInvalido,
        SegundoFactorRequerido,
        ClienteInvalido,
    )
    | describe(DemasiadosIntentos),
)
async def token(
    formulario: Annotated[dict[str, str], Depends(token_form)],
    servicio: Servicio,
    cuentas: CuentasDeServicio,
    origen: Origen,
    request: Request,
    response: Response,
) -> Any:
    response.headers.update(NO_STORE)
    grant_type = required(formulario, "grant_type")
    if grant_type not in grants(with_password=request.app.state.wiring.settings.password_grant):
        raise ConcesionNoAdmitida
    alcance, dispositivo = formulario.get("scope"), request.headers.get("user-agent", "")
    if grant_type == CLIENT_CREDENTIALS:
        client_id, secreto = client_credentials(request, formulario)
        concedido = await cuentas.conceder(client_id, secreto, alcance=alcance, origen=origen)
        return TokenDeServicioDocumento(**asdict(concedido))
    if grant_type == PASSWORD:
        tokens = await servicio.iniciar(
            required(formulario, "username"),
            required(formulario, "password"),
            alcance=alcance,
            client_id=CLIENT_ID,
            origen=origen,
            dispositivo=dispositivo,
        )
    elif grant_type == "refresh_token":
        tokens = await servicio.renovar(required(formulario, "refresh_token"), alcance=alcance)
    else:
        de_recuperacion = grant_type == MFA_RECOVERY_CODE
        mfa_token = required(formulario, "mfa_token")
        codigo = required(formulario, "recovery_code" if de_recuperacion else "otp")
        tokens = await servicio.completar(
            mfa_token, codigo, de_recuperacion=de_recuperacion, origen=origen, dispositivo=dispositivo
        )
    return TokenDocumento(**asdict(tokens))


@routes.post(
    "/auth/revocar",
    response_class=Response,
    summary="Log out: end the session of a refresh token",
    openapi_extra=form_body(
        ["token"],
        token="a refresh token",  # noqa: S106  # a description
        token_type_hint="not needed",  # noqa: S106  # a description
        client_id=f"`{CLIENT_ID}`, also when left out",
    ),
    responses=describe_refusals(SolicitudInvalida, ClienteInvalido),
)
async def revocar(formulario: Formulario, servicio: Servicio) -> Response:
    await servicio.terminar(required(formulario, "token"))
    return Response(status_code=200, headers=NO_STORE)


@routes.get("/.well-known/jwks.json", summary="The public keys that verify access tokens")
async def jwks(auth: Annotated[Auth, Depends(_auth)], response: Response) -> ConjuntoDeClaves:
    response.headers.update(CACHEABLE)
    return ConjuntoDeClaves(**auth.keys.jwks)


@routes.get("/.well-known/oauth-authorization-server", summary="What this authorization server offers")
async def metadatos(request: Request, response: Response) -> Metadatos:
    response.headers.update(CACHEABLE)
    settings = request.app.state.wiring.settings
    base = settings.issuer.rstrip("/")
    return Metadatos(
        issuer=settings.issuer,
        token_endpoint=f"{base}/auth/token",
        revocation_endpoint=f"{base}/auth/revocar",
        jwks_uri=f"{base}/.well-known/jwks.json",
        scopes_supported=list(ALCANCES["admin"]),
        grant_types_supported=grants(with_password=settings.password_grant),
    )
