"""Encryption with keys derived from the master key."""

import pytest

from comanda.auth.cipher import Cipher, CipherAtRest, Unreadable
from comanda.auth.master_keys import MasterKeys

UNA, OTRA = b"una-clave-maestra-de-mas-de-32-letras", b"otra-clave-maestra-de-mas-de-32-letras"
cipher = Cipher(MasterKeys(UNA), "cosas")


class TestSeal:
    def test_lo_cerrado_se_abre(self) -> None:
        assert cipher.open(cipher.seal(b"secreto", "ana"), "ana") == b"secreto"

    def test_dice_version_y_clave_y_cada_vez_es_otro(self) -> None:
        values = {cipher.seal(b"secreto", "ana") for _ in range(100)}
        assert len(values) == 100
        assert all(value.startswith(f"v1.{MasterKeys(UNA).id}.") for value in values)
        assert MasterKeys(UNA).id != MasterKeys(OTRA).id

    def test_lo_que_ocupa_es_nonce_texto_y_marca(self) -> None:
        body = cipher.seal(b"x" * 30, "ana").rpartition(".")[2]
        assert len(body) * 6 // 8 == 12 + 30 + 16


class TestOpen:
    def test_en_otro_sitio_no(self) -> None:
        with pytest.raises(Unreadable):
            cipher.open(cipher.seal(b"secreto", "ana"), "luis")

    def test_para_otra_cosa_no(self) -> None:
        with pytest.raises(Unreadable):
            Cipher(MasterKeys(UNA), "otras").open(cipher.seal(b"secreto", "ana"), "ana")

    @pytest.mark.parametrize("position", [0, 1, 5, 16, 30, -5])
    def test_cambiado_no(self, position: int) -> None:
        value = cipher.seal(b"secreto", "ana")
        changed = list(value)
        changed[position] = "A" if value[position] != "A" else "B"
        with pytest.raises(Unreadable):
            cipher.open("".join(changed), "ana")

    @pytest.mark.parametrize("value", ["", ".", "..", "v1..", f"v1.{MasterKeys(UNA).id}.", "ñ", "v2.x.y"])
    def test_basura(self, value: str) -> None:
        for each in (cipher, CipherAtRest(MasterKeys(UNA), "cosas")):
            with pytest.raises(Unreadable):
                each.open(value, "ana")

    def test_cada_clave_maestra_abre_lo_suyo_y_la_presente_cierra(self) -> None:
        before, after = MasterKeys(UNA, (OTRA,)), MasterKeys(OTRA, (UNA,))
        old, new = Cipher(before, "cosas").seal(b"x", "ana"), Cipher(after, "cosas").seal(b"x", "ana")
        for keys in (before, after):
            assert [Cipher(keys, "cosas").open(value, "ana") for value in (old, new)] == [b"x", b"x"]
        with pytest.raises(Unreadable):
            Cipher(MasterKeys(OTRA), "cosas").open(old, "ana")


class TestComoAntes:
    def test_se_abre_tambien_con_una_clave_anterior(self) -> None:
        old = CipherAtRest(MasterKeys(UNA), "cosas").seal_as_before(b"x")
        assert old.startswith("gAAAA")
        assert CipherAtRest(MasterKeys(OTRA, (UNA,)), "cosas").open(old, "ana") == b"x"
        for closed in (CipherAtRest(MasterKeys(OTRA), "cosas"), Cipher(MasterKeys(UNA), "cosas")):
            with pytest.raises(Unreadable):
                closed.open(old, "ana")
