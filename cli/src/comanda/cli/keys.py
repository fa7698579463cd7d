"""`comanda keys`: the keys that sign the users' tokens, and the master key that encrypts them.

Works on auth's database itself, whether or not auth runs.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from datetime import datetime

from comanda.auth.claves import RotacionRechazada, activa, anunciadas, fin
from comanda.auth.key_store import KeyStore
from comanda.auth.master_keys import MasterKeys
from comanda.auth.rewrap import Rewrap, Rewrapped
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

REWRAPPED = """\
Written anew under master key {llave}: signing keys: {claves}, second factors: {factores}."""

UNREADABLE = """
{ilegibles} values open with no master key that is set: add theirs to AUTH_MASTER_KEY_PREVIOUS, and repeat."""

STILL_FORMER = """
Still of a former master key: sessions: {sesiones}{until}; accounts by their recovery codes: {cuentas}.
Without AUTH_MASTER_KEY_PREVIOUS those sessions end and those codes are void; a session is past that with its next
refresh, an account with new codes (POST /auth/yo/totp/codigos). Repeat this to see how many are left."""

NOTHING_FORMER = """
No session and no recovery code needs a former master key: AUTH_MASTER_KEY_PREVIOUS may be dropped {hours} hours after
the last replica has the present one, when the links it mailed before have ended."""


def rotate(*, now: bool) -> None:
    """Announces the next key; or, `now`, withdraws all and makes one that signs at once."""
    print(_with_store(_replace if now else _rotate))


def listing() -> None:
    """Prints a line for each key."""
    print(_with_store(_list))


def rewrap() -> None:
    """Encrypts with the present master key what another one did, and prints when that one may be dropped."""
    print(_with_database(_rewrap))


async def _rewrap(settings: Settings, database: Database) -> str:
    done = await Rewrap(settings, database, MasterKeys.of(settings), SystemClock()).run()
    return _told(done, max(settings.reset_link_seconds, settings.verification_link_seconds))


def _told(done: Rewrapped, link_seconds: int) -> str:
    text = REWRAPPED.format(llave=done.llave, claves=done.claves, factores=done.factores)
    if done.ilegibles:
        text += UNREADABLE.format(ilegibles=done.ilegibles)
    if done.sesiones or done.cuentas:
        until = f", the last until {_moment(done.fin)}" if done.fin else ""
        return text + STILL_FORMER.format(sesiones=done.sesiones, until=until, cuentas=done.cuentas)
    return text if done.ilegibles else text + NOTHING_FORMER.format(hours=math.ceil(link_seconds / 3600))


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
    async def used(settings: Settings, database: Database) -> str:
        return await use(KeyStore(settings, database, MasterKeys.of(settings), SystemClock()))

    return _with_database(used)


def _with_database(use: Callable[[Settings, Database], Awaitable[str]]) -> str:
    environment.prepared()
    settings = environment.load_settings(("auth",))["auth"]
    assert isinstance(settings, Settings)  # noqa: S101  # those of auth
    try:
        return asyncio.run(_used(settings, use))
    except DatabaseUnavailable as fault:
        raise CommandFailed(f"AUTH_DATABASE_URL: the database does not answer ({fault})") from None
    except NotReady as fault:
        raise CommandFailed(str(fault)) from None


async def _used(settings: Settings, use: Callable[[Settings, Database], Awaitable[str]]) -> str:
    database = Database(settings.database_url, clock=SystemClock())
    try:
        await migrations.migrate(database, "comanda.auth")
        return await use(settings, database)
    finally:
        await database.aclose()


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
