"""What the use cases promise when several of them, or several replicas, run at once; and what happens at start."""

import asyncio
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import argon2
import httpx2
import pytest
import sqlalchemy as sa
import structlog

from comanda.auth.app import build, create_app
from comanda.auth.domain import ConcesionInvalida, DemasiadosIntentos
from comanda.auth.first_admin import CREDENTIALS_FILE, FirstAdmin
from comanda.auth.passwords import Passwords, Verdict
from comanda.auth.service import Auth
from comanda.auth.settings import Settings
from comanda.auth.tables import claves, familias, usuarios
from comanda.common.app import NotReady
from comanda.common.database import Database
from comanda.common.problems import DatosInvalidos
from comanda.common.testing import Databases, FakeClock, running

EMAIL, PASSWORD = "ana@ejemplo.es", "caballo correcto"
ADMIN_EMAIL, ADMIN_PASSWORD = "jefa@comanda.test", "la-clave-de-la-jefa"


def use_cases(api: Any) -> Auth:
    auth: Auth = api.app.state.service
    return auth


def database(api: Any) -> Database:
    found: Database = api.app.state.wiring.database
    return found


async def count(api: Any, table: sa.Table) -> int:
    async with database(api).read() as connection:
        return int((await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar_one())


async def until(ask: Callable[[], Awaitable[Any]], expected: Any) -> None:
    """Asks until a background task has brought about what is expected."""
    async with asyncio.timeout(10):
        while await ask() != expected:  # noqa: ASYNC110  # what is asked for is not ours to signal
            await asyncio.sleep(0)


@asynccontextmanager
async def replicas(make_settings: Callable[..., Settings], clock: FakeClock) -> AsyncIterator[list[httpx2.AsyncClient]]:
    """Two that start at the same time on one database."""
    apps = [create_app(make_settings(), clock=clock) for _ in range(2)]
    async with AsyncExitStack() as stack:
        yield list(await asyncio.gather(*(stack.enter_async_context(running(app)) for app in apps)))


async def entrar(client: httpx2.AsyncClient, email: str, password: str) -> dict[str, str]:
    form = {"grant_type": "password", "username": email, "password": password}
    return {"Authorization": f"Bearer {(await client.post('/auth/token', data=form)).json()['access_token']}"}


class TestReplicas:
    async def test_arrancan_a_la_vez_con_las_mismas_claves_y_un_admin(
        self, make_settings: Callable[..., Settings], clock: FakeClock
    ) -> None:
        async with replicas(make_settings, clock) as clients:
            sets = [(await client.get("/.well-known/jwks.json")).json() for client in clients]
            assert sets[0] == sets[1]
            assert len(sets[0]["keys"]) == 1
            headers = await entrar(clients[0], ADMIN_EMAIL, ADMIN_PASSWORD)
            users = await clients[1].get("/auth/usuarios", headers=headers)
            assert [user["email"] for user in users.json()["elementos"]] == [ADMIN_EMAIL]

    @pytest.mark.parametrize("cambios", [{"activo": False}, {"rol": "cliente"}])
    async def test_dos_admins_se_quitan_a_la_vez(
        self, make_settings: Callable[..., Settings], clock: FakeClock, cambios: dict[str, Any]
    ) -> None:
        async with replicas(make_settings, clock) as clients:
            headers = await entrar(clients[0], ADMIN_EMAIL, ADMIN_PASSWORD)
            otra = (await clients[0].post("/auth/usuarios", json={"email": EMAIL, "password": PASSWORD})).json()["id"]
            jefa = (await clients[0].get("/auth/yo", headers=headers)).json()["id"]
            await clients[0].patch(f"/auth/usuarios/{otra}", json={"rol": "admin"}, headers=headers)
            responses = await asyncio.gather(
                clients[0].patch(f"/auth/usuarios/{otra}", json=cambios, headers=headers),
                clients[1].patch(
                    f"/auth/usuarios/{jefa}", json=cambios, headers=await entrar(clients[1], EMAIL, PASSWORD)
                ),
            )
            assert sorted(response.status_code for response in responses) == [200, 409]
            refused = next(response for response in responses if response.status_code == 409)
            assert refused.json()["type"].endswith("/ultimo-admin")

    async def test_renovar_a_la_vez_da_el_mismo_sucesor(
        self, make_settings: Callable[..., Settings], clock: FakeClock
    ) -> None:
        async with replicas(make_settings, clock) as clients:
            form = {"grant_type": "password", "username": ADMIN_EMAIL, "password": ADMIN_PASSWORD}
            first = (await clients[0].post("/auth/token", data=form)).json()["refresh_token"]
            form = {"grant_type": "refresh_token", "refresh_token": first}
            answers = await asyncio.gather(*(clients[n % 2].post("/auth/token", data=form) for n in range(6)))
            assert {answer.status_code for answer in answers} == {200}
            assert len({answer.json()["refresh_token"] for answer in answers}) == 1
            assert len({answer.json()["access_token"] for answer in answers}) == 6

    async def test_el_mismo_email_se_registra_una_vez(
        self, make_settings: Callable[..., Settings], clock: FakeClock
    ) -> None:
        async with replicas(make_settings, clock) as clients:
            body = {"email": EMAIL, "password": PASSWORD}
            answers = await asyncio.gather(*(clients[n % 2].post("/auth/usuarios", json=body) for n in range(4)))
            assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


class TestIniciar:
    async def iniciar(self, api: Any, password: str = PASSWORD) -> Any:
        return await use_cases(api).sesiones.iniciar(EMAIL, password, alcance=None, client_id="x", origen="10.0.0.1")

    async def test_un_hash_viejo_se_renueva(self, api: Any) -> None:
        await api.registrar()
        old = argon2.PasswordHasher(2, 16, 1).hash(PASSWORD)
        async with database(api).transaction() as connection:
            await connection.execute(sa.update(usuarios).where(usuarios.c.email == EMAIL).values(password_hash=old))
        await self.iniciar(api)
        async with database(api).read() as connection:
            query = sa.select(usuarios.c.password_hash).where(usuarios.c.email == EMAIL)
            assert "m=8,t=1,p=1" in (await connection.execute(query)).scalar_one()
        await self.iniciar(api)

    @pytest.mark.parametrize("meanwhile", [{"activo": False}, {"password_hash": "otro"}])
    async def test_lo_que_cambia_mientras_se_comprueba(
        self, api: Any, monkeypatch: pytest.MonkeyPatch, meanwhile: dict[str, Any]
    ) -> None:
        await api.registrar()

        async def verify(*_: Any) -> Verdict:
            async with database(api).transaction() as connection:
                await connection.execute(sa.update(usuarios).where(usuarios.c.email == EMAIL).values(**meanwhile))
            return Verdict(right=True)

        monkeypatch.setattr(Passwords, "verify", verify)
        with pytest.raises(ConcesionInvalida):
            await self.iniciar(api)
        assert await count(api, familias) == 0

    async def test_a_la_vez_no_se_adivina_mas_de_lo_que_se_puede(self, api: Any) -> None:
        await api.registrar()
        guesses = [self.iniciar(api, f"intento número {n}") for n in range(30)]
        results = await asyncio.gather(*guesses, return_exceptions=True)
        assert [type(result) for result in results].count(ConcesionInvalida) == 10
        assert [type(result) for result in results].count(DemasiadosIntentos) == 20
        with pytest.raises(DemasiadosIntentos):
            await self.iniciar(api)

    async def test_quien_acierta_no_gasta_intentos(self, api: Any) -> None:
        await api.registrar()
        for _ in range(15):
            await self.iniciar(api)


class TestCambiarPassword:
    async def test_si_otro_la_cambia_mientras_tanto(self, api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        usuario = await api.registrar()
        hash_it = Passwords.hash

        async def hash_after_somebody_else(self: Passwords, password: str) -> str:
            async with database(api).transaction() as connection:
                await connection.execute(sa.update(usuarios).values(password_hash="otro"))
            return await hash_it(self, password)

        monkeypatch.setattr(Passwords, "hash", hash_after_somebody_else)
        with pytest.raises(DatosInvalidos):
            await use_cases(api).cuentas.cambiar_password(
                UUID(usuario["id"]), actual=PASSWORD, nueva="otra muy distinta", sesion=None, origen=""
            )

    async def test_sin_sesion_que_conservar_terminan_todas(self, api: Any) -> None:
        usuario = await api.registrar()
        await api.entrar()
        await use_cases(api).cuentas.cambiar_password(
            UUID(usuario["id"]), actual=PASSWORD, nueva="otra muy distinta", sesion=None, origen=""
        )
        assert await count(api, familias) == 0


class TestRenovar:
    async def test_el_uso_repetido_queda_en_el_registro(self, api: Any, clock: FakeClock) -> None:
        await api.registrar()
        first = (await api.entrar())["refresh_token"]
        await api.renovar(first)
        clock.advance(11)
        with structlog.testing.capture_logs() as lines:
            await api.renovar(first)
        (line,) = [line for line in lines if line["event"] == "refresh_reuse"]
        assert line["log_level"] == "warning"
        assert first not in str(lines)

    async def test_la_base_de_datos_no_guarda_ningun_token(self, api: Any) -> None:
        await api.registrar()
        token = (await api.entrar())["refresh_token"]
        async with database(api).read() as connection:
            row = (await connection.execute(sa.select(familias))).mappings().one()
        assert token not in str(dict(row))

    async def test_desactivado_en_la_base_de_datos(self, api: Any) -> None:
        await api.registrar()
        token = (await api.entrar())["refresh_token"]
        async with database(api).transaction() as connection:
            await connection.execute(sa.update(usuarios).values(activo=False))
        assert (await api.renovar(token)).json()["error"] == "invalid_grant"


class TestBarrer:
    async def test_la_sesion_caducada_desaparece(self, api: Any, clock: FakeClock) -> None:
        await api.registrar()
        await api.entrar()
        clock.advance(86_400)
        await api.entrar()
        clock.advance(29 * 86_400)

        async def left_a_minute_later() -> int:
            clock.advance(60)  # the loop may just have begun to sleep
            return await count(api, familias)

        await until(left_a_minute_later, 1)


class TestClaves:
    async def test_otra_clave_maestra_no_sirve(
        self, api: Any, make_settings: Callable[..., Settings], clock: FakeClock
    ) -> None:
        app = create_app(make_settings(master_key="otra-clave-maestra-de-mas-de-32-letras"), clock=clock)
        with structlog.testing.capture_logs() as lines:
            async with app.router.lifespan_context(app):
                await until(lambda: asyncio.sleep(0.001, bool(lines)), True)
                async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://x") as client:
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
        from comanda.auth import keys

        path = data_folder / "keys" / "master.key"
        first = keys.master_key(make_settings(master_key=None))
        keys._create(path, b"la del segundo")
        assert keys.master_key(make_settings(master_key=None)) == first
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

    async def test_en_produccion_no_se_inventa(self, make_settings: Callable[..., Settings], clock: FakeClock) -> None:
        with pytest.raises(NotReady, match="COMANDA_ADMIN_PASSWORD"):
            await self.ensure(make_settings(environment="production", admin_password=None), clock)

    async def test_el_email_es_de_un_cliente(
        self, api: Any, make_settings: Callable[..., Settings], clock: FakeClock
    ) -> None:
        await api.registrar()
        async with database(api).transaction() as connection:
            await connection.execute(sa.update(usuarios).values(rol="cliente"))
        with pytest.raises(NotReady, match="COMANDA_ADMIN_EMAIL"):
            await self.ensure(make_settings(admin_email="ANA@ejemplo.es"), clock)

    async def ensure(self, settings: Settings, clock: FakeClock) -> None:
        database = Database(settings.database_url, clock=clock)
        passwords = Passwords(argon2.PasswordHasher(1, 8, 1), workers=1, queue=1)
        try:
            await FirstAdmin(settings, database, clock, passwords).ensure()
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
