"""Errors as problem details (RFC 9457), one class for each situation.

A service declares its own problems beside the rule that raises them, in `domain.py`: a class with a `status`, a `slug`
and a `title`. Raising it anywhere below a route answers the request with it; naming it in `describe(...)` documents it.
"""

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from fastapi import HTTPException
from starlette.responses import Response

TYPE_BASE = "https://comanda.dev/problemas/"
MEDIA_TYPE = "application/problem+json"


class Problem(HTTPException):
    """A refusal or failure that the client is told about.

    Args:
        detail: one sentence for the person who reads it; the title when left out.
        headers: response headers, for example `Retry-After`.
        extras: further members of the problem document, JSON values under their wire names.
    """

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "error-interno"
    title: ClassVar[str] = "Error interno"
    extra_schema: ClassVar[Mapping[str, Any]] = {}
    """JSON schema of each extra member, by name, for the OpenAPI document."""

    def __init__(self, detail: str | None = None, *, headers: Mapping[str, str] | None = None, **extras: Any) -> None:
        super().__init__(self.status, detail or self.title, dict(headers) if headers else None)
        self.extras = extras

    def __copy__(self) -> Self:
        """The same for another caller, who may add to it."""
        twin = self.__class__.__new__(self.__class__, *self.args)
        twin.__dict__.update(self.__dict__, extras=dict(self.extras))
        return twin

    def document(self, instance: str) -> dict[str, Any]:
        """The problem document, `instance` being the path of the request."""
        return {
            "type": TYPE_BASE + self.slug,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            **self.extras,
        }

    def response(self, instance: str) -> Response:
        # ASCII escapes keep whatever a client sent us (even lone surrogates) encodable.
        body = json.dumps(self.document(instance), default=str).encode()
        return Response(body, self.status, self.headers, MEDIA_TYPE)


class ErrorInterno(Problem):
    """Something in the service failed in a way nobody foresaw; the log has the details under the request id."""


class JsonInvalido(Problem):
    """The body is not JSON (RFC 8259), not UTF-8, nested too deeply, or empty where one is needed."""

    status, slug, title = 400, "json-invalido", "El cuerpo no es JSON válido"


class PeticionIlegible(Problem):
    """The body is not what its media type says, for example a broken multipart form."""

    status, slug, title = 400, "peticion-ilegible", "El cuerpo no se puede leer"


class DatosInvalidos(Problem):
    """The request is well formed but a value is missing, of a wrong type or out of range; `errores` says which."""

    status, slug, title = 422, "datos-invalidos", "Los datos no son válidos"
    extra_schema: ClassVar[Mapping[str, Any]] = {
        "errores": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["campo", "mensaje"],
                "properties": {"campo": {"type": "string"}, "mensaje": {"type": "string"}},
            },
        }
    }

    @classmethod
    def of(cls, campo: str, mensaje: str) -> "DatosInvalidos":
        return cls(errores=[{"campo": campo, "mensaje": mensaje}])


class NoAutenticado(Problem):
    """The request carries no token, or one that is expired, forged or meant for somebody else (RFC 6750)."""

    status, slug, title = 401, "no-autenticado", "Falta un token válido"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"})


class NoAutorizado(Problem):
    """The token is valid but lacks the scope that the operation needs."""

    status, slug, title = 403, "no-autorizado", "El token no da permiso para esta operación"


class NoEncontrado(Problem):
    """No such resource, or none that the caller may see."""

    status, slug, title = 404, "no-encontrado", "No existe"


class MetodoNoPermitido(Problem):
    """The resource exists but does not know this method."""

    status, slug, title = 405, "metodo-no-permitido", "Método no permitido"


class PlazoDelCuerpoAgotado(Problem):
    """The client took too long to send the body."""

    status, slug, title = 408, "cuerpo-demasiado-lento", "El cuerpo no llegó a tiempo"


class VersionObsoleta(Problem):
    """The `If-Match` of the request names a version that is no longer the current one: read it again and decide."""

    status, slug, title = 412, "version-obsoleta", "El recurso ha cambiado"


class CuerpoDemasiadoGrande(Problem):
    """The body is larger than the service accepts."""

    status, slug, title = 413, "cuerpo-demasiado-grande", "El cuerpo es demasiado grande"


class TipoNoAdmitido(Problem):
    """The body is of another media type than the operation takes."""

    status, slug, title = 415, "tipo-no-admitido", "Tipo de contenido no admitido"


class PeticionEnCurso(Problem):
    """The first request with this idempotency key is still running; ask again after `Retry-After` seconds."""

    status, slug, title = 409, "peticion-en-curso", "La primera petición con esta clave sigue en curso"


class ClaveReutilizada(Problem):
    """The idempotency key belongs to a request with another body: a new request needs a new key."""

    status, slug, title = 422, "clave-idempotencia-reutilizada", "La clave de idempotencia ya se usó con otro cuerpo"


class ServicioNoDisponible(Problem):
    """A neighbour (or the database) named by `servicio` is away; try again after `Retry-After` seconds."""

    status, slug, title = 503, "servicio-no-disponible", "Un servicio necesario no está disponible"
    extra_schema: ClassVar[Mapping[str, Any]] = {"servicio": {"type": "string"}}

    def __init__(self, servicio: str, retry_after_seconds: float = 1, **extras: Any) -> None:
        super().__init__(
            f"«{servicio}» no está disponible; inténtelo de nuevo en unos segundos.",
            headers={"Retry-After": str(max(1, round(retry_after_seconds + 0.499)))},
            servicio=servicio,
            **extras,
        )


class ServicioSaturado(Problem):
    """The service has as many requests in hand as it accepts; try again after `Retry-After` seconds."""

    status, slug, title = 503, "servicio-saturado", "Demasiadas peticiones a la vez"
    summary: ClassVar[str | None] = None

    def __init__(self, retry_after_seconds: int = 1) -> None:
        super().__init__(self.summary, headers={"Retry-After": str(retry_after_seconds)})


class RespuestaInvalida(Problem):
    """The neighbour named by `servicio` answered something unexpected; the outcome is unknown."""

    status, slug, title = 502, "respuesta-invalida", "Un servicio necesario respondió algo inesperado"
    extra_schema: ClassVar[Mapping[str, Any]] = {"servicio": {"type": "string"}}

    def __init__(self, servicio: str, **extras: Any) -> None:
        super().__init__(f"«{servicio}» respondió algo inesperado.", servicio=servicio, **extras)


def describe(*problems: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route that may answer those problems, for its OpenAPI description."""
    by_status: dict[int, list[type[Problem]]] = {}
    for problem in problems:
        by_status.setdefault(problem.status, []).append(problem)
    return {
        status: {
            "description": " · ".join(f"`{p.slug}`: {p.title}" for p in group),
            "content": {MEDIA_TYPE: {"schema": _schema(group)}},
        }
        for status, group in by_status.items()
    }


def _schema(group: list[type[Problem]]) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "type": {"type": "string", "enum": [TYPE_BASE + p.slug for p in group]},
        "title": {"type": "string"},
        "status": {"type": "integer", "const": group[0].status},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
    }
    for problem in group:
        properties |= problem.extra_schema
    return {
        "type": "object",
        "required": ["type", "title", "status", "detail", "instance"],
        "properties": properties,
    }
