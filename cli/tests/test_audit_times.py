"""What stands still for too long, and what is only on its way."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from comanda.cli.audit import Violation
from comanda.cli.audit_times import Limits, check_times
from comanda.cli.environment import load_settings

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
CLOCKS = {"pedidos": NOW, "inventario": NOW}
LIMITS = Limits(
    order=timedelta(seconds=1290),
    reservation=timedelta(seconds=61),
    round=timedelta(seconds=149),
    abandon=timedelta(seconds=300),
)


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def pedido(fase: str, since: float, expired: float | None = None) -> dict[str, Any]:
    estado = fase if fase in ("COMPLETADO", "CANCELADO") else "PENDIENTE"
    end = None if expired is None else ago(expired)
    return {"id": "o1", "estado": estado, "fase": fase, "actualizado_en": ago(since), "reserva_expira_en": end}


def reserva(estado: str, expired: float | None) -> dict[str, Any]:
    return {"pedido_id": "o1", "estado": estado, "expira_en": None if expired is None else ago(expired)}


class TestLimits:
    def test_de_los_ajustes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PEDIDOS_ABANDON_SECONDS", "400")
        monkeypatch.setenv("INVENTARIO_SWEEP_SECONDS", "3")
        limits = Limits.of(load_settings(("pedidos", "inventario")))
        assert limits.order == timedelta(seconds=400 + 60 + 30 + 900)
        assert limits.reservation == timedelta(seconds=60 + 3)
        assert limits.round == timedelta(seconds=60 + 2 * 30 + 1 + (4 * 3 + 3 * 2 + 10))
        assert limits.abandon == timedelta(seconds=400)


class TestPedido:
    @pytest.mark.parametrize("fase", ["SOLICITADO", "COMPLETANDO", "CANCELANDO"])
    def test_en_camino(self, fase: str) -> None:
        assert check_times(pedido(fase, since=1289), None, LIMITS, CLOCKS) == []

    @pytest.mark.parametrize("fase", ["SOLICITADO", "COMPLETANDO", "CANCELANDO"])
    def test_8_parado(self, fase: str) -> None:
        found = check_times(pedido(fase, since=3600), None, LIMITS, CLOCKS)
        since = f"{fase} desde 2026-05-01T11:00:00Z"
        assert found == [Violation(8, "pedido", "o1", "otra fase a los 1290 s", since, f"PENDIENTE/{fase}")]

    @pytest.mark.parametrize("fase", ["RESERVADO", "COMPLETADO", "CANCELADO"])
    def test_donde_puede_quedarse(self, fase: str) -> None:
        assert check_times(pedido(fase, since=99999), None, LIMITS, CLOCKS) == []

    def test_expirada_y_no_enterado(self) -> None:
        late, just = pedido("RESERVADO", 9999, expired=1291), pedido("RESERVADO", 9999, expired=1289)
        assert [v.invariant for v in check_times(late, reserva("EXPIRADA", 1291), LIMITS, CLOCKS)] == [8]
        assert check_times(just, reserva("EXPIRADA", 1289), LIMITS, CLOCKS) == []

    def test_por_el_reloj_de_pedidos(self) -> None:
        behind = CLOCKS | {"pedidos": NOW - timedelta(minutes=1)}
        assert check_times(pedido("CANCELANDO", since=1300), None, LIMITS, behind) == []


class TestReserva:
    def test_el_barrido_llega(self) -> None:
        assert check_times(None, reserva("ACTIVA", 60), LIMITS, CLOCKS) == []
        assert check_times(None, reserva("ACTIVA", -800), LIMITS, CLOCKS) == []

    def test_8_no_expira(self) -> None:
        (violation,) = check_times(None, reserva("ACTIVA", 3600), LIMITS, CLOCKS)
        expected = (
            "invariante 8: reserva o1 ACTIVA: se esperaba que expire a los 61 s de su fin, hay ACTIVA, con fin en "
        )
        assert str(violation) == expected + "2026-05-01T11:00:00Z"

    def test_8_sin_fin(self) -> None:
        (violation,) = check_times(None, reserva("ACTIVA", None), LIMITS, CLOCKS)
        assert str(violation) == "invariante 8: reserva o1 ACTIVA: se esperaba un fin, hay ninguno"

    @pytest.mark.parametrize("estado", ["CONFIRMADA", "LIBERADA", "EXPIRADA", "RECHAZADA"])
    def test_cerrada(self, estado: str) -> None:
        assert check_times(None, reserva(estado, 99999), LIMITS, CLOCKS) == []

    def test_por_el_reloj_de_inventario(self) -> None:
        behind = CLOCKS | {"inventario": NOW - timedelta(hours=1)}
        assert check_times(None, reserva("ACTIVA", 3600), LIMITS, behind) == []
