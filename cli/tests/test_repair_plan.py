"""Which violation which use case mends, and when none may."""

from collections.abc import Set
from typing import Any

import pytest

from comanda.cli.audit import Violation, no_stock
from comanda.cli.repair_plan import STOCK_ADVICE, Remedy, Situation, plan

LINES = [{"producto_id": "p1", "cantidad": 2}]
SOLD = Remedy("inventario", "o1", "venta", lines=(("p1", 2),))
OTHER = [{"producto_id": "p1", "cantidad": 3}]


def situation(
    fase: str | None,
    estado: str | None,
    *,
    lineas: list[dict[str, Any]] = LINES,
    end: str | None = "later",
    unsound: Set[str] = frozenset(),
    sold: bool = False,
) -> Situation:
    pedido = {"id": "o1", "fase": fase, "lineas": LINES} if fase else None
    reserva = {"pedido_id": "o1", "estado": estado, "lineas": lineas, "expira_en": end} if estado else None
    return Situation(pedido, reserva, unsound, sold)


def violated(invariant: int, kind: str = "pedido") -> Violation:
    return Violation(invariant, kind, "o1", "this", "that")


def advice(invariant: int, case: Situation, kind: str = "pedido") -> str:
    found = plan(violated(invariant, kind), case)
    assert isinstance(found, str)
    return found


class TestSeArregla:
    @pytest.mark.parametrize(
        ("invariant", "kind", "fase", "estado", "remedy"),
        [
            (4, "pedido", "COMPLETADO", "ACTIVA", SOLD),
            (4, "pedido", "COMPLETADO", "EXPIRADA", SOLD),
            (4, "pedido", "COMPLETADO", None, SOLD),
            (4, "pedido", "SOLICITADO", "CONFIRMADA", Remedy("pedidos", "o1", "venta")),
            (4, "pedido", "CANCELANDO", "CONFIRMADA", Remedy("pedidos", "o1", "venta")),
            (8, "pedido", "CANCELANDO", "CONFIRMADA", Remedy("pedidos", "o1", "venta")),
            (4, "reserva", None, "CONFIRMADA", Remedy("pedidos", "o1", "venta")),
            (4, "pedido", "RESERVADO", "CONFIRMADA", Remedy("pedidos", "o1", "completar")),
            (5, "pedido", "CANCELADO", "ACTIVA", Remedy("inventario", "o1", "liberar")),
            (6, "pedido", "RESERVADO", None, Remedy("pedidos", "o1", "cancelar", "reparado")),
            (6, "pedido", "RESERVADO", "LIBERADA", Remedy("pedidos", "o1", "cancelar", "reparado")),
            (6, "pedido", "RESERVADO", "RECHAZADA", Remedy("pedidos", "o1", "cancelar", "reparado")),
            (8, "pedido", "SOLICITADO", None, Remedy("pedidos", "o1", "cancelar", "reparado")),
            (8, "pedido", "COMPLETANDO", "ACTIVA", Remedy("pedidos", "o1", "completar")),
            (8, "pedido", "COMPLETANDO", "CONFIRMADA", Remedy("pedidos", "o1", "completar")),
            (8, "pedido", "CANCELANDO", "LIBERADA", Remedy("pedidos", "o1", "cancelar", "reparado")),
            (8, "pedido", "RESERVADO", "EXPIRADA", Remedy("pedidos", "o1", "cancelar", "reparado")),
            (8, "reserva", "RESERVADO", "ACTIVA", Remedy("inventario", "o1", "liberar")),
            (8, "reserva", None, "ACTIVA", Remedy("inventario", "o1", "liberar")),
            (8, "reserva", "CANCELADO", "ACTIVA", Remedy("inventario", "o1", "liberar")),
            (8, "reserva", "COMPLETADO", "ACTIVA", SOLD),
        ],
    )
    def test_por(self, invariant: int, kind: str, fase: str | None, estado: str | None, remedy: Remedy) -> None:
        assert plan(violated(invariant, kind), situation(fase, estado)) == remedy

    def test_una_reserva_sin_fin_que_nadie_espera(self) -> None:
        case = situation(None, "ACTIVA", end=None)
        assert plan(violated(8, "reserva"), case) == Remedy("inventario", "o1", "liberar")

    def test_la_peticion(self) -> None:
        assert str(Remedy("inventario", "o1", "liberar")) == "POST /reservas/o1/liberar"
        assert str(Remedy("pedidos", "o1", "cancelar", "reparado")) == "POST /pedidos/o1/cancelar"
        assert (str(SOLD), SOLD.body) == ("PUT /reservas/o1/venta", {"lineas": LINES})

    def test_una_lapida_no_sabe_de_lineas(self) -> None:
        """What a refusal of the sale left behind is no reason against it."""
        assert plan(violated(4), situation("COMPLETADO", "LIBERADA", lineas=[])) == SOLD


