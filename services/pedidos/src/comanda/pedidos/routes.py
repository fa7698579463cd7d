"""HTTP ↔ use cases of pedidos."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from comanda.common.conditional import IfMatch, etag, not_modified
from comanda.common.direct import direct
from comanda.common.idempotency import Answer
from comanda.common.idempotency_header import IdempotencyKeyHeader, key_of
from comanda.common.pagination import PageQuery, Pagina, page_body
from comanda.common.problems import (
    ClaveReutilizada,
    NoEncontrado,
    PeticionEnCurso,
    Problem,
    RespuestaInvalida,
    VersionObsoleta,
    describe,
)
from comanda.common.requests import Line, Moment, document, router, to_json
from comanda.common.security import allow
from comanda.common.tokens import Principal
from comanda.pedidos.domain import (
    DemasiadosPendientes,
    Estado,
    ExistenciasInsuficientes,
    Pedido,
    PedidoCancelado,
    ProductoNoDisponible,
    ReservaExpirada,
    TotalDistinto,
    TransicionInvalida,
    VentaDesconocida,
)
from comanda.pedidos.schemas import Cancelacion, PedidoDocumento, PedidoNuevo, TransicionDocumento
from comanda.pedidos.service import Pedidos
from comanda.pedidos.ventas import Ventas

ALL_ORDERS = "pedidos:leer"
MANAGE = "pedidos:gestionar"
PATH = "/pedidos"

routes = router(prefix=PATH, tags=["pedidos"])

Comprador = Annotated[Principal, allow("pedidos:crear")]
Lector = Annotated[Principal, allow("pedidos:propios", ALL_ORDERS)]
Cancelador = Annotated[Principal, allow("pedidos:propios", MANAGE)]
Gestor = Annotated[Principal, allow(MANAGE)]


async def _pedidos(request: Request) -> Pedidos:
    pedidos: Pedidos = request.app.state.service
    return pedidos


Servicio = Annotated[Pedidos, Depends(_pedidos)]


class WireRender:
    """The outcomes of placing an order as HTTP answers."""

    def placed(self, pedido: Pedido) -> Answer:
        headers = {"Location": f"{PATH}/{pedido.id}", "ETag": etag(pedido.version)}
        return Answer(201, to_json(PedidoDocumento.de(pedido)).decode(), headers)

    def refused(self, problem: Problem) -> Answer:
        return Answer.of_problem(problem, PATH)


@routes.post(
    "",
    status_code=201,
    response_model=PedidoDocumento,
    responses=describe(
        ProductoNoDisponible,
        TotalDistinto,
        ExistenciasInsuficientes,
        PedidoCancelado,
        DemasiadosPendientes,
        RespuestaInvalida,
        ClaveReutilizada,
        PeticionEnCurso,
    ),
    summary="Place an order and hold its stock",
)
@direct
async def crear(
    datos: PedidoNuevo,
    servicio: Servicio,
    request: Request,
    caller: Comprador,
    idempotency_key: IdempotencyKeyHeader = None,
) -> Response:
    answer, replayed = await servicio.crear(
        caller.subject,
        datos.dominio(),
        total_esperado=datos.total_esperado,
        key=await key_of(request, idempotency_key, caller, f"POST {PATH}"),
        render=WireRender(),
    )
    return answer.response(replayed=replayed)


@routes.get("", response_model=Pagina[PedidoDocumento], summary="Orders, the newest first")
@direct
async def listar(
    servicio: Servicio,
    page: PageQuery,
    request: Request,
    caller: Lector,
    estado: Estado | None = None,
    desde: Annotated[Moment | None, Query(description="creados en este momento o después")] = None,
    hasta: Annotated[Moment | None, Query(description="creados antes de este momento")] = None,
    cliente_id: Annotated[Line | None, Query(max_length=200)] = None,
) -> Response:
    clients = [client for client in (only_of(caller, ALL_ORDERS), cliente_id) if client is not None]
    found = await servicio.listar(page, cliente_ids=clients, estado=estado, desde=desde, hasta=hasta)
    return page_body(found.map(PedidoDocumento.de), request)


@routes.get("/{pedido_id}", response_model=PedidoDocumento, responses=describe(NoEncontrado), summary="Read an order")
@direct
async def consultar(pedido_id: UUID, servicio: Servicio, request: Request, caller: Lector) -> Response:
    pedido = await servicio.consultar(pedido_id, only_of(caller, ALL_ORDERS))
    tag = etag(pedido.version)
    return not_modified(request, tag) or _document(pedido)


@routes.get("/{pedido_id}/historial", responses=describe(NoEncontrado), summary="What happened to an order")
async def historial(pedido_id: UUID, servicio: Servicio, caller: Lector) -> list[TransicionDocumento]:
    transiciones = await servicio.historial(pedido_id, only_of(caller, ALL_ORDERS))
    return [TransicionDocumento.de_transicion(transicion) for transicion in transiciones]


@routes.post(
    "/{pedido_id}/completar",
    response_model=PedidoDocumento,
    responses=describe(NoEncontrado, VersionObsoleta, TransicionInvalida, ReservaExpirada, RespuestaInvalida),
    summary="Let the held stock be sold",
)
@direct
async def completar(pedido_id: UUID, servicio: Servicio, if_match: IfMatch, _: Gestor) -> Response:
    return _document(await servicio.completar(pedido_id, if_match))


@routes.post(
    "/{pedido_id}/cancelar",
    response_model=PedidoDocumento,
    responses=describe(NoEncontrado, VersionObsoleta, TransicionInvalida, RespuestaInvalida),
    summary="Give the held stock back",
)
async def cancelar(
    pedido_id: UUID,
    servicio: Servicio,
    if_match: IfMatch,
    caller: Cancelador,
    datos: Cancelacion | None = None,
) -> Response:
    motivo = (datos.motivo if datos else None) or "cancelado"
    pedido = await servicio.cancelar(pedido_id, only_of(caller, MANAGE), motivo, if_match)
    return _document(pedido)


@routes.put(
    "/{pedido_id}/venta",
    response_model=PedidoDocumento,
    responses=describe(VentaDesconocida, TransicionInvalida, RespuestaInvalida),
    summary="Take over a sale of inventario that a restored database has forgotten",
)
async def registrar_venta(pedido_id: UUID, request: Request, _: Gestor) -> Response:
    ventas: Ventas = request.app.state.ventas
    return _document(await ventas.registrar(pedido_id))


def only_of(caller: Principal, scope_for_all: str) -> str | None:
    """Whose orders the caller may touch: only its own, unless it has that scope (None)."""
    return None if caller.has(scope_for_all) else caller.subject


def _document(pedido: Pedido) -> Response:
    return document(PedidoDocumento.de(pedido), {"ETag": etag(pedido.version)})
