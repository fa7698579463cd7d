from pathlib import Path

import pytest
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from comanda.common.settings import InvalidSettings, ServiceSettings, default_database, load, reference


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

    def test_frozen(self) -> None:
        with pytest.raises(ValueError, match="frozen"):
            load(Settings).port = 1


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
