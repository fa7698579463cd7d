"""What the token and revocation endpoints have in common: strict forms (RFC 6749), and how they are described."""

import base64
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from starlette.requests import Request

from comanda.auth.domain import ClienteInvalido, Rechazo, SolicitudInvalida
from comanda.common.headers import header

FORM_TYPE = "application/x-www-form-urlencoded"
CLIENT_ID = "comanda-web"
"""Our own client, public (RFC 6749 §2.1), so it has no secret. All others are service accounts, which have one."""

CLIENT_CREDENTIALS = "client_credentials"
"""The grant of service accounts (RFC 6749 §4.4)."""

MFA_OTP = "urn:comanda:params:oauth:grant-type:mfa-otp"
MFA_RECOVERY_CODE = "urn:comanda:params:oauth:grant-type:mfa-recovery-code"
"""The second step of a log-in (extension grants, RFC 6749 §4.5), with `otp` or `recovery_code`."""

PASSWORD = "password"  # noqa: S105  # a grant
GRANTS = (PASSWORD, "refresh_token", CLIENT_CREDENTIALS, MFA_OTP, MFA_RECOVERY_CODE)
_OF_A_PASSWORD = (PASSWORD, MFA_OTP, MFA_RECOVERY_CODE)

MAX_FIELDS = 50


def grants(*, with_password: bool) -> list[str]:
    """The values of `grant_type` that are supported, with or without the password and the steps that follow it."""
    return [grant for grant in GRANTS if with_password or grant not in _OF_A_PASSWORD]


async def form(request: Request) -> dict[str, str]:
    """The parameters of a form request by our own client.

    Raises:
        SolicitudInvalida: see `parameters`.
        ClienteInvalido: the request names another client than ours.
    """
    values = await parameters(request)
    _check_public(request, values)
    return values


async def token_form(request: Request) -> dict[str, str]:
    """The parameters of a token request: by our own client, but for the grant of service accounts.

    Raises:
        SolicitudInvalida, ClienteInvalido: see `form`.
    """
    values = await parameters(request)
    if values.get("grant_type") != CLIENT_CREDENTIALS:
        _check_public(request, values)
    return values


async def parameters(request: Request) -> dict[str, str]:
    """The parameters of a form request. Empty ones count as absent, unknown ones are ignored (RFC 6749 §3.2).

    Raises:
        SolicitudInvalida: the body is no form in UTF-8, or names a parameter twice.
    """
    media_type = request.headers.get("content-type", "").split(";", 1)[0].strip().lower()
    if media_type != FORM_TYPE:
        raise SolicitudInvalida(f"El cuerpo debe ser {FORM_TYPE}.")
    try:
        text = (await request.body()).decode()
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise SolicitudInvalida("El cuerpo no es un formulario en UTF-8.") from None
    values = dict(pairs)
    if len(values) != len(pairs):
        raise SolicitudInvalida("Hay parametros repetidos.")
    return {name: value for name, value in values.items() if value}


def _check_public(request: Request, values: dict[str, str]) -> None:
    if _basic(request) is not None or values.get("client_id", CLIENT_ID) != CLIENT_ID:
        raise ClienteInvalido


def client_credentials(request: Request, values: dict[str, str]) -> tuple[str, str]:
    """The id and the secret by which a client authenticates: in the header or in the form (RFC 6749 §2.3.1).

    Raises:
        SolicitudInvalida: in both of them.
        ClienteInvalido: in neither, or in a header that cannot be read.
    """
    basic = _basic(request)
    if basic is None:
        if "client_id" not in values or "client_secret" not in values:
            raise ClienteInvalido
        return values["client_id"], values["client_secret"]
    client_id, secret = _decode_basic(basic)
    if "client_secret" in values or values.get("client_id", client_id) != client_id:
        raise SolicitudInvalida("El cliente se identifica en Authorization o en el formulario, no en ambos.")
    return client_id, secret


def _basic(request: Request) -> str | None:
    """What follows `Basic` in the header Authorization; None: it is absent, or of another scheme."""
    scheme, _, credentials = (header(request, b"authorization") or "").partition(" ")
    return credentials.strip() if scheme.lower() == "basic" else None


def _decode_basic(credentials: str) -> tuple[str, str]:
    """Both parts are form-urlencoded before they are joined, so that neither can hold the colon."""
    try:
        client_id, _, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
        return unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except ValueError:
        raise ClienteInvalido from None


def required(values: dict[str, str], name: str) -> str:
    """Raises `SolicitudInvalida` when the parameter is absent."""
    if name not in values:
        raise SolicitudInvalida(f"Falta {name}.")
    return values[name]


def form_body(required: list[str], **properties: str) -> dict[str, Any]:
    """The `openapi_extra=` of a route that takes a form with those parameters, each with its description."""
    schema = {
        "type": "object",
        "required": required,
        "properties": {name: {"type": "string", "description": text} for name, text in properties.items()},
    }
    return {"requestBody": {"required": True, "content": {FORM_TYPE: {"schema": schema}}}}


def describe_refusals(*refusals: type[Rechazo]) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route that may answer with those refusals."""
    described: dict[int | str, dict[str, Any]] = {}
    for status in sorted({refusal.status for refusal in refusals}):
        errors = [refusal.error for refusal in refusals if refusal.status == status]
        properties = {"error": {"type": "string", "enum": errors}, "error_description": {"type": "string"}}
        for refusal in refusals:
            properties |= refusal.extra_schema if refusal.status == status else {}
        schema = {"type": "object", "required": ["error"], "properties": properties}
        described[status] = {
            "description": " · ".join(f"`{error}`" for error in errors),
            "content": {"application/json": {"schema": schema}},
        }
    return described
