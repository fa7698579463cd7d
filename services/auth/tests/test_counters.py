import pytest

from comanda.auth import counters
from comanda.auth.counters import Counters
from comanda.testing import FakeClock


class TestCount:
    def test_cada_suceso_se_olvida_con_el_tiempo(self, clock: FakeClock) -> None:
        subject = Counters(clock, leak_seconds=10, heavy=100)
        assert [subject.add("a"), subject.add("a"), subject.add("b")] == [1, 2, 1]
        clock.advance(5)
        assert (subject.count("a"), subject.count("b"), subject.count("c")) == (1.5, 0.5, 0)
        clock.advance(3600)
        assert subject.count("a") == 0
        assert subject.add("a") == 1

    def test_las_partes_de_una_clave_no_se_confunden(self, clock: FakeClock) -> None:
        subject = Counters(clock, leak_seconds=10, heavy=100)
        subject.add("ana", "10.0.0.1")
        assert subject.count("ana10.0.0.1") == subject.count("ana1", "0.0.0.1") == 0

    def test_no_pasa_del_maximo(self, clock: FakeClock) -> None:
        subject = Counters(clock, leak_seconds=10, heavy=2, most=3)
        assert [subject.add("a") for _ in range(5)] == [1, 2, 3, 3, 3]

    def test_el_reloj_de_pared_no_cuenta(self, clock: FakeClock) -> None:
        subject = Counters(clock, leak_seconds=10, heavy=2)
        subject.add("a")
        clock.set_wall(-3600)
        assert subject.count("a") == 1

    def test_se_olvida_a_peticion(self, clock: FakeClock) -> None:
        subject = Counters(clock, leak_seconds=10, heavy=2)
        for _ in range(3):
            subject.add("a")
        subject.forget("a")
        assert (subject.count("a"), len(subject)) == (0, 0)


class TestWaitBelow:
    def test_hasta_que_cabe_uno_mas(self, clock: FakeClock) -> None:
        subject = Counters(clock, leak_seconds=10, heavy=100)
        assert subject.wait_below(2, "a") == 0
        subject.add("a")
        subject.add("a")
        assert subject.wait_below(2, "a") == 10
        clock.advance(7)
        assert subject.wait_below(2, "a") == pytest.approx(3)
        clock.advance(3)
        assert subject.wait_below(2, "a") == 0


class TestMemory:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(counters, "MAX_KEYS", 3)

    def test_se_olvida_la_clave_mas_callada(self, clock: FakeClock) -> None:
        subject = Counters(clock, leak_seconds=10, heavy=100)
        for key in ("a", "b", "c", "a", "d"):
            subject.add(key)
        assert [subject.count(key) for key in "abcd"] == [2, 0, 1, 1]

    def test_mil_claves_inventadas_no_expulsan_a_una_que_pesa(self, clock: FakeClock) -> None:
        subject = Counters(clock, leak_seconds=10, heavy=5)
        for _ in range(5):
            subject.add("atacada")
        for n in range(1000):
            for _ in range(4):
                subject.add(f"inventada-{n}")
        assert subject.count("atacada") == 5
        assert len(subject) == 4

    def test_lo_que_pesa_tambien_tiene_limite(self, clock: FakeClock) -> None:
        subject = Counters(clock, leak_seconds=10, heavy=2)
        for n in range(10):
            subject.add(f"{n}")
            subject.add(f"{n}")
        assert [subject.count(f"{n}") for n in range(10)] == [0] * 7 + [2] * 3

    def test_lo_que_se_aligera_vuelve_a_ser_ligero(self, clock: FakeClock) -> None:
        subject = Counters(clock, leak_seconds=10, heavy=3)
        for _ in range(3):
            subject.add("a")
        clock.advance(30)
        for key in ("a", "b", "c", "d"):
            subject.add(key)
        assert (subject.count("a"), len(subject)) == (0, 3)
