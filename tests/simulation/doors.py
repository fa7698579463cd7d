"""Requests into use cases: what the routes do, without ASGI. Bodies are the routes' own documents."""

import hashlib
from collections.abc import Callable, Sequence
from json import dumps, loads
from typing import Any
from uuid import UUID

from comanda.common.conditional import Precondition, etag, parse_tags
from comanda.common.idempotency import Answer, Key
from comanda.common.pagination import MAX_IDS, PageRequest
from comanda.common.problems import NoEncontrado
from comanda.inventario.domain import Linea, TipoMovimiento
from comanda.inventario.routes import _movement_answer, resultado
from comanda.inventario.schemas import ExistenciasDocumento, LoteDocumento, ReservaDocumento
from comanda.inventario.service import Inventario
from comanda.pedidos.domain import LineaPedida, Pedido
from comanda.pedidos.routes import WireRender
from comanda.pedidos.schemas import PedidoDocumento
from comanda.pedidos.service import Pedidos
from simulation.network import Message, Reply


class PedidosDoor:
    def __init__(self, pedidos: Pedidos) -> None:
        self._pedidos = pedidos

    async def __call__(self, message: Message) -> Reply:
        parts = message.path.strip("/").split("/")[1:]
        if not parts:
            return await self._place(message)
        pedido_id, owner = UUID(parts[0]), None if message.everything else message.subject
        if message.method == "GET":
            return _order(await self._pedidos.consultar(pedido_id, owner))
        precondition = Precondition(parse_tags("If-Match", message.headers.get("If-Match")))
        if parts[1] == "completar":
            return _order(await self._pedidos.completar(pedido_id, precondition))
        return _order(await self._pedidos.cancelar(pedido_id, owner, "cancelado", precondition))

    async def _place(self, message: Message) -> Reply:
        body = loads(message.body or b"{}")
        answer, replayed = await self._pedidos.crear(
            message.subject,
            [LineaPedida(UUID(linea["producto_id"]), linea["cantidad"]) for linea in body["lineas"]],
            total_esperado=body.get("total_esperado"),
            key=_key(message, "POST /pedidos"),
            render=WireRender(),
        )
        return _answer(answer, replayed=replayed)


class InventarioDoor:
    def __init__(self, inventario: Inventario) -> None:
        self._inventario = inventario

    async def __call__(self, message: Message) -> Reply:
        kind, *parts = message.path.strip("/").split("/")
        return await (self._reservas(parts, message) if kind == "reservas" else self._stock(parts, message))

    async def _reservas(self, parts: Sequence[str], message: Message) -> Reply:
        inventario = self._inventario
        if not parts:
            ids = [UUID(part) for part in message.params["ids"].split(",")]
            page = await inventario.listar_reservas(PageRequest(MAX_IDS), ids=ids)
            elementos = [ReservaDocumento.de(reserva).model_dump(mode="json") for reserva in page.items]
            return Reply(200, dumps({"elementos": elementos, "siguiente": None}).encode())
        if parts == ["lote"]:
            operaciones = [
                operacion.dominio() for operacion in LoteDocumento.model_validate_json(message.body or b"").operaciones
            ]
            outcomes = await inventario.operar(operaciones)
            return Reply(200, b'{"resultados":[%b]}' % b",".join(map(resultado, operaciones, outcomes)))
        pedido_id = UUID(parts[0])
        if message.method == "PUT":
            lineas = tuple(
                Linea(UUID(linea["producto_id"]), linea["cantidad"]) for linea in loads(message.body or b"")["lineas"]
            )
            reserva, nueva = await inventario.reservar(pedido_id, lineas)
            return Reply(201 if nueva else 200, ReservaDocumento.de(reserva).model_dump_json().encode())
        act: Callable[[UUID], Any] = inventario.confirmar if parts[1] == "confirmar" else inventario.liberar
        return Reply(200, ReservaDocumento.de(await act(pedido_id)).model_dump_json().encode())

    async def _stock(self, parts: Sequence[str], message: Message) -> Reply:
        if message.method == "GET":
            existencias = await self._inventario.consultar(UUID(parts[0]))
            return Reply(200, ExistenciasDocumento.de(existencias).model_dump_json().encode())
        body = loads(message.body or b"{}")
        if not parts:
            creadas = await self._inventario.crear(UUID(body["producto_id"]), body["cantidad"])
            return Reply(201, ExistenciasDocumento.de(creadas).model_dump_json().encode())
        answer, replayed = await self._inventario.mover(
            UUID(parts[0]),
            TipoMovimiento(body["tipo"]),
            body["cantidad"],
            fisico_esperado=body.get("fisico_esperado"),
            motivo=body["motivo"],
            precondition=Precondition(),
            key=_key(message, "POST /inventario/{producto_id}/movimientos"),
            render=_movement_answer,
        )
        return _answer(answer, replayed=replayed)


class ProductosDoor:
    """A stand-in: productos has no part in the saga but to be asked, to be away, and to change its prices.

    Args:
        prices: price in centimos of each product at this moment; products that are not there do not exist.
        inactive: those that exist and are not for sale.
    """

    def __init__(self, prices: Callable[[], dict[UUID, int]], inactive: frozenset[UUID]) -> None:
        self._prices = prices
        self._inactive = inactive

    async def __call__(self, message: Message) -> Reply:
        prices = self._prices()
        if "ids" not in message.params:
            if UUID(message.path.rpartition("/")[2]) not in prices:
                raise NoEncontrado
            return Reply(200, b"{}")
        ids = [UUID(part) for part in message.params["ids"].split(",")]
        elementos = [self._documento(producto_id, prices[producto_id]) for producto_id in ids if producto_id in prices]
        return Reply(200, dumps({"elementos": elementos, "siguiente": None}).encode())

    def _documento(self, producto_id: UUID, centimos: int) -> dict[str, Any]:
        return {
            "id": str(producto_id),
            "sku": f"SKU-{producto_id.int & 0xFF}",
            "nombre": f"Producto {producto_id.int & 0xFF}",
            "precio": f"{centimos // 100}.{centimos % 100:02}",
            "moneda": "EUR",
            "activo": producto_id not in self._inactive,
        }


def _key(message: Message, route: str) -> Key | None:
    key = message.headers.get("Idempotency-Key")
    if key is None:
        return None
    fingerprint = hashlib.sha256(message.path.encode() + b"\0" + (message.body or b"")).hexdigest()
    return Key("issuer", message.subject, route, key, fingerprint)


def _answer(answer: Answer, *, replayed: bool) -> Reply:
    headers = dict(answer.headers) | ({"Idempotent-Replayed": "true"} if replayed else {})
    return Reply(answer.status, answer.body.encode(), headers)


def _order(pedido: Pedido) -> Reply:
    return Reply(200, PedidoDocumento.de(pedido).model_dump_json().encode(), {"ETag": etag(pedido.version)})
