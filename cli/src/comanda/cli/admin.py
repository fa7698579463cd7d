"""`comanda admin create`: for when nobody can log in as an administrator any more. Works on auth's database itself."""

import asyncio
import secrets

from comanda.auth.administradores import Nombramiento
from comanda.auth.app import administradores
from comanda.auth.domain import EmailEnUso, es_email
from comanda.auth.settings import Settings
from comanda.cli import environment
from comanda.cli.errors import CommandFailed
from comanda.common.database import DatabaseUnavailable
from comanda.common.problems import DatosInvalidos

MADE_UP = (
    "in production no password is made up, for nobody would have to change it: comanda admin create EMAIL --prompt"
)


def create(email: str, password: str | None) -> None:
    """Without a password, one is made up and printed; not in production."""
    if not es_email(email):
        raise CommandFailed(f"{email}: not an email address")
    environment.prepared()
    settings = environment.load_settings(("auth",))["auth"]
    assert isinstance(settings, Settings)  # noqa: S101  # those of auth
    if password is None and settings.production:
        raise CommandFailed(MADE_UP)
    chosen = password or secrets.token_urlsafe(18)
    try:
        was = asyncio.run(_create(settings, email, chosen))
    except DatosInvalidos as refusal:
        [error] = refusal.extras["errores"]
        raise CommandFailed(f"password: {error['mensaje']}") from None
    except EmailEnUso:
        raise CommandFailed(f"{email}: has just been registered; run the command again") from None
    except DatabaseUnavailable as fault:
        raise CommandFailed(f"AUTH_DATABASE_URL: the database does not answer ({fault})") from None
    print(f"{email}: {_told(was)}")
    if password is None:
        print(f"password: {chosen}")


async def _create(settings: Settings, email: str, password: str) -> Nombramiento:
    async with administradores(settings) as admins:
        return await admins.nombrar(email, password, orden="comanda admin create")


def _told(was: Nombramiento) -> str:
    if was.nuevo:
        return "new administrator"
    factor = " and no second factor" if was.tenia_factor else ""
    return f"administrator with a new password{factor}; their sessions have ended"
