"""Idempotency keys, stored in the transaction of the effect they protect.

A key is bound to a request by issuer, subject and route, and by a fingerprint of method, path and body. While the first
request runs it holds a lease; an answer that committed an effect ends the lease and is given again to every later
request with the key. Source: draft-ietf-httpapi-idempotency-key-header-07, and the keys of Stripe's API.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from comanda.common.bulk import BulkInsert, BulkRead, BulkUpdate
from comanda.common.clock import Clock
from comanda.common.database import Database
from comanda.common.migrations import create_table
from comanda.common.moments import UtcDateTime
from comanda.common.problems import MEDIA_TYPE, ClaveReutilizada, PeticionEnCurso, Problem
from comanda.common.statements import Row

KEPT = timedelta(hours=48)
"""Keys older than this are swept. An answer is promised again for 24 h, and may come long after its key."""

SCOPE = ("issuer", "subject", "route", "key")
"""What a key is unique in."""

CLAIMED = (*SCOPE, "fingerprint", "resource_id", "leased_until", "created_at")
SETTLED = ("status", "body", "headers", "media_type", "leased_until")

SWEEP_ROWS = 500
"""Keys removed in one transaction of the sweep …"""

SWEEP_SECONDS = 60
"""… which looks for old ones this often."""


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
        return {name: getattr(self, name) for name in SCOPE}

    @property
    def place(self) -> tuple[str, ...]:
        return tuple(self.scope.values())


@dataclass(frozen=True, slots=True)
class Claim:
    """A new key, the resource it works on, and until when its first request holds it."""

    key: Key
    resource_id: UUID | None
    until: datetime | None


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


def create_keys_table(operations: Any) -> None:
    """The migration that creates that table; `operations` is `alembic.op`."""
    create_table(operations, keys_table(sa.MetaData()))


class Keys:
    """The keys of one service. Its methods work inside the caller's transaction, but for `keep_swept`.

    `settling` binds answers to many keys, in a transaction that writes more.
    """

    def __init__(self, table: sa.Table, database: Database, clock: Clock) -> None:
        self._table = table
        self._database = database
        self._clock = clock
        this = [table.c[name] == sa.bindparam(f"this_{name}") for name in SCOPE]
        free = sa.or_(table.c.leased_until.is_(None), table.c.leased_until <= sa.bindparam("now"))
        self._find = BulkRead(database, table, SCOPE)
        self._claim = BulkInsert(database, table, CLAIMED, returning=SCOPE)
        self._forget = sa.delete(table).where(*this)
        self._renew = sa.update(table).where(*this, table.c.status.is_(None), free)
        self._release = sa.update(table).where(*this, table.c.leased_until == sa.bindparam("until"))
        self.settling = BulkUpdate(database, table, SCOPE, SETTLED)

    async def find(self, connection: AsyncConnection, key: Key) -> Record | None:
        """What is stored of the key, or None.

        Raises:
            ClaveReutilizada: it belongs to a request with another fingerprint.
        """
        [found] = await self.find_all(connection, [key])
        if isinstance(found, Exception):
            raise found
        return found

    async def find_all(
        self, connection: AsyncConnection, keys: Sequence[Key]
    ) -> list[Record | ClaveReutilizada | None]:
        """The same for many at once; what `find` would raise stands in the place of the record."""
        different = {key.place: key.scope for key in keys}
        rows = await self._find.execute(connection, list(different.values()))
        stored = {tuple(row[name] for name in SCOPE): row for row in rows}
        return [_record(stored.get(key.place), key) for key in keys]

    async def claim(
        self, connection: AsyncConnection, key: Key, *, now: datetime, resource_id: UUID | None, until: datetime | None
    ) -> bool:
        """Stores a new key, leased until that moment. False: somebody else stored it first."""
        return bool(await self.claim_all(connection, [Claim(key, resource_id, until)], now=now))

    async def claim_all(self, connection: AsyncConnection, claims: Sequence[Claim], *, now: datetime) -> list[Claim]:
        """The same for many at once, of which the first wins where two name one key; returns those stored."""
        first: dict[tuple[str, ...], Claim] = {}
        for claim in claims:
            first.setdefault(claim.key.place, claim)
        if not first:
            return []
        rows = [
            {
                **claim.key.scope,
                "fingerprint": claim.key.fingerprint,
                "resource_id": claim.resource_id,
                "leased_until": claim.until,
                "created_at": now,
            }
            for _, claim in sorted(first.items())  # in one order everywhere, so that nobody waits in a circle
        ]
        return [first[tuple(place.values())] for place in await self._claim.execute(connection, rows)]

    async def forget(self, connection: AsyncConnection, keys: Sequence[Key]) -> None:
        """Removes keys that the same transaction has claimed."""
        if keys:
            await connection.execute(self._forget, [_this(key) for key in keys])

    async def renew(self, connection: AsyncConnection, key: Key, *, now: datetime, until: datetime) -> bool:
        """Takes the lease of an unanswered key whose lease has ended. False: it is leased or answered meanwhile."""
        values = {"leased_until": until, "now": now}
        return (await connection.execute(self._renew, _this(key) | values)).rowcount == 1

    async def release(self, connection: AsyncConnection, key: Key, until: datetime) -> None:
        """Ends the lease that was taken until that moment, so that the client may try again at once."""
        await connection.execute(self._release, _this(key) | {"until": until, "leased_until": None})

    async def settle(self, connection: AsyncConnection, key: Key, answer: Answer) -> None:
        """Binds the answer to the key, in the transaction of the effect."""
        await self.settling.execute(connection, [settled(key, answer)])

    async def answer_or_claim(self, connection: AsyncConnection, key: Key, now: datetime) -> Answer | None:
        """For a request that is one transaction: the answer given before, or None, the key being claimed now.

        On PostgreSQL a second request waits here until the first one has committed.

        Raises:
            ClaveReutilizada: see `find`.
            PeticionEnCurso: the first request was rolled back a moment ago; try again.
        """
        if await self.claim(connection, key, now=now, resource_id=None, until=None):
            return None
        record = await self.find(connection, key)
        if record is None or record.answer is None:
            raise PeticionEnCurso(headers={"Retry-After": "1"})
        return record.answer

    async def keep_swept(self) -> None:
        """Removes keys that are older than `KEPT`, for ever, in bounded transactions."""
        while True:
            async with self._database.transaction() as connection:
                removed = await self.sweep(connection)
            if removed < SWEEP_ROWS:
                await self._clock.sleep(SWEEP_SECONDS)

    async def sweep(self, connection: AsyncConnection) -> int:
        """Removes at most `SWEEP_ROWS` keys that are older than `KEPT`; returns how many."""
        table, oldest = self._table, self._clock.now() - KEPT
        # In order of age, or PostgreSQL might look for old ones from the table's beginning, past all that it removed.
        old = sa.select(*table.primary_key.columns).where(table.c.created_at < oldest).order_by(table.c.created_at)
        result = await connection.execute(
            sa.delete(table).where(sa.tuple_(*table.primary_key.columns).in_(old.limit(SWEEP_ROWS)))
        )
        return result.rowcount


def settled(key: Key, answer: Answer) -> Row:
    """What `Keys.settling` writes to bind the answer to the key."""
    return {
        **key.scope,
        "status": answer.status,
        "body": answer.body,
        "headers": dict(answer.headers),
        "media_type": answer.media_type,
        "leased_until": None,
    }


def _record(row: Row | None, key: Key) -> Record | ClaveReutilizada | None:
    if row is None:
        return None
    if row["fingerprint"] != key.fingerprint:
        return ClaveReutilizada()
    answer = None
    if row["status"] is not None:
        answer = Answer(row["status"], row["body"], row["headers"], row["media_type"])
    return Record(row["resource_id"], row["leased_until"], answer)


def _this(key: Key) -> dict[str, Any]:
    return {f"this_{name}": value for name, value in key.scope.items()}


def running(record: Record, now: datetime) -> PeticionEnCurso | None:
    """The refusal for a key whose first request still holds its lease, else None."""
    if record.answer is not None or record.leased_until is None or record.leased_until <= now:
        return None
    return PeticionEnCurso(headers={"Retry-After": "1"})  # it usually ends at once; the lease is for when it died
