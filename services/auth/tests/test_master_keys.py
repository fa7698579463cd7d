from collections.abc import Callable

from comanda.auth.master_keys import MasterKeys
from comanda.auth.settings import Settings


class TestOf:
    async def test_las_demas_separadas_por_comas(self, make_settings: Callable[..., Settings]) -> None:
        keys = MasterKeys.of(make_settings(master_key="a", master_key_previous=" b, a,,c ,b"))
        assert keys.present == b"a"
        assert keys.others[:-1] == (b"b", b"c")

    async def test_una_que_tiene_comas(self, make_settings: Callable[..., Settings]) -> None:
        keys = MasterKeys.of(make_settings(master_key="nueva", master_key_previous="tres,partes,de una"))
        assert b"tres,partes,de una" in keys.others
        assert MasterKeys.of(make_settings(master_key="a", master_key_previous="b")).others == (b"b",)

    async def test_no_se_dejan_ver(self, make_settings: Callable[..., Settings]) -> None:
        settings = make_settings(master_key="la-presente", master_key_previous="la-anterior")
        assert "la-" not in repr(MasterKeys.of(settings)) + repr(settings).replace("la-clave-de-la-jefa", "")


class TestDerive:
    def test_la_presente_primero_y_cada_fin_otra(self) -> None:
        before, after = MasterKeys(b"a"), MasterKeys(b"b", (b"a",))
        assert after.derive("x") == MasterKeys(b"b").derive("x") + before.derive("x")
        assert before.derive("x") != before.derive("y")
