"""Guesses of a password by who is already in: counted by session, wherever they come from."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from auth_internals import PASSWORD
from auth_shop import Shop, shop

from comanda.testing import FakeClock, problem

HOME = "198.51.100.1"
ROUTES: list[tuple[str, dict[str, str]]] = [
    ("/auth/yo/password", {"actual": "no es esta", "nueva": "otra muy distinta"}),
    ("/auth/yo/borrar", {"password": "no es esta"}),
    ("/auth/yo/totp", {"password": "no es esta"}),
    ("/auth/yo/sesiones/terminar", {"password": "no es esta"}),
]


@pytest.fixture
async def tienda(make_settings: Any, clock: FakeClock) -> AsyncIterator[Shop]:
    async with shop(make_settings, clock) as running:
        await running.register()
        yield running


async def entrar(tienda: Shop) -> str:
    return str((await tienda.ask(HOME)).json()["access_token"])


async def adivinar(tienda: Shop, token: str, place: str, route: tuple[str, dict[str, str]] = ROUTES[0]) -> Any:
    headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": place}
    return await tienda.http.post(route[0], json=route[1], headers=headers)


async def robar(tienda: Shop) -> tuple[str, list[int]]:
    """A stolen token, and what it is answered to a guess from each of many networks, at all routes in turn."""
    stolen = await entrar(tienda)
    answers = [await adivinar(tienda, stolen, f"2001:db8:0:{n:x}::1", ROUTES[n % len(ROUTES)]) for n in range(16)]
    return stolen, [answer.status_code for answer in answers]


class TestSesionRobada:
    async def test_otra_red_no_da_mas_intentos(self, tienda: Shop) -> None:
        _, answers = await robar(tienda)
        assert answers == [422] * 10 + [429] * 6

    async def test_el_dueño_entra_y_cambia_la_password(self, tienda: Shop) -> None:
        await robar(tienda)
        own = await entrar(tienda)
        body = {"actual": PASSWORD, "nueva": "otra muy distinta"}
        assert (await adivinar(tienda, own, HOME, (ROUTES[0][0], body))).status_code == 204

    async def test_ni_acertar_en_la_espera_vale(self, tienda: Shop, clock: FakeClock) -> None:
        stolen, _ = await robar(tienda)
        body = {"actual": PASSWORD, "nueva": "otra muy distinta"}
        refused = await adivinar(tienda, stolen, HOME, (ROUTES[0][0], body))
        assert (refused.status_code, problem(refused)) == (429, "demasiados-intentos")
        clock.advance(int(refused.headers["Retry-After"]))
        assert (await adivinar(tienda, stolen, HOME, (ROUTES[0][0], body))).status_code == 204

    async def test_los_fallos_al_entrar_no_cuentan_dentro(self, tienda: Shop) -> None:
        own = await entrar(tienda)
        for _ in range(12):
            await tienda.ask(HOME, "no es esta")
        assert (await adivinar(tienda, own, HOME)).status_code == 422
