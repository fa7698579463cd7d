"""Replacing the master key: nobody is logged out, everything is encrypted anew, and then the former one can go."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from auth_internals import use_cases
from authenticator import Ana, completar, pedir_mfa_token, recuperar

from comanda.auth.app import create_app
from comanda.auth.cipher import FERNET_PREFIX, CipherAtRest
from comanda.auth.master_keys import MasterKeys
from comanda.auth.repository_rewrap import RepositoryRewrap
from comanda.auth.rewrap import Rewrap
from comanda.auth.segundo_paso import TOTP_SECRETS
from comanda.auth.settings import Settings
from comanda.auth.tables import claves, codigos_recuperacion, totp
from comanda.common.app import NotReady
from comanda.common.database import Database, DatabaseUnavailable
from comanda.testing import FakeClock, running

FIRST, SECOND = "una-clave-maestra-de-mas-de-32-letras", "la-segunda-clave-maestra-de-mas-de-32"
PASSWORD = "caballo correcto"


@pytest.fixture
async def base(make_settings: Callable[..., Settings], clock: FakeClock) -> AsyncIterator[Database]:
    database = Database(make_settings().database_url, clock=clock)
    yield database
    await database.aclose()


Rewrapper = Callable[..., Rewrap]


@pytest.fixture
def rewrapper(make_settings: Callable[..., Settings], base: Database, clock: FakeClock) -> Rewrapper:
    def make(present: str = SECOND, previous: str | None = FIRST) -> Rewrap:
        settings = make_settings(master_key=present, master_key_previous=previous)
        return Rewrap(settings, base, MasterKeys.of(settings), clock)

    return make


@pytest.fixture
def replica(api: Any, make_settings: Callable[..., Settings], clock: FakeClock) -> Any:
    """A process with those master keys on the same database."""

    @asynccontextmanager
    async def start(present: str = SECOND, previous: str | None = FIRST) -> AsyncIterator[Any]:
        app = create_app(make_settings(master_key=present, master_key_previous=previous), clock=clock)
        async with running(app) as client:
            yield type(api)(client, app)

    return start


async def column(base: Database, wanted: sa.ColumnElement[Any]) -> list[Any]:
    async with base.read() as connection:
        return list((await connection.execute(sa.select(wanted))).scalars())


async def sealed_with(base: Database, key: str) -> bool:
    """Whether that master key, and no other, encrypts what is stored."""
    values = await column(base, claves.c.privada) + await column(base, totp.c.secreto)
    assert values
    return all(value.startswith(f"v1.{MasterKeys(key.encode()).id}.") for value in values)


class TestConLaAnterior:
    async def test_las_sesiones_siguen(self, api: Any, replica: Any, rewrapper: Rewrapper) -> None:
        await api.registrar()
        tokens = await api.entrar()
        async with replica() as other:
            assert (await other.http.get("/auth/yo", headers=await api.cabeceras())).status_code == 200
            renewed = await other.renovar(tokens["refresh_token"])
            assert renewed.status_code == 200
        await rewrapper().run()
        async with replica(SECOND, None) as last:
            assert (await last.renovar(renewed.json()["refresh_token"])).status_code == 200

    async def test_en_los_diez_segundos_de_gracia_el_sucesor_es_el_mismo(self, api: Any, replica: Any) -> None:
        """One replica has rotated the token under one key, and the other tab asks one with the other key."""
        await api.registrar()
        first = (await api.entrar())["refresh_token"]
        second = (await api.renovar(first)).json()["refresh_token"]
        async with replica() as other:
            assert (await other.renovar(first)).json()["refresh_token"] == second
            assert (await other.renovar(second)).status_code == 200

    async def test_las_dos_se_entienden_si_cada_una_conoce_la_de_la_otra(self, api: Any, replica: Any) -> None:
        """The first step of a replacement with replicas: all of them learn of the next key before one writes by it."""
        await api.registrar()
        async with replica(FIRST, SECOND) as not_yet, replica(SECOND, FIRST) as already:
            token = (await already.entrar())["refresh_token"]
            for each in (not_yet, already, not_yet):
                answer = await each.renovar(token)
                assert answer.status_code == 200
                token = answer.json()["refresh_token"]

    async def test_un_login_a_medias_se_completa(self, con_factor: Ana, api: Any, replica: Any) -> None:
        token = await pedir_mfa_token(api)
        async with replica() as other:
            assert (await completar(other.http, token, con_factor.app.codigo())).status_code == 200

    async def test_los_codigos_de_recuperacion_valen(self, con_factor: Ana, api: Any, replica: Any) -> None:
        async with replica() as other:
            token = await pedir_mfa_token(other)
            assert (await recuperar(other.http, token, con_factor.codigos[0])).status_code == 200
            token = await pedir_mfa_token(other)
            assert (await recuperar(other.http, token, con_factor.codigos[0])).status_code == 400

    async def test_los_enlaces_valen(self, api: Any, replica: Any, sin_bucle: None, recibir: Any) -> None:
        await api.registrar()
        (mail,) = await recibir()
        token = mail.get_content().partition("#token=")[2].split()[0]
        async with replica() as other:
            answer = await other.http.post("/auth/email/verificar", json={"token": token})
            assert answer.status_code == 204, answer.text

    async def test_los_sitios_conocidos_lo_siguen_siendo(self, api: Any, replica: Any, base: Database) -> None:
        await api.registrar()
        await api.entrar()
        async with replica() as other:
            assert await known(other, "ana@ejemplo.es")
            assert not await known(other, "nadie@ejemplo.es")


async def known(api: Any, email: str) -> bool:
    (_, visto) = await use_cases(api).sesiones._origenes.buscar(email, "127.0.0.1")
    return visto is not None


class TestRecifrar:
    async def test_todo_queda_bajo_la_presente_y_la_anterior_sobra(
        self, con_factor: Ana, api: Any, rewrapper: Rewrapper, replica: Any, base: Database
    ) -> None:
        headers = con_factor.headers
        assert await sealed_with(base, FIRST)
        done = await rewrapper().run()
        assert (done.claves, done.factores, done.ilegibles) == (1, 1, 0)
        assert await sealed_with(base, SECOND)
        async with replica(SECOND, None) as last:
            assert (await last.http.get("/auth/yo", headers=headers)).status_code == 200
            token = await pedir_mfa_token(last)
            assert (await completar(last.http, token, con_factor.app.codigo())).status_code == 200

    async def test_la_segunda_vez_no_hay_nada_que_hacer(
        self, con_factor: Ana, rewrapper: Rewrapper, base: Database
    ) -> None:
        await rewrapper().run()
        before = await column(base, claves.c.privada) + await column(base, totp.c.secreto)
        again = await rewrapper().run()
        assert (again.claves, again.factores) == (0, 0)
        assert await column(base, claves.c.privada) + await column(base, totp.c.secreto) == before

    async def test_lo_que_aun_necesita_la_anterior(
        self, con_factor: Ana, api: Any, rewrapper: Rewrapper, replica: Any, clock: FakeClock
    ) -> None:
        """Ana's session, and the one of Luis that he renews; and her recovery codes, until she asks for others."""
        await api.registrar("luis@ejemplo.es")
        token = (await api.entrar("luis@ejemplo.es"))["refresh_token"]
        done = await rewrapper().run()
        assert (done.sesiones, done.cuentas) == (2, 1)
        clock.advance(60)
        async with replica() as other:
            await other.renovar(token)
            body = {"codigo": con_factor.app.codigo()}
            assert (
                await other.http.post("/auth/yo/totp/codigos", json=body, headers=con_factor.headers)
            ).status_code == 200
        done = await rewrapper().run()
        assert (done.sesiones, done.cuentas) == (1, 0)
        assert done.fin is not None
        clock.advance((done.fin - clock.now()).total_seconds())
        assert (await rewrapper().run()).sesiones == 0

    async def test_sin_otra_clave_todo_es_de_la_presente(
        self, con_factor: Ana, rewrapper: Rewrapper, base: Database
    ) -> None:
        async with base.transaction() as connection:  # as the release before left them
            await connection.execute(sa.update(codigos_recuperacion).values(llave=None))
        assert (await rewrapper(SECOND, FIRST).run()).cuentas == 1
        done = await rewrapper(SECOND, None).run()
        assert (done.sesiones, done.cuentas) == (0, 0)

    async def test_sin_la_anterior_no_cambia_nada(self, con_factor: Ana, rewrapper: Rewrapper, base: Database) -> None:
        with pytest.raises(NotReady, match="AUTH_MASTER_KEY_PREVIOUS"):
            await rewrapper(SECOND, None).run()
        assert await sealed_with(base, FIRST)

    async def test_si_se_muere_a_medias_la_siguiente_lo_acaba(
        self, con_factor: Ana, api: Any, rewrapper: Rewrapper, base: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        luis = await Ana(api, con_factor.clock, await api.registrar("luis@ejemplo.es"), "luis@ejemplo.es").activar()
        original, calls = RepositoryRewrap.guardar_secreto, 0

        async def die_at_the_second(*given: Any) -> None:
            nonlocal calls
            calls += 1
            await original(*given)
            if calls == 2:
                raise ConnectionResetError

        with monkeypatch.context() as patched:
            patched.setattr(RepositoryRewrap, "guardar_secreto", die_at_the_second)
            with pytest.raises(DatabaseUnavailable):
                await rewrapper().run()
        assert not await sealed_with(base, SECOND)
        done = await rewrapper().run()
        assert (done.claves, done.factores) == (0, 1)
        assert await sealed_with(base, SECOND)
        assert luis.codigos

    async def test_dos_a_la_vez(self, con_factor: Ana, api: Any, rewrapper: Rewrapper, base: Database) -> None:
        await Ana(api, con_factor.clock, await api.registrar("luis@ejemplo.es"), "luis@ejemplo.es").activar()
        done = await asyncio.gather(rewrapper().run(), rewrapper().run())
        assert sum(each.factores for each in done) == 2
        assert sum(each.claves for each in done) == 1
        assert await sealed_with(base, SECOND)

    async def test_quien_entra_mientras_tanto_no_escribe_el_secreto_de_antes(
        self, con_factor: Ana, replica: Any, rewrapper: Rewrapper, base: Database
    ) -> None:
        """A code that is spent writes the whole row of the factor."""
        async with replica() as other:
            for _ in range(5):
                async with base.transaction() as connection:
                    await connection.execute(sa.update(totp).values(secreto=await self.under_first(base)))
                token = await pedir_mfa_token(other)
                answer, _ = await asyncio.gather(
                    completar(other.http, token, con_factor.app.codigo()), rewrapper().run()
                )
                assert answer.status_code == 200
                assert await sealed_with(base, SECOND)
                con_factor.clock.advance(30)

    async def under_first(self, base: Database) -> str:
        """Ana's secret as the former key seals it."""
        (usuario_id,), (secreto,) = await column(base, totp.c.usuario_id), await column(base, totp.c.secreto)
        keys = MasterKeys(FIRST.encode(), (SECOND.encode(),))
        cipher = CipherAtRest(keys, TOTP_SECRETS)
        return cipher.seal(cipher.open(secreto, str(usuario_id)), str(usuario_id))


class TestLaVersionAnterior:
    """It encrypts with Fernet, and reads nothing else."""

    @pytest.fixture
    async def como_antes(self, con_factor: Ana, base: Database) -> Ana:
        """Keys and factor as it leaves them."""
        keys = MasterKeys(FIRST.encode())
        async with base.transaction() as connection:
            for table, secret, place, purpose in (
                (claves, claves.c.privada, claves.c.kid, "signing keys"),
                (totp, totp.c.secreto, totp.c.usuario_id, TOTP_SECRETS),
            ):
                cipher = CipherAtRest(keys, purpose)
                for key, value in (await connection.execute(sa.select(place, secret))).all():
                    former = cipher.seal_as_before(cipher.open(value, str(key)))
                    await connection.execute(sa.update(table).where(place == key).values({secret: former}))
        return con_factor

    async def test_lo_suyo_se_lee_y_mientras_quede_se_escribe_como_ella(
        self, como_antes: Ana, api: Any, base: Database
    ) -> None:
        await como_antes.entrar()
        luis = Ana(api, como_antes.clock, await api.registrar("luis@ejemplo.es"), "luis@ejemplo.es")
        await luis.activar()
        await use_cases(api).keys._store.rotate()
        for value in await column(base, claves.c.privada) + await column(base, totp.c.secreto):
            assert value.startswith(FERNET_PREFIX)

    async def test_recifrado_se_escribe_de_la_nueva_manera(
        self, como_antes: Ana, api: Any, base: Database, rewrapper: Rewrapper
    ) -> None:
        done = await rewrapper(FIRST, None).run()
        assert (done.claves, done.factores, done.ilegibles) == (1, 1, 0)
        await Ana(api, como_antes.clock, await api.registrar("luis@ejemplo.es"), "luis@ejemplo.es").activar()
        assert await sealed_with(base, FIRST)
        await como_antes.entrar()


class TestIlegibles:
    async def test_un_secreto_llevado_a_otra_fila_no_vale_ni_se_recifra(
        self, con_factor: Ana, api: Any, base: Database, rewrapper: Rewrapper
    ) -> None:
        luis = Ana(api, con_factor.clock, await api.registrar("luis@ejemplo.es"), "luis@ejemplo.es")
        await luis.activar()
        ana_id, luis_id = UUID(con_factor.usuario["id"]), UUID(luis.usuario["id"])
        async with base.transaction() as connection:
            query = sa.select(totp.c.secreto).where(totp.c.usuario_id == ana_id)
            stolen = (await connection.execute(query)).scalar_one()
            await connection.execute(sa.update(totp).where(totp.c.usuario_id == luis_id).values(secreto=stolen))
        token = await luis.pedir_mfa_token()
        assert (await completar(api.http, token, con_factor.app.codigo())).status_code == 400
        assert (await recuperar(api.http, token, luis.codigos[0])).status_code == 200
        done = await rewrapper().run()
        assert (done.factores, done.ilegibles) == (1, 1)
