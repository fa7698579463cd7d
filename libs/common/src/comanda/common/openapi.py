"""The OpenAPI document: what a route says of itself, and the answers that any route of its kind may give."""

from typing import Any

from fastapi import FastAPI

from comanda.common import connections, hosts, problems
from comanda.common.problems import MEDIA_TYPE, Problem

EVERY_ROUTE = (
    problems.ServicioNoDisponible,
    problems.ServicioSaturado,
    problems.ErrorInterno,
    connections.PeticionMalFormada,
    connections.CabeceraDemasiadoLenta,
    connections.UrlDemasiadoLarga,
    connections.CabeceraDemasiadoGrande,
    hosts.SinHost,
    hosts.HostNoAdmitido,
)
WITH_INPUT = (problems.DatosInvalidos,)
WITH_BODY = (
    problems.JsonInvalido,
    problems.PlazoDelCuerpoAgotado,
    problems.CuerpoDemasiadoGrande,
    problems.TipoNoAdmitido,
)
WITH_FORM = (problems.PeticionIlegible,)
WITH_TOKEN = (problems.NoAutenticado, problems.NoAutorizado)


def install(app: FastAPI) -> None:
    """Makes `app.openapi()` describe the shared answers too."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = generate()
            for path in schema["paths"].values():
                for operation in path.values():
                    _complete(operation)
            schema["components"].get("schemas", {}).pop("HTTPValidationError", None)
            schema["components"].get("schemas", {}).pop("ValidationError", None)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # the way FastAPI documents to extend it


def _complete(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]
    _add(responses, EVERY_ROUTE)
    if operation.get("parameters") or "requestBody" in operation:
        _add(responses, WITH_INPUT)
    if "requestBody" in operation:
        _add(responses, WITH_BODY)
        if "multipart/form-data" in str(operation["requestBody"]) or "form-urlencoded" in str(operation["requestBody"]):
            _add(responses, WITH_FORM)
    if "security" in operation:
        _add(responses, WITH_TOKEN)


def _add(responses: dict[str, Any], shared: tuple[type[Problem], ...]) -> None:
    for status, description in problems.describe(*shared).items():
        present = responses.get(str(status))
        if present is None:
            responses[str(status)] = description
        elif MEDIA_TYPE in present.get("content", {}):
            _merge(present, description)


def _merge(present: dict[str, Any], added: dict[str, Any]) -> None:
    mine, theirs = (part["content"][MEDIA_TYPE]["schema"]["properties"] for part in (present, added))
    new = [slug for slug in theirs["type"]["enum"] if slug not in mine["type"]["enum"]]
    if new:
        present["description"] += " · " + added["description"]
        mine["type"]["enum"] += new
        for name, schema in theirs.items():
            mine.setdefault(name, schema)
