"""Each invariant, kept and broken."""

from typing import Any

import pytest

from comanda.cli import audit
from comanda.cli.audit import Violation

TWO_CUPS = [{"producto_id": "p1", "cantidad": 2}, {"producto_id": "p2", "cantidad": 1}]


def pedido(fase: str, lineas: list[dict[str, Any]] = TWO_CUPS, id: str = "o1") -> dict[str, Any]:  # noqa: A002
    estado = fase if fase in ("COMPLETADO", "CANCELADO") else "PENDIENTE"
    return {"id": id, "estado": estado, "fase": fase, "lineas": lineas}


def reserva(estado: str, lineas: list[dict[str, Any]] = TWO_CUPS, id: str = "o1") -> dict[str, Any]:  # noqa: A002
    return {"pedido_id": id, "estado": estado, "lineas": lineas}


def stock(fisico: int, reservado: int) -> dict[str, Any]:
    return {"producto_id": "p1", "fisico": fisico, "reservado": reservado, "disponible": fisico - reservado}


class TestOrder:
    @pytest.mark.parametrize(
        ("fase", "reserva_estado"),
        [
            ("SOLICITADO", None),
            ("SOLICITADO", "ACTIVA"),
            ("SOLICITADO", "RECHAZADA"),
            ("RESERVADO", "ACTIVA"),
            ("RESERVADO", "EXPIRADA"),
            ("COMPLETANDO", "ACTIVA"),
            ("COMPLETANDO", "CONFIRMADA"),
            ("COMPLETANDO", "EXPIRADA"),
            ("CANCELANDO", "ACTIVA"),
            ("CANCELANDO", "LIBERADA"),
            ("COMPLETADO", "CONFIRMADA"),
            ("CANCELADO", None),
            ("CANCELADO", "LIBERADA"),
            ("CANCELADO", "EXPIRADA"),
            ("CANCELADO", "RECHAZADA"),
        ],
    )
    def test_bien(self, fase: str, reserva_estado: str | None) -> None:
        assert audit.check_order(pedido(fase), reserva(reserva_estado) if reserva_estado else None) == []

    @pytest.mark.parametrize("reserva_estado", [None, "ACTIVA", "LIBERADA", "EXPIRADA", "RECHAZADA"])
    def test_4_completado_sin_confirmar(self, reserva_estado: str | None) -> None:
        found = audit.check_order(pedido("COMPLETADO"), reserva(reserva_estado) if reserva_estado else None)
        state = reserva_estado or "ninguna"
        assert found == [Violation(4, "pedido", "o1", "reserva CONFIRMADA", state, "COMPLETADO/COMPLETADO")]

    def test_4_otras_lineas(self) -> None:
        found = audit.check_order(pedido("COMPLETADO"), reserva("CONFIRMADA", TWO_CUPS[:1]))
        assert found == [Violation(4, "pedido", "o1", "reserva de 2 × p1, 1 × p2", "2 × p1", "COMPLETADO/COMPLETADO")]

    @pytest.mark.parametrize(
        ("fase", "estado", "invariant"),
        [("RESERVADO", "ACTIVA", 6), ("COMPLETANDO", "ACTIVA", 4), ("COMPLETANDO", "CONFIRMADA", 4)],
    )
    def test_otras_lineas_antes_de_completar(self, fase: str, estado: str, invariant: int) -> None:
        """What is held is what will be sold."""
        found = audit.check_order(pedido(fase), reserva(estado, TWO_CUPS[:1]))
        standing = f"PENDIENTE/{fase}"
        assert found == [Violation(invariant, "pedido", "o1", "reserva de 2 × p1, 1 × p2", "2 × p1", standing)]

    def test_el_orden_de_las_lineas_no_importa(self) -> None:
        assert audit.check_order(pedido("COMPLETADO"), reserva("CONFIRMADA", TWO_CUPS[::-1])) == []

    @pytest.mark.parametrize("fase", ["SOLICITADO", "RESERVADO", "CANCELANDO"])
    def test_4_confirmada_antes_de_tiempo(self, fase: str) -> None:
        (violation,) = audit.check_order(pedido(fase), reserva("CONFIRMADA"))
        assert (violation.invariant, violation.found) == (4, fase)

    def test_4_confirmada_sin_pedido(self) -> None:
        (violation,) = audit.check_order(None, reserva("CONFIRMADA"))
        assert str(violation) == "invariante 4: reserva o1 CONFIRMADA: se esperaba un pedido para ella, hay ninguno"

    @pytest.mark.parametrize("estado", ["ACTIVA", "LIBERADA", "EXPIRADA", "RECHAZADA"])
    def test_sin_pedido_nada_vendido(self, estado: str) -> None:
        assert audit.check_order(None, reserva(estado)) == []

    @pytest.mark.parametrize("estado", ["ACTIVA", "CONFIRMADA"])
    def test_5_cancelado_retiene(self, estado: str) -> None:
        (violation,) = audit.check_order(pedido("CANCELADO"), reserva(estado))
        assert (violation.invariant, violation.found) == (5, estado)

    @pytest.mark.parametrize("estado", [None, "LIBERADA", "RECHAZADA"])
    def test_6_reservado_sin_reserva(self, estado: str | None) -> None:
        (violation,) = audit.check_order(pedido("RESERVADO"), reserva(estado) if estado else None)
        assert (violation.invariant, violation.found) == (6, estado or "ninguna")


