"""Databases made on a real server."""

import asyncio
import os
from pathlib import Path

import asyncpg
import pytest

from comanda.cli import environment, migrate, postgres
from comanda.cli.errors import CommandFailed


async def exists(server: str, name: str) -> bool:
    connection = await asyncpg.connect(f"{server}/postgres")
    try:
        return bool(await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name))
    finally:
        await connection.close()


class TestCreateDatabases:
    async def test_las_que_faltan(self, postgres_url: str) -> None:
        name = f"cli_{os.urandom(6).hex()}"
        for _ in range(2):
            await asyncio.to_thread(postgres.create_databases, f"{postgres_url}/", [name])
        assert await exists(postgres_url, name)

    @pytest.mark.parametrize("server", ["mysql://h/", "postgresql:///x", "hello"])
    def test_no_es_una_direccion(self, server: str) -> None:
        with pytest.raises(CommandFailed, match="COMANDA_POSTGRES_URL: not a URL like"):
            postgres.create_databases(server, ["x"])

    def test_nadie_responde(self) -> None:
        with pytest.raises(CommandFailed) as failure:
            postgres.create_databases("postgresql://user:secret@127.0.0.1:1/", ["x"])
        assert str(failure.value).startswith("COMANDA_POSTGRES_URL: PostgreSQL at 127.0.0.1:1: ")
        assert "secret" not in str(failure.value)

    def test_no_deja_entrar(self, postgres_url: str) -> None:
        with pytest.raises(CommandFailed, match="nobody-of-that-name"):
            postgres.create_databases(postgres_url.replace("postgres@", "nobody-of-that-name@"), ["x"])

    def test_ssl_como_en_sqlalchemy(self) -> None:
        url, options = postgres._for_asyncpg("postgresql://u@h/?ssl=require&application_name=x")
        assert (url, options) == ("postgresql://u@h/postgres?application_name=x", {"ssl": "require"})

    def test_otra_base_para_entrar(self) -> None:
        assert postgres._for_asyncpg("postgres://u@h/mine") == ("postgresql://u@h/mine", {})


class TestWhichDatabases:
    def test_solo_las_que_son_de_ese_servidor(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made: list[list[str]] = []
        monkeypatch.setattr(postgres, "create_databases", lambda _, names: made.append(names))
        given = {"COMANDA_POSTGRES_URL": "postgresql://u@h/", "AUTH_DATABASE_URL": "sqlite:///auth.db"}
        migrate.create_databases(environment.derive(given), environment.SERVICES)
        migrate.create_databases(environment.derive({}), environment.SERVICES)
        assert made == [["comanda_productos", "comanda_inventario", "comanda_pedidos"]]


class TestMigrate:
    @pytest.fixture(autouse=True)
    def clean_environment(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr("os.environ", {"COMANDA_DATA": str(tmp_path)})

    def test_todas(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        migrate.migrate([])
        assert capsys.readouterr().out.splitlines() == [f"{service}: up to date" for service in environment.SERVICES]
        assert {path.name for path in tmp_path.glob("*.db")} == {f"{service}.db" for service in environment.SERVICES}

    def test_una(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        migrate.migrate(["productos"])
        assert [path.name for path in tmp_path.glob("*.db")] == ["productos.db"]

    def test_ninguna_de_ese_nombre(self) -> None:
        with pytest.raises(CommandFailed, match="no such service: facturas; there are auth, "):
            migrate.migrate(["facturas"])

    def test_la_base_no_responde(self) -> None:
        os.environ["PEDIDOS_DATABASE_URL"] = "postgresql://u@127.0.0.1:1/x"
        with pytest.raises(CommandFailed, match="PEDIDOS_DATABASE_URL: the database does not answer"):
            migrate.migrate(["pedidos"])
