"""What the token and revocation endpoints have in common: strict forms (RFC 6749), and how they are described."""

from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from comanda.auth.domain import ClienteInvalido, Rechazo, SolicitudInvalida

FORM_TYPE = "application/x-www-form-urlencoded"
CLIENT_ID = "comanda-web"
"""The only client: our own, public (RFC 6749 §2.1), so it has no secret."""

MAX_FIELDS = 50


async def form(request: Request) -> dict[str, str]:
    """The parameters of a form request. Empty ones count as absent, unknown ones are ignored (RFC 6749 §3.2).

    Raises:
        SolicitudInvalida: the body is no form in UTF-8, or names a parameter twice.
        ClienteInvalido: the request names another client than ours.
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
    authenticates = request.headers.get("authorization", "").lower().startswith("basic")
    if authenticates or (values.get("client_id") or CLIENT_ID) != CLIENT_ID:
        raise ClienteInvalido
    return {name: value for name, value in values.items() if value}


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
        schema = {
            "type": "object",
            "required": ["error"],
            "properties": {"error": {"type": "string", "enum": errors}, "error_description": {"type": "string"}},
        }
        described[status] = {
            "description": " · ".join(f"`{error}`" for error in errors),
            "content": {"application/json": {"schema": schema}},
        }
    return described
