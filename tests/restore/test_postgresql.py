"""The PostgreSQL recipe of docs/operations.md: a base backup, archived WAL, and all four databases as of one moment."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from comanda.cli.environment import SERVICES, database_name
from comanda.testing import PostgresServer

ARCHIVE = "test ! -f {to}/%f && cp %p {to}/%f.tmp && sync {to}/%f.tmp && mv {to}/%f.tmp {to}/%f"
"""As the recipe has it: a segment is in the archive whole, or not at all."""


class Restorable(PostgresServer):
    """A server that archives its WAL, and can be started from a base backup."""

    def __init__(self) -> None:
        super().__init__()
        self.archive = self.folder / "archive"
        self.base = self.folder / "base"
        for made in (self.archive, self.base):
            made.mkdir(mode=0o700)
            if self._user:
                shutil.chown(made, self._user)
        self._options = ("-c", "archive_mode=on", "-c", f"archive_command={ARCHIVE.format(to=self.archive)}")

    def base_backup(self) -> None:
        url = f"{self.url}/postgres"
        self._run("pg_basebackup", "-d", url, "-D", str(self.base), "--checkpoint=fast", "--manifest-checksums=SHA256")
        self._run("pg_verifybackup", str(self.base))

    def restore(self, moment: str) -> None:
        """Ends what runs and starts from the base backup, up to that moment."""
        assert self._process is not None
        self._process.send_signal(2)  # fast shutdown, which archives the last of the WAL
        self._process.wait(20)
        shutil.rmtree(self._data)
        self._as_user("cp", "-a", str(self.base), str(self._data))
        self._as_user("touch", str(self._data / "recovery.signal"))
        settings = {
            "restore_command": f"cp {self.archive}/%f %p",
            "recovery_target_time": moment,
            "recovery_target_action": "promote",
        }
        self._options += tuple(part for name, value in settings.items() for part in ("-c", f"{name}={value}"))
        self.start()

    def _as_user(self, *command: str) -> None:
        subprocess.run(command, check=True, user=self._user)


@pytest.fixture
def server() -> Iterator[Restorable]:
    server = Restorable()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
async def connections(server: Restorable) -> AsyncIterator[list[asyncpg.Connection]]:
    admin = await asyncpg.connect(f"{server.url}/postgres")
    for service in SERVICES:
        await admin.execute(f"CREATE DATABASE {database_name(service)}")
    connections = [await _connect(server, service) for service in SERVICES]
    for connection in connections:
        await connection.execute("CREATE TABLE written (number integer)")
    yield [admin, *connections]
    for connection in [admin, *connections]:
        connection.terminate()


async def test_all_four_as_of_one_moment(server: Restorable, connections: list[asyncpg.Connection]) -> None:
    """Each number is written to one database after the other: whatever the moment, none is ahead of one before it."""
    admin, *databases = connections
    await _write(databases, range(50))
    await asyncio.to_thread(server.base_backup)
    await _write(databases, range(50, 100))
    moment = str(await admin.fetchval("SELECT clock_timestamp()"))
    await _write(databases, range(100, 150))
    await admin.execute("SELECT pg_switch_wal()")
    await asyncio.to_thread(server.restore, moment)
    restored = [await _connect(server, service) for service in SERVICES]
    found = []
    for connection in restored:
        await _promoted(connection)
        found.append(await connection.fetchval("SELECT count(*) FROM written"))
        await connection.execute("INSERT INTO written VALUES (-1)")  # it serves again
        await connection.close()
    assert found == [100] * 4


async def _write(databases: list[asyncpg.Connection], numbers: range) -> None:
    for number in numbers:
        for database in databases:
            await database.execute("INSERT INTO written VALUES ($1)", number)


async def _promoted(connection: asyncpg.Connection) -> None:
    """Waits until it has reached the moment and takes writes."""
    while await connection.fetchval("SELECT pg_is_in_recovery()"):  # noqa: ASYNC110  # another process's doing
        await asyncio.sleep(0.05)


async def _connect(server: Restorable, service: str) -> asyncpg.Connection:
    return await asyncpg.connect(f"{server.url}/{database_name(service)}")
