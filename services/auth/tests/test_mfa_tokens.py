from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from comanda.auth.mfa_tokens import LoginPendiente, MfaTokens
from comanda.testing import START

LOGIN = LoginPendiente(UUID("01948a3e-0000-7000-8000-000000000001"), "comanda-web", "pedidos:crear", "huella")
tokens = MfaTokens(b"s" * 32)


class TestMfaTokens:
    @pytest.mark.parametrize("login", [LOGIN, replace(LOGIN, alcance=None)])
    def test_lo_escrito_se_lee(self, login: LoginPendiente) -> None:
        assert tokens.read(tokens.write(login, START), START) == login

    def test_durante_cinco_minutos(self) -> None:
        token = tokens.write(LOGIN, START)
        assert tokens.read(token, START + timedelta(minutes=5)) == LOGIN
        assert tokens.read(token, START + timedelta(minutes=5, seconds=1)) is None

    def test_no_dice_nada_a_quien_lo_lleva(self) -> None:
        assert len({tokens.write(LOGIN, START) for _ in range(3)}) == 3

    def test_con_otro_secreto_no_vale(self) -> None:
        assert MfaTokens(b"o" * 32).read(tokens.write(LOGIN, START), START) is None

    @pytest.mark.parametrize("position", [0, 5, 20, 60, -40, -3])
    def test_un_caracter_cambiado_no_vale(self, position: int) -> None:
        token = tokens.write(LOGIN, START)
        changed = list(token)
        changed[position] = "A" if token[position] != "A" else "B"
        assert tokens.read("".join(changed), START) is None

    @pytest.mark.parametrize("text", ["", "x", "a" * 70, "ñ" * 70, "!" * 70, "\0" * 70, "a.b.c", "a" * 1_000_000])
    def test_basura(self, text: str) -> None:
        assert tokens.read(text, START) is None