class TestStock:
    def test_bien(self) -> None:
        assert audit.check_stock(stock(5, 5), 5) == []
        assert audit.check_held(stock(5, 2), 2) == []

    @pytest.mark.parametrize(("fisico", "reservado"), [(5, 6), (5, -1), (-1, 0)])
    def test_1_fuera_de_limites(self, fisico: int, reservado: int) -> None:
        (violation,) = audit.check_stock(stock(fisico, reservado), fisico)
        assert (violation.invariant, violation.found) == (1, f"reservado {reservado}, fisico {fisico}")

    def test_1_disponible_no_es_la_resta(self) -> None:
        (violation,) = audit.check_stock(stock(5, 2) | {"disponible": 5}, 5)
        assert str(violation) == "invariante 1: producto p1: se esperaba disponible 3 (fisico − reservado), hay 5"

    def test_2_no_es_la_suma(self) -> None:
        (violation,) = audit.check_stock(stock(5, 0), 7)
        assert str(violation) == "invariante 2: producto p1: se esperaba fisico 7 (suma de sus movimientos), hay 5"

    def test_3_no_es_la_suma(self) -> None:
        (violation,) = audit.check_held(stock(5, 1), 2)
        assert (violation.invariant, violation.found) == (3, "1")

    def test_3_sin_existencias(self) -> None:
        (violation,) = audit.no_stock("p1", 2)
        assert (violation.invariant, violation.found) == (3, "ninguna fila de existencias")
        assert audit.no_stock("p1", 0) == []

    def test_solo_las_activas_retienen(self) -> None:
        reservas = [reserva("ACTIVA"), reserva("ACTIVA"), reserva("CONFIRMADA"), reserva("LIBERADA")]
        assert audit.held_by_product(reservas) == {"p1": 4, "p2": 2}


class TestDocument:
    def test_para_maquinas(self) -> None:
        (violation,) = audit.check_order(pedido("CANCELADO"), reserva("ACTIVA"))
        assert violation.document() == {
            "invariante": 5,
            "sujeto": {"tipo": "pedido", "id": "o1", "estado": "CANCELADO/CANCELADO"},
            "esperado": "ninguna reserva ACTIVA ni CONFIRMADA",
            "encontrado": "ACTIVA",
        }

    def test_sin_estado(self) -> None:
        (violation,) = audit.check_held(stock(5, 1), 2)
        assert violation.document()["sujeto"] == {"tipo": "producto", "id": "p1", "estado": None}


class TestJoined:
    def test_por_id_descendente(self) -> None:
        pedidos = [pedido("RESERVADO", id=name) for name in ("d", "c", "a")]
        reservas = [reserva("ACTIVA", id=name) for name in ("e", "c", "b")]
        pairs = [(name, p is not None, r is not None) for name, p, r in audit.joined(pedidos, reservas)]
        assert pairs == [
            ("e", False, True),
            ("d", True, False),
            ("c", True, True),
            ("b", False, True),
            ("a", True, False),
        ]

    def test_vacio(self) -> None:
        assert list(audit.joined([], [])) == []
