"""All SQL of auth but that of the signing keys."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.auth.domain import GRACIA, EmailEnUso, Familia, Usuario, clave_de_email
from comanda.auth.repository_terminadas import RepositorioTerminadas
from comanda.auth.tables import familias, usuarios
from comanda.common.database import Database
from comanda.common.pagination import Keyset, Page, PageRequest

SWEEP_ROWS = 500
"""Sessions removed in one transaction of the sweep."""

_USUARIO = [usuarios.c[name] for name in Usuario.__slots__]
_FAMILIA = [familias.c[name] for name in Familia.__slots__]
_RECIENTES = Keyset("sesiones", familias.c.id, descending=True)
_POR_ALTA = Keyset("alta", usuarios.c.id)  # ids are UUIDv7: in order of registration


class Repository:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._terminadas = RepositorioTerminadas(database)

    async def insertar_usuario(self, connection: AsyncConnection, usuario: Usuario) -> None:
        """Raises `EmailEnUso`."""
        try:
            await connection.execute(sa.insert(usuarios).values(_values(usuario)))
        except IntegrityError as error:
            if "email_clave" in str(error.orig):
                raise EmailEnUso from None
            raise

    async def actualizar_usuario(self, connection: AsyncConnection, usuario: Usuario) -> None:
        await connection.execute(sa.update(usuarios).where(usuarios.c.id == usuario.id).values(_values(usuario)))

    async def leer_usuario(
        self, connection: AsyncConnection, usuario_id: UUID, *, bloquear: bool = False
    ) -> Usuario | None:
        query = sa.select(*_USUARIO).where(usuarios.c.id == usuario_id)
        row = (await connection.execute(query.with_for_update() if bloquear else query)).mappings().one_or_none()
        return Usuario(**row) if row else None

    async def leer_por_email(
        self, connection: AsyncConnection, email: str, *, bloquear: bool = False
    ) -> Usuario | None:
        query = sa.select(*_USUARIO).where(usuarios.c.email_clave == clave_de_email(email))
        row = (await connection.execute(query.with_for_update() if bloquear else query)).mappings().one_or_none()
        return Usuario(**row) if row else None

    async def bloquear_con_admins(self, connection: AsyncConnection, usuario_id: UUID) -> Mapping[UUID, Usuario]:
        """Locks the user and every active admin, in order of id, so that of two removals one sees the other's."""
        query = (
            sa.select(*_USUARIO)
            .where(sa.or_(usuarios.c.id == usuario_id, sa.and_(usuarios.c.rol == "admin", usuarios.c.activo)))
            .order_by(usuarios.c.id)
            .with_for_update()
        )
        rows = (await connection.execute(query)).mappings()
        return {row["id"]: Usuario(**row) for row in rows}

    async def hay_admin(self, connection: AsyncConnection) -> bool:
        query = sa.select(sa.exists().where(usuarios.c.rol == "admin"))
        return bool((await connection.execute(query)).scalar_one())

    async def listar_usuarios(self, connection: AsyncConnection, page: PageRequest) -> Page[Usuario]:
        rows = await _POR_ALTA.fetch(connection, sa.select(*_USUARIO), page)
        return rows.map(lambda row: Usuario(**row))

    async def insertar_familia(self, connection: AsyncConnection, familia: Familia) -> None:
        await connection.execute(sa.insert(familias).values(asdict(familia)))

    async def leer_familia(self, connection: AsyncConnection, familia_id: UUID) -> Familia | None:
        """Locks it: of two refreshes at once, the second sees what the first made of it."""
        query = sa.select(*_FAMILIA).where(familias.c.id == familia_id).with_for_update()
        row = (await connection.execute(query)).mappings().one_or_none()
        return Familia(**row) if row else None

    async def actualizar_familia(self, connection: AsyncConnection, familia: Familia) -> None:
        await connection.execute(sa.update(familias).where(familias.c.id == familia.id).values(asdict(familia)))

    async def terminar_familia(self, connection: AsyncConnection, familia_id: UUID, ahora: datetime) -> UUID | None:
        """Whose it was; None if there was none to end."""
        return next(iter(await self._terminar(connection, familias.c.id == familia_id, ahora=ahora)), None)

    async def terminar_familias_de(
        self, connection: AsyncConnection, usuario_id: UUID, ahora: datetime, *, salvo: UUID | None = None
    ) -> None:
        """Ends all sessions of a user whose row the caller has locked, but for one."""
        otras = [] if salvo is None else [familias.c.id != salvo]
        await self._terminar(connection, familias.c.usuario_id == usuario_id, *otras, ahora=ahora)

    async def terminar_familia_de(
        self, connection: AsyncConnection, usuario_id: UUID, familia_id: UUID, ahora: datetime
    ) -> bool:
        """Whether the user had that session."""
        suya = familias.c.id == familia_id, familias.c.usuario_id == usuario_id
        return bool(await self._terminar(connection, *suya, ahora=ahora))

    async def _terminar(
        self, connection: AsyncConnection, *which: sa.ColumnElement[bool], ahora: datetime
    ) -> Sequence[UUID]:
        """Removes those sessions and notes that their access tokens are void. Whose they were.

        They are locked in order of id, so that two who end several wait for each other and not in a circle. A refresh
        that is under way holds its session, so whatever token it gives belongs to a session that is noted after it.

        A session that was not refreshed for long has no token that lives. So only what was in use of late is published:
        nobody crowds the list by ending sessions that were gathered over a month.
        """
        query = sa.select(familias.c.id, familias.c.usuario_id, familias.c.rotada_en).where(*which)
        found = (await connection.execute(query.order_by(familias.c.id).with_for_update())).all()
        if found:
            ultimos = {row.id: min(ahora, row.rotada_en + GRACIA) for row in found}
            await self._terminadas.anotar(connection, ultimos)
            await connection.execute(sa.delete(familias).where(*which))
        return [row.usuario_id for row in found]

    async def listar_familias(
        self, connection: AsyncConnection, usuario_id: UUID, ahora: datetime, page: PageRequest
    ) -> Page[Familia]:
        """The user's sessions that have not expired, the latest first."""
        query = sa.select(*_FAMILIA).where(familias.c.usuario_id == usuario_id, familias.c.expira_en > ahora)
        rows = await _RECIENTES.fetch(connection, query, page)
        return rows.map(lambda row: Familia(**row))

    async def barrer_familias(self, connection: AsyncConnection, ahora: datetime) -> int:
        """Removes at most `SWEEP_ROWS` expired sessions; returns how many. Waits for nobody who holds one."""
        expired = (
            sa.select(familias.c.id)
            .where(familias.c.expira_en <= ahora)
            .order_by(familias.c.expira_en)
            .limit(SWEEP_ROWS)
            .with_for_update(skip_locked=True)
        )
        return (await connection.execute(sa.delete(familias).where(familias.c.id.in_(expired)))).rowcount

    async def serializar_arranque(self, connection: AsyncConnection) -> None:
        """Until the transaction ends, no other replica gets past here."""
        if self._database.dialect == "postgresql":
            lock = sa.func.pg_advisory_xact_lock(sa.func.hashtext("comanda.auth.start"))
            await connection.execute(sa.select(lock))


def _values(usuario: Usuario) -> dict[str, Any]:
    return asdict(usuario) | {"email_clave": clave_de_email(usuario.email)}
