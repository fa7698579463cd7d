from pathlib import Path
from typing import Any

import pytest
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from comanda.common.settings import (
    CallerSettings,
    InvalidSettings,
    ServiceSettings,
    VerifierSettings,
    default_database,
    load,
    reference,
)

EVERY_ADDRESS = "0.0.0.0"  # noqa: S104  # nobody listens here


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="COSAS_")

    port: int = Field(8009, ge=0, le=65535, description="port to listen on")
    database_url: str = Field(default_factory=default_database("cosas"), description="where")


@pytest.fixture(autouse=True)
def _no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMANDA_DATA", raising=False)


class TestLoad:
    def test_defaults(self) -> None:
        settings = load(Settings)
        assert (settings.port, settings.database_url) == (8009, "sqlite:///.data/cosas.db")
        assert not settings.production
        assert settings.auth_jwks_source == "http://127.0.0.1:8000/.well-known/jwks.json"

    def test_from_the_environment(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("COMANDA_DATA", str(tmp_path))
        monkeypatch.setenv("COSAS_PORT", "9")
        monkeypatch.setenv("COSAS_ENVIRONMENT", "production")
        monkeypatch.setenv("COSAS_AUTH_ISSUER", "https://id.tienda.es")
        monkeypatch.setenv("COSAS_HOST", "")
        settings = load(Settings)
        assert (settings.port, settings.host, settings.production) == (9, "127.0.0.1", True)
        assert settings.database_url == f"sqlite:///{tmp_path}/cosas.db"

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("PORT", "70000"),
            ("PORT", "x"),
            ("WORKERS", "0"),
            ("ENVIRONMENT", "prod"),
            ("LOG_LEVEL", "loud"),
            ("BREAKER_TIMEOUT_SECONDS", "0"),
            ("HTTP_TIMEOUT_SECONDS", "nan"),
            ("RETRY_WAIT_SECONDS", "-1"),
            ("MAX_BODY_BYTES", "1"),
            ("MIGRATE_ON_START", "quizás"),
            ("ALLOWED_HOSTS", "https://tienda.es"),
            ("ALLOWED_HOSTS", "tienda.es:443"),
            ("ALLOWED_HOSTS", "tienda.es,*.otra.es"),
            ("CORS_ORIGINS", "tienda.es"),
            ("CORS_ORIGINS", "https://tienda.es/"),
            ("CORS_ORIGINS", "https://tienda.es,null"),
            ("CORS_ORIGINS", "https://*.tienda.es"),
            ("DATABASE_URL", "mysql://a:secreto@b/c"),
            ("DATABASE_URL", "nonsense"),
            ("DATABASE_URL", "postgresql://a:secreto@b:port/c"),
        ],
    )
    def test_names_the_variable_that_is_wrong(self, monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
        monkeypatch.setenv(f"COSAS_{variable}", value)
        with pytest.raises(InvalidSettings, match=rf"^COSAS_{variable}: ") as refusal:
            load(Settings)
        assert "secreto" not in str(refusal.value)

    def test_a_line_for_each(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COSAS_PORT", "x")
        monkeypatch.setenv("COSAS_WORKERS", "x")
        with pytest.raises(InvalidSettings) as refusal:
            load(Settings)
        assert [line.split(":")[0] for line in str(refusal.value).split("\n")] == ["COSAS_PORT", "COSAS_WORKERS"]

    def test_several_processes_on_sqlite(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COSAS_WORKERS", "2")
        with pytest.raises(InvalidSettings, match=r"^COSAS_WORKERS: .*COSAS_DATABASE_URL=postgresql"):
            load(Settings)
        monkeypatch.setenv("COSAS_DATABASE_URL", "postgresql://a@b/c")
        assert load(Settings).workers == 2

    @pytest.mark.parametrize("proxies", ["proxy.interno", "10.0.0.1/8", "10.0.0.1, 300.1.1.1"])
    def test_proxies_that_nobody_could_be(self, monkeypatch: pytest.MonkeyPatch, proxies: str) -> None:
        monkeypatch.setenv("COSAS_TRUSTED_PROXIES", proxies)
        with pytest.raises(InvalidSettings, match="COSAS_TRUSTED_PROXIES"):
            load(Settings)

    def test_trusting_everybody_is_for_development(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COSAS_TRUSTED_PROXIES", "*")
        assert load(Settings).trusted_proxies == "*"
        monkeypatch.setenv("COSAS_ENVIRONMENT", "production")
        monkeypatch.setenv("COSAS_AUTH_ISSUER", "https://id.tienda.es")
        with pytest.raises(InvalidSettings, match="COSAS_TRUSTED_PROXIES"):
            load(Settings)
        monkeypatch.setenv("COSAS_TRUSTED_PROXIES", "10.0.0.1, fd00::/8")
        assert load(Settings).trusted_proxies == "10.0.0.1, fd00::/8"

    def test_frozen(self) -> None:
        with pytest.raises(ValueError, match="frozen"):
            load(Settings).port = 1


class TestInProduction:
    @pytest.fixture(autouse=True)
    def _production(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COSAS_ENVIRONMENT", "production")
        monkeypatch.setenv("COSAS_AUTH_ISSUER", "https://id.tienda.es")

    @pytest.mark.parametrize(
        ("given", "named"),
        [
            ({"AUTH_ISSUER": "http://id.tienda.es"}, "AUTH_ISSUER"),
            ({"AUTH_ISSUER": ""}, "AUTH_ISSUER"),
            ({"CORS_ORIGINS": "*"}, "CORS_ORIGINS"),
            ({"CORS_ORIGINS": "https://tienda.es,*"}, "CORS_ORIGINS"),
            ({"HOST": EVERY_ADDRESS}, "ALLOWED_HOSTS"),
            ({"HOST": "::"}, "ALLOWED_HOSTS"),
        ],
    )
    def test_refuses_to_start(self, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], named: str) -> None:
        assert load(Settings).production
        for name, value in given.items():
            monkeypatch.setenv(f"COSAS_{name}", value)
        with pytest.raises(InvalidSettings, match=rf"^COSAS_{named}: en producción") as refusal:
            load(Settings)
        assert "\n" not in str(refusal.value)
        monkeypatch.setenv("COSAS_ENVIRONMENT", "development")
        assert not load(Settings).production

    def test_says_by_which_names_it_is_called(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COSAS_HOST", EVERY_ADDRESS)
        monkeypatch.setenv("COSAS_ALLOWED_HOSTS", "cosas, .tienda.es")
        assert load(Settings).allowed_host_names == ["cosas", ".tienda.es"]


class TestSigningKeyInProduction:
    @pytest.fixture
    def key(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
        for name, value in {"ENVIRONMENT": "production", "AUTH_ISSUER": "https://id.tienda.es", "PORT": "1"}.items():
            monkeypatch.setenv(f"COMANDA_{name}", value)
        monkeypatch.setenv("COMANDA_DATABASE_URL", "sqlite:///x")
        monkeypatch.setenv("COMANDA_SIGNING_KEY", str(tmp_path / "clave.pem"))
        return tmp_path / "clave.pem"

    def test_none_is_made_up(self, key: Path) -> None:
        with pytest.raises(InvalidSettings, match=r"^COMANDA_SIGNING_KEY: no existe .*clave\.pem"):
            load(CallerSettings)
        assert not key.exists()

    @pytest.mark.parametrize("mode", [0o604, 0o644, 0o660, 0o602])
    def test_others_may_read_or_write_it(self, key: Path, mode: int) -> None:
        key.touch()
        key.chmod(mode)
        with pytest.raises(InvalidSettings, match=r"^COMANDA_SIGNING_KEY: .*chmod 600 .*clave\.pem"):
            load(CallerSettings)
        key.chmod(0o600)
        assert load(CallerSettings).production


class TestAuthAddress:
    @pytest.mark.parametrize(
        ("given", "address"),
        [
            ({}, "http://127.0.0.1:8000"),
            ({"auth_issuer": "https://id.tienda.es/"}, "https://id.tienda.es"),
            ({"auth_jwks": "http://auth:8000/.well-known/jwks.json"}, "http://auth:8000"),
            ({"auth_jwks": "http://cdn/claves.json"}, ""),
            ({"auth_jwks": "/run/auth.jwks.json"}, ""),
            ({"auth_jwks": "/run/auth.jwks.json", "auth_url": "http://auth"}, "http://auth"),
        ],
    )
    def test_is_where_the_keys_are(self, given: dict[str, str], address: str) -> None:
        settings = VerifierSettings(port=1, database_url="sqlite:///x", **given)  # type: ignore[arg-type]
        assert settings.auth_address == address
        assert settings.signs == bool(address)

    def test_in_production_who_asks_has_a_key(self) -> None:
        production: dict[str, Any] = {
            "port": 1,
            "database_url": "sqlite:///x",
            "environment": "production",
            "auth_issuer": "https://id.tienda.es",
        }
        with pytest.raises(ValueError, match="COMANDA_SIGNING_KEY: en producción hace falta una clave propia"):
            VerifierSettings(**production)
        assert VerifierSettings(**production, revocation_poll_seconds=0).production


class TestRoundSeconds:
    def test_all_tries_and_waits(self) -> None:
        settings = load(Settings, retry_attempts=3, retry_wait_seconds=2, http_timeout_seconds=3)
        assert settings.round_seconds == 18


class TestReference:
    def test_every_variable_with_its_default(self) -> None:
        lines = {line.split()[0]: line for line in reference(Settings).splitlines()}
        assert lines.keys() == {Settings.variable(name) for name in Settings.model_fields}
        assert lines["COSAS_PORT"].endswith("port to listen on [8009]")
        assert lines["COSAS_DATABASE_URL"].endswith("where [sqlite:///.data/cosas.db]")
        assert "Undefined" not in reference(Settings)
