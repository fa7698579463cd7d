import pytest

from comanda.auth.origen import UNKNOWN, lugar


class TestLugar:
    @pytest.mark.parametrize(
        ("address", "expected"),
        [
            ("203.0.113.7", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:0DB8:1:2::", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
            ("fe80::1%eth0", "fe80::/64"),
        ],
    )
    def test_de_una_direccion(self, address: str, expected: str) -> None:
        assert lugar(address) == expected

    @pytest.mark.parametrize("address", ["", "unknown", "_oculto", "1.2.3.4:80", "999.1.1.1", "[::1", "a" * 10_000])
    def test_lo_que_no_lo_es_es_todo_un_mismo_sitio(self, address: str) -> None:
        assert lugar(address) == UNKNOWN
