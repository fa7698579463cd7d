"""Idempotency keys, stored in the transaction of the effect they protect.

A key is bound to a request by issuer, subject and route, and by a fingerprint of method, path and body. While the first
request runs it holds a lease; an answer that committed an effect ends the lease and is given again to every later
request with the key. Source: draft-ietf-httpapi-idempotency-key-header-07, and the keys of Stripe's API.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import Header, Request
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from comanda.common.database import Database, UtcDateTime
from comanda.common.problems import MEDIA_TYPE, ClaveReutilizada, DatosInvalidos, PeticionEnCurso, Problem
from comanda.common.tokens import Principal

KEPT = timedelta(hours=24)
"""How long an answer is given again. Older keys are swept."""

SWEEP_ROWS = 500
"""Keys removed in one transaction of the sweep."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer as it was first given."""

    status: int
    body: str
    headers: Mapping[str, str]
    media_type: str = "application/json"

    @classmethod
    def of_problem(cls, problem: Problem, instance: str) -> "Answer":
        body = json.dumps(problem.document(instance), default=str)
        return cls(problem.status, body, dict(problem.headers or {}), MEDIA_TYPE)

    def response(self, *, replayed: bool = False) -> Response:
        headers = dict(self.headers) | ({"Idempotent-Replayed": "true"} if replayed else {})
        return Response(self.body, self.status, headers, self.media_type)


@dataclass(frozen=True, slots=True)
class Key:
    """One idempotency key in its scope, with the fingerprint of the request that carries it."""

    issuer: str
    subject: str
    route: str
    key: str
    fingerprint: str

    @property
    def scope(self) -> dict[str, str]:
        return {"issuer": self.issuer, "subject": self.subject, "route": self.route, "key": self.key}


@dataclass(frozen=True, slots=True)
class Record:
    """What is stored of a key: the answer once there is one, the resource it works on, until when it is leased."""

    resource_id: UUID | None
    leased_until: datetime | None
    answer: Answer | None


def keys_table(metadata: sa.MetaData) -> sa.Table:
    """The table of a service's idempotency keys."""
    return sa.Table(
        "idempotency_keys",
        metadata,
        sa.Column("issuer", sa.String(200), primary_key=True),
        sa.Column("subject", sa.String(200), primary_key=True),
        sa.Column("route", sa.String(100), primary_key=True),
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("resource_id", sa.Uuid),
        sa.Column("leased_until", UtcDateTime),
        sa.Column("status", sa.Integer),
        sa.Column("body", sa.Text),
        sa.Column("headers", sa.JSON),
        sa.Column("media_type", sa.String(50)),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Index("ix_idempotency_keys_created_at", "created_at"),
    )


class Keys:
    """The keys of one service. Every method works inside the caller's transaction."""

    def __init__(self, table: sa.Table, database: Database) -> None:
        self._table = table
        self._database = database

    async def find(self, connection: AsyncConnection, key: Key) -> Record | None:
        """What is stored of the key, or None.

        Raises:
            ClaveReutilizada: it belongs to a request with another fingerprint.
        """
        row = (await connection.execute(sa.select(self._table).where(*self._is(key)))).mappings().one_or_none()
        if row is None:
            return None
        if row["fingerprint"] != key.fingerprint:
            raise ClaveReutilizada
        answer = None
        if row["status"] is not None:
            answer = Answer(row["status"], row["body"], row["headers"], row["media_type"])
        return Record(row["resource_id"], row["leased_until"], answer)

    async def claim(
        self, connection: AsyncConnection, key: Key, *, now: datetime, resource_id: UUID | None, until: datetime | None
    ) -> bool:
        """Stores a new key, leased until that moment. False: somebody else stored it first."""
        statement = (
            self._database.insert(self._table)
            .values(
                **key.scope, fingerprint=key.fingerprint, resource_id=resource_id, leased_until=until, created_at=now
            )
            .on_conflict_do_nothing()
            .returning(self._table.c.key)
        )
        return (await connection.execute(statement)).scalar_one_or_none() is not None

    async def renew(self, connection: AsyncConnection, key: Key, *, now: datetime, until: datetime) -> bool:
        """Takes the lease of an unanswered key whose lease has ended. False: it is leased or answered meanwhile."""
        statement = (
            sa.update(self._table)
            .where(*self._is(key), self._table.c.status.is_(None))
            .where(sa.or_(self._table.c.leased_until.is_(None), self._table.c.leased_until <= now))
            .values(leased_until=until)
        )
        return (await connection.execute(statement)).rowcount == 1

    async def release(self, connection: AsyncConnection, key: Key, until: datetime) -> None:
        """Ends the lease that was taken until that moment, so that the client may try again at once."""
        statement = sa.update(self._table).where(*self._is(key), self._table.c.leased_until == until)
        await connection.execute(statement.values(leased_until=None))

    async def settle(self, connection: AsyncConnection, key: Key, answer: Answer) -> None:
        """Binds the answer to the key, in the transaction of the effect."""
        await connection.execute(
            sa.update(self._table)
            .where(*self._is(key))
            .values(
                status=answer.status,
                body=answer.body,
                headers=dict(answer.headers),
                media_type=answer.media_type,
                leased_until=None,
            )
        )

    async def sweep(self, connection: AsyncConnection, now: datetime) -> int:
        """Removes at most `SWEEP_ROWS` keys that are older than `KEPT`; returns how many."""
        table = self._table
        old = sa.select(*table.primary_key.columns).where(table.c.created_at < now - KEPT).limit(SWEEP_ROWS)
        result = await connection.execute(sa.delete(table).where(sa.tuple_(*table.primary_key.columns).in_(old)))
        return result.rowcount

    def _is(self, key: Key) -> list[sa.ColumnElement[bool]]:
        return [self._table.c[name] == value for name, value in key.scope.items()]


def running(record: Record, now: datetime) -> PeticionEnCurso | None:
    """The refusal for a key whose first request still holds its lease, else None."""
    if record.answer is not None or record.leased_until is None or record.leased_until <= now:
        return None
    seconds = max(1, int((record.leased_until - now).total_seconds() + 0.999))
    return PeticionEnCurso(headers={"Retry-After": str(seconds)})


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
        [request.method, request.url.path, body], sort_keys=True, separators=(",", ":"), default=_canonical
    )
    return Key(caller.issuer, caller.subject, route, header, hashlib.sha256(canonical.encode()).hexdigest())


def _canonical(value: Any) -> str:
    return format(value.normalize(), "f")  # a Decimal: 19.90 and 19.9 are the same number
