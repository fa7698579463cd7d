"""All SQL of service accounts."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.auth.domain_clientes import USO_CADA, CuentaDeServicio, Secreto
from comanda.auth.tables import cuentas_de_servicio as cuentas
from comanda.auth.tables import secretos_de_servicio as secretos
from comanda.common.pagination import Keyset, Page, PageRequest

_CUENTA = [cuentas.c[name] for name in CuentaDeServicio.__slots__]
_SECRETO = [secretos.c[name] for name in Secreto.__slots__]
_POR_ALTA = Keyset("alta", cuentas.c.id)  # ids are UUIDv7: in order of creation


class RepositoryClientes:
    async def insertar(self, connection: AsyncConnection, cuenta: CuentaDeServicio) -> None:
        await connection.execute(sa.insert(cuentas).values(_values(cuenta)))

    async def actualizar(self, connection: AsyncConnection, cuenta: CuentaDeServicio) -> None:
        await connection.execute(sa.update(cuentas).where(cuentas.c.id == cuenta.id).values(_values(cuenta)))

    async def leer(
        self, connection: AsyncConnection, cuenta_id: UUID, *, bloquear: bool = False
    ) -> CuentaDeServicio | None:
        query = sa.select(*_CUENTA).where(cuentas.c.id == cuenta_id)
        row = (await connection.execute(query.with_for_update() if bloquear else query)).mappings().one_or_none()
        return _cuenta(row) if row else None

    async def listar(self, connection: AsyncConnection, page: PageRequest) -> Page[CuentaDeServicio]:
        return (await _POR_ALTA.fetch(connection, sa.select(*_CUENTA), page)).map(_cuenta)

    async def anotar_uso(self, connection: AsyncConnection, cuenta_id: UUID, ahora: datetime) -> None:
        """Unless another replica just did."""
        nuevo = sa.or_(cuentas.c.ultimo_uso.is_(None), cuentas.c.ultimo_uso <= ahora - USO_CADA)
        await connection.execute(sa.update(cuentas).where(cuentas.c.id == cuenta_id, nuevo).values(ultimo_uso=ahora))

    async def leer_secretos(self, connection: AsyncConnection, cuenta_id: UUID, ahora: datetime) -> Sequence[Secreto]:
        """Those that work at that moment."""
        vigente = sa.or_(secretos.c.caduca_en.is_(None), secretos.c.caduca_en > ahora)
        query = sa.select(*_SECRETO).where(secretos.c.cuenta_id == cuenta_id, vigente)
        return [Secreto(**row) for row in (await connection.execute(query)).mappings()]

    async def insertar_secreto(self, connection: AsyncConnection, secreto: Secreto) -> None:
        await connection.execute(sa.insert(secretos).values(asdict(secreto)))

    async def caducar_actual(self, connection: AsyncConnection, cuenta_id: UUID, caduca_en: datetime) -> None:
        """The current secret ends then. Those that were replaced before keep the end that they have."""
        actual = secretos.c.cuenta_id == cuenta_id, secretos.c.caduca_en.is_(None)
        await connection.execute(sa.update(secretos).where(*actual).values(caduca_en=caduca_en))

    async def olvidar_secretos(
        self, connection: AsyncConnection, cuenta_id: UUID, *, caducados_en: datetime | None = None
    ) -> None:
        """Removes all secrets of an account, or those that had ended at that moment."""
        statement = sa.delete(secretos).where(secretos.c.cuenta_id == cuenta_id)
        if caducados_en is not None:
            statement = statement.where(secretos.c.caduca_en <= caducados_en)
        await connection.execute(statement)


def _values(cuenta: CuentaDeServicio) -> dict[str, Any]:
    """All but the last use, which `anotar_uso` alone writes: it may be newer in the database."""
    values = asdict(cuenta) | {"alcances": " ".join(cuenta.alcances)}
    del values["ultimo_uso"]
    return values


def _cuenta(row: sa.RowMapping) -> CuentaDeServicio:
    return CuentaDeServicio(**{**row, "alcances": tuple(row["alcances"].split())})
