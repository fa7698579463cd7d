"""Use cases of productos."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from comanda.common.audit import Audit
from comanda.common.batch import Batch
from comanda.common.clock import Clock
from comanda.common.conditional import Precondition
from comanda.common.database import Database
from comanda.common.pagination import Page, PageRequest
from comanda.common.problems import NoEncontrado, Problem
from comanda.productos.domain import Producto
from comanda.productos.repository import Orden, Repository
from comanda.productos.tables import auditoria


class Catalogo:
    """The catalogue: what can be bought, under which name, at what price."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._repository = Repository(database)
        self._clock = clock
        self._audit = Audit(auditoria, database, clock)
        self._reads = Batch("productos", self._leer)
        self.queue = self._reads.queue

    async def crear(self, *, sku: str, nombre: str, descripcion: str, precio_centimos: int) -> Producto:
        """Raises `SkuEnUso`."""
        ahora = self._clock.now()
        producto = Producto(
            id=self._clock.new_id(),
            sku=sku,
            nombre=nombre,
            descripcion=descripcion,
            precio_centimos=precio_centimos,
            activo=True,
            version=1,
            creado_en=ahora,
            actualizado_en=ahora,
        )
        async with self._database.transaction() as connection:
            await self._repository.insertar(connection, producto)
            await self._audit.tell(connection, "producto_creado", producto.id, sku=sku)
        return producto

    async def consultar(self, producto_id: UUID) -> Producto:
        """Raises `NoEncontrado`."""
        return await self._reads.submit(producto_id)

    async def listar(
        self,
        page: PageRequest,
        *,
        orden: Orden = "nombre",
        buscar: str = "",
        activo: bool | None = None,
        ids: Sequence[UUID] | None = None,
    ) -> Page[Producto]:
        async with self._database.read() as connection:
            return await self._repository.listar(connection, page, orden=orden, buscar=buscar, activo=activo, ids=ids)

    async def modificar(self, producto_id: UUID, cambios: Mapping[str, Any], precondition: Precondition) -> Producto:
        """Raises `NoEncontrado`, `VersionObsoleta`, `SkuEnUso`."""
        async with self._database.transaction() as connection:
            producto = await self._repository.leer(connection, producto_id)
            if producto is None:
                raise NoEncontrado
            precondition.check(producto.version)
            modificado = producto.modificar(cambios, self._clock.now())
            if modificado is not producto:
                await self._repository.actualizar(connection, modificado)
                await self._audit.tell(connection, "producto_modificado", producto_id, cambios=dict(cambios))
        return modificado

    async def _leer(self, ids: Sequence[UUID]) -> Sequence[Producto | Problem]:
        """Several at once: each is read after it was asked for, so nobody sees less than what was committed before."""
        async with self._database.read() as connection:
            encontrados = await self._repository.leer_varios(connection, ids)
        return [encontrados.get(producto_id) or NoEncontrado() for producto_id in ids]

    async def retirar(self, producto_id: UUID, precondition: Precondition) -> None:
        """Raises `NoEncontrado`, `VersionObsoleta`."""
        await self.modificar(producto_id, {"activo": False}, precondition)
