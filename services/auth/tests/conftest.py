import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx2
import pytest
from auth_internals import count, use_cases
from authenticator import Ana
from fastapi import FastAPI
from mailed import Recibir, read

from comanda.auth.app import create_app
from comanda.auth.buzon import Buzon
from comanda.auth.settings import Settings
from comanda.auth.tables import correos
from comanda.testing import Databases, FakeClock, running

ADMIN_EMAIL, ADMIN_PASSWORD = "jefa@comanda.test", "la-clave-de-la-jefa"
PASSWORD = "caballo correcto"


class ReplicasClock(FakeClock):
    """The short waits for a SQLite file that another replica has locked pass by themselves."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds if seconds >= 1 else 0)


@pytest.fixture
def clock() -> FakeClock:
    return ReplicasClock()


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COMANDA_DATA", str(tmp_path))
    return tmp_path


MakeSettings = Callable[..., Settings]


@pytest.fixture
async def make_settings(databases: Databases) -> MakeSettings:
    """Settings on a fresh database, the same for all calls, with cheap hashes; a test names what it varies."""
    url = await databases.new("comanda.auth")

    def make(**changes: Any) -> Settings:
        values = {
            "database_url": url,
            "master_key": "una-clave-maestra-de-mas-de-32-letras",
            "admin_email": ADMIN_EMAIL,
            "admin_password": ADMIN_PASSWORD,
            "argon2_time_cost": 1,
            "argon2_memory_kib": 8,
            "argon2_parallelism": 1,
            "log_level": "error",
        }
        return Settings(**values | changes)

    return make


@dataclass
class Api:
    """auth as its clients use it."""

    http: httpx2.AsyncClient
    app: FastAPI

    async def registrar(self, email: str = "ana@ejemplo.es", password: str = PASSWORD, **extra: Any) -> dict[str, Any]:
        response = await self.http.post("/auth/usuarios", json={"email": email, "password": password, **extra})
        assert response.status_code == 201, response.text
        return dict(response.json())

    async def pedir_token(self, username: str = "ana@ejemplo.es", password: str = PASSWORD, **extra: str) -> Any:
        form = {"grant_type": "password", "username": username, "password": password, **extra}
        return await self.http.post("/auth/token", data=form)

    async def entrar(self, username: str = "ana@ejemplo.es", password: str = PASSWORD, **extra: str) -> Any:
        response = await self.pedir_token(username, password, **extra)
        assert response.status_code == 200, response.text
        return response.json()

    async def renovar(self, refresh_token: str, **extra: str) -> Any:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, **extra}
        return await self.http.post("/auth/token", data=form)

    async def cabeceras(self, username: str = "ana@ejemplo.es", password: str = PASSWORD) -> dict[str, str]:
        return {"Authorization": f"Bearer {(await self.entrar(username, password))['access_token']}"}

    async def de_admin(self) -> dict[str, str]:
        return await self.cabeceras(ADMIN_EMAIL, ADMIN_PASSWORD)

    async def otro_admin(self, email: str) -> dict[str, Any]:
        usuario = await self.registrar(email)
        changed = await self.http.patch(
            f"/auth/usuarios/{usuario['id']}", json={"rol": "admin"}, headers=await self.de_admin()
        )
        assert changed.status_code == 200, changed.text
        return usuario


@pytest.fixture
async def api(make_settings: MakeSettings, clock: FakeClock) -> AsyncIterator[Api]:
    app = create_app(make_settings(), clock=clock)
    async with running(app) as client:
        yield Api(client, app)


@pytest.fixture
async def ana(api: Any, clock: FakeClock) -> Ana:
    return Ana(api, clock, await api.registrar())


@pytest.fixture
async def con_factor(ana: Ana) -> Ana:
    return await ana.activar()


@pytest.fixture
def sin_bucle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests have mails sent themselves, so that none leaves between two of their steps."""

    async def rest(self: Buzon) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Buzon, "repartir", rest)


@pytest.fixture
def recibir(api: Api, data_folder: Path) -> Recibir:
    """Everything that was mailed so far, once nothing waits any more."""

    async def recibir() -> list[EmailMessage]:
        while await use_cases(api).buzon.enviar_siguiente():
            pass
        assert await count(api, correos) == 0
        return read(data_folder / "correo")

    return recibir
