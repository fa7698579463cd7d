"""HTTP ↔ use cases of inventario."""

import json
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import Depends, Request, Response

from comanda.common.conditional import IfMatch, etag, not_modified
from comanda.common.database import DatabaseUnavailable
from comanda.common.direct import direct
from comanda.common.idempotency import Answer
from comanda.common.idempotency_header import IdempotencyKeyHeader, key_of
from comanda.common.operations import DATABASE
from comanda.common.pagination import Ids, PageQuery, Pagina, page_body
from comanda.common.problems import (
    ClaveReutilizada,
    ErrorInterno,
    NoEncontrado,
    PeticionEnCurso,
    Problem,
    RespuestaInvalida,
    ServicioNoDisponible,
    VersionObsoleta,
    describe,
)
from comanda.common.requests import document, router, to_json
from comanda.common.security import allow
from comanda.common.tokens import Principal
from comanda.inventario.domain import (
    EstadoReserva,
    Existencias,
    ExistenciasCambiadas,
    ExistenciasInsuficientes,
    InventarioExistente,
    Movimiento,
    Operacion,
    ProductoInexistente,
    Reserva,
    ReservaCerrada,
    ReservaConfirmada,
    TipoMovimiento,
)
from comanda.inventario.schemas import (
    Disponibilidad,
    ExistenciasDocumento,
    InventarioNuevo,
    LineasPedidas,
    LoteDocumento,
    MovimientoDocumento,
    MovimientoNuevo,
    ReservaDocumento,
    Resultados,
)
from comanda.inventario.service import Inventario

log = structlog.get_logger()
stock = router(prefix="/inventario", tags=["inventario"])
reservas = router(prefix="/reservas", tags=["reservas"])

Lector = Annotated[Principal, allow("inventario:leer")]
Encargado = Annotated[Principal, allow("inventario:escribir")]
Auditor = Annotated[Principal, allow("inventario:escribir", "movimientos:leer")]
Orquestador = Annotated[Principal, allow("reservas:escribir")]
LectorDeReservas = Annotated[Principal, allow("reservas:leer")]


async def _inventario(request: Request) -> Inventario:
    inventario: Inventario = request.app.state.service
    return inventario


Servicio = Annotated[Inventario, Depends(_inventario)]


@stock.post(
    "",
    status_code=201,
    responses=describe(ProductoInexistente, InventarioExistente, RespuestaInvalida),
    summary="Start to count a product",
)
async def crear(datos: InventarioNuevo, servicio: Servicio, response: Response, _: Encargado) -> ExistenciasDocumento:
    existencias = await servicio.crear(datos.producto_id, datos.cantidad)
    response.headers["Location"] = f"/inventario/{existencias.producto_id}"
    response.headers["ETag"] = etag(existencias.version)
    return ExistenciasDocumento.de(existencias)


@stock.get("", response_model=Pagina[ExistenciasDocumento], summary="All stock")
async def listar(servicio: Servicio, page: PageQuery, request: Request, _: Lector) -> Response:
    return page_body((await servicio.listar(page)).map(ExistenciasDocumento.de), request)


@stock.post("/disponibilidad", summary="Is there enough of each?")
async def disponibilidad(datos: LineasPedidas, servicio: Servicio, _: Lector) -> Disponibilidad:
    return Disponibilidad.de(await servicio.faltantes(datos.dominio()))


@stock.get(
    "/{producto_id}",
    response_model=ExistenciasDocumento,
    responses=describe(NoEncontrado),
    summary="The stock of a product",
)
async def consultar(producto_id: UUID, servicio: Servicio, request: Request, response: Response, _: Lector) -> Any:
    existencias = await servicio.consultar(producto_id)
    response.headers["ETag"] = etag(existencias.version)
    return not_modified(request, etag(existencias.version)) or ExistenciasDocumento.de(existencias)


@stock.post(
    "/{producto_id}/movimientos",
    status_code=201,
    response_model=MovimientoDocumento,
    responses=describe(
        NoEncontrado,
        ExistenciasInsuficientes,
        ExistenciasCambiadas,
        VersionObsoleta,
        ClaveReutilizada,
        PeticionEnCurso,
    ),
    summary="Count goods in, out or anew",
)
async def mover(
    producto_id: UUID,
    datos: MovimientoNuevo,
    servicio: Servicio,
    if_match: IfMatch,
    request: Request,
    caller: Encargado,
    idempotency_key: IdempotencyKeyHeader = None,
) -> Response:
    answer, replayed = await servicio.mover(
        producto_id,
        TipoMovimiento(datos.tipo),
        datos.cantidad,
        fisico_esperado=datos.fisico_esperado,
        motivo=datos.motivo,
        precondition=if_match,
        key=await key_of(request, idempotency_key, caller, "POST /inventario/{producto_id}/movimientos"),
        render=_movement_answer,
    )
    return answer.response(replayed=replayed)


