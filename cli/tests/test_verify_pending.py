"""What `comanda verify` makes of what an outage has left: it waits for whatever may yet go by itself, and no longer."""

from datetime import UTC, datetime, timedelta

import pytest
from fakes import api
from shop import AGO, LIMITS, FakeWatch, Shop

from comanda.cli.verify import Verification
from comanda.cli.verify_reading import Reader
from comanda.cli.verify_settle import LONGEST_PAUSE_SECONDS

ROUND, ABANDON = LIMITS.round.total_seconds(), LIMITS.abandon.total_seconds()


def hour_ago() -> str:
    return (datetime.now(UTC) - timedelta(hours=1)).isoformat()


@pytest.fixture
def shop() -> Shop:
    return Shop()


def cancel(shop: Shop) -> None:
    shop.pedidos["o1"] |= {"estado": "CANCELADO", "fase": "CANCELADO"}
    shop.reservas.pop("o1", None)
    shop.stock["reservado"] = 0


def found_after(shop: Shop) -> tuple[list[int], float]:
    """Which invariants were violated in the end, and after how many seconds that was known."""
    report = shop.verified()
    assert report.undecided == []
    return [violation.invariant for violation in report.violations], shop.watch.elapsed_seconds()


class TestPedido:
    @pytest.mark.parametrize("fase", ["COMPLETANDO", "CANCELANDO"])
    def test_se_espera_una_ronda(self, shop: Shop, fase: str) -> None:
        shop.pedidos["o1"]["fase"] = fase
        numbers, seconds = found_after(shop)
        assert numbers == [8]
        assert ROUND < seconds < ROUND + 2

    @pytest.mark.parametrize("fase", ["SOLICITADO", "COMPLETANDO", "CANCELANDO"])
    def test_inventario_ha_vuelto(self, shop: Shop, fase: str) -> None:
        """It was away for hours: recovery is about to move the order on, as soon as the circuit lets it."""
        shop.pedidos["o1"]["fase"] = fase
        shop.on_request = lambda _: cancel(shop) if shop.watch.elapsed_seconds() > 90 else None
        numbers, seconds = found_after(shop)
        assert numbers == []
        assert seconds < 90 + LONGEST_PAUSE_SECONDS + 1  # it waits for as long as it takes, not for as long as it may

    def test_solicitado_que_su_cliente_reintentaba(self, shop: Shop) -> None:
        """Its client tried until just before inventario came back: only when it is abandoned will it be cancelled."""
        shop.pedidos["o1"] |= {"fase": "SOLICITADO", "actualizado_en": hour_ago()}
        shop.on_request = lambda _: cancel(shop) if shop.watch.elapsed_seconds() > ROUND + ABANDON - 1 else None
        assert found_after(shop)[0] == []

    def test_solicitado_que_nadie_abandona(self, shop: Shop) -> None:
        shop.pedidos["o1"] |= {"fase": "SOLICITADO", "actualizado_en": hour_ago()}
        numbers, seconds = found_after(shop)
        assert numbers == [8]
        assert ROUND + ABANDON < seconds < ROUND + ABANDON + 2

    def test_solicitado_que_ya_nadie_puede_reintentar(self, shop: Shop) -> None:
        shop.pedidos["o1"] |= {"fase": "SOLICITADO", "actualizado_en": AGO}
        numbers, seconds = found_after(shop)
        assert numbers == [8]
        assert seconds < ROUND + 2

    def test_reserva_olvidada(self, shop: Shop) -> None:
        """pedidos was away for days: inventario has forgotten the reservation, and recovery has not yet asked."""
        shop.pedidos["o1"]["reserva_expira_en"] = AGO
        del shop.reservas["o1"]
        shop.stock["reservado"] = 0
        shop.on_request = lambda _: cancel(shop) if shop.watch.elapsed_seconds() > 60 else None
        assert found_after(shop)[0] == []

    def test_reserva_perdida_antes_de_su_fin(self, shop: Shop) -> None:
        """Nothing forgets a reservation that is not over, so there is nothing to wait for."""
        del shop.reservas["o1"]
        shop.stock["reservado"] = 0
        numbers, seconds = found_after(shop)
        assert numbers == [6]
        assert seconds < 2


