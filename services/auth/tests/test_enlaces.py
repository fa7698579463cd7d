from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from comanda.auth.domain import Usuario
from comanda.auth.enlaces import Accion, EnlaceInvalido, Enlaces

AHORA = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
CADUCA = int(AHORA.timestamp()) + 1800
ANA = Usuario(
    id=UUID("01948a3e-0000-7000-8000-000000000001"),
    email="ana@ejemplo.es",
    nombre="Ana",
    rol="cliente",
    activo=True,
    password_hash="hash",
    version=1,
    creado_en=AHORA,
    actualizado_en=AHORA,
)
enlaces = Enlaces(b"secreto")


def usar(accion: Accion, token: str, usuario: Usuario | None = ANA, ahora: datetime = AHORA) -> Usuario:
    return enlaces.comprobar(enlaces.leer(accion, token), usuario, ahora)


@pytest.mark.parametrize("accion", ["restablecer", "verificar"])
class TestLosDos:
    def test_vale_para_su_usuario(self, accion: Accion) -> None:
        token = enlaces.escribir(accion, ANA, CADUCA)
        assert enlaces.leer(accion, token).usuario_id == ANA.id
        assert usar(accion, token) == ANA

    def test_no_vale_para_la_otra_accion(self, accion: Accion) -> None:
        otra: Accion = "verificar" if accion == "restablecer" else "restablecer"
        with pytest.raises(EnlaceInvalido):
            usar(otra, enlaces.escribir(accion, ANA, CADUCA))

    def test_no_vale_desde_que_caduca(self, accion: Accion) -> None:
        token = enlaces.escribir(accion, ANA, CADUCA)
        assert usar(accion, token, ahora=AHORA + timedelta(seconds=1799))
        with pytest.raises(EnlaceInvalido):
            usar(accion, token, ahora=AHORA + timedelta(seconds=1800))

    @pytest.mark.parametrize(
        "cambio", [{"activo": False}, {"id": UUID(int=7)}, {"email": "otra@ejemplo.es"}], ids=lambda c: next(iter(c))
    )
    def test_no_vale_para_otro_usuario_ni_otro_email(self, accion: Accion, cambio: dict[str, Any]) -> None:
        token = enlaces.escribir(accion, ANA, CADUCA)
        for usuario in (replace(ANA, **cambio), None):
            with pytest.raises(EnlaceInvalido):
                usar(accion, token, usuario)

    def test_con_otro_secreto_no_vale(self, accion: Accion) -> None:
        with pytest.raises(EnlaceInvalido):
            usar(accion, Enlaces(b"otro").escribir(accion, ANA, CADUCA))

    def test_ningun_caracter_se_puede_cambiar(self, accion: Accion) -> None:
        token = enlaces.escribir(accion, ANA, CADUCA)
        for index, character in enumerate(token):
            with pytest.raises(EnlaceInvalido):
                usar(accion, f"{token[:index]}{'A' if character != 'A' else 'B'}{token[index + 1 :]}")

    def test_lo_que_no_es_un_enlace(self, accion: Accion) -> None:
        token = enlaces.escribir(accion, ANA, CADUCA)
        for forged in ("", token[:-1], token + "A", token[:-1] + "=", "ñ" * len(token), "+" * len(token)):
            with pytest.raises(EnlaceInvalido):
                usar(accion, forged)


def test_otra_password_mata_el_de_restablecer_y_no_el_de_verificar() -> None:
    cambiada = replace(ANA, password_hash="otro")
    with pytest.raises(EnlaceInvalido):
        usar("restablecer", enlaces.escribir("restablecer", ANA, CADUCA), cambiada)
    assert usar("verificar", enlaces.escribir("verificar", ANA, CADUCA), cambiada) == cambiada
