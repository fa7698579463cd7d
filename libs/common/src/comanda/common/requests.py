"""Requests read strictly: exact JSON, the right media type, and errors in words of our own."""

import json
import re
from collections.abc import Callable, Coroutine, Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.params import Form
from fastapi.routing import APIRoute
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    model_validator,
)
from pydantic_core import PydanticCustomError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope

from comanda.common.headers import header
from comanda.common.problems import DatosInvalidos, JsonInvalido, TipoNoAdmitido
from comanda.common.security import Allow

Document = TypeVar("Document", bound=BaseModel)

JSON_TYPES = ("application/json", "application/merge-patch+json")


class Body(BaseModel):
    """Base of every JSON request body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _no_number(cls, value: Any) -> Any:
        """FastAPI lets a model read the attributes of any object, and a Decimal is one that has none of the fields."""
        if isinstance(value, Decimal):
            raise PydanticCustomError("texto", "Debe ser un objeto JSON.")
        return value


Integer = Annotated[int, Strict()]
"""A JSON number without fraction; neither `"5"` nor `5.0` nor `true`."""

Boolean = Annotated[bool, Strict()]
"""`true` or `false`; neither `"true"` nor `1`."""


def _printable(text: str) -> str:
    if any(ord(character) < 32 and character not in "\n\r\t" for character in text):
        raise PydanticCustomError("texto", "No puede contener caracteres de control.")
    return text


def _line(text: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise PydanticCustomError("texto", "No puede contener caracteres de control.")
    return text


Text = Annotated[
    str, AfterValidator(_printable), Field(json_schema_extra={"pattern": r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]*$"})
]
"""Text of several lines. NUL and other control characters are refused: PostgreSQL could not hold them."""

Line = Annotated[str, AfterValidator(_line), Field(json_schema_extra={"pattern": r"^[^\x00-\x1f\x7f]*$"})]
"""Text of one line."""


def _rfc3339(value: Any) -> Any:
    if isinstance(value, str) and not _MOMENT.fullmatch(value):
        raise PydanticCustomError("texto", "Debe ser un momento RFC 3339 con zona, p. ej. «2026-01-31T12:00:00Z».")
    return value


_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")

Moment = Annotated[AwareDatetime, BeforeValidator(_rfc3339)]
"""A moment as RFC 3339 writes it, and nothing else that could be read as one."""


def no_repeats(name: str, message: str) -> AfterValidator:
    """Refuses a list in which two items have the same `name`."""

    def check(items: list[Any]) -> list[Any]:
        if len({getattr(item, name) for item in items}) < len(items):
            raise PydanticCustomError("texto", message)
        return items

    return AfterValidator(check)


def parse_json(raw: bytes) -> Any:
    """The value of a JSON text (RFC 8259); fractions become Decimal, so that no amount passes through a float.

    Raises:
        JsonInvalido: not UTF-8, not JSON, NaN or Infinity, a lone surrogate, an object that names something twice
            (RFC 7493 §2.3: readers disagree on which of the two counts), or nested too deeply to read.
    """
    try:
        value = _DECODER.decode(raw.decode())
        if b"\\u" in raw:
            json.dumps(value, ensure_ascii=False, default=str).encode()  # fails on a lone surrogate (RFC 7493 §2.1)
    except (ValueError, RecursionError, ArithmeticError):
        raise JsonInvalido from None
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _unrepeated(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    if len(value) < len(members):
        raise ValueError("a name given twice")
    return value


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_unrepeated)


class StrictRequest(Request):
    """A request whose `json()` is `parse_json`.

    Args:
        body: what was received already; None: nothing was.
    """

    def __init__(self, scope: Scope, receive: Receive, body: bytes | None = None) -> None:
        super().__init__(scope, receive)
        if body is not None:
            self._body = body

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            self._json = parse_json(await self.body())
        return self._json


class StrictRoute(APIRoute):
    """A route that reads its body strictly; use it through `router()`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        field = self.body_field.field_info if self.body_field is not None else None
        takes_json = field is not None and not isinstance(field, Form)
        required = field is not None and field.is_required()
        guards = [found for found in _calls(self.dependant) if isinstance(found, Allow)]

        async def strict(request: Request) -> Response:
            request = StrictRequest(request.scope, request.receive)
            for guard in guards:  # who may not call is told so, before anybody looks at the body
                await guard(request)
            if takes_json:
                check_body(request, await request.body(), required=required)
            return await handle(request)

        return strict


