"""What pedidos refuses to start with, in words that name the setting."""

from pathlib import Path

import pytest

from comanda.common.settings import InvalidSettings, load
from comanda.pedidos.settings import Settings


class TestAbandono:
    def test_por_defecto_basta(self) -> None:
        settings = load(Settings)
        assert settings.abandon_seconds == 300
        assert settings.lease_seconds == 28  # 4 × 3 s, 3 × 2 s, and 10 s for the database

    @pytest.mark.parametrize(
        ("variables", "least"),
        [
            ({}, 78),
            ({"BREAKER_TIMEOUT_SECONDS": "120"}, 138),
            ({"RETRY_ATTEMPTS": "0"}, 63),
            ({"RETRY_WAIT_SECONDS": "10"}, 102),
            ({"HTTP_TIMEOUT_SECONDS": "5"}, 86),
        ],
    )
    def test_no_antes_de_que_un_reintento_pueda_llegar(
        self, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], least: int
    ) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(f"PEDIDOS_{name}", value)
        monkeypatch.setenv("PEDIDOS_ABANDON_SECONDS", str(least))
        assert load(Settings).abandon_seconds == least
        monkeypatch.setenv("PEDIDOS_ABANDON_SECONDS", str(least - 0.5))
        with pytest.raises(InvalidSettings, match=f"PEDIDOS_ABANDON_SECONDS=.* {least} o más"):
            load(Settings)


class TestTopes:
    @pytest.fixture(autouse=True)
    def _lo_demas(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        clave = tmp_path / "pedidos.pem"
        clave.touch(mode=0o600)
        monkeypatch.setenv("PEDIDOS_SIGNING_KEY", str(clave))
        monkeypatch.setenv("PEDIDOS_AUTH_ISSUER", "https://id.tienda.es")

    def test_en_desarrollo_no_hacen_falta(self) -> None:
        settings = load(Settings)
        assert (settings.max_open_orders, settings.max_open_units) == (0, 0)

    @pytest.mark.parametrize(("orders", "units"), [("0", "0"), ("5", "0"), ("0", "5")])
    def test_en_produccion_hacen_falta_los_dos(self, monkeypatch: pytest.MonkeyPatch, orders: str, units: str) -> None:
        monkeypatch.setenv("PEDIDOS_ENVIRONMENT", "production")
        monkeypatch.setenv("PEDIDOS_MAX_OPEN_ORDERS", orders)
        monkeypatch.setenv("PEDIDOS_MAX_OPEN_UNITS", units)
        with pytest.raises(InvalidSettings, match="PEDIDOS_MAX_OPEN_ORDERS y PEDIDOS_MAX_OPEN_UNITS"):
            load(Settings)

    def test_en_produccion_con_los_dos(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PEDIDOS_ENVIRONMENT", "production")
        monkeypatch.setenv("PEDIDOS_MAX_OPEN_ORDERS", "5")
        monkeypatch.setenv("PEDIDOS_MAX_OPEN_UNITS", "50")
        assert load(Settings).production
