"""SQL of the signing keys."""

from collections.abc import Collection
from dataclasses import asdict

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.auth.claves import Clave, en_orden
from comanda.auth.tables import claves

# The release before writes no `activa_desde`: there a key signed as soon as it was made.
_ACTIVA_DESDE = sa.func.coalesce(claves.c.activa_desde, claves.c.creada_en).label("activa_desde")
_CLAVE = [claves.c.kid, claves.c.privada, claves.c.creada_en, _ACTIVA_DESDE]


class RepositoryClaves:
    async def leer(self, connection: AsyncConnection) -> list[Clave]:
        """Every key, in the order in which they sign."""
        rows = (await connection.execute(sa.select(*_CLAVE))).mappings()
        return en_orden([Clave(**row) for row in rows])

    async def insertar(self, connection: AsyncConnection, clave: Clave) -> None:
        await connection.execute(sa.insert(claves).values(asdict(clave)))

    async def borrar(self, connection: AsyncConnection, borradas: Collection[Clave]) -> None:
        kids = [clave.kid for clave in borradas]
        await connection.execute(sa.delete(claves).where(claves.c.kid.in_(kids)))
