"""The SQL of the second factor. Whoever calls has locked the user's row: the one lock that guards all of it."""

from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.auth.tables import codigos_recuperacion, familias, totp
from comanda.auth.totp import PWD, PWD_OTP, Factor
from comanda.common.database import Database

_FACTOR = [totp.c[name] for name in Factor.__slots__]


class RepositoryTotp:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def leer_factor(self, connection: AsyncConnection, usuario_id: UUID) -> Factor | None:
        query = sa.select(*_FACTOR).where(totp.c.usuario_id == usuario_id)
        row = (await connection.execute(query)).mappings().one_or_none()
        return Factor(**row) if row else None

    async def guardar_factor(self, connection: AsyncConnection, factor: Factor) -> None:
        values = asdict(factor)
        statement = self._database.insert(totp).values(values)
        await connection.execute(statement.on_conflict_do_update(index_elements=[totp.c.usuario_id], set_=values))

    async def activar_factor(self, connection: AsyncConnection, usuario_id: UUID, ahora: datetime) -> None:
        await connection.execute(sa.update(totp).where(totp.c.usuario_id == usuario_id).values(activado_en=ahora))

    async def quitar_factor(self, connection: AsyncConnection, usuario_id: UUID) -> bool:
        """Whether there was one. Its recovery codes go with it."""
        await connection.execute(sa.delete(codigos_recuperacion).where(codigos_recuperacion.c.usuario_id == usuario_id))
        return (await connection.execute(sa.delete(totp).where(totp.c.usuario_id == usuario_id))).rowcount == 1

    async def reemplazar_codigos(
        self, connection: AsyncConnection, usuario_id: UUID, codigos_hash: Collection[str], llave: str
    ) -> None:
        """Args: llave: id of the master key from which the hashes' key is derived."""
        await connection.execute(sa.delete(codigos_recuperacion).where(codigos_recuperacion.c.usuario_id == usuario_id))
        rows = [{"usuario_id": usuario_id, "codigo_hash": huella, "llave": llave} for huella in codigos_hash]
        await connection.execute(sa.insert(codigos_recuperacion), rows)

    async def gastar_codigo(self, connection: AsyncConnection, usuario_id: UUID, hashes: Collection[str]) -> bool:
        """Whether it was there to be spent, under one of these hashes."""
        statement = sa.delete(codigos_recuperacion).where(
            codigos_recuperacion.c.usuario_id == usuario_id, codigos_recuperacion.c.codigo_hash.in_(hashes)
        )
        return (await connection.execute(statement)).rowcount == 1

    async def codigos_restantes(self, connection: AsyncConnection, usuario_id: UUID) -> int:
        query = sa.select(sa.func.count()).where(codigos_recuperacion.c.usuario_id == usuario_id)
        return int((await connection.execute(query)).scalar_one())

    async def degradar_familias(self, connection: AsyncConnection, usuario_id: UUID) -> None:
        """The user's sessions no longer count as begun with the second factor; those by passkey had another one."""
        own = sa.and_(familias.c.usuario_id == usuario_id, familias.c.amr == PWD_OTP)
        await connection.execute(sa.update(familias).where(own).values(amr=PWD))
