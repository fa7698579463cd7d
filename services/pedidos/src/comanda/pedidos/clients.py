"""Calls of pedidos to inventario, and what its answers mean for an order."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal, TypeVar
from uuid import UUID

from comanda.common.calls import SharedCalls
from comanda.common.http import Answer, Neighbour, Part, unexpected
from comanda.common.problems import RespuestaInvalida
from comanda.pedidos.domain import (
    INSUFICIENTES,
    RESERVA_CERRADA,
    RESERVAS_CERRADAS,
    Cerrada,
    Confirmada,
    Insuficientes,
    Liberada,
    LineaPedida,
    Pedido,
    Reservada,
)

Parsed = TypeVar("Parsed")

MOST_CALLS = 200
"""Operations that one call may carry."""

MOST_BYTES = 256 * 1024
"""About the size of the largest shared call, far below what a service takes."""

LINE_BYTES = 120
"""More than a line, or the rest of an operation, takes of a shared call on average."""

EXPECTED: Mapping[str, Collection[int]] = {"reservar": (200, 201, 409), "confirmar": (200, 409), "liberar": (200,)}
"""The answers of inventario that say something of the reservation."""


@dataclass(frozen=True, slots=True)
class Operacion:
    """What inventario is asked to do for one order."""

    tipo: Literal["reservar", "confirmar", "liberar"]
    pedido: Pedido

    @property
    def bytes(self) -> int:
        return LINE_BYTES * (1 + len(self.pedido.lineas))

    @property
    def lineas(self) -> list[dict[str, Any]]:
        return [{"producto_id": str(linea.producto_id), "cantidad": linea.cantidad} for linea in self.pedido.lineas]

    @property
    def document(self) -> dict[str, Any]:
        """As a part of a shared call."""
        document = {"pedido_id": str(self.pedido.id), "operacion": self.tipo}
        return document | {"lineas": self.lineas} if self.tipo == "reservar" else document


class InventarioHttp:
    """inventario, over HTTP.

    Args:
        most: how many operations may share a call.
    """

    def __init__(self, neighbour: Neighbour, *, most: int = MOST_CALLS) -> None:
        self._neighbour = neighbour
        self._calls = SharedCalls(
            "operaciones",
            neighbour.circuit,
            alone=self._send,
            together=self._send_together,
            most=most,
            weigh=lambda operacion: operacion.bytes,
            capacity=MOST_BYTES,
        )
        self.queue = self._calls.queue

    async def reservar(self, pedido: Pedido) -> Reservada | Insuficientes | Cerrada:
        """Raises `ServicioNoDisponible`, `RespuestaInvalida`: nothing is known."""
        return _reservada(await self._calls.submit(Operacion("reservar", pedido)))

    async def confirmar(self, pedido: Pedido) -> Confirmada | Cerrada:
        """Raises `ServicioNoDisponible`, `RespuestaInvalida`: nothing is known."""
        answer = await self._calls.submit(Operacion("confirmar", pedido))
        if answer.status == 409:
            return _closed(answer)
        _check_state(answer, pedido, {"CONFIRMADA"})
        return Confirmada()

    async def liberar(self, pedido: Pedido) -> Liberada:
        """Raises `ServicioNoDisponible`, `RespuestaInvalida`: nothing is known."""
        answer = await self._calls.submit(Operacion("liberar", pedido))
        _check_state(answer, pedido, RESERVAS_CERRADAS)
        return Liberada()

    async def estados(self, ids: Sequence[UUID]) -> Mapping[UUID, str]:
        """The states of those reservations that inventario still knows, at most 200.

        Raises `ServicioNoDisponible`, `RespuestaInvalida`.
        """
        answer = await self._neighbour.request("GET", "/reservas", params={"ids": ",".join(map(str, ids))})
        return parsed(answer, lambda body: {UUID(item["pedido_id"]): str(item["estado"]) for item in body["elementos"]})

    async def venta(self, pedido_id: UUID) -> Sequence[LineaPedida] | None:
        """What was sold for that order; None: nothing was.

        Raises `ServicioNoDisponible`, `RespuestaInvalida`.
        """
        answer = await self._neighbour.request("GET", "/reservas", params={"ids": str(pedido_id)})
        return parsed(answer, lambda body: _sold(body["elementos"], pedido_id))

    async def _send(self, operacion: Operacion) -> Answer:
        """One operation in a call of its own."""
        path = f"/reservas/{operacion.pedido.id}"
        send = partial(self._neighbour.request, expected=EXPECTED[operacion.tipo])
        if operacion.tipo == "reservar":
            return await send("PUT", path, json={"lineas": operacion.lineas})
        return await send("POST", f"{path}/{operacion.tipo}")

    async def _send_together(self, operaciones: Sequence[Operacion]) -> Sequence[Answer | Exception]:
        body = {"operaciones": [operacion.document for operacion in operaciones]}
        answer = await self._neighbour.request("POST", "/reservas/lote", json=body, weight=len(operaciones))
        parts = parsed(answer, lambda body: [(int(part["status"]), part["cuerpo"]) for part in body["resultados"]])
        if len(parts) != len(operaciones):
            raise RespuestaInvalida(answer.servicio)
        return [
            _part(operacion, Part(answer.servicio, status, {}, b"", body))
            for operacion, (status, body) in zip(operaciones, parts, strict=True)
        ]


def _part(operacion: Operacion, answer: Part) -> Answer | Exception:
    """What `Neighbour.request` would have made of it."""
    if answer.status in EXPECTED[operacion.tipo]:
        return answer
    return unexpected(answer, pedido_id=str(operacion.pedido.id))


def _reservada(answer: Answer) -> Reservada | Insuficientes | Cerrada:
    if answer.status != 409:
        return parsed(answer, lambda body: Reservada(_moment(body["expira_en"])))
    if answer.slug == INSUFICIENTES:
        return parsed(answer, lambda body: Insuficientes(body["faltantes"]))
    return _closed(answer)


def _sold(reservas: Sequence[Any], pedido_id: UUID) -> list[LineaPedida] | None:
    for reserva in reservas:
        if UUID(reserva["pedido_id"]) == pedido_id and reserva["estado"] == "CONFIRMADA":
            return [LineaPedida(UUID(linea["producto_id"]), int(linea["cantidad"])) for linea in reserva["lineas"]]
    return None


def _check_state(answer: Answer, pedido: Pedido, states: Collection[str]) -> None:
    """A 200 alone decides nothing: it could come from whatever else listens at that address."""
    if parsed(answer, lambda body: (UUID(body["pedido_id"]) == pedido.id, body["estado"] in states)) != (True, True):
        raise RespuestaInvalida(answer.servicio)


def _closed(answer: Answer) -> Cerrada:
    estado = str(answer.problem.get("estado"))
    if answer.slug != RESERVA_CERRADA or estado in ("ACTIVA", "CONFIRMADA"):
        raise RespuestaInvalida(answer.servicio)
    return Cerrada(estado)


def parsed(answer: Answer, parse: Callable[[Any], Parsed]) -> Parsed:
    """What a neighbour's body says; a body of another shape is no answer."""
    try:
        return parse(answer.json())
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RespuestaInvalida(answer.servicio) from None


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment
