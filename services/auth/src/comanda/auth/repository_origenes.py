"""The SQL of known places."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.auth.domain import Usuario
from comanda.auth.repository import SWEEP_ROWS
from comanda.auth.tables import origenes, usuarios
from comanda.common.database import Database
from comanda.common.moments import UtcDateTime
from comanda.common.statements import Statement

_USUARIO = [usuarios.c[name] for name in Usuario.__slots__]


class RepositorioOrigenes:
    def __init__(self, database: Database) -> None:
        self._database = database
        known = sa.and_(
            origenes.c.usuario_id == usuarios.c.id,
            origenes.c.huella == sa.bindparam("huella", type_=sa.String()),
            origenes.c.visto_en > sa.bindparam("desde", type_=UtcDateTime()),
        )
        self._leer = Statement(
            database,
            sa.select(*_USUARIO, origenes.c.visto_en)
            .select_from(usuarios.outerjoin(origenes, known))
            .where(usuarios.c.email_clave == sa.bindparam("clave", type_=sa.Text())),
            [*_USUARIO, origenes.c.visto_en],
        )

    async def leer_con_usuario(
        self, connection: AsyncConnection, clave: str, huella: str, desde: datetime
    ) -> tuple[Usuario | None, datetime | None]:
        """The user with that email, and when the place was last seen there; None if not since then.

        One statement, straight to the driver: a flood of logins is refused at the cost of this.
        """
        for row in await self._leer.execute(connection, {"clave": clave, "huella": huella, "desde": desde}):
            visto = row.pop("visto_en")
            return Usuario(**row), visto
        return None, None

    async def guardar(self, connection: AsyncConnection, usuario_id: UUID, huella: str, ahora: datetime) -> None:
        insert = self._database.insert(origenes).values(usuario_id=usuario_id, huella=huella, visto_en=ahora)
        key = [origenes.c.usuario_id, origenes.c.huella]
        await connection.execute(insert.on_conflict_do_update(index_elements=key, set_={"visto_en": ahora}))

    async def recortar(self, connection: AsyncConnection, usuario_id: UUID, desde: datetime, cuantos: int) -> None:
        """Leaves the latest of a user, at most so many, none older than that."""
        own = origenes.c.usuario_id == usuario_id
        latest = (
            sa.select(origenes.c.huella)
            .where(own, origenes.c.visto_en > desde)
            .order_by(origenes.c.visto_en.desc(), origenes.c.huella)
            .limit(cuantos)
        )
        await connection.execute(sa.delete(origenes).where(own, origenes.c.huella.not_in(latest)))

    async def borrar(self, connection: AsyncConnection, usuario_id: UUID) -> None:
        await connection.execute(sa.delete(origenes).where(origenes.c.usuario_id == usuario_id))

    async def barrer(self, connection: AsyncConnection, desde: datetime) -> int:
        """Removes at most `SWEEP_ROWS` that are older; returns how many. Waits for nobody who holds one."""
        key = sa.tuple_(origenes.c.usuario_id, origenes.c.huella)
        old = (
            sa.select(origenes.c.usuario_id, origenes.c.huella)
            .where(origenes.c.visto_en <= desde)
            .order_by(origenes.c.visto_en)
            .limit(SWEEP_ROWS)
            .with_for_update(skip_locked=True)
        )
        return (await connection.execute(sa.delete(origenes).where(key.in_(old)))).rowcount
