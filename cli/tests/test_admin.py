"""An administrator made on auth's own database, who can then log in."""

import asyncio
import os
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from comanda.auth.domain import Usuario
from comanda.auth.repository import Repository
from comanda.auth.repository_totp import RepositoryTotp
from comanda.auth.totp import Factor
from comanda.cli import admin
from comanda.cli.errors import CommandFailed
from comanda.common.clock import SystemClock
from comanda.common.database import Database

EMAIL, PASSWORD = "jefa@example.com", "una frase bastante larga"


@pytest.fixture(autouse=True)
def database_url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    monkeypatch.setattr("os.environ", {"COMANDA_DATA": str(tmp_path)})
    return f"sqlite:///{tmp_path}/auth.db"


def user(url: str) -> Usuario:
    async def read() -> Usuario | None:
        database = Database(url, clock=SystemClock())
        async with database.read() as connection:
            found = await Repository(database).leer_por_email(connection, EMAIL)
        await database.aclose()
        return found

    found = asyncio.run(read())
    assert found is not None
    return found


async def had_factor(url: str, usuario: Usuario) -> bool:
    """Whether there was a second factor; there is now."""
    database = Database(url, clock=SystemClock())
    repository, now = RepositoryTotp(database), SystemClock().now()
    async with database.transaction() as connection:
        had = await repository.leer_factor(connection, usuario.id) is not None
        await repository.guardar_factor(connection, Factor(usuario.id, "cifrado", now, 0, 0, 0, None, now))
    await database.aclose()
    return had


class TestCreate:
    def test_nueva(self, database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
        admin.create(EMAIL, None)
        first, second = capsys.readouterr().out.splitlines()
        assert first == f"{EMAIL}: new administrator"
        made = user(database_url)
        assert made.es_admin_activo
        assert PasswordHasher().verify(made.password_hash, second.removeprefix("password: "))

    def test_otra_vez(self, database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
        admin.create(EMAIL, None)
        admin.create(EMAIL.upper(), PASSWORD)
        assert "with a new password" in capsys.readouterr().out
        assert PasswordHasher().verify(user(database_url).password_hash, PASSWORD)

    def test_quien_ha_perdido_su_segundo_factor(self, database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
        admin.create(EMAIL, PASSWORD)
        assert asyncio.run(had_factor(database_url, user(database_url))) is False
        admin.create(EMAIL, PASSWORD)
        assert "and no second factor" in capsys.readouterr().out
        admin.create(EMAIL, PASSWORD)
        assert "second factor" not in capsys.readouterr().out

    def test_en_produccion_no_se_inventa(self, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        given = {"AUTH_ENVIRONMENT": "production", "AUTH_ISSUER": "https://id.tienda.es", "AUTH_MASTER_KEY": "k" * 32}
        for name, value in given.items():
            monkeypatch.setitem(os.environ, name, value)
        with pytest.raises(CommandFailed, match=r"no password is made up.* --prompt"):
            admin.create(EMAIL, None)
        assert not Path(database_url.removeprefix("sqlite:///")).exists()
        admin.create(EMAIL, PASSWORD)
        assert user(database_url).es_admin_activo

    @pytest.mark.parametrize(
        ("email", "password", "reason"),
        [
            ("nobody", PASSWORD, "not an email"),
            (EMAIL, "corta", "password: Debe"),
            (EMAIL, "comanda20262026", "password: Contiene"),
        ],
    )
    def test_no_vale(self, email: str, password: str, reason: str) -> None:
        with pytest.raises(CommandFailed, match=reason):
            admin.create(email, password)

    def test_la_base_no_responde(self) -> None:
        os.environ["AUTH_DATABASE_URL"] = "postgresql://u@127.0.0.1:1/x"
        with pytest.raises(CommandFailed, match="AUTH_DATABASE_URL: the database does not answer"):
            admin.create(EMAIL, PASSWORD)
