"""The audit log of a service: who did what, to what, from where, kept in the transaction of the effect.

Lines are only ever added; nothing here changes one, and only what is older than the operator keeps it is removed. Who
asks is known from the request that is served in this context, so a use case names only what it did. Source: OWASP
Logging Cheat Sheet; ASVS 5.0, V16.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime, BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.types import Scope

from comanda.common.clock import Clock, uuid7_floor
from comanda.common.database import Database
from comanda.common.migrations import create_table
from comanda.common.moments import UtcDateTime
from comanda.common.pagination import Keyset, Page, PageQuery, PageRequest, Pagina, page_body
from comanda.common.requests import Line, router
from comanda.common.security import CALLER, allow, source
from comanda.common.telemetry import current_request_id
from comanda.common.tokens import Principal

AUDIT_SCOPE = "auditoria:leer"
SWEEP_ROWS = 500
"""Lines removed in one transaction."""
SWEEP_SECONDS = 3600
"""Pause between two looks for lines that are too old."""

TARGET_MAX, EVENT_MAX, SUBJECT_MAX, SOURCE_MAX = 200, 60, 200, 45

REQUEST: ContextVar[Scope | None] = ContextVar("request", default=None)
"""The ASGI scope of the request that is served in this context; None in a background loop."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log; empty where nobody or nothing is to be named."""

    id: UUID
    en: datetime
    suceso: str
    emisor: str
    """`iss` of the token that the request carried."""
    autor: str
    """Its `sub`: a user, a client or a service."""
    origen: str
    """The address that the request came from."""
    peticion: str
    """Its `X-Request-Id`."""
    objeto: str
    """What it was done to: an id."""
    detalle: dict[str, Any]


class Apunte(BaseModel):
    """An entry on the wire."""

    id: UUID
    en: AwareDatetime
    suceso: str
    emisor: str
    autor: str
    origen: str
    peticion: str
    objeto: str
    detalle: dict[str, Any]


def audit_table(metadata: sa.MetaData) -> sa.Table:
    """The table of a service's audit log."""
    return sa.Table(
        "auditoria",
        metadata,
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("en", UtcDateTime, nullable=False),
        sa.Column("suceso", sa.String(EVENT_MAX), nullable=False),
        sa.Column("emisor", sa.String(SUBJECT_MAX), nullable=False),
        sa.Column("autor", sa.String(SUBJECT_MAX), nullable=False),
        sa.Column("origen", sa.String(SOURCE_MAX), nullable=False),
        sa.Column("peticion", sa.String(128), nullable=False),
        sa.Column("objeto", sa.String(TARGET_MAX), nullable=False),
        sa.Column("detalle", sa.JSON, nullable=False),
        sa.Index("ix_auditoria_autor", "autor", "id"),
        sa.Index("ix_auditoria_objeto", "objeto", "id"),
    )


def create_audit_table(operations: Any) -> None:
    """The migration that creates that table; `operations` is `alembic.op`."""
    create_table(operations, audit_table(sa.MetaData()))


class Audit:
    """The audit log of one service, in the table `audit_table` of its own database."""

    def __init__(self, table: sa.Table, database: Database, clock: Clock, *, retention_days: int = 0) -> None:
        """Args: retention_days: how long `keep_swept` leaves lines; 0: for ever."""
        self._table = table
        self._database = database
        self._clock = clock
        self._retention = timedelta(days=retention_days)
        self._columns = [table.c[name] for name in Entry.__slots__]
        self._latest = Keyset("auditoria", table.c.id, descending=True)  # ids are UUIDv7

    def entry(self, suceso: str, objeto: object = "", **detalle: Any) -> Entry:
        """A line about what the request of this context does; it stands in the log once it is recorded.

        Args:
            detalle: what can be written as JSON; no secrets.
        """
        scope = REQUEST.get()
        caller: Principal | None = scope.get(CALLER) if scope else None
        return Entry(
            id=self._clock.new_id(),
            en=self._clock.now(),
            suceso=suceso,
            emisor=caller.issuer[:SUBJECT_MAX] if caller else "",
            autor=caller.subject[:SUBJECT_MAX] if caller else "",
            origen=source(scope)[:SOURCE_MAX] if scope else "",
            peticion=current_request_id() or "",
            objeto=str(objeto)[:TARGET_MAX],
            detalle=detalle,
        )

    async def record(self, connection: AsyncConnection, *entries: Entry) -> None:
        """Adds lines, in the transaction of what they tell of."""
        if entries:
            rows = [{name: getattr(entry, name) for name in Entry.__slots__} for entry in entries]
            await connection.execute(sa.insert(self._table), rows)

    async def tell(self, connection: AsyncConnection, suceso: str, objeto: object = "", **detalle: Any) -> None:
        """Adds a line about what this request does, in the same transaction."""
        await self.record(connection, self.entry(suceso, objeto, **detalle))

    async def note(self, suceso: str, objeto: object = "", **detalle: Any) -> None:
        """Adds a line about what has no transaction of its own: a refusal."""
        async with self._database.transaction() as connection:
            await self.tell(connection, suceso, objeto, **detalle)

    async def page(self, page: PageRequest, *, autor: str | None, objeto: str | None) -> Page[Entry]:
        """The latest first; of one author, and about one object, where named."""
        given = {"autor": autor, "objeto": objeto}
        filters = [self._table.c[name] == value for name, value in given.items() if value is not None]
        async with self._database.read() as connection:
            rows = await self._latest.fetch(connection, sa.select(*self._columns).where(*filters), page)
        return rows.map(lambda row: Entry(**row))

    async def keep_swept(self) -> None:
        """The loop that removes lines which are older than they are to be kept."""
        while True:
            if not self._retention or await self.sweep(self._clock.now() - self._retention) < SWEEP_ROWS:
                await self._clock.sleep(SWEEP_SECONDS)

    async def sweep(self, before: datetime) -> int:
        """Removes at most `SWEEP_ROWS` lines from before that moment, the oldest first; returns how many.

        What another replica is just removing is left to it.
        """
        old = (
            sa.select(self._table.c.id)
            .where(self._table.c.id < uuid7_floor(before))
            .order_by(self._table.c.id)
            .limit(SWEEP_ROWS)
            .with_for_update(skip_locked=True)
        )
        async with self._database.transaction() as connection:
            return (await connection.execute(sa.delete(self._table).where(self._table.c.id.in_(old)))).rowcount


def audit_router(audit: Audit, service: str) -> APIRouter:
    """`GET /<service>/auditoria`."""
    routes = router(tags=["auditoria"])

    @routes.get(f"/{service}/auditoria", response_model=Pagina[Apunte], summary="Who did what, the latest first")
    async def auditoria(
        page: PageQuery,
        request: Request,
        _: Annotated[Principal, allow(AUDIT_SCOPE)],
        autor: Annotated[Line | None, Query(max_length=SUBJECT_MAX, description="`sub` de quien lo hizo")] = None,
        objeto: Annotated[Line | None, Query(max_length=TARGET_MAX, description="id de a qué se le hizo")] = None,
    ) -> Response:
        found = await audit.page(page, autor=autor, objeto=objeto)
        return page_body(found.map(lambda entry: Apunte.model_validate(entry, from_attributes=True)), request)

    return routes
