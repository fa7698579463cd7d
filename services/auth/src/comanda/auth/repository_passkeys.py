"""The SQL of passkeys. Whoever writes has locked the user's row: the one lock that guards all of theirs."""

from collections.abc import Sequence
from dataclasses import asdict
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.auth.domain_passkeys import Passkey, PasskeyRepetida
from comanda.auth.tables import passkeys
from comanda.common.database import Database

_PASSKEY = [passkeys.c[name] for name in Passkey.__slots__]


class RepositoryPasskeys:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def insertar(self, connection: AsyncConnection, passkey: Passkey) -> None:
        """Raises `PasskeyRepetida`."""
        insert = self._database.insert(passkeys).values(asdict(passkey))
        statement = insert.on_conflict_do_nothing(index_elements=[passkeys.c.credencial])
        if (await connection.execute(statement)).rowcount != 1:
            raise PasskeyRepetida

    async def listar(self, connection: AsyncConnection, usuario_id: UUID) -> Sequence[Passkey]:
        """The oldest first; at most `MAX_PER_USER`."""
        query = sa.select(*_PASSKEY).where(passkeys.c.usuario_id == usuario_id).order_by(passkeys.c.id)
        return [Passkey(**row) for row in (await connection.execute(query)).mappings()]

    async def leer(self, connection: AsyncConnection, credencial: bytes) -> Passkey | None:
        query = sa.select(*_PASSKEY).where(passkeys.c.credencial == credencial)
        row = (await connection.execute(query)).mappings().one_or_none()
        return Passkey(**row) if row else None

    async def actualizar(self, connection: AsyncConnection, passkey: Passkey) -> None:
        await connection.execute(sa.update(passkeys).where(passkeys.c.id == passkey.id).values(asdict(passkey)))

    async def quitar(self, connection: AsyncConnection, usuario_id: UUID, passkey_id: UUID) -> bool:
        """Whether that user had it."""
        mine = sa.and_(passkeys.c.id == passkey_id, passkeys.c.usuario_id == usuario_id)
        return (await connection.execute(sa.delete(passkeys).where(mine))).rowcount == 1

    async def quitar_todas(self, connection: AsyncConnection, usuario_id: UUID) -> int:
        """How many there were."""
        return (await connection.execute(sa.delete(passkeys).where(passkeys.c.usuario_id == usuario_id))).rowcount
