import pytest

from comanda.cli.environment import ANY_ADDRESS
from comanda.cli.listening import Place

ALL, ALL_6 = ANY_ADDRESS


class TestMeets:
    @pytest.mark.parametrize(
        ("one", "other", "meet"),
        [
            ("127.0.0.1", "127.0.0.1", True),
            ("127.0.0.1", "127.0.0.2", False),
            ("127.0.0.1", ALL, True),
            (ALL, ALL, True),
            (ALL, "::1", False),
            (ALL, ALL_6, True),
            (ALL_6, "127.0.0.1", True),
            (ALL_6, "::1", True),
            ("::1", "127.0.0.1", False),
        ],
    )
    def test_por_sus_direcciones(self, one: str, other: str, meet: bool) -> None:
        """Found before anything starts: else whoever comes second starts again and again."""
        places = [Place(host, 8080, "HOST", "PORT") for host in (one, other)]
        assert (places[0].meets(places[1]), places[1].meets(places[0])) == (meet, meet)

    def test_otro_puerto(self) -> None:
        assert not Place(ALL, 1, "HOST", "PORT").meets(Place(ALL, 2, "HOST", "PORT"))