def _calls(dependant: Dependant) -> Iterator[Any]:
    for needed in dependant.dependencies:
        yield needed.call
        yield from _calls(needed)


def check_body(request: Request, body: bytes, *, required: bool) -> None:
    """Raises `JsonInvalido` when a body is missing, `TipoNoAdmitido` when it is not sent as JSON."""
    if not body:
        if required:
            raise JsonInvalido("Falta el cuerpo.")
        return
    media_type = header(request, b"content-type") or ""
    if media_type not in JSON_TYPES and media_type.split(";", 1)[0].strip().lower() not in JSON_TYPES:
        raise TipoNoAdmitido("Envíe el cuerpo como application/json.")


def router(**options: Any) -> APIRouter:
    """An `APIRouter` whose routes are strict."""
    return APIRouter(route_class=StrictRoute, **options)


def filled(model: type[Document], **values: Any) -> Document:
    """A document of values that are right and all there: `model_construct` without its search for what is missing."""
    document = model.__new__(model)
    object.__setattr__(document, "__dict__", values)
    object.__setattr__(document, "__pydantic_fields_set__", set(values))
    object.__setattr__(document, "__pydantic_extra__", None)
    object.__setattr__(document, "__pydantic_private__", None)
    return document


def to_json(model: BaseModel) -> bytes:
    """`model_dump_json` without the way through a `str`."""
    return model.__pydantic_serializer__.to_json(model)


def document(model: BaseModel, headers: Mapping[str, str], status: int = 200) -> Response:
    """An answer with that document."""
    return Response(to_json(model), status, headers, "application/json")


def validation_problem(error: RequestValidationError) -> DatosInvalidos:
    """The 422 for whatever pydantic found wrong, in Spanish, one entry for each field (at most 50)."""
    return DatosInvalidos(errores=[_entry(item) for item in error.errors()[:50]])


def _entry(item: dict[str, Any]) -> dict[str, str]:
    where = [str(part) for part in item["loc"][1:]] or [str(item["loc"][0])]
    return {"campo": ".".join(where)[:200], "mensaje": _message(item)}


def _message(item: dict[str, Any]) -> str:
    kind, context = item["type"], dict(item.get("ctx") or {})
    if kind in ("too_short", "too_long") and isinstance(item.get("input"), str):
        kind = f"string_{kind}"
    if "expected" in context:
        context["expected"] = str(context["expected"]).replace(" or ", " o ")  # pydantic joins them in English
    template = _MESSAGES.get(kind)
    if template is not None:
        return template.format_map(context)
    if kind in _OWN_TYPES:
        return str(item["msg"])  # written by us, in a PydanticCustomError
    return "Valor no válido."


_OWN_TYPES = {"texto", "importe", "lineas", "contrasena", "email"}

_MESSAGES = {
    "missing": "Falta.",
    "extra_forbidden": "Campo desconocido.",
    "string_type": "Debe ser un texto.",
    "string_unicode": "Debe ser un texto Unicode válido.",
    "string_too_short": "Debe tener {min_length} caracteres o más.",
    "string_too_long": "Debe tener {max_length} caracteres o menos.",
    "string_pattern_mismatch": "No tiene la forma esperada.",
    "int_type": "Debe ser un número entero.",
    "int_parsing": "Debe ser un número entero.",
    "int_from_float": "Debe ser un número entero.",
    "int_parsing_size": "El número es demasiado grande.",
    "bool_type": "Debe ser true o false.",
    "bool_parsing": "Debe ser true o false.",
    "greater_than": "Debe ser mayor que {gt}.",
    "greater_than_equal": "Debe ser {ge} o más.",
    "less_than_equal": "Debe ser {le} o menos.",
    "uuid_parsing": "Debe ser un UUID.",
    "uuid_type": "Debe ser un UUID.",
    "enum": "Debe ser uno de: {expected}.",
    "literal_error": "Debe ser uno de: {expected}.",
    "list_type": "Debe ser una lista.",
    "too_short": "Debe tener {min_length} elementos o más.",
    "too_long": "Debe tener {max_length} elementos o menos.",
    "model_attributes_type": "Debe ser un objeto JSON.",
    "model_type": "Debe ser un objeto JSON.",
    "dict_type": "Debe ser un objeto JSON.",
    "datetime_parsing": "Debe ser una fecha y hora RFC 3339.",
    "datetime_from_date_parsing": "Debe ser una fecha y hora RFC 3339.",
    "timezone_aware": "Debe llevar zona horaria, p. ej. «Z».",
}
