from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from comanda.auth.master_keys import MasterKeys
from comanda.auth.mfa_tokens import LoginPendiente, MfaTokens
from comanda.testing import START

LOGIN = LoginPendiente(UUID("01948a3e-0000-7000-8000-000000000001"), "comanda-web", "pedidos:crear", "huella")
tokens = MfaTokens(MasterKeys(b"s" * 32))


class TestMfaTokens:
    @pytest.mark.parametrize("login", [LOGIN, replace(LOGIN, alcance=None)])
    def test_lo_escrito_se_lee(self, login: LoginPendiente) -> None:
        assert tokens.read(tokens.write(login, START), START) == login

    def test_durante_cinco_minutos(self) -> None:
        token = tokens.write(LOGIN, START)
        assert tokens.read(token, START + timedelta(minutes=5)) == LOGIN
        assert tokens.read(token, START + timedelta(minutes=5, seconds=1)) is None

    def test_el_reloj_de_otra_replica_puede_ir_un_poco_por_delante(self) -> None:
        token = tokens.write(LOGIN, START)
        assert tokens.read(token, START - timedelta(minutes=1)) == LOGIN
        assert tokens.read(token, START - timedelta(minutes=1, seconds=1)) is None

    def test_con_la_clave_maestra_de_antes_tambien(self) -> None:
        token = tokens.write(LOGIN, START)
        assert MfaTokens(MasterKeys(b"o" * 32, (b"s" * 32,))).read(token, START) == LOGIN

    def test_no_dice_nada_a_quien_lo_lleva(self) -> None:
        assert len({tokens.write(LOGIN, START) for _ in range(3)}) == 3

    def test_con_otro_secreto_no_vale(self) -> None:
        assert MfaTokens(MasterKeys(b"o" * 32)).read(tokens.write(LOGIN, START), START) is None

    @pytest.mark.parametrize("position", [0, 5, 20, 60, -40, -3])
    def test_un_caracter_cambiado_no_vale(self, position: int) -> None:
        token = tokens.write(LOGIN, START)
        changed = list(token)
        changed[position] = "A" if token[position] != "A" else "B"
        assert tokens.read("".join(changed), START) is None

    @pytest.mark.parametrize("text", ["", "x", "a" * 70, "ñ" * 70, "!" * 70, "\0" * 70, "a.b.c", "a" * 1_000_000])
    def test_basura(self, text: str) -> None:
        assert tokens.read(text, START) is None
