"""Orders that inventario has sold and that a restored database of pedidos has lost, or has as they were before."""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from comanda.common.audit import Audit
from comanda.common.clock import Clock, uuid7_time
from comanda.common.database import Database
from comanda.pedidos.domain import (
    Fase,
    Inventario,
    Linea,
    LineaPedida,
    Pedido,
    Productos,
    TransicionInvalida,
    VentaDesconocida,
)
from comanda.pedidos.repository import Repository
from comanda.pedidos.saga import Saga
from comanda.pedidos.tables import auditoria

VENDIDO = "inventario ya lo había vendido"
PERDIDO = "perdido y rehecho de su venta: cliente desconocido, precios de ahora"
DESCONOCIDO = "desconocido"
MAX_STEPS = 4
"""Transitions that one request makes at most."""

SIN_MONEDA = "XXX"
"""No currency (ISO 4217): productos knows none of its products."""


class Ventas:
    """Brings orders to where inventario says that they are."""

    def __init__(
        self,
        database: Database,
        repository: Repository,
        saga: Saga,
        inventario: Inventario,
        productos: Productos,
        clock: Clock,
    ) -> None:
        self._database = database
        self._repository = repository
        self._saga = saga
        self._inventario = inventario
        self._productos = productos
        self._clock = clock
        self._audit = Audit(auditoria, database, clock)

    async def registrar(self, pedido_id: UUID) -> Pedido:
        """Completes the order, making it if it is unknown; again and again with the same result.

        From the intent on it is an order being completed, which recovery finishes if this request does not.

        Raises:
            VentaDesconocida: inventario has not sold it, or has sold other lines than it names.
            TransicionInvalida: it is CANCELADO, which is final.
            ServicioNoDisponible, RespuestaInvalida: of a neighbour; the same request goes on.
        """
        vendidas = await self._inventario.venta(pedido_id)
        if vendidas is None:
            raise VentaDesconocida
        pedido = await self._leer(pedido_id) or await self._rehacer(pedido_id, vendidas)
        if _cantidades(pedido.lineas) != _cantidades(vendidas):
            raise VentaDesconocida
        for _ in range(MAX_STEPS):  # recovery may move it meanwhile
            if pedido.fase is Fase.COMPLETADO:
                return pedido
            if pedido.fase is Fase.COMPLETANDO:
                pedido, _ = await self._saga.advance(pedido)
            else:
                pedido = await self._saga.intend(pedido, pedido.vendido(self._clock.now()), VENDIDO)
        raise TransicionInvalida(pedido)

    async def _rehacer(self, pedido_id: UUID, vendidas: Sequence[LineaPedida]) -> Pedido:
        """What can be known of a lost order: its lines, and when it was placed, by its id."""
        fichas = await self._productos.fichas([vendida.producto_id for vendida in vendidas])
        lineas = tuple(
            Linea(ficha.producto_id, ficha.sku, ficha.nombre, ficha.precio_centimos, vendida.cantidad)
            if (ficha := fichas.get(vendida.producto_id))
            else Linea(vendida.producto_id, DESCONOCIDO, DESCONOCIDO, 0, vendida.cantidad)
            for vendida in vendidas
        )
        moneda = next((ficha.moneda for ficha in fichas.values()), SIN_MONEDA)
        ahora = self._clock.now()
        creado = uuid7_time(pedido_id) or ahora
        pedido = Pedido(pedido_id, DESCONOCIDO, Fase.COMPLETANDO, 1, lineas, moneda, None, None, creado, ahora)
        async with self._database.transaction() as connection:
            cuando = self._saga.next_attempt_at(pedido)
            if await self._repository.insertar_perdido(connection, pedido, cuando, PERDIDO):
                await self._audit.tell(connection, "pedido_rehecho", pedido_id)
        return await self._leer(pedido_id) or pedido

    async def _leer(self, pedido_id: UUID) -> Pedido | None:
        async with self._database.read() as connection:
            return await self._repository.leer(connection, pedido_id)


def _cantidades(lineas: Sequence[Linea] | Sequence[LineaPedida]) -> Counter[UUID]:
    found: Counter[UUID] = Counter()
    for linea in lineas:
        found[linea.producto_id] += linea.cantidad
    return found