class TestReserva:
    def test_barrido_atrasado(self, shop: Shop) -> None:
        """inventario was away for longer than its reservations last. Then it is the turn of the order."""
        shop.pedidos["o1"]["reserva_expira_en"] = AGO
        shop.reservas["o1"]["expira_en"] = AGO

        def catch_up(_: str) -> None:
            if shop.watch.elapsed_seconds() > 50 and shop.reservas["o1"]["estado"] == "ACTIVA":
                shop.reservas["o1"]["estado"] = "EXPIRADA"
                shop.stock["reservado"] = 0
            if shop.watch.elapsed_seconds() > ROUND + 50:
                shop.pedidos["o1"] |= {"estado": "CANCELADO", "fase": "CANCELADO"}

        shop.on_request = catch_up
        assert found_after(shop)[0] == []

    def test_que_el_barrido_no_ve(self, shop: Shop) -> None:
        shop.reservas["o1"]["expira_en"] = AGO
        numbers, seconds = found_after(shop)
        assert numbers == [8]
        assert 60 < seconds < 62

    def test_sin_fin(self, shop: Shop) -> None:
        shop.reservas["o1"]["expira_en"] = None
        numbers, seconds = found_after(shop)
        assert numbers == [8]
        assert seconds < 2


class TestCircuito:
    @pytest.mark.parametrize("circuit", [("ABIERTO", timedelta(minutes=1)), ("SEMIABIERTO", None)])
    def test_pedidos_no_llega_a_inventario(self, shop: Shop, circuit: tuple[str, timedelta | None]) -> None:
        """verify reaches both, they do not reach each other: the order cannot move, and it is not its fault."""
        self._open(shop, *circuit)
        shop.pedidos["o1"]["fase"] = "COMPLETANDO"
        report = shop.verified()
        assert (report.violations, report.undecided) == ([], ["o1"])

    @pytest.mark.parametrize("circuit", [("ABIERTO", -timedelta(minutes=1)), ("CERRADO", None)])
    def test_pedidos_llegaria(self, shop: Shop, circuit: tuple[str, timedelta | None]) -> None:
        """Open past its time it only waits for a call."""
        self._open(shop, *circuit)
        shop.pedidos["o1"]["fase"] = "COMPLETANDO"
        assert found_after(shop)[0] == [8]

    def test_lo_que_no_depende_de_el(self, shop: Shop) -> None:
        self._open(shop, "SEMIABIERTO", None)
        shop.pedidos["o1"] |= {"estado": "CANCELADO", "fase": "CANCELADO"}
        assert found_after(shop)[0] == [5]

    def _open(self, shop: Shop, estado: str, left: timedelta | None) -> None:
        until = None if left is None else (datetime.now(UTC) + left).isoformat()
        shop.circuits = [
            {"nombre": "productos", "estado": "ABIERTO", "fallos": 5, "abre_hasta": "9999-01-01T00:00:00Z"},
            {"nombre": "inventario", "estado": estado, "fallos": 5, "abre_hasta": until},
        ]


class TestEspera:
    def test_se_dice(self, shop: Shop) -> None:
        shop.pedidos["o1"]["fase"] = "CANCELANDO"
        notes: list[str] = []
        with api(shop.answer) as client:
            Verification(client, shop.reader(client), notes.append).run()
        assert notes == ["espera hasta 120 s por 1 que aún pueden avanzar por sí solos"]

    def test_lo_demas_se_mira_entretanto(self, shop: Shop) -> None:
        """What takes long anyway, the products, is read before anything is waited for."""
        shop.pedidos["o1"]["fase"] = "CANCELANDO"
        shop.stock["fisico"] = 6
        assert [violation.invariant for violation in shop.verified().violations] == [2, 8]

    def test_se_cuenta_desde_que_ambos_contestan(self, shop: Shop) -> None:
        """verify itself may have had to wait for them: only then does everybody's time begin."""
        asked: list[str] = []

        def begin() -> FakeWatch:
            asked.extend(shop.requests)
            return shop.watch

        with api(shop.answer) as client:
            Reader(client, LIMITS, begin)
        assert asked == ["/pedidos", "/reservas"]

    def test_se_cuenta_desde_el_principio(self, shop: Shop) -> None:
        """A run that has taken longer than that already does not wait at all."""
        shop.pedidos["o1"]["fase"] = "CANCELANDO"
        shop.watch.pause(ROUND)
        numbers, seconds = found_after(shop)
        assert numbers == [8]
        assert seconds < ROUND + 2
