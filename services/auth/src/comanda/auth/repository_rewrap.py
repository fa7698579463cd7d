"""The SQL of replacing the master key: what is still under another one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.auth.tables import codigos_recuperacion, familias, totp, usuarios

_SESION = (familias.c.id, familias.c.generacion, familias.c.token_hash, familias.c.expira_en)


class RepositoryRewrap:
    async def con_factor_de_otra(
        self, connection: AsyncConnection, prefijo: str, despues_de: UUID | None, limite: int
    ) -> Sequence[UUID]:
        """Users, by id, whose secret does not begin with that."""
        query = sa.select(totp.c.usuario_id).where(~totp.c.secreto.startswith(prefijo, autoescape=True))
        if despues_de is not None:
            query = query.where(totp.c.usuario_id > despues_de)
        return (await connection.execute(query.order_by(totp.c.usuario_id).limit(limite))).scalars().all()

    async def leer_secreto(self, connection: AsyncConnection, usuario_id: UUID) -> str | None:
        """Locks the user's row, as whoever writes the factor does: nobody writes back the secret as it was before."""
        lock = sa.select(usuarios.c.id).where(usuarios.c.id == usuario_id).with_for_update()
        await connection.execute(lock)
        query = sa.select(totp.c.secreto).where(totp.c.usuario_id == usuario_id)
        return (await connection.execute(query)).scalar_one_or_none()

    async def guardar_secreto(self, connection: AsyncConnection, usuario_id: UUID, secreto: str) -> None:
        await connection.execute(sa.update(totp).where(totp.c.usuario_id == usuario_id).values(secreto=secreto))

    async def fijar_llave(self, connection: AsyncConnection, llave: str) -> None:
        """Recovery codes of which it was not kept are under that key."""
        unnamed = sa.update(codigos_recuperacion).where(codigos_recuperacion.c.llave.is_(None))
        await connection.execute(unnamed.values(llave=llave))

    async def con_codigos_de_otra(self, connection: AsyncConnection, llave: str) -> int:
        """How many users."""
        other = sa.or_(codigos_recuperacion.c.llave.is_(None), codigos_recuperacion.c.llave != llave)
        query = sa.select(sa.func.count(codigos_recuperacion.c.usuario_id.distinct())).where(other)
        return int((await connection.execute(query)).scalar_one())

    async def leer_sesiones(
        self, connection: AsyncConnection, ahora: datetime, despues_de: UUID | None, limite: int
    ) -> Sequence[Any]:
        """Id, generation, hash of the token and end of sessions that have not ended, by id."""
        query = sa.select(*_SESION).where(familias.c.expira_en > ahora)
        if despues_de is not None:
            query = query.where(familias.c.id > despues_de)
        return (await connection.execute(query.order_by(familias.c.id).limit(limite))).all()
