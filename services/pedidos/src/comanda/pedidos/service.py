"""Use cases of pedidos."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

from comanda.common.batch import Batch
from comanda.common.clock import Clock, uuid7_time
from comanda.common.conditional import Precondition
from comanda.common.database import Database, DatabaseUnavailable
from comanda.common.idempotency import Answer, Key, Keys, Record, running
from comanda.common.money import to_text
from comanda.common.pagination import Page, PageRequest
from comanda.common.problems import (
    DatosInvalidos,
    NoEncontrado,
    PeticionEnCurso,
    Problem,
    RespuestaInvalida,
    ServicioNoDisponible,
)
from comanda.pedidos.altas import Altas
from comanda.pedidos.answers import Render, answer_to
from comanda.pedidos.domain import (
    EXPIRADO,
    MOTIVOS_DEL_SISTEMA,
    RESERVA_CERRADA,
    Estado,
    Fase,
    Ficha,
    LineaPedida,
    Pedido,
    PedidoCancelado,
    Productos,
    ReservaExpirada,
    TotalDistinto,
    Transicion,
    TransicionInvalida,
    Veredicto,
    preparar_lineas,
)
from comanda.pedidos.repository import Repository
from comanda.pedidos.saga import Saga

MAX_STEPS = 4
"""Transitions one request makes at most; an order has no longer way to a final phase."""

_NO_VERDICT = (ServicioNoDisponible, RespuestaInvalida)


class Pedidos:
    """Orders: placed once, completed or cancelled once, whatever happens in between."""

    def __init__(
        self,
        database: Database,
        repository: Repository,
        keys: Keys,
        altas: Altas,
        saga: Saga,
        productos: Productos,
        clock: Clock,
        *,
        lease_seconds: float,
        group_commit: int,
    ) -> None:
        self._database = database
        self._repository = repository
        self._keys = keys
        self._saga = saga
        self._productos = productos
        self._clock = clock
        self._lease = timedelta(seconds=lease_seconds)
        self._altas = altas
        self._found = Batch("claves", self._find, most=group_commit)
        self.queues = [self._found.queue, altas.queue, saga.queue]

    async def crear(
        self,
        cliente_id: str,
        pedidas: Sequence[LineaPedida],
        *,
        total_esperado: int | None,
        key: Key | None,
        render: Render,
    ) -> tuple[Answer, bool]:
        """Places an order and holds its stock; returns the answer and whether it was given before.

        Raises:
            ProductoNoDisponible, TotalDistinto, DemasiadosPendientes: nothing is recorded.
            ClaveReutilizada, PeticionEnCurso, PedidoCancelado: about the key's first request.
            ServicioNoDisponible, RespuestaInvalida: of productos, nothing is recorded; of
                inventario, the order stands as SOLICITADO and the same key resumes it.
        """
        fichas = self._kept(pedidas, total_esperado)
        # What a key stands for depends on no price: who repeats a request waits for no neighbour that is away, and gets
        # no refusal but its own. Most requests are no repetition, and find that out when they record their order.
        ill = fichas is None and not self._productos.is_well
        if key and ill and (given := await self._resume(key, render)):
            return given
        try:
            fichas = fichas or await self._productos.fichas([pedida.producto_id for pedida in pedidas])
            pedido = self._solicitar(cliente_id, pedidas, fichas, total_esperado)
        except Problem:
            if key and not ill and (given := await self._resume(key, render)):
                return given
            raise
        until = self._clock.now() + self._lease
        try:
            recorded = await self._altas.record(pedido, key, until)
        except (DatabaseUnavailable, asyncio.CancelledError):  # perhaps committed all the same
            if key:
                await self._release(key, until)
            raise
        if not recorded:
            taken = await self._resume(key, render) if key else None
            if taken is None:
                raise PeticionEnCurso(headers={"Retry-After": "1"})
            return taken
        return await self._reserve(pedido, key, until, render)

    async def consultar(self, pedido_id: UUID, cliente_id: str | None) -> Pedido:
        """Args: cliente_id: only if it is that client's. Raises `NoEncontrado`."""
        async with self._database.read() as connection:
            pedido = await self._repository.leer(connection, pedido_id)
        if pedido is None or cliente_id not in (None, pedido.cliente_id):
            raise NoEncontrado
        return pedido

    async def historial(self, pedido_id: UUID, cliente_id: str | None) -> list[Transicion]:
        """Raises `NoEncontrado`."""
        await self.consultar(pedido_id, cliente_id)
        async with self._database.read() as connection:
            return await self._repository.historial(connection, pedido_id)

    async def listar(
        self,
        page: PageRequest,
        *,
        cliente_ids: Sequence[str],
        estado: Estado | None,
        desde: datetime | None,
        hasta: datetime | None,
    ) -> Page[Pedido]:
        async with self._database.read() as connection:
            return await self._repository.listar(
                connection, page, cliente_ids=cliente_ids, estado=estado, desde=desde, hasta=hasta
            )

    async def completar(self, pedido_id: UUID, precondition: Precondition) -> Pedido:
        """Lets the held stock be sold.

        Raises:
            NoEncontrado, VersionObsoleta, TransicionInvalida, ReservaExpirada.
            ServicioNoDisponible, RespuestaInvalida: the intent stands; recovery finishes it.
        """
        pedido = await self.consultar(pedido_id, None)
        precondition.check(pedido.version)
        for _ in range(MAX_STEPS):
            if pedido.fase is Fase.COMPLETADO:
                return pedido
            if pedido.fase is Fase.CANCELADO and pedido.motivo in (EXPIRADO, RESERVA_CERRADA):
                raise ReservaExpirada
            if pedido.fase is Fase.COMPLETANDO:
                pedido = await self._finish(pedido)
            else:
                pedido = await self._intend(pedido, pedido.completar(self._clock.now()), "completar", precondition)
        raise TransicionInvalida(pedido)

    async def cancelar(
        self, pedido_id: UUID, cliente_id: str | None, motivo: str, precondition: Precondition
    ) -> Pedido:
        """Gives the held stock back.

        Raises:
            NoEncontrado, VersionObsoleta, TransicionInvalida.
            ServicioNoDisponible, RespuestaInvalida: the intent stands; recovery finishes it.
        """
        if motivo in MOTIVOS_DEL_SISTEMA:
            raise DatosInvalidos.of("motivo", "Es un motivo reservado.")
        pedido = await self.consultar(pedido_id, cliente_id)
        precondition.check(pedido.version)
        for _ in range(MAX_STEPS):
            if pedido.fase is Fase.CANCELADO:
                return pedido
            if pedido.fase is Fase.CANCELANDO:
                pedido = await self._finish(pedido)
            else:
                intent = pedido.cancelar(motivo, self._clock.now())
                pedido = await self._intend(pedido, intent, "cancelar", precondition)
        raise TransicionInvalida(pedido)

    def _kept(self, pedidas: Sequence[LineaPedida], total_esperado: int | None) -> Mapping[UUID, Ficha] | None:
        """What is kept of productos, if it will do: it may place an order, but refuse none."""
        kept = self._productos.kept([pedida.producto_id for pedida in pedidas])
        if kept and total_esperado in (None, sum(kept[p.producto_id].precio_centimos * p.cantidad for p in pedidas)):
            return kept
        return None

    def _solicitar(
        self,
        cliente_id: str,
        pedidas: Sequence[LineaPedida],
        fichas: Mapping[UUID, Ficha],
        total_esperado: int | None,
    ) -> Pedido:
        """A new order as productos describes it, not recorded yet."""
        lineas = preparar_lineas(pedidas, fichas)
        moneda = fichas[pedidas[0].producto_id].moneda
        pedido_id = self._clock.new_id()
        ahora = uuid7_time(pedido_id) or self._clock.now()  # so that the order of ids is the order of times
        pedido = Pedido(pedido_id, cliente_id, Fase.SOLICITADO, 1, lineas, moneda, None, None, ahora, ahora)
        if total_esperado is not None and total_esperado != pedido.total_centimos:
            raise TotalDistinto(total=to_text(pedido.total_centimos))
        return pedido

    async def _reserve(self, pedido: Pedido, key: Key | None, until: datetime, render: Render) -> tuple[Answer, bool]:
        """The first step of the saga. Its answer is bound to the key in the transaction of the verdict."""
        answer: Answer | None = None

        def bound(despues: Pedido, veredicto: Veredicto) -> tuple[Key, Answer] | None:
            nonlocal answer
            answer = answer_to(despues, veredicto, render)
            return (key, answer) if key else None

        try:
            despues, veredicto = await self._saga.advance(pedido, answer=bound)
            if veredicto is None or answer is None:
                return await self._from_row(despues, key, render)
        except BaseException as error:
            if isinstance(error, _NO_VERDICT):
                error.extras["pedido_id"] = str(pedido.id)
            if key:
                await self._release(key, until)
            raise
        return answer, False

    async def _resume(self, key: Key, render: Render) -> tuple[Answer, bool] | None:
        """What the key's first request leads to; None when there was none.

        Raises:
            ClaveReutilizada, PeticionEnCurso, PedidoCancelado, and what `_reserve` raises.
        """
        record = await self._found.submit(key)
        if record is None:
            return None
        if record.answer is not None:
            return record.answer, True
        now = self._clock.now()
        until = now + self._lease
        async with self._database.transaction() as connection:
            record = await self._keys.find(connection, key)
            if record is None or record.resource_id is None:
                return None
            if record.answer is not None:
                return record.answer, True
            if refusal := running(record, now):
                raise refusal
            pedido = await self._repository.leer(connection, record.resource_id)
            if pedido is None:
                return None
            if pedido.fase is Fase.SOLICITADO:  # locks the order, then the key, as the verdict's transaction does
                await self._repository.reprogramar(connection, pedido, self._saga.next_attempt_at(pedido))
                if not await self._keys.renew(connection, key, now=now, until=until):
                    raise PeticionEnCurso(headers={"Retry-After": "1"})
        if pedido.fase is Fase.SOLICITADO:
            return await self._reserve(pedido, key, until, render)
        return await self._from_row(pedido, key, render)

    async def _find(self, keys: Sequence[Key]) -> Sequence[Record | Problem | None]:
        async with self._database.read() as connection:
            return await self._keys.find_all(connection, keys)

    async def _from_row(self, pedido: Pedido, key: Key | None, render: Render) -> tuple[Answer, bool]:
        """The answer of a request whose order somebody else has moved on.

        Raises:
            PedidoCancelado.
        """
        if key:
            async with self._database.read() as connection:
                record = await self._keys.find(connection, key)
            if record and record.answer:
                return record.answer, True
        if pedido.fase in (Fase.CANCELANDO, Fase.CANCELADO):
            raise PedidoCancelado(pedido)
        return render.placed(pedido), False

    async def _intend(self, pedido: Pedido, intent: Pedido, causa: str, precondition: Precondition) -> Pedido:
        """Commits an intent. Raises `VersionObsoleta` when somebody was faster and the client minds."""
        present = await self._saga.intend(pedido, intent, causa)
        if present is not intent:
            precondition.check(present.version)
        return present

    async def _finish(self, pedido: Pedido) -> Pedido:
        try:
            pedido, _ = await self._saga.advance(pedido)
        except BaseException:
            with suppress(DatabaseUnavailable):
                await self._saga.hasten(pedido)
            raise
        return pedido

    async def _release(self, key: Key, until: datetime) -> None:
        with suppress(DatabaseUnavailable):  # then the lease runs out by itself
            async with self._database.transaction() as connection:
                await self._keys.release(connection, key, until)
