"""Keyset pagination: a page starts after the last row of the page before it. Never OFFSET, never COUNT.

Source: "Paging through results", https://use-the-index-luke.com/no-offset; Link header: RFC 8288.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import quote, urlencode
from uuid import UUID

import sqlalchemy as sa
from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.common.conditional import not_modified
from comanda.common.problems import DatosInvalidos
from comanda.common.requests import to_json

Item = TypeVar("Item")
Other = TypeVar("Other")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What the client asked for: at most `limit` rows, after `cursor` (None: from the start)."""

    limit: int = 50
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page, and the cursor of the next one (None: this is the last)."""

    items: Sequence[Item]
    next_cursor: str | None

    def map(self, function: Callable[[Item], Other]) -> "Page[Other]":
        return Page([function(item) for item in self.items], self.next_cursor)


class Pagina(BaseModel, Generic[Item]):
    """The wire form of a page."""

    elementos: list[Item]
    siguiente: str | None


async def page_request(
    limite: Annotated[int, Query(ge=1, le=200, description="elementos por página")] = 50,
    cursor: Annotated[str | None, Query(max_length=1000, description="el `siguiente` de la página anterior")] = None,
) -> PageRequest:
    return PageRequest(limite, cursor)


PageQuery = Annotated[PageRequest, Depends(page_request)]


MAX_IDS = 200


@dataclass(frozen=True, slots=True)
class IdFilter:
    """`?ids=a,b`: only these, those that exist. None: no such filter."""

    values: list[UUID] | None

    def page(self, page: PageRequest, request: Request) -> PageRequest:
        """The page to fetch: who names ids and no `limite` wants all of them at once."""
        if self.values is None or "limite" in request.query_params:
            return page
        return PageRequest(MAX_IDS, page.cursor)


async def _id_filter(
    ids: Annotated[str | None, Query(max_length=8000, description="hasta 200 ids, separados por comas")] = None,
) -> IdFilter:
    if ids is None:
        return IdFilter(None)
    try:
        values = [UUID(part.strip()) for part in ids.split(",") if part.strip()]
    except ValueError:
        raise DatosInvalidos.of("ids", "Deben ser UUID separados por comas.") from None
    if len(values) > MAX_IDS:
        raise DatosInvalidos.of("ids", f"Como máximo {MAX_IDS}.")
    return IdFilter(values)


Ids = Annotated[IdFilter, Depends(_id_filter)]


def page_body(page: Page[BaseModel], request: Request) -> Response:
    """The answer with a page: `Link` (RFC 8288) when there is a next one, a 304 when the client has this very page."""
    items = b",".join(map(to_json, page.items))
    body = b'{"elementos":[%b],"siguiente":%b}' % (items, json.dumps(page.next_cursor).encode())
    headers = {"ETag": f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'}
    if page.next_cursor is not None:
        query = urlencode(
            [*((k, v) for k, v in request.query_params.multi_items() if k != "cursor"), ("cursor", page.next_cursor)]
        )
        headers["Link"] = f'<{quote(request.scope["path"])}?{query}>; rel="next"'
    return not_modified(request, headers["ETag"]) or Response(body, headers=headers, media_type="application/json")


class Keyset:
    """An order in which a list can be paged: columns that together are unique, all ascending or all descending.

    Args:
        name: identifies the order inside cursors; a cursor of another order is refused with 422.
        columns: the sort key; an index over exactly these columns makes a page cost the same anywhere in the list.
    """

    def __init__(self, name: str, *columns: sa.ColumnElement[Any], descending: bool = False) -> None:
        self._name = name
        self._columns = columns
        self._descending = descending

    async def fetch(self, connection: AsyncConnection, query: sa.Select[Any], page: PageRequest) -> Page[sa.RowMapping]:
        """Runs the query for one page. The query must select the key's columns under their own names."""
        rows = (await connection.execute(self.after(query, page.cursor).limit(page.limit + 1))).mappings().all()
        more = len(rows) > page.limit
        kept = rows[: page.limit]
        return Page(kept, self._encode(kept[-1]) if more else None)

    def after(self, query: sa.Select[Any], cursor: str | None) -> sa.Select[Any]:
        """The query in this order, from the row after the cursor on.

        Raises:
            DatosInvalidos: the cursor is none of this order.
        """
        query = query.order_by(*(column.desc() if self._descending else column.asc() for column in self._columns))
        if cursor is None:
            return query
        values = zip(self._columns, self._decode(cursor), strict=True)
        last = sa.tuple_(*(sa.bindparam(None, value, column.type) for column, value in values))
        key = sa.tuple_(*self._columns)
        return query.where(key < last if self._descending else key > last)

    def _encode(self, row: sa.RowMapping) -> str:
        values = [row[column.key] for column in self._columns if column.key]
        text = json.dumps([self._name, *(_to_json(value) for value in values)], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def _decode(self, cursor: str) -> list[Any]:
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            name, *values = json.loads(raw)
            if name != self._name or len(values) != len(self._columns):
                raise ValueError(name)
            return [
                _from_json(value, column.type.python_type) for value, column in zip(values, self._columns, strict=True)
            ]
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError, binascii.Error):
            raise DatosInvalidos.of("cursor", "No es un cursor de esta lista.") from None


def _to_json(value: Any) -> str | int:
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, int) else str(value)


def _from_json(value: Any, kind: type) -> Any:
    if kind is int:
        if type(value) is not int or not -(2**63) <= value < 2**63:
            raise ValueError(value)
        return value
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(value)
    value.encode()  # a lone surrogate is no text that a database could hold
    if kind is datetime:
        return datetime.fromisoformat(value).astimezone(UTC)
    return UUID(value) if kind is UUID else value