def _movement_answer(movimiento: Movimiento, existencias: Existencias) -> Answer:
    body = MovimientoDocumento.de(movimiento).model_dump_json()
    return Answer(201, body, {"ETag": etag(existencias.version)})


@stock.get(
    "/{producto_id}/movimientos",
    response_model=Pagina[MovimientoDocumento],
    responses=describe(NoEncontrado),
    summary="The ledger of a product",
)
async def listar_movimientos(
    producto_id: UUID, servicio: Servicio, page: PageQuery, request: Request, _: Auditor
) -> Response:
    movimientos = await servicio.listar_movimientos(producto_id, page)
    return page_body(movimientos.map(MovimientoDocumento.de), request)


@reservas.put(
    "/{pedido_id}",
    status_code=201,
    response_model=ReservaDocumento,
    responses={
        200: {"model": ReservaDocumento, "description": "The same lines were already held"},
        **describe(ExistenciasInsuficientes, ReservaCerrada),
    },
    summary="Hold stock for an order, all of it or none",
)
@direct
async def reservar(pedido_id: UUID, datos: LineasPedidas, servicio: Servicio, _: Orquestador) -> Response:
    reserva, nueva = await servicio.reservar(pedido_id, datos.dominio())
    return _documento(reserva, 201 if nueva else 200)


@reservas.post(
    "/{pedido_id}/confirmar",
    response_model=ReservaDocumento,
    responses=describe(ReservaCerrada),
    summary="Let the held stock leave",
)
@direct
async def confirmar(pedido_id: UUID, servicio: Servicio, _: Orquestador) -> Response:
    return _documento(await servicio.confirmar(pedido_id))


@reservas.post(
    "/{pedido_id}/liberar",
    response_model=ReservaDocumento,
    responses=describe(ReservaConfirmada),
    summary="Give the held stock back",
)
@direct
async def liberar(pedido_id: UUID, servicio: Servicio, _: Orquestador) -> Response:
    return _documento(await servicio.liberar(pedido_id))


@reservas.put(
    "/{pedido_id}/venta",
    response_model=ReservaDocumento,
    responses=describe(ReservaCerrada),
    summary="Record a sale that a restored database has forgotten",
)
async def vender(pedido_id: UUID, datos: LineasPedidas, servicio: Servicio, _: Orquestador) -> Response:
    return _documento(await servicio.vender(pedido_id, datos.dominio()))


@reservas.post("/lote", response_model=Resultados, summary="Several of the above in one call, each answered as alone")
@direct
async def operar(datos: LoteDocumento, servicio: Servicio, _: Orquestador) -> Response:
    operaciones = [operacion.dominio() for operacion in datos.operaciones]
    resultados = map(resultado, operaciones, await servicio.operar(operaciones))
    return Response(b'{"resultados":[%b]}' % b",".join(resultados), media_type="application/json")


def resultado(operacion: Operacion, outcome: tuple[Reserva, bool] | Exception) -> bytes:
    """What the operation's own route would have answered, as JSON."""
    if isinstance(outcome, tuple):
        reserva, nueva = outcome
        return b'{"status":%d,"cuerpo":%b}' % (201 if nueva else 200, to_json(ReservaDocumento.de(reserva)))
    if isinstance(outcome, DatabaseUnavailable):
        outcome = ServicioNoDisponible(DATABASE)
    elif not isinstance(outcome, Problem):
        log.error("operation_failed", pedido_id=str(operacion.pedido_id), exc_info=outcome)
        outcome = ErrorInterno()
    problema = json.dumps(outcome.document(f"/reservas/{operacion.pedido_id}"), default=str)
    return b'{"status":%d,"cuerpo":%b}' % (outcome.status, problema.encode())


@reservas.get("", response_model=Pagina[ReservaDocumento], summary="All reservations, the newest order first")
async def listar_reservas(
    servicio: Servicio,
    page: PageQuery,
    request: Request,
    _: LectorDeReservas,
    ids: Ids,
    estado: EstadoReserva | None = None,
) -> Response:
    found = await servicio.listar_reservas(ids.page(page, request), ids=ids.values, estado=estado)
    return page_body(found.map(ReservaDocumento.de), request)


@reservas.get(
    "/{pedido_id}",
    response_model=ReservaDocumento,
    responses=describe(NoEncontrado),
    summary="The reservation of an order",
)
@direct
async def consultar_reserva(pedido_id: UUID, servicio: Servicio, request: Request, _: LectorDeReservas) -> Response:
    reserva = await servicio.consultar_reserva(pedido_id)
    return not_modified(request, etag(reserva.version)) or _documento(reserva)


def _documento(reserva: Reserva, status: int = 200) -> Response:
    return document(ReservaDocumento.de(reserva), {"ETag": etag(reserva.version)}, status)
