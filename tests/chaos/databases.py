"""The databases of a cluster, and the death of a PostgreSQL server."""

import os
import signal
import time
from pathlib import Path
from uuid import uuid4

import asyncpg
from chaos.cluster import SERVICES

from comanda.testing import PostgresServer


def sqlite(folder: Path) -> dict[str, str]:
    return {service: f"sqlite:///{folder / service}.db" for service in SERVICES}


async def postgresql(server: str) -> dict[str, str]:
    """New databases on the server of that URL."""
    databases = {service: f"chaos_{service}_{uuid4().hex[:8]}" for service in SERVICES}
    connection = await asyncpg.connect(f"{server}/postgres")
    try:
        for name in databases.values():
            await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
    return {service: f"{server}/{name}" for service, name in databases.items()}


def crash_postgresql(server: PostgresServer) -> None:
    """Kills a PostgreSQL server and starts it again on the same data, when all that was left of it has ended."""
    os.kill(server.pid, signal.SIGSTOP)  # so that it starts no child that we do not know of
    left = _children(server.pid)
    server.kill()
    _wait_until_gone(left)
    server.start()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline, "the children of a killed PostgreSQL do not end"
        time.sleep(0.02)
