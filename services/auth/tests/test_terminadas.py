"""What auth tells the services of sessions that have ended, and refuses itself."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from auth_internals import EMAIL, PASSWORD, count, database, entrar, until

from comanda.auth import terminadas as modulo
from comanda.auth.app import create_app
from comanda.auth.repository import Repository
from comanda.auth.repository_terminadas import RepositorioTerminadas
from comanda.auth.tables import familias, terminadas
from comanda.common.tokens import ServiceSigner, SigningKey
from comanda.testing import FakeClock, problem, running

PATH, SESIONES = "/auth/terminadas", "/auth/yo/sesiones"
KEY = SigningKey.generate()


@pytest.fixture
def make_settings(make_settings: Any) -> Any:
    jwks = json.dumps({"keys": [KEY.public_jwk()]})
    return lambda **changes: make_settings(**{"pedidos_jwks": jwks, "operador_jwks": jwks} | changes)


@pytest.fixture
def pedir(api: Any, clock: FakeClock) -> Callable[..., Awaitable[Any]]:
    signer = ServiceSigner("pedidos", KEY, clock)

    async def pedir(**headers: str) -> Any:
        bearer = {"Authorization": f"Bearer {signer.token('auth')}"}
        return await api.http.get(PATH, headers=bearer | headers)

    return pedir


def sid(headers: dict[str, str]) -> str:
    payload = headers["Authorization"].split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=="))["sid"])


class TestListar:
    async def test_vacia(self, pedir: Any) -> None:
        assert (await pedir()).json() == {"terminadas": []}

    async def test_lo_que_ha_terminado_y_nada_mas(self, api: Any, pedir: Any, clock: FakeClock) -> None:
        await api.registrar()
        una, dos = await api.cabeceras(), await api.cabeceras()
        await api.http.delete(f"{SESIONES}/{sid(una)}", headers=una)
        assert (await pedir()).json() == {"terminadas": [sid(una)]}
        clock.advance(1)
        await api.http.delete(f"{SESIONES}/{sid(dos)}", headers=dos)
        assert (await pedir()).json() == {"terminadas": [sid(dos), sid(una)]}

    async def test_una_cuenta_de_servicio_revocada(self, api: Any, pedir: Any) -> None:
        admin = await api.de_admin()
        made = await api.http.post(
            "/auth/clientes", json={"nombre": "ERP", "alcances": ["pedidos:leer"]}, headers=admin
        )
        path = f"/auth/clientes/{made.json()['id']}"
        assert (await api.http.delete(path, headers=admin)).status_code == 204
        assert (await pedir()).json() == {"terminadas": [made.json()["id"]]}

    async def test_sin_cambios_es_un_304(self, api: Any, pedir: Any) -> None:
        await api.registrar()
        first = await pedir()
        again = await pedir(**{"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
        una = await api.cabeceras()
        await api.http.delete(f"{SESIONES}/{sid(una)}", headers=una)
        changed = await pedir(**{"If-None-Match": first.headers["ETag"]})
        assert (changed.status_code, changed.json()) == (200, {"terminadas": [sid(una)]})

    async def test_tambien_lo_que_se_anota_tarde_cambia_la_etiqueta(
        self, api: Any, pedir: Any, clock: FakeClock
    ) -> None:
        """Of two replicas, the one that read its clock first commits last, while the oldest is forgotten."""
        repo, moment = RepositorioTerminadas(database(api)), clock.now()
        tags = set()
        for seconds in (0, 100, 50):
            async with database(api).transaction() as connection:
                await repo.anotar(connection, {clock.new_id(): moment + timedelta(seconds=seconds)})
            tags.add((await pedir()).headers["ETag"])
        clock.advance(960)
        async with database(api).transaction() as connection:
            await repo.anotar(connection, {clock.new_id(): moment + timedelta(seconds=60)})
        answer = await pedir()
        assert len(tags | {answer.headers["ETag"]}) == 4
        assert len(answer.json()["terminadas"]) == 3

    async def test_acotada_a_las_ultimas(
        self, api: Any, pedir: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(modulo, "MAX_ENDED", 2)
        await api.registrar()
        todas = [await api.cabeceras() for _ in range(3)]
        for una in todas:
            clock.advance(1)
            await api.http.delete(f"{SESIONES}/{sid(una)}", headers=una)
        assert (await pedir()).json() == {"terminadas": [sid(todas[2]), sid(todas[1])]}

    async def test_hasta_que_ningun_token_puede_vivir(self, api: Any, pedir: Any, clock: FakeClock) -> None:
        await api.registrar()
        una = await api.cabeceras()
        await api.http.delete(f"{SESIONES}/{sid(una)}", headers=una)
        clock.advance(900 + 30 + 29)  # its life, the leeway of verifiers, and some of what clocks may differ
        assert (await pedir()).json() == {"terminadas": [sid(una)]}
        clock.advance(1)
        assert (await pedir()).json() == {"terminadas": []}

        async def left_a_minute_later() -> int:
            clock.advance(60)
            return await count(api, terminadas)

        await until(left_a_minute_later, 0)

    async def test_solo_si_puede_vivir_alguno_de_sus_tokens(self, api: Any, pedir: Any, clock: FakeClock) -> None:
        """Who has gathered sessions for a month and ends them all does not push what others ended out of the list."""
        await api.registrar()
        await api.cabeceras()
        renovada = await api.entrar()
        clock.advance(900 + 60 + 10)
        await api.renovar(renovada["refresh_token"])
        una = await api.cabeceras()
        assert (await api.http.delete(SESIONES, headers=una)).status_code == 204
        suya = sid({"Authorization": f"Bearer {renovada['access_token']}"})
        assert set((await pedir()).json()["terminadas"]) == {suya, sid(una)}

    async def test_tambien_el_que_se_repitio_al_final_de_la_gracia(
        self, api: Any, pedir: Any, clock: FakeClock
    ) -> None:
        """The last token was given 10 s after the last rotation, and lives as long as any other."""
        await api.registrar()
        primera = await api.entrar()
        await api.renovar(primera["refresh_token"])
        clock.advance(10)
        repetida = await api.renovar(primera["refresh_token"])
        una = {"Authorization": f"Bearer {repetida.json()['access_token']}"}
        clock.advance(899)
        await api.http.delete(f"{SESIONES}/{sid(una)}", headers=una)
        clock.advance(31 + 29)
        assert (await pedir()).json() == {"terminadas": [sid(una)]}

    async def test_solo_para_servicios(self, api: Any, clock: FakeClock) -> None:
        await api.registrar()
        operador = {"Authorization": f"Bearer {ServiceSigner('operador', KEY, clock).token('auth')}"}
        for headers in (await api.cabeceras(), await api.de_admin(), operador):
            response = await api.http.get(PATH, headers=headers)
            assert (response.status_code, problem(response)) == (403, "no-autorizado")
        assert (await api.http.get(PATH)).status_code == 401


class TestEnAuth:
    async def test_se_sabe_al_momento_en_todas_las_replicas(
        self, api: Any, make_settings: Any, clock: FakeClock
    ) -> None:
        await api.registrar()
        una, otra = await api.cabeceras(), await api.cabeceras()
        async with running(create_app(make_settings(), clock=clock)) as replica:
            assert (await replica.get("/auth/yo", headers=una)).status_code == 200
            await api.http.delete(f"{SESIONES}/{sid(una)}", headers=una)
            for client in (api.http, replica):
                response = await client.get("/auth/yo", headers=una)
                assert (response.status_code, problem(response)) == (401, "no-autenticado")
                assert (await client.get("/auth/yo", headers=otra)).status_code == 200

    async def test_lo_que_se_renueva_mientras_acaba_tampoco_vale(self, api: Any) -> None:
        """Whichever comes first, no access token of the session is left over."""
        await api.registrar()
        headers = await api.de_admin()
        tokens = await api.entrar()
        una = {"Authorization": f"Bearer {tokens['access_token']}"}
        renewed, ended = await asyncio.gather(
            api.renovar(tokens["refresh_token"]), api.http.delete(f"{SESIONES}/{sid(una)}", headers=una)
        )
        assert ended.status_code == 204
        if renewed.status_code == 200:
            late = {"Authorization": f"Bearer {renewed.json()['access_token']}"}
            assert (await api.http.get("/auth/yo", headers=late)).status_code == 401
        assert (await api.http.get("/auth/yo", headers=headers)).status_code == 200

    async def test_no_acaba_sin_que_se_anote(self, api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        await api.registrar()
        una = await api.cabeceras()

        async def die(*_: Any) -> None:
            raise ConnectionResetError

        before = await count(api, familias)
        with monkeypatch.context() as patched:
            patched.setattr("comanda.auth.repository_terminadas.RepositorioTerminadas.anotar", die)
            assert (await api.http.delete(f"{SESIONES}/{sid(una)}", headers=una)).status_code == 503
        assert (await count(api, familias), await count(api, terminadas)) == (before, 0)

    async def test_acabar_varias_a_la_vez_no_se_enreda(self, api: Any, make_settings: Any, clock: FakeClock) -> None:
        """Two replicas that end all sessions of one user, neither holding the user's row."""
        ana = UUID((await api.registrar())["id"])
        for _ in range(20):
            await entrar(api.http, EMAIL, PASSWORD)
        other = create_app(make_settings(), clock=clock)
        async with running(other):

            async def end(found: Any) -> None:
                async with found.transaction() as connection:
                    await Repository(found).terminar_familias_de(connection, ana, clock.now())

            databases = database(api), other.state.wiring.database
            await asyncio.gather(*(end(found) for found in databases * 4))
        assert await count(api, terminadas) == 20


class TestRol:
    async def test_bajarlo_acaba_sus_sesiones(self, api: Any) -> None:
        otra = await api.otro_admin("otra@ejemplo.es")
        tokens = await api.entrar("otra@ejemplo.es")
        path = f"/auth/usuarios/{otra['id']}"
        await api.http.patch(path, json={"rol": "cliente"}, headers=await api.de_admin())
        assert (await api.renovar(tokens["refresh_token"])).status_code == 400
        assert "usuarios:gestionar" not in (await api.entrar("otra@ejemplo.es"))["scope"]

    async def test_subirlo_no(self, api: Any) -> None:
        ana = await api.registrar()
        tokens = await api.entrar()
        await api.http.patch(f"/auth/usuarios/{ana['id']}", json={"rol": "admin"}, headers=await api.de_admin())
        assert "usuarios:gestionar" in (await api.renovar(tokens["refresh_token"])).json()["scope"]