class TestNoSeArregla:
    @pytest.mark.parametrize("invariant", [1, 2, 3])
    def test_las_existencias(self, invariant: int) -> None:
        assert advice(invariant, situation(None, None), "producto") == STOCK_ADVICE[invariant]

    def test_existencias_borradas(self) -> None:
        (violation,) = no_stock("p1", 2)
        assert "insertarla" in str(plan(violation, situation(None, None)))

    @pytest.mark.parametrize(
        ("invariant", "fase", "estado"),
        [(6, "RESERVADO", "ACTIVA"), (4, "COMPLETANDO", "ACTIVA"), (8, "COMPLETANDO", "ACTIVA")],
    )
    def test_otras_lineas_retenidas(self, invariant: int, fase: str, estado: str) -> None:
        """Completing the order would sell what it does not name; whether to cancel it is not ours to decide."""
        assert "aún no hay venta" in advice(invariant, situation(fase, estado, lineas=OTHER))

    @pytest.mark.parametrize("estado", ["LIBERADA", "RECHAZADA"])
    def test_completado_sin_nada_que_confirmar(self, estado: str | None) -> None:
        assert "no se deshace" in advice(4, situation("COMPLETADO", estado))

    def test_ya_vendido(self) -> None:
        """Confirming it would sell the same goods a second time."""
        assert "ya está en los movimientos" in advice(4, situation("COMPLETADO", "ACTIVA", sold=True))

    @pytest.mark.parametrize(
        ("fase", "estado"),
        [
            ("COMPLETADO", "ACTIVA"),
            ("COMPLETADO", "CONFIRMADA"),
            ("COMPLETADO", "EXPIRADA"),
            ("SOLICITADO", "CONFIRMADA"),
            ("CANCELANDO", "CONFIRMADA"),
            ("RESERVADO", "CONFIRMADA"),
            ("COMPLETANDO", "CONFIRMADA"),
        ],
    )
    def test_otras_lineas(self, fase: str, estado: str) -> None:
        assert "otras líneas" in advice(4, situation(fase, estado, lineas=OTHER))

    def test_vendido_y_cancelado(self) -> None:
        assert "decidir" in advice(5, situation("CANCELADO", "CONFIRMADA"))

    @pytest.mark.parametrize("fase", ["RESERVADO", "SOLICITADO", "COMPLETANDO"])
    def test_una_reserva_sin_fin(self, fase: str) -> None:
        assert "completar o cancelar" in advice(8, situation(fase, "ACTIVA", end=None), "reserva")

    @pytest.mark.parametrize(
        ("invariant", "fase"), [(4, "COMPLETADO"), (5, "CANCELADO"), (8, "COMPLETANDO"), (8, "CANCELANDO")]
    )
    def test_con_existencias_que_no_cuadran(self, invariant: int, fase: str) -> None:
        """The stock may not count it as held: to release it would take from what others hold."""
        assert "p1" in advice(invariant, situation(fase, "ACTIVA", unsound={"p1"}))
        assert isinstance(plan(violated(invariant), situation(fase, "ACTIVA", unsound={"p2"})), Remedy)

    @pytest.mark.parametrize("estado", [None, "EXPIRADA"])
    def test_una_venta_olvidada_de_existencias_que_no_cuadran(self, estado: str | None) -> None:
        assert "p1" in advice(4, situation("COMPLETADO", estado, unsound={"p1"}))

    def test_lo_que_no_mueve_existencias_no_espera(self) -> None:
        assert isinstance(plan(violated(6), situation("RESERVADO", "LIBERADA", unsound={"p1"})), Remedy)
