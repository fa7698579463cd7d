from uuid import UUID

import pytest

from comanda.auth.refresh_tokens import RefreshTokens, token_hash

FAMILIA = UUID("01948a3e-0000-7000-8000-000000000001")
tokens = RefreshTokens(b"secreto")


class TestRefreshTokens:
    def test_lo_escrito_se_lee(self) -> None:
        assert tokens.read(tokens.write(FAMILIA, 7)) == (FAMILIA, 7)

    def test_sesion_y_generacion_dan_siempre_el_mismo(self) -> None:
        assert tokens.write(FAMILIA, 7) == RefreshTokens(b"secreto").write(FAMILIA, 7)
        assert tokens.write(FAMILIA, 7) != tokens.write(FAMILIA, 8)

    def test_con_otro_secreto_no_vale(self) -> None:
        assert RefreshTokens(b"otro").read(tokens.write(FAMILIA, 7)) is None

    @pytest.mark.parametrize("position", [0, 20, 25, 40, 69])
    def test_un_caracter_cambiado_no_vale(self, position: int) -> None:
        token = tokens.write(FAMILIA, 7)
        changed = "A" if token[position] != "A" else "B"
        assert tokens.read(token[:position] + changed + token[position + 1 :]) is None

    @pytest.mark.parametrize("text", ["", "x", "a" * 69, "a" * 71, "ñ" * 70, "!" * 70, "\0" * 70, "a" * 1_000_000])
    def test_basura(self, text: str) -> None:
        assert tokens.read(text) is None

    def test_el_hash_no_es_el_token(self) -> None:
        token = tokens.write(FAMILIA, 7)
        assert token not in token_hash(token)
        assert len(token_hash(token)) == 64
