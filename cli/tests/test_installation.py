from pathlib import Path

import pytest

from comanda.cli.errors import CommandFailed
from comanda.cli.installation import Installation


class TestStart:
    def test_no_arranca(self, tmp_path: Path) -> None:
        broken = Installation(tmp_path, {"PEDIDOS_PORT": "many"})
        with pytest.raises(CommandFailed, match=r"did not start:\nPEDIDOS_PORT: "):
            broken.start()

    def test_no_hereda_ajustes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Somebody's own settings do not reach the demo."""
        monkeypatch.setenv("PEDIDOS_BREAKER_FAIL_MAX", "1")
        monkeypatch.setenv("COMANDA_POSTGRES_URL", "postgresql://real@shop/")
        variables = Installation(tmp_path, {}).variables
        assert "PEDIDOS_BREAKER_FAIL_MAX" not in variables
        assert "PEDIDOS_DATABASE_URL" not in variables
