"""What happens at start: the keys, the first administrator, the settings of the environment."""

import asyncio
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import argon2
import httpx2
import pytest
import sqlalchemy as sa
import structlog
from auth_internals import count, database, entrar, until, use_cases

from comanda.auth.app import build, create_app
from comanda.auth.first_admin import CREDENTIALS_FILE, FirstAdmin
from comanda.auth.passwords import Passwords
from comanda.auth.politica import Politica
from comanda.auth.settings import Settings
from comanda.auth.tables import claves, usuarios
from comanda.common.app import NotReady
from comanda.common.database import Database
from comanda.common.migrations import migrate
from comanda.testing import Databases, FakeClock, running

ADMIN_EMAIL, ADMIN_PASSWORD = "jefa@comanda.test", "la-clave-de-la-jefa"


class TestClaves:
    async def test_otra_clave_maestra_no_sirve(
        self, api: Any, make_settings: Callable[..., Settings], clock: FakeClock
    ) -> None:
        app = create_app(make_settings(master_key="otra-clave-maestra-de-mas-de-32-letras"), clock=clock)
        with structlog.testing.capture_logs() as lines:
            async with app.router.lifespan_context(app):
                await until(lambda: asyncio.sleep(0.001, bool(lines)), True)
                async with httpx2.AsyncClient(
                    transport=httpx2.ASGITransport(app=app), base_url="http://localhost"
                ) as client:
                    assert (await client.get("/readyz")).status_code == 503
                    assert (await client.get("/.well-known/jwks.json")).status_code == 503
        assert "AUTH_MASTER_KEY" in lines[0]["reason"]

    async def test_la_privada_esta_cifrada(self, api: Any) -> None:
        async with database(api).read() as connection:
            row = (await connection.execute(sa.select(claves))).mappings().one()
        assert "PRIVATE" not in row["privada"]

    async def test_una_clave_de_otra_replica_se_conoce_pronto(self, api: Any, clock: FakeClock) -> None:
        keys = use_cases(api).keys
        (known,) = keys.jwks["keys"]
        async with database(api).transaction() as connection:
            await connection.execute(sa.update(claves).values(kid="nueva"))
            await connection.execute(sa.delete(claves))
        await keys.load_or_create()
        (added,) = keys.jwks["keys"]
        keys._public.clear()
        assert await keys.key(added["kid"]) is None  # it has just looked
        clock.advance(5)
        assert await keys.key(added["kid"]) is not None
        assert await keys.key(known["kid"]) is None

    async def test_una_clave_ilegible_no_quita_las_buenas(self, api: Any, clock: FakeClock) -> None:
        keys = use_cases(api).keys
        (known,) = keys.jwks["keys"]
        async with database(api).transaction() as connection:
            await connection.execute(sa.insert(claves).values(kid="rota", privada="rota", creada_en=clock.now()))
        clock.advance(5)
        assert await keys.key("rota") is None
        assert await keys.key(known["kid"]) is not None

    async def test_en_desarrollo_se_hace_una_y_se_guarda(
        self, make_settings: Callable[..., Settings], clock: FakeClock, data_folder: Path
    ) -> None:
        sets = []
        for _ in range(2):
            async with running(create_app(make_settings(master_key=None), clock=clock)) as client:
                sets.append((await client.get("/.well-known/jwks.json")).json())
        assert sets[0] == sets[1]
        assert stat.S_IMODE((data_folder / "keys" / "master.key").stat().st_mode) == 0o600

    async def test_dos_procesos_la_hacen_a_la_vez(
        self, make_settings: Callable[..., Settings], data_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from comanda.auth.master_keys import MasterKeys
        from comanda.common.files import create_once

        path = data_folder / "keys" / "master.key"
        first = MasterKeys.of(make_settings(master_key=None))
        create_once(path, b"la del segundo", 0o600)
        assert MasterKeys.of(make_settings(master_key=None)) == first
        assert [file.name for file in path.parent.iterdir()] == ["master.key"]


class TestPrimerAdmin:
    async def test_sin_password_se_inventa_y_se_escribe(
        self, make_settings: Callable[..., Settings], clock: FakeClock, data_folder: Path
    ) -> None:
        with structlog.testing.capture_logs() as lines:
            async with running(create_app(make_settings(admin_password=None), clock=clock)) as client:
                path = data_folder / CREDENTIALS_FILE
                written = dict(line.split(": ") for line in path.read_text().splitlines())
                assert stat.S_IMODE(path.stat().st_mode) == 0o600
                await entrar(client, written["email"], written["password"])
        assert written["email"] == ADMIN_EMAIL
        assert written["password"] not in str(lines)

    async def test_si_ya_hay_uno_no_se_hace_otro(
        self, api: Any, make_settings: Callable[..., Settings], clock: FakeClock, data_folder: Path
    ) -> None:
        async with running(create_app(make_settings(admin_email="otra@ejemplo.es", admin_password=None), clock=clock)):
            assert await count(api, usuarios) == 1
        assert not (data_folder / CREDENTIALS_FILE).exists()

    async def test_en_produccion_no_se_inventa(
        self, make_settings: Callable[..., Settings], clock: FakeClock, data_folder: Path
    ) -> None:
        settings = make_settings(environment="production", issuer="https://id.tienda.es", admin_password=None)
        await self.migrated(settings, clock)
        with pytest.raises(NotReady, match=r"COMANDA_ADMIN_PASSWORD.* or run comanda admin create EMAIL --prompt"):
            await self.ensure(settings, clock)
        assert not (data_folder / CREDENTIALS_FILE).exists()

    async def test_la_que_se_da_cumple_la_politica(
        self, make_settings: Callable[..., Settings], clock: FakeClock
    ) -> None:
        settings = make_settings(admin_password="comanda20262026")
        await self.migrated(settings, clock)
        with pytest.raises(NotReady, match="COMANDA_ADMIN_PASSWORD: Contiene «comanda»"):
            await self.ensure(settings, clock)

    async def test_el_email_es_de_un_cliente(
        self, api: Any, make_settings: Callable[..., Settings], clock: FakeClock
    ) -> None:
        await api.registrar()
        async with database(api).transaction() as connection:
            await connection.execute(sa.update(usuarios).values(rol="cliente"))
        with pytest.raises(NotReady, match="COMANDA_ADMIN_EMAIL"):
            await self.ensure(make_settings(admin_email="ANA@ejemplo.es"), clock)

    async def migrated(self, settings: Settings, clock: FakeClock) -> None:
        database = Database(settings.database_url, clock=clock)
        await migrate(database, "comanda.auth")
        await database.aclose()

    async def ensure(self, settings: Settings, clock: FakeClock) -> None:
        database = Database(settings.database_url, clock=clock)
        passwords = Passwords(argon2.PasswordHasher(1, 8, 1), workers=1, queue=1)
        try:
            await FirstAdmin(settings, database, clock, passwords, Politica(settings)).ensure()
        finally:
            await database.aclose()
            await passwords.aclose()


class TestBuild:
    async def test_con_lo_que_dice_el_entorno(
        self, databases: Databases, monkeypatch: pytest.MonkeyPatch, data_folder: Path
    ) -> None:
        monkeypatch.setenv("AUTH_DATABASE_URL", await databases.new("comanda.auth"))
        monkeypatch.setenv("AUTH_ARGON2_MEMORY_KIB", "32")
        monkeypatch.setattr("comanda.auth.app.prepare_process", lambda *_: None)
        async with running(build()) as client:
            assert (await client.get("/readyz")).status_code == 200
