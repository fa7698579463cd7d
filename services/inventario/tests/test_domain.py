"""The rules of stock, without any database: single steps here, long stories in test_almacen_stateful."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

import pytest

from comanda.inventario.almacen import Almacen
from comanda.inventario.domain import (
    EstadoReserva,
    Existencias,
    ExistenciasCambiadas,
    ExistenciasInsuficientes,
    Linea,
    Reserva,
    ReservaCerrada,
    TipoMovimiento,
    movimiento_con_signo,
)

AHORA = datetime(2026, 1, 1, 12, tzinfo=UTC)
CAFE, TE, AGUA = UUID(int=1), UUID(int=2), UUID(int=3)
PEDIDO, OTRO = UUID(int=101), UUID(int=102)


def hay(producto: UUID, fisico: int, reservado: int = 0) -> Existencias:
    return Existencias(producto, fisico, reservado, 1, AHORA - timedelta(hours=1))


def reserva(pedido: UUID, estado: str, *lineas: Linea, expira_en: datetime | None = None) -> Reserva:
    antes = AHORA - timedelta(minutes=1)
    return Reserva(pedido, EstadoReserva(estado), lineas, expira_en, (), antes, antes)


def almacen(
    *existencias: Existencias, conocidas: tuple[Reserva, ...] = (), nuevas: tuple[Reserva, ...] = ()
) -> Almacen:
    ids: Iterator[int] = count(1000)
    return Almacen(
        {e.producto_id: e for e in existencias},
        {r.pedido_id: r for r in (*conocidas, *nuevas)},
        {r.pedido_id for r in nuevas},
        AHORA,
        lambda: UUID(int=next(ids)),
    )


class TestMoverExistencias:
    def test_lo_disponible_es_lo_que_no_esta_reservado(self) -> None:
        assert hay(CAFE, 10, 4).disponible == 6

    def test_cada_cambio_es_otra_version(self) -> None:
        assert hay(CAFE, 10, 4).mover(fisico=-4, reservado=-4, ahora=AHORA) == Existencias(CAFE, 6, 0, 2, AHORA)

    @pytest.mark.parametrize(
        ("cambio", "solicitado"),
        [({"fisico": -7}, 7), ({"reservado": 7}, 7), ({"fisico": -11}, 11), ({"fisico": -1, "reservado": 6}, 6)],
    )
    def test_nunca_menos_de_lo_reservado(self, cambio: dict[str, int], solicitado: int) -> None:
        with pytest.raises(ExistenciasInsuficientes) as refusal:
            hay(CAFE, 10, 4).mover(**cambio, ahora=AHORA)
        assert refusal.value.extras["faltantes"] == [
            {"producto_id": str(CAFE), "solicitado": solicitado, "disponible": 6}
        ]

    def test_no_se_devuelve_mas_de_lo_reservado(self) -> None:
        with pytest.raises(ExistenciasInsuficientes):
            hay(CAFE, 10, 4).mover(reservado=-5, ahora=AHORA)


class TestMovimientoConSigno:
    @pytest.mark.parametrize(
        ("tipo", "cantidad", "esperado", "cambio"),
        [("ENTRADA", 5, None, 5), ("SALIDA", 5, None, -5), ("AJUSTE", 5, 10, -5), ("AJUSTE", 12, 10, 2)],
    )
    def test_cambio(self, tipo: str, cantidad: int, esperado: int | None, cambio: int) -> None:
        assert movimiento_con_signo(hay(CAFE, 10), TipoMovimiento(tipo), cantidad, esperado) == cambio

    @pytest.mark.parametrize("esperado", [None, 9, 0])
    def test_un_ajuste_nombra_la_cifra_presente(self, esperado: int | None) -> None:
        with pytest.raises(ExistenciasCambiadas) as refusal:
            movimiento_con_signo(hay(CAFE, 10), TipoMovimiento.AJUSTE, 5, esperado)
        assert refusal.value.extras == {"fisico": 10}


class TestVencida:
    @pytest.mark.parametrize(("seconds", "vencida"), [(-1, True), (0, True), (1, False)])
    def test_desde_el_instante_en_que_expira(self, seconds: int, vencida: bool) -> None:
        activa = reserva(PEDIDO, "ACTIVA", expira_en=AHORA + timedelta(seconds=seconds))
        assert activa.vencida(AHORA) is vencida

    def test_una_cerrada_ya_no_vence(self) -> None:
        assert not reserva(PEDIDO, "CONFIRMADA", expira_en=AHORA - timedelta(hours=1)).vencida(AHORA)

    def test_sin_plazo_no_vence(self) -> None:
        assert not reserva(PEDIDO, "ACTIVA").vencida(AHORA)


class TestReservar:
    NUEVA = reserva(PEDIDO, "ACTIVA", expira_en=AHORA + timedelta(minutes=15))

    def test_aparta_cada_linea(self) -> None:
        stock = almacen(hay(CAFE, 10), hay(TE, 5), nuevas=(self.NUEVA,))
        lineas = (Linea(TE, 5), Linea(CAFE, 4))
        assert stock.reservar(PEDIDO, lineas, AHORA) == replace(self.NUEVA, lineas=lineas)
        assert (stock.existencias[CAFE].reservado, stock.existencias[TE].reservado) == (4, 5)

    def test_una_negativa_deja_las_existencias_como_estaban(self) -> None:
        stock = almacen(hay(CAFE, 10), hay(TE, 5), nuevas=(self.NUEVA,))
        with pytest.raises(ExistenciasInsuficientes):
            stock.reservar(PEDIDO, (Linea(CAFE, 4), Linea(TE, 6), Linea(AGUA, 1)), AHORA)
        assert stock.existencias_cambiadas() == []
        assert stock.reservas[PEDIDO].estado is EstadoReserva.RECHAZADA
        assert [(f.producto_id, f.disponible) for f in stock.reservas[PEDIDO].faltantes] == [(TE, 5), (AGUA, 0)]

    def test_dos_pedidos_en_la_misma_transaccion(self) -> None:
        stock = almacen(hay(CAFE, 10), nuevas=(self.NUEVA, replace(self.NUEVA, pedido_id=OTRO)))
        stock.reservar(PEDIDO, (Linea(CAFE, 7),), AHORA)
        with pytest.raises(ExistenciasInsuficientes):
            stock.reservar(OTRO, (Linea(CAFE, 4),), AHORA)
        assert stock.existencias[CAFE].reservado == 7

    def test_repetido_en_la_misma_transaccion(self) -> None:
        stock = almacen(hay(CAFE, 10), nuevas=(self.NUEVA,))
        first = stock.reservar(PEDIDO, (Linea(CAFE, 7),), AHORA)
        assert stock.reservar(PEDIDO, (Linea(CAFE, 7),), AHORA) is first
        assert stock.existencias[CAFE].reservado == 7

    @pytest.mark.parametrize("cierre", ["liberar", "confirmar"])
    def test_despues_de_una_lapida_en_la_misma_transaccion(self, cierre: str) -> None:
        stock = almacen(hay(CAFE, 10), nuevas=(reserva(PEDIDO, "LIBERADA"),))
        with nullcontext() if cierre == "liberar" else pytest.raises(ReservaCerrada):
            getattr(stock, cierre)(PEDIDO)
        with pytest.raises(ReservaCerrada):
            stock.reservar(PEDIDO, (Linea(CAFE, 7),), AHORA)
        assert stock.existencias[CAFE].reservado == 0

    @pytest.mark.parametrize(
        ("edad", "vale"),
        [
            (timedelta(hours=48), True),
            (timedelta(hours=48, microseconds=1), False),
            (timedelta(hours=-24), True),
            (timedelta(hours=-24, microseconds=-1), False),
            (None, False),
        ],
        ids=str,
    )
    def test_edad_del_id(self, edad: timedelta | None, vale: bool) -> None:
        stock = almacen(hay(CAFE, 10), nuevas=(self.NUEVA,))
        creado = None if edad is None else AHORA - edad
        if vale:
            assert stock.reservar(PEDIDO, (Linea(CAFE, 7),), creado).estado is EstadoReserva.ACTIVA
        else:
            with pytest.raises(ReservaCerrada):
                stock.reservar(PEDIDO, (Linea(CAFE, 7),), creado)
            assert stock.reservas[PEDIDO].estado is EstadoReserva.LIBERADA
            assert stock.existencias_cambiadas() == []


class TestLoQueHayQueEscribir:
    ACTIVA = reserva(PEDIDO, "ACTIVA", Linea(CAFE, 4), expira_en=AHORA + timedelta(minutes=15))

    def test_solo_lo_que_cambia(self) -> None:
        quieta = reserva(OTRO, "ACTIVA", Linea(TE, 1), expira_en=AHORA + timedelta(minutes=15))
        stock = almacen(hay(CAFE, 10, 4), hay(TE, 5, 1), conocidas=(self.ACTIVA, quieta))
        stock.confirmar(PEDIDO)
        assert [e.producto_id for e in stock.existencias_cambiadas()] == [CAFE]
        assert [(r.pedido_id, r.estado) for r in stock.reservas_cambiadas()] == [(PEDIDO, EstadoReserva.CONFIRMADA)]
        assert [(m.producto_id, m.cantidad, m.pedido_id) for m in stock.movimientos] == [(CAFE, -4, PEDIDO)]
        assert stock.reservas_con_lineas_nuevas() == []

    def test_nada_al_repetir(self) -> None:
        stock = almacen(hay(CAFE, 10), conocidas=(replace(self.ACTIVA, estado=EstadoReserva.CONFIRMADA),))
        stock.confirmar(PEDIDO)
        stock.reservar(PEDIDO, self.ACTIVA.lineas, AHORA)
        assert (stock.existencias_cambiadas(), stock.reservas_cambiadas(), stock.movimientos) == ([], [], [])

    def test_lineas_de_una_nueva_y_de_una_rechazada(self) -> None:
        """A new reservation's own row was already written when it was claimed; a refusal changes it."""
        nuevas = reserva(PEDIDO, "ACTIVA"), reserva(OTRO, "ACTIVA")
        stock = almacen(hay(CAFE, 10), nuevas=nuevas)
        stock.reservar(PEDIDO, (Linea(CAFE, 7),), AHORA)
        with pytest.raises(ExistenciasInsuficientes):
            stock.reservar(OTRO, (Linea(CAFE, 4),), AHORA)
        assert {r.pedido_id for r in stock.reservas_con_lineas_nuevas()} == {PEDIDO, OTRO}
        assert [r.pedido_id for r in stock.reservas_cambiadas()] == [OTRO]


class TestExpirar:
    @pytest.mark.parametrize(("seconds", "reservado"), [(0, 0), (1, 4)])
    def test_devuelve_lo_vencido_y_nada_mas(self, seconds: int, reservado: int) -> None:
        activa = reserva(PEDIDO, "ACTIVA", Linea(CAFE, 4), expira_en=AHORA + timedelta(seconds=seconds))
        stock = almacen(hay(CAFE, 10, 4), conocidas=(activa,))
        for _ in range(2):
            stock.expirar(PEDIDO)
            assert stock.existencias[CAFE].reservado == reservado
        assert stock.movimientos == []
