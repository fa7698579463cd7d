"""The life of a signing key, as its rules say."""

from datetime import UTC, datetime, timedelta

import pytest

from comanda.auth.claves import Clave, activa, anunciadas, caducadas, en_orden, fin, objecion_a_rotar, toca_rotar

HOY = datetime(2026, 1, 1, tzinfo=UTC)
VIGENCIA = timedelta(seconds=1500)


def clave(kid: str, segundos: float, creada: float | None = None) -> Clave:
    creada_en = HOY + timedelta(seconds=segundos if creada is None else creada)
    return Clave(kid, "cifrada", creada_en, HOY + timedelta(seconds=segundos))


def en(segundos: float) -> datetime:
    return HOY + timedelta(seconds=segundos)


A, B, C = clave("a", 0), clave("b", 1000), clave("c", 5000)


class TestActiva:
    @pytest.mark.parametrize(("segundos", "kid"), [(0, "a"), (999, "a"), (1000, "b"), (4999, "b"), (9999, "c")])
    def test_la_ultima_a_la_que_le_ha_llegado_la_hora(self, segundos: float, kid: str) -> None:
        assert activa([A, B, C], en(segundos)).kid == kid

    def test_reloj_atrasado(self) -> None:
        assert activa([A, B], en(-5)) is A
        assert anunciadas([A, B], en(-5)) == [B]

    def test_a_la_misma_hora_la_ultima_hecha(self) -> None:
        claves = [clave("z", 0, creada=-2), clave("b", 0, creada=-1), clave("a", 0, creada=-1)]
        assert [una.kid for una in en_orden(claves[::-1])] == ["z", "a", "b"]
        assert activa(en_orden(claves), en(0)).kid == "b"


class TestCaducadas:
    @pytest.mark.parametrize(("segundos", "kids"), [(2499, ""), (2500, "a"), (6499, "a"), (6500, "ab"), (10**9, "ab")])
    def test_cuando_ningun_token_puede_vivir(self, segundos: float, kids: str) -> None:
        assert "".join(una.kid for una in caducadas([A, B, C], en(segundos), VIGENCIA)) == kids

    def test_la_ultima_no_tiene_fin(self) -> None:
        assert [fin([A, B], una, VIGENCIA) for una in (A, B)] == [en(2500), None]


class TestTocaRotar:
    @pytest.mark.parametrize(
        ("claves", "segundos", "toca"),
        [([A], 59, False), ([A], 60, True), ([A, B], 60, False), ([A, B], 1059, False), ([A, B], 1060, True)],
    )
    def test_cuando_la_activa_tiene_su_edad_y_no_hay_otra(
        self, claves: list[Clave], segundos: float, toca: bool
    ) -> None:
        assert toca_rotar(claves, en(segundos), timedelta(seconds=60)) == toca

    def test_nunca(self) -> None:
        assert not toca_rotar([A], en(10**9), timedelta(0))


class TestObjecion:
    def test_ya_hay_una_anunciada(self) -> None:
        assert objecion_a_rotar([A, B], en(999)) == "b is announced already and signs from 2026-01-01T00:16:40Z"
        assert objecion_a_rotar([A, B], en(1000)) is None

    def test_demasiadas(self) -> None:
        claves = [clave(str(numero), numero) for numero in range(10)]
        assert objecion_a_rotar(claves[:9], en(100)) is None
        assert "10 keys" in str(objecion_a_rotar(claves, en(100)))
