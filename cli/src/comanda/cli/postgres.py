"""One database per service on a PostgreSQL server."""

import asyncio
import contextlib
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg

from comanda.cli.errors import CommandFailed

CONNECT_SECONDS = 5
DEFAULT_DATABASE = "postgres"


def create_databases(server: str, names: Sequence[str]) -> None:
    """Makes those databases that are missing.

    Raises:
        CommandFailed: naming COMANDA_POSTGRES_URL, if the server cannot be reached or does not allow it.
    """
    parts = urlsplit(server)
    if parts.scheme not in ("postgresql", "postgres") or not parts.hostname:
        raise CommandFailed("COMANDA_POSTGRES_URL: not a URL like postgresql://user:password@host:port/")
    try:
        asyncio.run(_create(server, names))
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        place = f"{parts.hostname}:{parts.port or 5432}"
        reason = str(error) or type(error).__name__
        raise CommandFailed(f"COMANDA_POSTGRES_URL: PostgreSQL at {place}: {reason}") from None


async def _create(server: str, names: Sequence[str]) -> None:
    url, options = _for_asyncpg(server)
    connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS, **options)
    try:
        existing = {row["datname"] for row in await connection.fetch("SELECT datname FROM pg_database")}
        for name in names:
            if name not in existing:
                await _create_one(connection, name)
    finally:
        await connection.close()


async def _create_one(connection: asyncpg.Connection, name: str) -> None:
    # Somebody else may make it at the same moment.
    with contextlib.suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
        await connection.execute(f'CREATE DATABASE "{name}"')


def _for_asyncpg(server: str) -> tuple[str, dict[str, str]]:
    """The URL as asyncpg takes it: `ssl`, as SQLAlchemy's URLs have it, is an argument of its own there."""
    parts = urlsplit(server)
    query = dict(parse_qsl(parts.query))
    options = {"ssl": query.pop("ssl")} if "ssl" in query else {}
    path = parts.path if parts.path.strip("/") else f"/{DEFAULT_DATABASE}"
    return urlunsplit(parts._replace(scheme="postgresql", path=path, query=urlencode(query))), options
