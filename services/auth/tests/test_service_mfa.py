"""What the second factor promises when several use it at once, or something dies on the way."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest
from auth_internals import count
from authenticator import Ana, completar, pedir_mfa_token, recuperar

from comanda.auth.app import create_app
from comanda.auth.repository import Repository
from comanda.auth.settings import Settings
from comanda.auth.tables import codigos_recuperacion, familias
from comanda.testing import FakeClock, running

PASSWORD = "caballo correcto"


@pytest.fixture
async def replica(
    con_factor: Ana, make_settings: Callable[..., Settings], clock: FakeClock
) -> AsyncIterator[httpx2.AsyncClient]:
    """Another process on the database of `con_factor`."""
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(running(create_app(make_settings(), clock=clock)))


class TestALaVez:
    async def test_un_codigo_abre_una_sola_sesion(self, con_factor: Ana, api: Any, replica: httpx2.AsyncClient) -> None:
        tokens = [await pedir_mfa_token(api) for _ in range(3)]
        before = await count(api, familias)
        code = con_factor.app.codigo()
        answers = await asyncio.gather(
            *(completar((api.http, replica)[n % 2], tokens[n // 2], code) for n in range(len(tokens) * 2))
        )
        assert sorted(answer.status_code for answer in answers) == [200] + [400] * 5
        assert await count(api, familias) == before + 1

    async def test_un_codigo_de_recuperacion_tambien(
        self, con_factor: Ana, api: Any, replica: httpx2.AsyncClient
    ) -> None:
        token = await pedir_mfa_token(api)
        code = con_factor.codigos[0]
        answers = await asyncio.gather(*(recuperar((api.http, replica)[n % 2], token, code) for n in range(4)))
        assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]
        assert await count(api, codigos_recuperacion) == 9

    async def test_un_mfa_token_con_dos_codigos_buenos(
        self, con_factor: Ana, api: Any, replica: httpx2.AsyncClient
    ) -> None:
        token = await pedir_mfa_token(api)
        answers = await asyncio.gather(
            recuperar(api.http, token, con_factor.codigos[0]), recuperar(replica, token, con_factor.codigos[1])
        )
        assert sorted(answer.status_code for answer in answers) == [200, 400]
        assert await count(api, codigos_recuperacion) == 9

    async def test_no_se_adivina_mas_de_lo_que_se_puede(
        self, con_factor: Ana, api: Any, replica: httpx2.AsyncClient
    ) -> None:
        token = await pedir_mfa_token(api)
        wrong = con_factor.app.incorrecto()
        answers = await asyncio.gather(*(completar((api.http, replica)[n % 2], token, wrong) for n in range(12)))
        assert sorted(answer.status_code for answer in answers) == [400] * 5 + [429] * 7

    async def test_se_confirma_una_sola_vez(self, ana: Ana, api: Any) -> None:
        await ana.preparar()
        body = {"codigo": ana.app.codigo()}
        answers = await asyncio.gather(
            *(api.http.post("/auth/yo/totp/confirmar", json=body, headers=ana.headers) for _ in range(3))
        )
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
        ana.codigos = next(answer.json()["codigos_recuperacion"] for answer in answers if answer.status_code == 200)
        assert (await recuperar(api.http, await pedir_mfa_token(api), ana.codigos[0])).status_code == 200

    async def test_entrar_mientras_se_confirma_no_deja_ninguna_sesion_sin_el(
        self, ana: Ana, api: Any, make_settings: Callable[..., Settings], clock: FakeClock
    ) -> None:
        await ana.preparar()
        body = {"codigo": ana.app.codigo()}
        async with running(create_app(make_settings(), clock=clock)) as replica:
            form = {"grant_type": "password", "username": ana.email, "password": ana.password}
            confirmed, *logins = await asyncio.gather(
                api.http.post("/auth/yo/totp/confirmar", json=body, headers=ana.headers),
                *(replica.post("/auth/token", data=form) for _ in range(4)),
            )
        assert confirmed.status_code == 200
        for login in logins:
            if login.status_code == 200:  # before the factor was in force, so its session has ended with that
                assert (await api.renovar(login.json()["refresh_token"])).status_code == 400
            else:
                assert login.json()["error"] == "mfa_required"


class TestSiSeMuere:
    async def test_antes_de_abrir_la_sesion_el_codigo_no_se_gasta(
        self, con_factor: Ana, api: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        code, token = con_factor.app.codigo(), await pedir_mfa_token(api)

        async def die(*_: Any) -> None:
            raise ConnectionResetError

        with monkeypatch.context() as patched:
            patched.setattr(Repository, "insertar_familia", die)
            assert (await completar(api.http, token, code)).status_code == 503
        assert (await completar(api.http, token, code)).status_code == 200

    async def test_al_confirmar_no_queda_a_medias(self, ana: Ana, api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        await ana.preparar()

        async def die(*_: Any, **__: Any) -> None:
            raise ConnectionResetError

        with monkeypatch.context() as patched:
            patched.setattr(Repository, "terminar_familias_de", die)
            assert (await ana.post("/confirmar", codigo=ana.app.codigo())).status_code == 503
        assert await ana.estado() == {"activo": False, "codigos_restantes": 0}
        assert (await ana.post("/confirmar", codigo=ana.app.codigo())).status_code == 200

    async def test_los_fallos_sobreviven_a_un_arranque(
        self, con_factor: Ana, api: Any, replica: httpx2.AsyncClient
    ) -> None:
        token = await pedir_mfa_token(api)
        for _ in range(5):
            await completar(api.http, token, con_factor.app.incorrecto())
        assert (await completar(replica, token, con_factor.app.codigo())).status_code == 429
