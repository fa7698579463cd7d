"""Money as integer minor units inside, as a decimal string with two digits outside (`1990` ↔ `"19.90"`)."""

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

MAX_CENTS = 100_000_000
_FORM = re.compile(r"\d{1,15}(\.\d{1,2})?")


def to_text(cents: int) -> str:
    """`1990` → `"19.90"`."""
    return f"{cents // 100}.{cents % 100:02d}"


def to_cents(value: Any) -> int:
    """`"19.90"`, `19.9` or `19` → cents. JSON numbers reach us as int or Decimal, never as float.

    Raises:
        PydanticCustomError: it is no amount, is negative, or has more than two decimals.
    """
    if isinstance(value, Decimal) and value.is_finite() and -20 <= value.adjusted() <= 15:
        value = _plain(value)
    elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**15:
        value = str(value)
    if not isinstance(value, str) or not value.isascii() or not _FORM.fullmatch(value):
        raise PydanticCustomError("importe", "Debe ser un importe con un máximo de dos decimales, p. ej. «19.90».")
    return int(Decimal(value) * 100)


def _plain(value: Decimal) -> str:
    """Its digits without exponent and superfluous zeros. Not `normalize()`, which rounds to 28 digits."""
    text = format(value if value else Decimal(0), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _bounded(value: Any) -> int:
    cents = to_cents(value)
    if cents > MAX_CENTS:
        raise PydanticCustomError("importe", "Debe estar entre 0 y 1000000.00.")
    return cents


_TEXT_SCHEMA = {"type": "string", "pattern": r"^\d+\.\d{2}$", "examples": ["19.90"]}
_INPUT_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": r"^\d{1,7}(\.\d{1,2})?$"},
        {"type": "number", "minimum": 0, "maximum": 1_000_000},
    ],
    "examples": ["19.90"],
}

Money = Annotated[int, PlainSerializer(to_text, return_type=str), WithJsonSchema(_TEXT_SCHEMA)]
"""An amount in an answer."""

MoneyInput = Annotated[int, BeforeValidator(_bounded), WithJsonSchema(_INPUT_SCHEMA)]
"""An amount in a request: 0–1,000,000.00."""

_TOTAL_SCHEMA = {
    "anyOf": [{"type": "string", "pattern": r"^\d{1,15}(\.\d{1,2})?$"}, {"type": "number", "minimum": 0}],
    "examples": ["19.90"],
}

TotalInput = Annotated[int, BeforeValidator(to_cents), WithJsonSchema(_TOTAL_SCHEMA)]
"""A sum of amounts in a request, without the bound of a single one."""
