"""The SQL of the mails that wait to be sent."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.auth.domain import clave_de_email
from comanda.auth.tables import correos, usuarios

Motivo = Literal["restablecer", "verificar", "aviso-password", "aviso-passkey"]
"""Why a mail is sent: a link to set a password, a link to verify an address, the notice of a changed password or of a
new passkey."""


@dataclass(frozen=True, slots=True)
class Correo:
    """A mail that waits. It holds neither address nor token: both are those of the moment when it is sent."""

    id: UUID
    usuario_id: UUID | None
    """None: somebody gave an address that nobody has."""
    motivo: Motivo
    intentos: int
    creado_en: datetime
    siguiente_en: datetime


_CORREO = [correos.c[name] for name in Correo.__slots__]


class RepositoryCorreo:
    async def insertar(
        self, connection: AsyncConnection, correo_id: UUID, usuario_id: UUID, motivo: Motivo, ahora: datetime
    ) -> None:
        await connection.execute(
            sa.insert(correos).values(
                id=correo_id, usuario_id=usuario_id, motivo=motivo, intentos=0, creado_en=ahora, siguiente_en=ahora
            )
        )

    async def insertar_para_email(
        self, connection: AsyncConnection, correo_id: UUID, email: str, motivo: Motivo, ahora: datetime
    ) -> None:
        """The same statement writes the same row whether or not somebody has the address."""
        usuario = sa.select(usuarios.c.id).where(usuarios.c.email_clave == clave_de_email(email)).scalar_subquery()
        await connection.execute(
            sa.insert(correos).values(
                id=correo_id, usuario_id=usuario, motivo=motivo, intentos=0, creado_en=ahora, siguiente_en=ahora
            )
        )

    async def bloquear_siguiente(self, connection: AsyncConnection, ahora: datetime) -> Correo | None:
        """The mail that is due longest and that nobody else is just taking, locked."""
        query = (
            sa.select(*_CORREO)
            .where(correos.c.siguiente_en <= ahora)
            .order_by(correos.c.siguiente_en)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        row = (await connection.execute(query)).mappings().one_or_none()
        return Correo(**row) if row else None

    async def aplazar(self, connection: AsyncConnection, correo_id: UUID, siguiente_en: datetime) -> None:
        """Counts an attempt; if nothing else happens, the next is made then."""
        values = {"intentos": correos.c.intentos + 1, "siguiente_en": siguiente_en}
        await connection.execute(sa.update(correos).where(correos.c.id == correo_id).values(values))

    async def borrar(self, connection: AsyncConnection, correo_id: UUID) -> None:
        await connection.execute(sa.delete(correos).where(correos.c.id == correo_id))

    async def borrar_de(self, connection: AsyncConnection, usuario_id: UUID) -> None:
        await _borrar(connection, correos.c.usuario_id == usuario_id)

    async def borrar_servidos(self, connection: AsyncConnection, correo: Correo, hasta: datetime) -> None:
        """Removes it and those asked for until then for the same reason: one mail serves them all."""
        await _borrar(
            connection,
            correos.c.usuario_id == correo.usuario_id,
            correos.c.motivo == correo.motivo,
            correos.c.creado_en <= hasta,
        )


async def _borrar(connection: AsyncConnection, *which: sa.ColumnElement[bool]) -> None:
    """Locks in order of id what it removes, so that of two who remove several neither waits for the other for ever."""
    ids = sa.select(correos.c.id).where(*which).order_by(correos.c.id).with_for_update()
    await connection.execute(sa.delete(correos).where(correos.c.id.in_(ids)))
