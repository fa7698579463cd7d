"""`comanda keys`: the keys that sign the users' tokens. Works on auth's database itself, whether or not auth runs."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from comanda.auth.claves import RotacionRechazada, activa, anunciadas, fin
from comanda.auth.key_store import KeyStore
from comanda.auth.keys import master_key
from comanda.auth.settings import Settings
from comanda.cli import environment
from comanda.cli.errors import CommandFailed
from comanda.common import migrations
from comanda.common.app import NotReady
from comanda.common.clock import SystemClock
from comanda.common.database import Database, DatabaseUnavailable

NOW = """\
{kid} signs from now on, and {withdrawn} former keys are withdrawn.
What they signed is refused by auth within seconds, and by each service when it has fetched the keys again: with the
first token of the new key, or within 5 minutes. Sessions go on: clients renew their token with their refresh token."""


def rotate(*, now: bool) -> None:
    """Announces the next key; or, `now`, withdraws all and makes one that signs at once."""
    print(_with_store(_replace if now else _rotate))


def listing() -> None:
    """Prints a line for each key."""
    print(_with_store(_list))


async def _rotate(store: KeyStore) -> str:
    try:
        clave = await store.rotate()
    except RotacionRechazada as refusal:
        raise CommandFailed(f"no new key: {refusal}") from None
    return f"{clave.kid} is published, and signs from {_moment(clave.activa_desde)}"


async def _replace(store: KeyStore) -> str:
    clave, withdrawn = await store.replace()
    return NOW.format(kid=clave.kid, withdrawn=withdrawn)


async def _list(store: KeyStore) -> str:
    claves, now = await store.read(), SystemClock().now()
    lines = [f"{'kid':43}  {'state':7}  {'signs from':20}  removed from"]
    for clave in claves:
        state = "active" if clave is activa(claves, now) else "next" if clave in anunciadas(claves, now) else "retired"
        removed = fin(claves, clave, store.retention)
        lines.append(
            f"{clave.kid:43}  {state:7}  {_moment(clave.activa_desde)}  {_moment(removed) if removed else '-'}"
        )
    return "\n".join(lines)


def _with_store(use: Callable[[KeyStore], Awaitable[str]]) -> str:
    environment.prepared()
    settings = environment.load_settings(("auth",))["auth"]
    assert isinstance(settings, Settings)  # noqa: S101  # those of auth
    try:
        return asyncio.run(_used(settings, use))
    except DatabaseUnavailable as fault:
        raise CommandFailed(f"AUTH_DATABASE_URL: the database does not answer ({fault})") from None
    except NotReady as fault:
        raise CommandFailed(str(fault)) from None


async def _used(settings: Settings, use: Callable[[KeyStore], Awaitable[str]]) -> str:
    clock = SystemClock()
    database = Database(settings.database_url, clock=clock)
    try:
        await migrations.migrate(database, "comanda.auth")
        return await use(KeyStore(settings, database, master_key(settings), clock))
    finally:
        await database.aclose()


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
