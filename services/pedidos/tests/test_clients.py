"""What the neighbours' answers mean, and what is no answer at all."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

import pytest
import structlog
from vecino import Vecino

from comanda.common.http import Neighbour
from comanda.common.problems import RespuestaInvalida, ServicioNoDisponible
from comanda.pedidos.clients import InventarioHttp
from comanda.pedidos.domain import (
    Cerrada,
    Confirmada,
    Fase,
    Insuficientes,
    Liberada,
    Linea,
    LineaPedida,
    Pedido,
    Reservada,
)
from comanda.pedidos.fichas import ProductosHttp
from comanda.testing import FakeClock

CAFE, TE = UUID(int=1), UUID(int=2)
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LINEAS = (Linea(CAFE, "CAF-1", "Café", 250, 3), Linea(TE, "TE-1", "Té", 5, 1))
PEDIDO = Pedido(UUID(int=9), "ana", Fase.SOLICITADO, 1, LINEAS, "EUR", None, None, NOW, NOW)
NO_VERDICTS = [None, [], "texto", {}, {"estado": "CONFIRMADA"}, {"pedido_id": str(CAFE), "estado": "CONFIRMADA"}]


@pytest.fixture
def vecino(clock: FakeClock) -> Vecino:
    return Vecino(clock)


@pytest.fixture
def inventario(vecino: Vecino) -> InventarioHttp:
    return InventarioHttp(vecino.neighbour)


class TestReservar:
    @pytest.mark.parametrize("status", [200, 201])
    async def test_reservada(self, vecino: Vecino, inventario: InventarioHttp, status: int) -> None:
        vecino.responde(status, {"expira_en": "2026-01-01T12:15:00Z"})
        assert await inventario.reservar(PEDIDO) == Reservada(datetime(2026, 1, 1, 12, 15, tzinfo=UTC))
        [request] = vecino.requests
        assert (request.method, request.url.path) == ("PUT", f"/reservas/{PEDIDO.id}")
        assert json.loads(request.content) == {
            "lineas": [{"producto_id": str(CAFE), "cantidad": 3}, {"producto_id": str(TE), "cantidad": 1}]
        }

    async def test_existencias_insuficientes(self, vecino: Vecino, inventario: InventarioHttp) -> None:
        faltantes = [{"producto_id": str(CAFE), "solicitado": 3, "disponible": 1}]
        vecino.rechaza(409, "existencias-insuficientes", faltantes=faltantes)
        assert await inventario.reservar(PEDIDO) == Insuficientes(faltantes)

    async def test_reserva_cerrada(self, vecino: Vecino, inventario: InventarioHttp) -> None:
        vecino.rechaza(409, "reserva-cerrada", estado="LIBERADA")
        assert await inventario.reservar(PEDIDO) == Cerrada("LIBERADA")

    @pytest.mark.parametrize(
        "body",
        [
            None,
            [],
            "texto",
            {},
            {"expira_en": None},
            {"expira_en": 5},
            {"expira_en": "mañana"},
            {"expira_en": "2026-01-01T12:15:00"},
        ],
    )
    async def test_un_201_que_no_dice_hasta_cuando(self, vecino: Vecino, inventario: InventarioHttp, body: Any) -> None:
        vecino.responde(201, body)
        with pytest.raises(RespuestaInvalida):
            await inventario.reservar(PEDIDO)

    @pytest.mark.parametrize("content", [b"", b"<html>", b"\xff", b"[" * 100_000])
    async def test_un_201_que_no_es_json(self, vecino: Vecino, inventario: InventarioHttp, content: bytes) -> None:
        vecino.responde(201, content=content)
        with pytest.raises(RespuestaInvalida):
            await inventario.reservar(PEDIDO)

    async def test_insuficientes_sin_faltantes(self, vecino: Vecino, inventario: InventarioHttp) -> None:
        vecino.rechaza(409, "existencias-insuficientes")
        with pytest.raises(RespuestaInvalida):
            await inventario.reservar(PEDIDO)

    @pytest.mark.parametrize("body", [None, [], {"type": 5}, {"type": "https://x/otro-conflicto"}])
    async def test_un_409_desconocido(self, vecino: Vecino, inventario: InventarioHttp, body: Any) -> None:
        vecino.responde(409, body)
        with pytest.raises(RespuestaInvalida):
            await inventario.reservar(PEDIDO)


class TestConfirmar:
    async def test_confirmada(self, vecino: Vecino, inventario: InventarioHttp) -> None:
        vecino.responde(200, {"pedido_id": str(PEDIDO.id), "estado": "CONFIRMADA"})
        assert await inventario.confirmar(PEDIDO) == Confirmada()
        [request] = vecino.requests
        assert (request.method, request.url.path) == ("POST", f"/reservas/{PEDIDO.id}/confirmar")

    async def test_reserva_cerrada(self, vecino: Vecino, inventario: InventarioHttp) -> None:
        vecino.rechaza(409, "reserva-cerrada", estado="EXPIRADA")
        assert await inventario.confirmar(PEDIDO) == Cerrada("EXPIRADA")

    async def test_un_409_desconocido(self, vecino: Vecino, inventario: InventarioHttp) -> None:
        vecino.rechaza(409, "existencias-insuficientes", faltantes=[])
        with pytest.raises(RespuestaInvalida):
            await inventario.confirmar(PEDIDO)

    @pytest.mark.parametrize("estado", ["ACTIVA", "CONFIRMADA"])
    async def test_un_cierre_que_no_lo_es(self, vecino: Vecino, inventario: InventarioHttp, estado: str) -> None:
        vecino.rechaza(409, "reserva-cerrada", estado=estado)
        with pytest.raises(RespuestaInvalida):
            await inventario.confirmar(PEDIDO)

    @pytest.mark.parametrize("body", [*NO_VERDICTS, {"pedido_id": str(PEDIDO.id), "estado": "ACTIVA"}])
    async def test_un_200_que_no_lo_dice(self, vecino: Vecino, inventario: InventarioHttp, body: Any) -> None:
        vecino.responde(200, body)
        with pytest.raises(RespuestaInvalida):
            await inventario.confirmar(PEDIDO)


class TestLiberar:
    @pytest.mark.parametrize("estado", ["LIBERADA", "EXPIRADA", "RECHAZADA"])
    async def test_liberada(self, vecino: Vecino, inventario: InventarioHttp, estado: str) -> None:
        vecino.responde(200, {"pedido_id": str(PEDIDO.id), "estado": estado})
        assert await inventario.liberar(PEDIDO) == Liberada()
        [request] = vecino.requests
        assert (request.method, request.url.path) == ("POST", f"/reservas/{PEDIDO.id}/liberar")

    @pytest.mark.parametrize("body", [*NO_VERDICTS, {"pedido_id": str(PEDIDO.id), "estado": "CONFIRMADA"}])
    async def test_un_200_que_no_lo_dice(self, vecino: Vecino, inventario: InventarioHttp, body: Any) -> None:
        vecino.responde(200, body)
        with pytest.raises(RespuestaInvalida):
            await inventario.liberar(PEDIDO)

    async def test_confirmada_no_dice_que_este_liberada(self, vecino: Vecino, inventario: InventarioHttp) -> None:
        vecino.rechaza(409, "reserva-confirmada")
        with pytest.raises(RespuestaInvalida):
            await inventario.liberar(PEDIDO)


class TestEstados:
    async def test_de_las_que_se_conocen(self, vecino: Vecino, inventario: InventarioHttp) -> None:
        vecino.responde(200, {"elementos": [{"pedido_id": str(CAFE), "estado": "EXPIRADA"}], "siguiente": None})
        assert await inventario.estados([CAFE, TE]) == {CAFE: "EXPIRADA"}
        [request] = vecino.requests
        assert (request.method, request.url.path) == ("GET", "/reservas")
        assert request.url.params["ids"] == f"{CAFE},{TE}"

    @pytest.mark.parametrize(
        "body", [None, {}, {"elementos": 5}, {"elementos": [{}]}, {"elementos": [{"pedido_id": 5, "estado": "x"}]}]
    )
    async def test_lo_que_no_es_una_lista_de_reservas(
        self, vecino: Vecino, inventario: InventarioHttp, body: Any
    ) -> None:
        vecino.responde(200, body)
        with pytest.raises(RespuestaInvalida):
            await inventario.estados([CAFE])


class TestVenta:
    LINEA: ClassVar = {"producto_id": str(CAFE), "cantidad": 2}

    @pytest.mark.parametrize(
        ("estado", "vendido"), [("CONFIRMADA", [LineaPedida(CAFE, 2)]), ("ACTIVA", None), ("LIBERADA", None)]
    )
    async def test_lo_que_se_vendio(
        self, vecino: Vecino, inventario: InventarioHttp, estado: str, vendido: list[LineaPedida] | None
    ) -> None:
        reserva = {"pedido_id": str(PEDIDO.id), "estado": estado, "lineas": [self.LINEA]}
        vecino.responde(200, {"elementos": [reserva], "siguiente": None})
        assert await inventario.venta(PEDIDO.id) == vendido

    async def test_de_otro_pedido_o_ninguna(self, vecino: Vecino, inventario: InventarioHttp) -> None:
        otra = {"pedido_id": str(CAFE), "estado": "CONFIRMADA", "lineas": [self.LINEA]}
        vecino.responde(200, {"elementos": [otra], "siguiente": None})
        assert await inventario.venta(PEDIDO.id) is None


CALLS: dict[str, Callable[[Neighbour], Any]] = {
    "reservar": lambda neighbour: InventarioHttp(neighbour).reservar(PEDIDO),
    "confirmar": lambda neighbour: InventarioHttp(neighbour).confirmar(PEDIDO),
    "liberar": lambda neighbour: InventarioHttp(neighbour).liberar(PEDIDO),
    "estados": lambda neighbour: InventarioHttp(neighbour).estados([PEDIDO.id]),
    "venta": lambda neighbour: InventarioHttp(neighbour).venta(PEDIDO.id),
    "fichas": lambda neighbour: ProductosHttp(neighbour, FakeClock()).fichas([CAFE]),
}


@pytest.mark.parametrize("call", CALLS)
class TestSinVeredicto:
    @pytest.mark.parametrize("status", [204, 302, 400, 401, 403, 404, 413, 422, 500, 502, 504])
    async def test_cualquier_otro_estado_es_respuesta_invalida_y_no_abre_el_circuito(
        self, vecino: Vecino, call: str, status: int
    ) -> None:
        vecino.responde(status, {"detail": "?"})
        with pytest.raises(RespuestaInvalida) as fault:
            await CALLS[call](vecino.neighbour)
        assert fault.value.status_code == 502
        assert fault.value.extras == {"servicio": "inventario"}
        assert vecino.circuit.state == "CERRADO"

    @pytest.mark.parametrize("status", [429, 503])
    async def test_saturado_o_apagandose_dice_cuando_volver(self, vecino: Vecino, call: str, status: int) -> None:
        vecino.responde(status, {}, **{"Retry-After": "7"})
        with pytest.raises(ServicioNoDisponible) as fault:
            await CALLS[call](vecino.neighbour)
        assert fault.value.headers == {"Retry-After": "7"}
        assert vecino.circuit.state == "CERRADO"


class TestJuntas:
    """Operations that come at once, in one call."""

    OTRO = replace(PEDIDO, id=UUID(int=10))
    TERCERO = replace(PEDIDO, id=UUID(int=11))

    async def at_once(self, inventario: InventarioHttp) -> list[Any]:
        return await asyncio.gather(
            inventario.reservar(PEDIDO),
            inventario.confirmar(self.OTRO),
            inventario.liberar(self.TERCERO),
            return_exceptions=True,
        )

    async def test_cada_una_con_su_veredicto(self, vecino: Vecino, inventario: InventarioHttp) -> None:
        vecino.responde(
            200,
            {
                "resultados": [
                    {"status": 201, "cuerpo": {"expira_en": "2026-01-01T12:15:00Z"}},
                    {"status": 409, "cuerpo": {"type": "x/reserva-cerrada", "estado": "EXPIRADA"}},
                    {"status": 200, "cuerpo": {"pedido_id": str(self.TERCERO.id), "estado": "LIBERADA"}},
                ]
            },
        )
        assert await self.at_once(inventario) == [
            Reservada(datetime(2026, 1, 1, 12, 15, tzinfo=UTC)),
            Cerrada("EXPIRADA"),
            Liberada(),
        ]
        [request] = vecino.requests
        assert (request.method, request.url.path) == ("POST", "/reservas/lote")
        lineas = [{"producto_id": str(CAFE), "cantidad": 3}, {"producto_id": str(TE), "cantidad": 1}]
        assert json.loads(request.content)["operaciones"] == [
            {"pedido_id": str(PEDIDO.id), "operacion": "reservar", "lineas": lineas},
            {"pedido_id": str(self.OTRO.id), "operacion": "confirmar"},
            {"pedido_id": str(self.TERCERO.id), "operacion": "liberar"},
        ]

    async def test_lo_que_no_dice_nada_de_una(self, vecino: Vecino, inventario: InventarioHttp) -> None:
        vecino.responde(
            200,
            {
                "resultados": [
                    {"status": 503, "cuerpo": {}},
                    {"status": 500, "cuerpo": {}},
                    {"status": 409, "cuerpo": {"type": "x/reserva-confirmada"}},
                ]
            },
        )
        with structlog.testing.capture_logs() as logs:
            outcomes = await self.at_once(inventario)
        assert [type(one) for one in outcomes] == [ServicioNoDisponible, RespuestaInvalida, RespuestaInvalida]
        assert len(vecino.requests) == 1
        unexpected = [line for line in logs if line["event"] == "respuesta inesperada"]
        assert [(line["pedido_id"], line["status"], line["slug"]) for line in unexpected] == [
            (str(PEDIDO.id), 503, ""),
            (str(self.OTRO.id), 500, ""),
            (str(self.TERCERO.id), 409, "reserva-confirmada"),
        ]

    @pytest.mark.parametrize("status", [404, 413, 422, 500])
    async def test_un_rechazo_de_todas_las_manda_de_una_en_una(
        self, vecino: Vecino, inventario: InventarioHttp, status: int
    ) -> None:
        vecino.rechaza(status, "x")
        assert [type(one) for one in await self.at_once(inventario)] == [RespuestaInvalida] * 3
        assert sorted(request.url.path for request in vecino.requests) == sorted(
            [
                "/reservas/lote",
                f"/reservas/{PEDIDO.id}",
                f"/reservas/{self.OTRO.id}/confirmar",
                f"/reservas/{self.TERCERO.id}/liberar",
            ]
        )

    @pytest.mark.parametrize(
        "body", [None, {}, {"resultados": []}, {"resultados": [{}] * 3}, {"resultados": [1, 2, 3]}]
    )
    async def test_lo_que_no_es_una_respuesta(self, vecino: Vecino, inventario: InventarioHttp, body: Any) -> None:
        vecino.responde(200, body)
        assert [type(one) for one in await self.at_once(inventario)] == [RespuestaInvalida] * 3
        assert len(vecino.requests) == 4

    async def test_si_no_puede_no_insiste(self, vecino: Vecino, inventario: InventarioHttp) -> None:
        vecino.rechaza(503, "servicio-saturado")
        assert [type(one) for one in await self.at_once(inventario)] == [ServicioNoDisponible] * 3
        assert len(vecino.requests) == 1
