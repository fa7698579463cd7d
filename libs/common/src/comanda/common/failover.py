"""Connections to a PostgreSQL that is on several hosts, of which one takes writes and any may fall silent.

Its URL: `postgresql://user:password@/name?host=a:5432&host=b:5432&target_session_attrs=read-write`.
"""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import asyncpg

HOST_SECONDS = 2.0
"""How long one of several hosts may take to let us in. The one that leads is not kept waiting for by a dead one."""

SILENCE_SECONDS = 3
"""After this a server that acknowledges nothing is given up: the kernel by itself goes on for a quarter of an hour, and
never asks while nothing is sent."""

COMMIT_SECONDS = 10.0
"""How long a commit may wait for a standby. Less than the time limit of statements, which asyncpg enforces."""

PROBE_SECONDS = 1
PROBES = 3

SERVER_LIMITS = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "15s",
}
"""How PostgreSQL notices that our host is gone, whose connections it would otherwise keep for two hours."""


async def connect(*, host: str | Sequence[str] | None = None, port: Any = None, **options: Any) -> Any:
    """asyncpg's `connect`, to the first of several hosts that answers as `target_session_attrs` wants; at once to all.

    Raises:
        OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError: none could be reached.
    """
    if host is None or isinstance(host, str):
        connection = await asyncpg.connect(host=host, port=port, **options)
    else:
        options["timeout"] = HOST_SECONDS
        connection = await _first([(one, at, options) for one, at in zip(host, port, strict=True)])
    notice_silence(connection)
    return connection


def notice_silence(connection: Any) -> None:
    """Closes the connection when its other end is gone without a word, whether it is in use or idle."""
    own = connection._transport.get_extra_info("socket")
    if own.family not in (socket.AF_INET, socket.AF_INET6):
        return
    own.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", PROBE_SECONDS),
        ("TCP_KEEPINTVL", PROBE_SECONDS),
        ("TCP_KEEPCNT", PROBES),
        ("TCP_USER_TIMEOUT", SILENCE_SECONDS * 1000),
    ):
        if hasattr(socket, option):  # not each is known to each system
            own.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


async def commit(connection: Any, transaction: Any) -> None:
    """Commits, and never asks the server to stop waiting for its standby: gives the connection up instead.

    asyncpg cancels a statement whose caller leaves or whose time is over. Within a COMMIT PostgreSQL takes that for
    leave to do without the standby: everybody sees the transaction from then on, and a failover takes it back.

    Raises:
        TimeoutError: no answer within `COMMIT_SECONDS`; the outcome is unknown.
    """
    committing = asyncio.ensure_future(transaction.commit())
    try:
        await asyncio.wait((committing,), timeout=COMMIT_SECONDS)
    finally:
        if not committing.done():
            connection.terminate()
            committing.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    if not committing.done():
        raise TimeoutError("COMMIT")
    committing.result()


async def _first(places: Sequence[tuple[str, int, dict[str, Any]]]) -> Any:
    """The first connection that is made; the others are ended."""
    tries = [asyncio.ensure_future(asyncpg.connect(host=host, port=port, **options)) for host, port, options in places]
    chosen, fault = None, None
    try:
        for trying in asyncio.as_completed(tries):
            try:
                chosen = await trying
                return chosen
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
                # A host that should have let us in says more than one that only stands by.
                if fault is None or isinstance(fault, asyncpg.TargetServerAttributeNotMatched):
                    fault = error
        assert fault is not None  # noqa: S101  # there is at least one host
        raise fault
    finally:
        for trying in tries:
            trying.cancel()
        for made in await asyncio.gather(*tries, return_exceptions=True):
            if isinstance(made, asyncpg.Connection) and made is not chosen:
                made.terminate()
