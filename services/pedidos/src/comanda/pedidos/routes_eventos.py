"""Live events over HTTP: server-sent events (WHATWG HTML, §9.2)."""

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Request, Response
from fastapi.sse import EventSourceResponse, format_sse_event
from pydantic import AwareDatetime, BaseModel

from comanda.common.direct import direct
from comanda.common.money import Money
from comanda.common.problems import ServicioSaturado, describe
from comanda.common.requests import filled, router, to_json
from comanda.common.streams import EventStream
from comanda.pedidos.domain import Estado, Fase
from comanda.pedidos.domain_eventos import DemasiadosFlujos, Evento
from comanda.pedidos.eventos import Eventos, Stream
from comanda.pedidos.routes import ALL_ORDERS, PATH, Lector, only_of

HEARTBEAT = format_sse_event(comment="latido")
EXPIRED = format_sse_event(event="fin", data_str='{"motivo":"token-caducado"}')
ENDED = format_sse_event(event="fin", data_str='{"motivo":"sesion-terminada"}')
RETRY_MILLISECONDS = 3000

routes = router(prefix=PATH, tags=["pedidos"])


class EventoDocumento(BaseModel):
    id: UUID
    en: AwareDatetime
    de: Fase | None
    a: Fase
    causa: str
    estado: Estado
    fase: Fase
    total: Money
    moneda: str
    cliente_id: str
    motivo: str | None
    reserva_expira_en: AwareDatetime | None
    actualizado_en: AwareDatetime


def encode(evento: Evento) -> bytes:
    documento = filled(
        EventoDocumento,
        id=evento.pedido_id,
        en=evento.en,
        de=evento.de,
        a=evento.a,
        causa=evento.causa,
        estado=evento.estado,
        fase=evento.a,
        total=evento.total_centimos,
        moneda=evento.moneda,
        cliente_id=evento.cliente_id,
        motivo=evento.motivo,
        reserva_expira_en=evento.reserva_expira_en,
        actualizado_en=evento.en,
    )
    return format_sse_event(event="pedido", data_str=to_json(documento).decode(), id=str(evento.numero))


async def _eventos(request: Request) -> Eventos:
    eventos: Eventos = request.app.state.eventos
    return eventos


@routes.get(
    "/eventos",
    response_class=EventSourceResponse,
    responses=describe(DemasiadosFlujos, ServicioSaturado),
    summary="What happens to orders, live",
)
@direct
async def eventos(
    caller: Lector,
    eventos: Annotated[Eventos, Depends(_eventos)],
    last_event_id: Annotated[
        int | None,
        Header(alias="Last-Event-ID", ge=0, lt=2**63, description="el `id` del último evento recibido"),
    ] = None,
) -> Response:
    stream = await eventos.open(caller, only_of(caller, ALL_ORDERS), last_event_id)
    return EventStream(_blocks(eventos, stream), stop=stream.stop, on_close=lambda: eventos.close(stream))


async def _blocks(eventos: Eventos, stream: Stream) -> AsyncIterator[bytes]:
    # An id without data is no event, but from then on the client has a place to resume from.
    yield format_sse_event(id=str(stream.position), retry=RETRY_MILLISECONDS)
    async for block in eventos.blocks(stream):
        yield block
