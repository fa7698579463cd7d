"""`comanda admin create`: for when nobody can log in as an administrator any more. Works on auth's database itself."""

import asyncio
import secrets
from dataclasses import replace
from uuid import UUID

from argon2 import PasswordHasher
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.auth.domain import Usuario, es_email, normalizar_password, objecion
from comanda.auth.passwords import Passwords
from comanda.auth.repository import Repository
from comanda.auth.repository_totp import RepositoryTotp
from comanda.auth.tables import auditoria
from comanda.cli import environment
from comanda.cli.errors import CommandFailed
from comanda.common import migrations
from comanda.common.audit import Audit
from comanda.common.clock import SystemClock
from comanda.common.database import Database, DatabaseUnavailable


def create(email: str, password: str | None) -> None:
    """Without a password, one is made up and printed."""
    chosen = password or secrets.token_urlsafe(18)
    if not es_email(email):
        raise CommandFailed(f"{email}: not an email address")
    if reason := objecion(normalizar_password(chosen), email):
        raise CommandFailed(f"password: {reason}")
    environment.prepared()
    settings = environment.load_settings(("auth",))["auth"]
    database = Database(settings.database_url, clock=SystemClock())
    try:
        was = asyncio.run(_create(database, email, chosen))
    except DatabaseUnavailable as fault:
        raise CommandFailed(f"AUTH_DATABASE_URL: the database does not answer ({fault})") from None
    print(f"{email}: {was}")
    if password is None:
        print(f"password: {chosen}")


async def _create(database: Database, email: str, password: str) -> str:
    passwords = Passwords(PasswordHasher(), workers=1, queue=0)
    try:
        await migrations.migrate(database, "comanda.auth")
        password_hash = await passwords.hash(password)
        async with database.transaction() as connection:
            usuario_id, was = await _make_admin(database, connection, email, password_hash)
            audit = Audit(auditoria, database, SystemClock())
            await audit.tell(connection, "admin_creado", usuario_id, orden="comanda admin create")
            return was
    finally:
        await passwords.aclose()
        await database.aclose()


async def _make_admin(
    database: Database, connection: AsyncConnection, email: str, password_hash: str
) -> tuple[UUID, str]:
    repository, clock = Repository(database), SystemClock()
    known = await repository.leer_por_email(connection, email)
    if known is None:
        now = clock.now()
        admin = Usuario(clock.new_id(), email, "Administrador", "admin", True, password_hash, 1, now, now)
        await repository.insertar_usuario(connection, admin)
        return admin.id, "new administrator"
    changed = replace(known, password_hash=password_hash)
    changed = changed.modificar({"rol": "admin", "activo": True}, clock.now())
    await repository.actualizar_usuario(connection, changed)
    await repository.terminar_familias_de(connection, known.id)
    if await RepositoryTotp(database).quitar_factor(connection, known.id):
        return known.id, "administrator with a new password and no second factor; their sessions have ended"
    return known.id, "administrator with a new password; their sessions have ended"
