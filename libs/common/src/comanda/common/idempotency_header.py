"""The `Idempotency-Key` header, and which request a key stands for."""

import hashlib
import json
from decimal import Decimal
from typing import Annotated

from fastapi import Header, Request

from comanda.common.idempotency import Key
from comanda.common.problems import DatosInvalidos
from comanda.common.tokens import Principal

MAX_PLAIN_DIGITS = 20
"""Longer whole numbers with an exponent are not written out to be compared."""

IdempotencyKeyHeader = Annotated[
    str | None,
    Header(alias="Idempotency-Key", description="1–255 visible ASCII characters; repeats give the first answer"),
]


async def key_of(request: Request, header: str | None, caller: Principal, route: str) -> Key | None:
    """The key of a request, or None when it carries none.

    Raises:
        DatosInvalidos: the header is not 1–255 visible ASCII characters.
    """
    if header is None:
        return None
    if not 1 <= len(header) <= 255 or not all("!" <= character <= "~" for character in header):
        raise DatosInvalidos.of("Idempotency-Key", "Debe tener de 1 a 255 caracteres ASCII visibles.")
    body = await request.json() if await request.body() else None
    canonical = json.dumps(
        [request.method, request.scope["path"], body], sort_keys=True, separators=(",", ":"), default=_canonical
    )
    return Key(caller.issuer, caller.subject, route, header, hashlib.sha256(canonical.encode()).hexdigest())


def _canonical(value: Decimal) -> int | str:
    """One form for each number: 19.90 and 19.9 are the same, and so are 19.0 and 19. Exact, and short for 1e999999."""
    if value.adjusted() < MAX_PLAIN_DIGITS and value == value.to_integral_value():
        return int(value)
    sign, digits, exponent = value.as_tuple()
    significant = "".join(map(str, digits)).rstrip("0")
    return f"{'-' * sign}{significant}e{int(exponent) + len(digits) - len(significant)}"
