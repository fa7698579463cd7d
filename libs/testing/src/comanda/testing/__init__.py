"""What tests of any service share: a clock to set, databases to spend, an issuer of tokens, a network in memory."""

import asyncio
import os
import random
import shutil
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
from fastapi import FastAPI
from yarl import URL

from comanda.common.clock import Clock
from comanda.common.database import Database
from comanda.common.migrations import migrate
from comanda.common.tokens import SigningKey
from comanda.common.transport import Reply
from comanda.testing.postgres import PostgresServer as PostgresServer
from comanda.testing.postgres import free_port as free_port
from comanda.testing.postgres import free_ports as free_ports

ISSUER = "http://127.0.0.1:8000"
AUDIENCE = "comanda"
START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


class FakeClock:
    """A clock that only moves when told to; who sleeps on it wakes when it has moved far enough.

    Ids are UUIDv7 from a seeded source.
    """

    def __init__(self, seed: int = 0) -> None:
        self._now = START
        self._monotonic = 1000.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []
        self._random = random.Random(seed)  # noqa: S311  # reproducible on purpose

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        sleeper = self._monotonic + seconds, asyncio.get_running_loop().create_future()
        self._sleepers.append(sleeper)
        try:
            await sleeper[1]
        finally:
            self._sleepers.remove(sleeper)

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds
        for due, future in self._sleepers:
            if due <= self._monotonic and not future.done():
                future.set_result(None)

    def set_wall(self, seconds: float) -> None:
        """Sets the wall clock forward or back, as an operator or NTP would; durations do not notice."""
        self._now += timedelta(seconds=seconds)

    def new_id(self) -> UUID:
        milliseconds = int(self._now.timestamp() * 1000)
        value = milliseconds << 80 | 0x7 << 76 | self._random.getrandbits(12) << 64
        return UUID(int=value | 0b10 << 62 | self._random.getrandbits(62))


class Issuer:
    """Issues user tokens as auth would, for tests of the services that only verify them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.key = SigningKey.generate()

    @property
    def jwks(self) -> dict[str, Any]:
        return {"keys": [self.key.public_jwk()]}

    def token(self, *scopes: str, subject: str = "cliente-1", **claims: Any) -> str:
        now = int(self._clock.now().timestamp())
        values = {
            "iss": ISSUER,
            "sub": subject,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + 900,
            "jti": str(self._clock.new_id()),
            "client_id": "comanda-web",
            "scope": " ".join(scopes),
        }
        return self.key.sign(values | claims, "at+jwt")

    def headers(self, *scopes: str, **claims: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(*scopes, **claims)}"}


@asynccontextmanager
async def running(app: FastAPI, base_url: str = "http://localhost") -> AsyncIterator[httpx2.AsyncClient]:
    """The application with its lifespan, ready, and a client that reaches it without a socket."""
    async with app.router.lifespan_context(app):
        await asyncio.wait_for(app.state.ready.wait(), 20)
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url=base_url) as client:
            yield client


class Network(httpx2.AsyncBaseTransport):
    """Takes requests to the applications registered under their host names; what is not registered is down.

    It is the transport of a `Neighbour` as well as of an httpx2 client.

    `requests` counts what was sent to each host.
    """

    def __init__(self, **apps: FastAPI) -> None:
        self.apps: dict[str, FastAPI] = dict(apps)
        self.requests: dict[str, int] = {}
        self.answers: dict[str, httpx2.Response] = {}

    async def send(self, method: str, url: URL, headers: Mapping[str, str], content: bytes | None) -> Reply:
        request = httpx2.Request(method, str(url), headers=headers, content=content)
        response = await self.handle_async_request(request)
        return Reply(response.status_code, response.headers, await response.aread())

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        host = request.url.host
        self.requests[host] = self.requests.get(host, 0) + 1
        if host in self.answers:
            canned = self.answers[host]
            return httpx2.Response(canned.status_code, headers=canned.headers, content=canned.content)
        if host not in self.apps:
            raise httpx2.ConnectError("connection refused", request=request)
        request.headers["Host"] = "localhost"  # names here are of this network, and no application knows its own
        return await httpx2.ASGITransport(app=self.apps[host]).handle_async_request(request)


class Databases:
    """Makes databases: each call of `new` gives the URL of a fresh one, migrated when a package is named.

    Args:
        folder: where SQLite files go.
        server: URL of a PostgreSQL server for PostgreSQL databases, None for SQLite.
    """

    def __init__(self, folder: Path, server: str | None) -> None:
        self._folder = folder
        self._server = server
        self._count = 0
        self._templates: dict[str, str] = {}
        self._made: list[str] = []

    @property
    def dialect(self) -> str:
        return "sqlite" if self._server is None else "postgresql"

    async def new(self, package: str | None = None, *, keep: bool = False) -> str:
        """The URL of a database nobody else uses; `keep` it for the tests that follow.

        Schemas are migrated once and copied from then on.
        """
        if package is not None and package not in self._templates:
            self._templates[package] = await self._create(None)
            await _migrate(self._templates[package], package)
        url = await self._create(self._templates.get(package or ""))
        if not keep:
            self._made.append(url)
        return url

    async def discard(self) -> None:
        """Removes the databases made so far, but for those to keep and the migrated templates."""
        made, self._made = self._made, []
        await self.drop(made)

    async def drop(self, urls: Collection[str]) -> None:
        """Removes these databases."""
        if self._server is None:
            _unlink(urls)
        elif urls:
            connection = await asyncpg.connect(f"{self._server}/postgres")
            try:
                for url in urls:
                    await connection.execute(f'DROP DATABASE IF EXISTS "{url.rsplit("/", 1)[1]}" WITH (FORCE)')
            finally:
                await connection.close()

    async def _create(self, template: str | None) -> str:
        self._count += 1
        if self._server is None:
            path = self._folder / f"{self._count}.db"
            if template:
                shutil.copy(template.removeprefix("sqlite:///"), path)
            return f"sqlite:///{path}"
        name = f"t_{os.getpid()}_{self._count}_{random.getrandbits(32):08x}"
        clause = f' TEMPLATE "{template.rsplit("/", 1)[1]}"' if template else ""
        connection = await asyncpg.connect(f"{self._server}/postgres")
        try:
            await connection.execute(f'CREATE DATABASE "{name}"{clause} STRATEGY FILE_COPY')
        finally:
            await connection.close()
        return f"{self._server}/{name}"


def _unlink(urls: Iterable[str]) -> None:
    for url in urls:
        for suffix in ("", "-wal", "-shm"):
            Path(url.removeprefix("sqlite:///") + suffix).unlink(missing_ok=True)


async def _migrate(url: str, package: str) -> None:
    from comanda.common.clock import SystemClock

    database = Database(url, clock=SystemClock())
    try:
        await migrate(database, package)
        if database.dialect == "sqlite":
            async with database.engine.connect() as connection:
                await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        await database.aclose()


def problem(response: httpx2.Response) -> str:
    """The slug of a problem answer; fails the test if the answer is none."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    document = response.json()
    assert document["status"] == response.status_code
    assert {"type", "title", "status", "detail", "instance"} <= document.keys()
    return str(document["type"]).rsplit("/", 1)[1]


def fields(response: httpx2.Response) -> Iterable[str]:
    """The fields that a 422 `datos-invalidos` names."""
    assert problem(response) == "datos-invalidos", response.text
    return {entry["campo"] for entry in response.json()["errores"]}
