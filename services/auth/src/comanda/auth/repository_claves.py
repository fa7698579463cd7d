"""SQL of the signing keys."""

from collections.abc import Collection
from dataclasses import asdict

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.auth.cipher import FERNET_PREFIX
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

    async def recifrar(self, connection: AsyncConnection, kid: str, privada: str) -> None:
        await connection.execute(sa.update(claves).where(claves.c.kid == kid).values(privada=privada))

    async def hay_de_antes(self, connection: AsyncConnection) -> bool:
        """Whether one is encrypted as the release before does it: then that one may still run, and reads no other."""
        query = sa.select(sa.literal(1)).where(claves.c.privada.startswith(FERNET_PREFIX)).limit(1)
        return (await connection.execute(query)).first() is not None

    async def borrar(self, connection: AsyncConnection, borradas: Collection[Clave]) -> None:
        kids = [clave.kid for clave in borradas]
        await connection.execute(sa.delete(claves).where(claves.c.kid.in_(kids)))
