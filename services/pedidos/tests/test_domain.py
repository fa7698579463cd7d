"""The rules of an order, without database or neighbours."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from comanda.pedidos.domain import (
    Cerrada,
    Estado,
    Fase,
    Ficha,
    Linea,
    LineaPedida,
    Pedido,
    ProductoNoDisponible,
    TransicionInvalida,
    estado_de,
    preparar_lineas,
)

AYER = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOY = AYER + timedelta(days=1)
CAFE, TE, MATE = UUID(int=1), UUID(int=2), UUID(int=3)

LINEAS = (Linea(CAFE, "CAF-1", "Café", 1990, 3), Linea(TE, "TE-1", "Té", 5, 1))


def en_fase(fase: Fase) -> Pedido:
    return Pedido(UUID(int=9), "ana", fase, 4, LINEAS, "EUR", None, None, AYER, AYER)


class TestEstado:
    @pytest.mark.parametrize(
        ("fase", "estado"),
        [
            (Fase.SOLICITADO, Estado.PENDIENTE),
            (Fase.RESERVADO, Estado.PENDIENTE),
            (Fase.COMPLETANDO, Estado.PENDIENTE),
            (Fase.CANCELANDO, Estado.PENDIENTE),
            (Fase.COMPLETADO, Estado.COMPLETADO),
            (Fase.CANCELADO, Estado.CANCELADO),
        ],
    )
    def test_se_deriva_de_la_fase(self, fase: Fase, estado: Estado) -> None:
        assert estado_de(fase) is estado
        assert en_fase(fase).estado is estado


class TestImportes:
    def test_total_y_unidades(self) -> None:
        pedido = en_fase(Fase.RESERVADO)
        assert [linea.importe_centimos for linea in pedido.lineas] == [5970, 5]
        assert pedido.total_centimos == 5975
        assert pedido.unidades == 4

    def test_el_pedido_mas_caro_posible_es_exacto(self) -> None:
        linea = Linea(CAFE, "CAF-1", "Café", 100_000_000, 1_000_000)
        pedido = replace(en_fase(Fase.RESERVADO), lineas=(linea,) * 100)
        assert pedido.total_centimos == 10_000_000_000_000_000


Transicion = Callable[[Pedido], Pedido]
TRANSICIONES: dict[str, tuple[Transicion, Fase, set[Fase]]] = {
    "reservado": (lambda p: p.reservado(HOY, HOY), Fase.RESERVADO, {Fase.SOLICITADO}),
    "rechazado": (
        lambda p: p.rechazado("expirado", HOY),
        Fase.CANCELADO,
        {Fase.SOLICITADO, Fase.RESERVADO, Fase.COMPLETANDO},
    ),
    "completar": (lambda p: p.completar(HOY), Fase.COMPLETANDO, {Fase.RESERVADO}),
    "completado": (lambda p: p.completado(HOY), Fase.COMPLETADO, {Fase.COMPLETANDO}),
    "cancelar": (lambda p: p.cancelar("me arrepentí", HOY), Fase.CANCELANDO, {Fase.SOLICITADO, Fase.RESERVADO}),
    "cancelado": (lambda p: p.cancelado(HOY), Fase.CANCELADO, {Fase.CANCELANDO}),
}


@pytest.mark.parametrize("nombre", TRANSICIONES)
@pytest.mark.parametrize("fase", Fase)
class TestTransiciones:
    def test_solo_desde_donde_se_permite(self, nombre: str, fase: Fase) -> None:
        transicion, destino, desde = TRANSICIONES[nombre]
        antes = en_fase(fase)
        if fase not in desde:
            with pytest.raises(TransicionInvalida) as refusal:
                transicion(antes)
            assert refusal.value.status_code == 409
            assert refusal.value.extras == {"estado": antes.estado.value, "fase": fase.value}
            return
        despues = transicion(antes)
        assert (despues.fase, despues.version) == (destino, antes.version + 1)
        assert (despues.creado_en, despues.actualizado_en) == (AYER, HOY)
        assert (despues.lineas, despues.cliente_id) == (antes.lineas, antes.cliente_id)


class TestMotivo:
    def test_lo_da_la_cancelacion_y_se_conserva(self) -> None:
        pedido = en_fase(Fase.RESERVADO).cancelar("me arrepentí", HOY).cancelado(HOY)
        assert (pedido.fase, pedido.motivo) == (Fase.CANCELADO, "me arrepentí")

    def test_la_reserva_dice_cuando_expira(self) -> None:
        assert en_fase(Fase.SOLICITADO).reservado(HOY, AYER).reserva_expira_en == HOY

    @pytest.mark.parametrize(
        ("estado", "motivo"),
        [("EXPIRADA", "expirado"), ("LIBERADA", "reserva-cerrada"), ("RECHAZADA", "reserva-cerrada")],
    )
    def test_de_una_reserva_cerrada(self, estado: str, motivo: str) -> None:
        assert Cerrada(estado).motivo == motivo


class TestPrepararLineas:
    FICHAS = {  # noqa: RUF012  # nobody changes it
        CAFE: Ficha(CAFE, "CAF-1", "Café", 1990, "EUR", True),
        TE: Ficha(TE, "TE-1", "Té", 5, "EUR", False),
    }

    def test_copia_nombre_y_precio(self) -> None:
        assert preparar_lineas([LineaPedida(CAFE, 3)], self.FICHAS) == (Linea(CAFE, "CAF-1", "Café", 1990, 3),)

    def test_conserva_el_orden_en_que_se_pidieron(self) -> None:
        fichas = self.FICHAS | {TE: replace(self.FICHAS[TE], activo=True)}
        lineas = preparar_lineas([LineaPedida(TE, 1), LineaPedida(CAFE, 2)], fichas)
        assert [linea.producto_id for linea in lineas] == [TE, CAFE]

    def test_nombra_todos_los_que_no_estan_a_la_venta(self) -> None:
        with pytest.raises(ProductoNoDisponible) as refusal:
            preparar_lineas([LineaPedida(MATE, 1), LineaPedida(CAFE, 1), LineaPedida(TE, 1)], self.FICHAS)
        assert refusal.value.extras == {"productos": [str(MATE), str(TE)]}
