import pytest

from comanda.auth import throttling
from comanda.auth.domain import DemasiadosIntentos
from comanda.auth.settings import Settings
from comanda.auth.throttling import MonotonicStorage, Throttling
from comanda.common.testing import FakeClock


def limits(clock: FakeClock, **changes: int) -> Throttling:
    return Throttling(Settings(**changes), clock)  # type: ignore[arg-type]


class TestLogin:
    def test_de_una_cuenta_desde_un_sitio(self, clock: FakeClock) -> None:
        subject = limits(clock, login_attempts_per_minute=3)
        for _ in range(3):
            subject.check_login("ana", "10.0.0.1")
            subject.login_failed("ana", "10.0.0.1")
            clock.advance(10)
        with pytest.raises(DemasiadosIntentos) as refusal:
            subject.check_login("ana", "10.0.0.1")
        assert (refusal.value.headers or {})["Retry-After"] == "30"
        subject.check_login("ana", "10.0.0.2")  # nobody can be locked out from elsewhere
        subject.check_login("luis", "10.0.0.1")
        clock.advance(30)
        subject.check_login("ana", "10.0.0.1")

    def test_de_un_sitio_contra_muchas_cuentas(self, clock: FakeClock) -> None:
        subject = limits(clock, login_attempts_per_source_per_minute=5)
        for n in range(5):
            subject.check_login(f"cuenta-{n}", "10.0.0.1")
            subject.login_failed(f"cuenta-{n}", "10.0.0.1")
        with pytest.raises(DemasiadosIntentos):
            subject.check_login("cuenta-5", "10.0.0.1")

    def test_el_reloj_de_pared_no_cuenta(self, clock: FakeClock) -> None:
        subject = limits(clock, login_attempts_per_minute=1)
        subject.login_failed("ana", "10.0.0.1")
        clock.set_wall(3600)
        with pytest.raises(DemasiadosIntentos):
            subject.check_login("ana", "10.0.0.1")


class TestRegistration:
    def test_por_minuto(self, clock: FakeClock) -> None:
        subject = limits(clock, registrations_per_source_per_minute=2)
        subject.registration("10.0.0.1")
        subject.registration("10.0.0.1")
        with pytest.raises(DemasiadosIntentos) as refusal:
            subject.registration("10.0.0.1")
        assert (refusal.value.headers or {})["Retry-After"] == "60"
        subject.registration("10.0.0.2")
        clock.advance(3600)
        subject.registration("10.0.0.1")


class TestMonotonicStorage:
    def test_olvida_la_clave_mas_callada(self, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(throttling, "MAX_KEYS", 2)
        storage = MonotonicStorage(clock)
        for key in ("a", "b", "a", "c"):
            assert storage.acquire_entry(key, 10, 60)
        assert [storage.get(key) for key in "abc"] == [2, 0, 1]

    def test_se_puede_vaciar(self, clock: FakeClock) -> None:
        storage = MonotonicStorage(clock)
        storage.acquire_entry("a", 1, 60)
        storage.acquire_entry("b", 1, 60)
        assert not storage.acquire_entry("a", 1, 60)
        storage.clear("a")
        assert storage.acquire_entry("a", 1, 60)
        assert storage.reset() == 2
        assert storage.check()

    def test_no_sabe_de_otras_ventanas(self, clock: FakeClock) -> None:
        storage = MonotonicStorage(clock)
        with pytest.raises(NotImplementedError):
            storage.incr("a", 60)
        with pytest.raises(NotImplementedError):
            storage.get_expiry("a")
