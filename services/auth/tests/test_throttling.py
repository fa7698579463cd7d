from typing import Any

import pytest
from prometheus_client import REGISTRY

from comanda.auth.domain import DemasiadosIntentos
from comanda.auth.settings import Settings
from comanda.auth.throttling import LONGEST_WAIT_SECONDS, Throttling
from comanda.testing import FakeClock

HERE, THERE = "10.0.0.1", "10.0.0.2"


def limits(clock: FakeClock, **changes: Any) -> Throttling:
    return Throttling(Settings(**changes), clock)


def wait(subject: Throttling, account: str, place: str, *, known: bool = False) -> int:
    """Seconds until the next attempt is heard."""
    try:
        subject.check_login(account, place, known=known)
    except DemasiadosIntentos as refusal:
        return int((refusal.headers or {})["Retry-After"])
    return 0


def fail(subject: Throttling, account: str, place: str, times: int = 1, *, known: bool = False) -> None:
    for _ in range(times):
        subject.login_failed(account, place, known=known)


class TestOfAnAccountFromAPlace:
    def test_cada_fallo_de_mas_cuesta_el_doble(self, clock: FakeClock) -> None:
        subject, waits = limits(clock, login_attempts=3), []
        for _ in range(12):
            fail(subject, "ana", HERE)
            waits.append(wait(subject, "ana", HERE))
            clock.advance(waits[-1])
            assert wait(subject, "ana", HERE) == 0
        assert waits[:6] == [0, 0, 5, 10, 20, 40]
        assert max(waits) <= LONGEST_WAIT_SECONDS
        assert sum(waits) > 1800  # twelve guesses take more than half an hour

    def test_lo_que_no_se_oye_no_alarga_la_espera(self, clock: FakeClock) -> None:
        subject = limits(clock, login_attempts=3)
        fail(subject, "ana", HERE, 3)
        for seconds in (5, 4, 3, 2, 1):
            assert wait(subject, "ana", HERE) == seconds
            clock.advance(1)
        assert wait(subject, "ana", HERE) == 0

    def test_no_afecta_a_otros(self, clock: FakeClock) -> None:
        subject = limits(clock, login_attempts=3)
        fail(subject, "ana", HERE, 3)
        assert (wait(subject, "ana", THERE), wait(subject, "luis", HERE)) == (0, 0)

    def test_acertar_borra_los_tropiezos(self, clock: FakeClock) -> None:
        subject = limits(clock, login_attempts=3)
        fail(subject, "ana", HERE, 2)
        subject.login_succeeded("ana", HERE)
        fail(subject, "ana", HERE, 2)
        assert wait(subject, "ana", HERE) == 0

    def test_con_el_tiempo_se_olvida(self, clock: FakeClock) -> None:
        subject = limits(clock, login_attempts=3)
        fail(subject, "ana", HERE, 6)
        clock.advance(6 * 600)
        fail(subject, "ana", HERE, 2)
        assert wait(subject, "ana", HERE) == 0

    def test_la_mayor_espera(self, clock: FakeClock) -> None:
        subject = limits(clock, login_attempts=3)
        fail(subject, "ana", HERE, 1000, known=True)
        assert wait(subject, "ana", HERE, known=True) == LONGEST_WAIT_SECONDS
        clock.advance(LONGEST_WAIT_SECONDS)
        assert wait(subject, "ana", HERE, known=True) == 0


class TestOfAnAccount:
    def test_de_muchos_sitios(self, clock: FakeClock) -> None:
        subject = limits(clock, login_attempts_per_account_per_hour=60)
        attacked = [subject.login_failed("ana", f"10.0.1.{n}", known=False) for n in range(60)]
        assert attacked == [False] * 59 + [True]
        assert wait(subject, "ana", THERE) == 60
        assert wait(subject, "luis", THERE) == 0
        clock.advance(60)
        assert wait(subject, "ana", THERE) == 0

    def test_a_un_sitio_conocido_no_le_afecta(self, clock: FakeClock) -> None:
        subject = limits(clock, login_attempts_per_account_per_hour=60)
        fail(subject, "ana", HERE, 1)
        for n in range(200):
            fail(subject, "ana", f"10.0.1.{n}")
        assert wait(subject, "ana", HERE, known=True) == 0

    def test_lo_que_falla_en_un_sitio_conocido_no_se_le_cuenta_a_nadie_mas(self, clock: FakeClock) -> None:
        subject = limits(clock, login_attempts_per_account_per_hour=5, login_attempts_per_source_per_minute=5)
        fail(subject, "ana", HERE, 9, known=True)
        assert (wait(subject, "ana", THERE), wait(subject, "luis", HERE)) == (0, 0)


class TestOfAPlace:
    def test_contra_muchas_cuentas(self, clock: FakeClock) -> None:
        subject = limits(clock, login_attempts_per_source_per_minute=5)
        for n in range(5):
            fail(subject, f"cuenta-{n}", HERE)
        assert wait(subject, "cuenta-5", HERE) == 12
        assert wait(subject, "cuenta-5", HERE, known=True) == 0
        assert wait(subject, "cuenta-5", THERE) == 0

    def test_se_dice_por_que(self, clock: FakeClock) -> None:
        subject = limits(clock, login_attempts_per_source_per_minute=1)
        before = REGISTRY.get_sample_value("comanda_auth_rechazos_total", {"motivo": "origen"}) or 0
        fail(subject, "ana", HERE)
        wait(subject, "luis", HERE)
        assert REGISTRY.get_sample_value("comanda_auth_rechazos_total", {"motivo": "origen"}) == before + 1


class TestRegistration:
    def test_por_minuto(self, clock: FakeClock) -> None:
        subject = limits(clock, registrations_per_source_per_minute=2)
        subject.registration(HERE)
        subject.registration(HERE)
        with pytest.raises(DemasiadosIntentos) as refusal:
            subject.registration(HERE)
        assert (refusal.value.headers or {})["Retry-After"] == "30"
        subject.registration(THERE)
        clock.advance(30)
        subject.registration(HERE)
