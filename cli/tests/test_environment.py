import os
from pathlib import Path

import pytest

from comanda.auth.settings import Settings as AuthSettings
from comanda.cli import environment
from comanda.cli.credentials import DEFAULT_EMAIL
from comanda.cli.errors import CommandFailed


class TestDerive:
    def test_sin_nada(self) -> None:
        derived = environment.derive({})
        assert derived["COMANDA_DATA"] == str(Path(".data").absolute())
        assert derived["PEDIDOS_INVENTARIO_URL"] == "http://127.0.0.1:8002"
        assert derived["PEDIDOS_PRODUCTOS_URL"] == derived["INVENTARIO_PRODUCTOS_URL"] == "http://127.0.0.1:8001"
        assert derived["AUTH_ISSUER"] == derived["PRODUCTOS_AUTH_ISSUER"] == "http://127.0.0.1:8000"
        assert derived["PEDIDOS_AUTH_JWKS"] == "http://127.0.0.1:8000/.well-known/jwks.json"
        assert "PEDIDOS_DATABASE_URL" not in derived

    def test_lo_dado_gana(self) -> None:
        given = {"PEDIDOS_INVENTARIO_URL": "http://elsewhere", "COMANDA_POSTGRES_URL": "postgresql://u@h/"}
        derived = environment.derive(given | {"AUTH_DATABASE_URL": "sqlite:///mine.db"})
        assert derived["PEDIDOS_INVENTARIO_URL"] == "http://elsewhere"
        assert derived["AUTH_DATABASE_URL"] == "sqlite:///mine.db"
        assert derived["PRODUCTOS_DATABASE_URL"] == "postgresql://u@h/comanda_productos"

    def test_vacio_es_como_no_dado(self) -> None:
        derived = environment.derive({"PEDIDOS_INVENTARIO_URL": "", "INVENTARIO_PORT": "", "COMANDA_POSTGRES_URL": ""})
        assert derived["PEDIDOS_INVENTARIO_URL"] == "http://127.0.0.1:8002"
        assert "AUTH_DATABASE_URL" not in derived

    def test_otros_puertos(self) -> None:
        derived = environment.derive({"INVENTARIO_PORT": "9002", "AUTH_PORT": "9000", "AUTH_HOST": "::"})
        assert derived["PEDIDOS_INVENTARIO_URL"] == "http://127.0.0.1:9002"
        assert derived["INVENTARIO_AUTH_JWKS"] == "http://[::1]:9000/.well-known/jwks.json"

    def test_emisor_publico(self) -> None:
        """Who issues is a name; the keys are still fetched from here."""
        derived = environment.derive({"AUTH_ISSUER": "https://shop.example"})
        assert derived["PEDIDOS_AUTH_ISSUER"] == "https://shop.example"
        assert derived["PEDIDOS_AUTH_JWKS"] == "http://127.0.0.1:8000/.well-known/jwks.json"

    @pytest.mark.parametrize(
        ("host", "address"),
        [
            ("0.0.0.0", "http://127.0.0.1:8001"),  # noqa: S104  # what somebody may set
            ("::1", "http://[::1]:8001"),
            ("shop.local", "http://shop.local:8001"),
        ],
    )
    def test_direcciones(self, host: str, address: str) -> None:
        assert environment.address({"PRODUCTOS_HOST": host}, "productos") == address

    def test_base_de_datos_con_opciones(self) -> None:
        url = environment.with_database("postgresql://u:p@h:5433/?ssl=require", "comanda_auth")
        assert url == "postgresql://u:p@h:5433/comanda_auth?ssl=require"


class TestLoadSettings:
    def test_cada_variable_equivocada_una_linea(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PEDIDOS_PORT", "many")
        monkeypatch.setenv("INVENTARIO_WORKERS", "0")
        with pytest.raises(CommandFailed) as failure:
            environment.load_settings()
        lines = str(failure.value).splitlines()
        assert [line.split(":")[0] for line in lines] == ["INVENTARIO_WORKERS", "PEDIDOS_PORT"]

    def test_los_puertos_son_los_de_los_servicios(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for service in environment.SERVICES:
            monkeypatch.delenv(f"{service.upper()}_PORT", raising=False)
        ports = {service: settings.port for service, settings in environment.load_settings().items()}
        assert ports == environment.PORTS

    def test_el_admin_por_omision_es_el_de_auth(self) -> None:
        assert AuthSettings.model_fields["admin_email"].default == DEFAULT_EMAIL


class TestReadEnvFile:
    def test_el_entorno_gana(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PEDIDOS_PORT", "9003")
        monkeypatch.setenv("AUTH_PORT", "to be removed after the test")
        monkeypatch.delenv("AUTH_PORT")
        (tmp_path / ".env").write_text("PEDIDOS_PORT=1\nAUTH_PORT=9000\n")
        environment.read_env_file(tmp_path / ".env")
        assert (os.environ["PEDIDOS_PORT"], os.environ["AUTH_PORT"]) == ("9003", "9000")

    def test_no_hace_falta(self, tmp_path: Path) -> None:
        environment.read_env_file(tmp_path / ".env")


class TestPrepared:
    def test_tambien_para_este_proceso(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(os, "environ", {"COMANDA_DATA": str(tmp_path)})
        assert environment.prepared() == os.environ
        assert os.environ["PEDIDOS_PRODUCTOS_URL"] == "http://127.0.0.1:8001"
