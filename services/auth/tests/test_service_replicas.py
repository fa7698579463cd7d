"""What the use cases promise when several replicas run at once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx2
import pytest
from auth_internals import EMAIL, PASSWORD, entrar

from comanda.auth.app import create_app
from comanda.auth.settings import Settings
from comanda.testing import FakeClock, problem, running

ADMIN_EMAIL, ADMIN_PASSWORD = "jefa@comanda.test", "la-clave-de-la-jefa"
OTRA = {"username": EMAIL, "password": PASSWORD}


@asynccontextmanager
async def replicas(make_settings: Callable[..., Settings], clock: FakeClock) -> AsyncIterator[list[httpx2.AsyncClient]]:
    """Two that start at the same time on one database."""
    apps = [create_app(make_settings(), clock=clock) for _ in range(2)]
    async with AsyncExitStack() as stack:
        yield list(await asyncio.gather(*(stack.enter_async_context(running(app)) for app in apps)))


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
            # The loser is refused as the last one, or, by the time it is heard, as somebody whose session has ended.
            assert sorted(response.status_code for response in responses) in ([200, 401], [200, 409])
            refused = next(response for response in responses if response.status_code != 200)
            assert problem(refused) in ("no-autenticado", "ultimo-admin")
            form = {"grant_type": "password", "username": ADMIN_EMAIL, "password": ADMIN_PASSWORD}
            left = [await clients[0].post("/auth/token", data=form | one) for one in ({}, OTRA)]
            assert sum("usuarios:gestionar" in answer.json().get("scope", "") for answer in left) == 1

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
