"""Calls of pedidos to its neighbours, and what their answers mean for an order."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from comanda.common.http import Answer, Neighbour
from comanda.common.money import to_cents
from comanda.common.problems import RespuestaInvalida
from comanda.pedidos.domain import (
    INSUFICIENTES,
    RESERVA_CERRADA,
    RESERVAS_CERRADAS,
    Cerrada,
    Confirmada,
    Ficha,
    Insuficientes,
    Liberada,
    Pedido,
    Reservada,
)

Parsed = TypeVar("Parsed")


class ProductosHttp:
    """productos, over HTTP."""

    def __init__(self, neighbour: Neighbour) -> None:
        self._neighbour = neighbour

    async def fichas(self, ids: Sequence[UUID]) -> Mapping[UUID, Ficha]:
        """Those of the products that exist. Raises `ServicioNoDisponible`, `RespuestaInvalida`."""
        answer = await self._neighbour.request("GET", "/productos", params={"ids": ",".join(map(str, ids))})
        fichas = _parsed(answer, lambda body: [_ficha(item) for item in body["elementos"]])
        return {ficha.producto_id: ficha for ficha in fichas}


class InventarioHttp:
    """inventario, over HTTP."""

    def __init__(self, neighbour: Neighbour) -> None:
        self._neighbour = neighbour

    async def reservar(self, pedido: Pedido) -> Reservada | Insuficientes | Cerrada:
        """Raises `ServicioNoDisponible`, `RespuestaInvalida`: nothing is known."""
        lineas = [{"producto_id": str(linea.producto_id), "cantidad": linea.cantidad} for linea in pedido.lineas]
        answer = await self._neighbour.request(
            "PUT", f"/reservas/{pedido.id}", json={"lineas": lineas}, expected=(200, 201, 409)
        )
        if answer.status != 409:
            return _parsed(answer, lambda body: Reservada(_moment(body["expira_en"])))
        if answer.slug == INSUFICIENTES:
            return _parsed(answer, lambda body: Insuficientes(body["faltantes"]))
        return _closed(answer)

    async def confirmar(self, pedido: Pedido) -> Confirmada | Cerrada:
        """Raises `ServicioNoDisponible`, `RespuestaInvalida`: nothing is known."""
        answer = await self._neighbour.request("POST", f"/reservas/{pedido.id}/confirmar", expected=(200, 409))
        if answer.status == 409:
            return _closed(answer)
        _check_state(answer, pedido, {"CONFIRMADA"})
        return Confirmada()

    async def liberar(self, pedido: Pedido) -> Liberada:
        """Raises `ServicioNoDisponible`, `RespuestaInvalida`: nothing is known."""
        answer = await self._neighbour.request("POST", f"/reservas/{pedido.id}/liberar")
        _check_state(answer, pedido, RESERVAS_CERRADAS)
        return Liberada()

    async def estados(self, ids: Sequence[UUID]) -> Mapping[UUID, str]:
        """The states of those reservations that inventario still knows, at most 200.

        Raises `ServicioNoDisponible`, `RespuestaInvalida`.
        """
        answer = await self._neighbour.request("GET", "/reservas", params={"ids": ",".join(map(str, ids))})
        return _parsed(
            answer, lambda body: {UUID(item["pedido_id"]): str(item["estado"]) for item in body["elementos"]}
        )


def _check_state(answer: Answer, pedido: Pedido, states: Collection[str]) -> None:
    """A 200 alone decides nothing: it could come from whatever else listens at that address."""
    if _parsed(answer, lambda body: (UUID(body["pedido_id"]) == pedido.id, body["estado"] in states)) != (True, True):
        raise RespuestaInvalida(answer.servicio)


def _closed(answer: Answer) -> Cerrada:
    estado = str(answer.problem.get("estado"))
    if answer.slug != RESERVA_CERRADA or estado in ("ACTIVA", "CONFIRMADA"):
        raise RespuestaInvalida(answer.servicio)
    return Cerrada(estado)


def _ficha(item: Mapping[str, Any]) -> Ficha:
    return Ficha(
        producto_id=UUID(item["id"]),
        sku=str(item["sku"]),
        nombre=str(item["nombre"]),
        precio_centimos=to_cents(item["precio"]),
        moneda=str(item["moneda"]),
        activo=item["activo"] is True,
    )


def _parsed(answer: Answer, parse: Callable[[Any], Parsed]) -> Parsed:
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
