"""The rules of the second factor, without a database."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from comanda.auth.domain import Rol
from comanda.auth.totp import (
    DEMORA,
    DEMORA_MAX,
    FALLOS_LIBRES,
    OLVIDO,
    Factor,
    en_texto,
    es_de_app,
    normalizar_codigo,
    nuevo_secreto,
    nuevos_codigos,
    paso_de,
    rol_con,
    uri,
)
from comanda.testing import START, FakeClock

# Of the SHA-1 test vectors in RFC 6238 appendix B, the last six digits.
RFC_6238 = {59: "287082", 1111111109: "081804", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"}
# Those of SHA-256, whose secret has as many bytes as the hash.
RFC_6238_SHA256 = {
    59: "119246",
    1111111109: "084774",
    1234567890: "819424",
    2000000000: "698825",
    20000000000: "737706",
}
SECRETO_SHA256 = b"12345678901234567890123456789012"
SECRETO = b"12345678901234567890"


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def factor(**values: object) -> Factor:
    defaults = {
        "usuario_id": FakeClock().new_id(),
        "secreto": "cifrado",
        "activado_en": START,
        "ultimo_paso": 0,
        "usos": 0,
        "fallos": 0,
        "fallado_en": None,
        "creado_en": START,
    }
    return Factor(**(defaults | values))  # type: ignore[arg-type]


class TestPasoDe:
    @pytest.mark.parametrize(("seconds", "code"), RFC_6238.items())
    def test_los_ejemplos_del_rfc(self, seconds: int, code: str) -> None:
        assert paso_de(code, SECRETO, moment(seconds), despues_de=-1) == seconds // 30

    @pytest.mark.parametrize(("seconds", "code"), RFC_6238_SHA256.items())
    def test_los_ejemplos_del_rfc_con_sha_256(self, seconds: int, code: str) -> None:
        now = moment(seconds)
        assert paso_de(code, SECRETO_SHA256, now, despues_de=-1, algoritmo="SHA256") == seconds // 30
        assert paso_de(code, SECRETO_SHA256, now, despues_de=-1, algoritmo="SHA1") is None

    @pytest.mark.parametrize(("offset", "accepted"), [(-1, False), (0, True), (29, True), (30, False)])
    def test_sin_tolerancia_vale_treinta_segundos(self, offset: int, accepted: bool) -> None:
        step = 1111111109 // 30
        found = paso_de("081804", SECRETO, moment(step * 30 + offset), despues_de=0, tolerancia=0)
        assert found == (step if accepted else None)

    @pytest.mark.parametrize(("offset", "accepted"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
    def test_un_paso_antes_y_uno_despues(self, offset: int, accepted: bool) -> None:
        now = moment(1111111109 + offset)
        assert paso_de(RFC_6238[1111111109], SECRETO, now, despues_de=0) == (1111111109 // 30 if accepted else None)

    def test_solo_los_posteriores_al_ultimo_usado(self) -> None:
        now, step = moment(1111111109), 1111111109 // 30
        assert paso_de("081804", SECRETO, now, despues_de=step - 1) == step
        assert paso_de("081804", SECRETO, now, despues_de=step) is None

    @pytest.mark.parametrize("code", ["", "81804", "0818040", "081805", "ñññññ", "٠٨١٨٠٤", "0" * 100_000])
    def test_lo_que_no_es_el_codigo(self, code: str) -> None:
        assert paso_de(code, SECRETO, moment(1111111109), despues_de=0) is None


class TestCodigos:
    def test_diez_distintos_de_128_bits(self) -> None:
        codes = nuevos_codigos()
        assert len(set(codes)) == 10
        assert all(re.fullmatch(r"([a-z2-7]{4}-){6}[a-z2-7]{2}", code) for code in codes)
        assert set(codes).isdisjoint(nuevos_codigos())

    @pytest.mark.parametrize("typed", ["k3fq-zt7a-m2xw-5hdy", "K3FQ ZT7A M2XW 5HDY", " k3fqzt7am2xw5hdy "])
    def test_como_se_escriba(self, typed: str) -> None:
        assert normalizar_codigo(typed) == "k3fqzt7am2xw5hdy"

    @pytest.mark.parametrize(
        ("code", "of_the_app"),
        [("123456", True), ("12345", False), ("1234567", False), ("k3fqzt7am2xw5hdy", False), ("٠٨١٨٠٤", False)],
    )
    def test_de_que_clase_es(self, code: str, of_the_app: bool) -> None:
        assert es_de_app(code) is of_the_app


class TestSecreto:
    def test_ciento_sesenta_bits_cada_vez_otros(self) -> None:
        assert len(nuevo_secreto()) == 20
        assert nuevo_secreto() != nuevo_secreto()

    def test_la_uri_dice_lo_que_la_aplicacion_necesita(self) -> None:
        assert uri(SECRETO, "ana+x@ejemplo.es") == (
            "otpauth://totp/Comanda:ana%2Bx%40ejemplo.es?digits=6&secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
            "&algorithm=SHA1&issuer=Comanda&period=30"
        )
        assert en_texto(SECRETO) == "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

    def test_el_hash_de_la_uri_y_la_longitud_del_secreto_van_juntos(self) -> None:
        assert len(nuevo_secreto("SHA256")) >= 32
        assert "=" not in en_texto(nuevo_secreto("SHA256"))
        assert "algorithm=SHA256" in uri(SECRETO_SHA256, "ana@ejemplo.es", "SHA256")


class TestEspera:
    def test_crece_hasta_un_maximo(self) -> None:
        waits = []
        current = factor()
        for _ in range(FALLOS_LIBRES + 6):
            current = current.fallar(START)
            waits.append(current.espera(START).total_seconds())
        assert waits == [0] * (FALLOS_LIBRES - 1) + [30, 60, 120, 240, 480, 900, 900]

    def test_pasa(self) -> None:
        failed = factor(fallos=FALLOS_LIBRES, fallado_en=START)
        assert failed.espera(START + timedelta(seconds=29)) == timedelta(seconds=1)
        assert failed.espera(START + DEMORA) == timedelta()

    def test_un_acierto_la_olvida(self) -> None:
        right = factor(fallos=50, fallado_en=START).acertar(7)
        assert (right.espera(START), right.fallos, right.ultimo_paso, right.usos) == (timedelta(), 0, 7, 1)

    def test_los_fallos_de_hace_un_dia_ya_no_cuentan(self) -> None:
        assert factor(fallos=50, fallado_en=START).fallar(START + OLVIDO).fallos == 1

    def test_un_reloj_atrasado_no_la_alarga(self) -> None:
        failed = factor(fallos=50, fallado_en=START)
        assert failed.espera(START - timedelta(seconds=5)) <= DEMORA_MAX
        assert failed.espera(START - timedelta(hours=5)) == timedelta()

    def test_tantos_fallos_como_sea(self) -> None:
        assert factor(fallos=2**31, fallado_en=START).espera(START) == DEMORA_MAX


class TestRolCon:
    @pytest.mark.parametrize("amr", [None, "pwd"])
    def test_sin_segundo_factor_un_admin_es_cliente_donde_se_exige(self, amr: str | None) -> None:
        assert rol_con(amr, "admin", de_admins=True) == "cliente"
        assert rol_con(amr, "admin", de_admins=False) == "admin"

    @pytest.mark.parametrize("amr", [None, "pwd"])
    @pytest.mark.parametrize("rol", ["admin", "cliente"])
    def test_donde_se_exige_a_todos_no_hay_ninguno_sin_el(self, amr: str | None, rol: Rol) -> None:
        assert rol_con(amr, rol, de_admins=False, de_todos=True) is None
        assert rol_con("pwd otp", rol, de_admins=False, de_todos=True) == rol

    def test_con_segundo_factor(self) -> None:
        assert rol_con("pwd otp", "admin", de_admins=True) == "admin"
        assert rol_con("pwd otp", "cliente", de_admins=True) == "cliente"
