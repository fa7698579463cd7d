"""Throttling as somebody meets it who logs in through a proxy."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa
from auth_internals import PASSWORD, count, database, until
from auth_shop import Shop, shop

from comanda.auth.origenes import MAX_PER_ACCOUNT
from comanda.auth.tables import origenes
from comanda.testing import FakeClock

HOME, ELSEWHERE = "198.51.100.1", "198.51.100.2"
DAY = 86_400


@pytest.fixture
async def tienda(make_settings: Any, clock: FakeClock) -> AsyncIterator[Shop]:
    async with shop(make_settings, clock) as running:
        await running.register()
        yield running


class TestUnDesconocidoNoCierraAlDueño:
    async def test_ni_desde_muchos_sitios(self, tienda: Shop) -> None:
        assert await tienda.status(HOME) == 200
        assert await tienda.attack() == [400] * 20 + [429] * 10
        assert await tienda.status(HOME) == 200
        assert await tienda.status(ELSEWHERE) == 429  # from here it could be anybody
        assert await tienda.status(HOME, "no es esta") == 400

    async def test_ni_tras_un_reinicio_ni_en_otra_replica(self, tienda: Shop, make_settings: Any, clock: Any) -> None:
        assert await tienda.status(HOME) == 200
        async with shop(make_settings, clock) as other:
            await other.attack()
            assert await other.status(HOME) == 200
            assert await other.status(ELSEWHERE) == 429

    async def test_quien_entra_desde_otro_sitio_lo_da_a_conocer(self, tienda: Shop, clock: FakeClock) -> None:
        await tienda.attack()
        refused = await tienda.ask(ELSEWHERE)
        clock.advance(int(refused.headers["Retry-After"]))
        assert await tienda.status(ELSEWHERE) == 200
        await tienda.attack()
        assert await tienda.status(ELSEWHERE) == 200

    async def test_el_rechazo_no_dice_si_la_cuenta_existe(self, tienda: Shop) -> None:
        await tienda.attack()
        await tienda.attack("nadie@ejemplo.es")
        real, invented = await tienda.ask(ELSEWHERE), await tienda.ask(ELSEWHERE, email="nadie@ejemplo.es")
        assert real.json() == invented.json()
        assert (real.status_code, real.headers["Retry-After"]) == (
            invented.status_code,
            invented.headers["Retry-After"],
        )


class TestConocidos:
    async def test_un_mes(self, tienda: Shop, clock: FakeClock) -> None:
        assert await tienda.status(HOME) == 200
        clock.advance(29 * DAY)
        await tienda.attack()
        assert await tienda.status(HOME) == 200  # and that begins a new month
        clock.advance(29 * DAY)
        await tienda.attack()
        assert await tienda.status(HOME) == 200
        clock.advance(31 * DAY)
        await tienda.attack()
        assert await tienda.status(HOME) == 429

    async def test_cambiar_la_password_los_olvida(self, tienda: Shop) -> None:
        tokens = (await tienda.ask(HOME)).json()
        assert await tienda.status(ELSEWHERE) == 200
        changed = await tienda.http.post(
            "/auth/yo/password",
            json={"actual": PASSWORD, "nueva": "otra muy distinta"},
            headers={"Authorization": f"Bearer {tokens['access_token']}", "X-Forwarded-For": HOME},
        )
        assert changed.status_code == 204
        await tienda.attack()
        assert await tienda.status(HOME, "otra muy distinta") == 200
        assert await tienda.status(ELSEWHERE, "otra muy distinta") == 429

    async def test_pocos_por_cuenta_y_ninguna_direccion(self, tienda: Shop, clock: FakeClock) -> None:
        for n in range(MAX_PER_ACCOUNT + 5):
            assert await tienda.status(f"198.51.100.{n}") == 200
            clock.advance(1)
        assert await count(tienda, origenes) == MAX_PER_ACCOUNT
        async with database(tienda).read() as connection:
            stored = (await connection.execute(sa.select(origenes.c.huella))).scalars().all()
        assert not any("198.51" in each for each in stored)
        await tienda.attack()
        assert await tienda.status(f"198.51.100.{MAX_PER_ACCOUNT + 4}") == 200
        assert await tienda.status("198.51.100.0") == 429  # the oldest is forgotten

    async def test_el_mismo_sitio_no_se_reconoce_en_dos_cuentas(self, tienda: Shop) -> None:
        other = {"email": "luis@ejemplo.es", "password": PASSWORD}
        assert (await tienda.http.post("/auth/usuarios", json=other)).status_code == 201
        assert [await tienda.status(HOME), await tienda.status(HOME, email=other["email"])] == [200, 200]
        async with database(tienda).read() as connection:
            stored = (await connection.execute(sa.select(origenes.c.huella))).scalars().all()
        assert len(set(stored)) == 2

    async def test_los_viejos_se_barren(self, tienda: Shop, clock: FakeClock) -> None:
        assert await tienda.status(HOME) == 200
        clock.advance(31 * DAY)

        async def left() -> int:
            clock.advance(60)  # the loop may have been in the middle of a sweep
            return await count(tienda, origenes)

        await until(left, 0)


class TestTrasUnProxy:
    async def limited(self, make_settings: Any, clock: FakeClock, *sources: str | list[str]) -> list[int]:
        """What attempts on different accounts from those get, when each place has two."""
        async with shop(make_settings, clock, login_attempts_per_source_per_minute=2) as running:
            return [await running.status(source, email=f"a{n}@b.es") for n, source in enumerate(sources)]

    async def test_ipv6_cuenta_por_redes(self, make_settings: Any, clock: FakeClock) -> None:
        sources = ["2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::3", "2001:db8:0:1::1"]
        assert await self.limited(make_settings, clock, *sources) == [400, 400, 429, 400]

    async def test_el_puerto_no_cuenta(self, make_settings: Any, clock: FakeClock) -> None:
        sources = ["203.0.113.1:4000", "203.0.113.1:4001", "203.0.113.1", "[2001:db8::1]:80"]
        assert await self.limited(make_settings, clock, *sources) == [400, 400, 429, 400]

    async def test_lo_que_dice_el_cliente_no_cuenta(self, make_settings: Any, clock: FakeClock) -> None:
        sources = [f"1.1.1.{n}, 203.0.113.1" for n in range(3)]
        assert await self.limited(make_settings, clock, *sources) == [400, 400, 429]

    async def test_ni_en_otra_cabecera(self, make_settings: Any, clock: FakeClock) -> None:
        sources: list[str | list[str]] = [[f"1.1.1.{n}", "203.0.113.1"] for n in range(3)]
        assert await self.limited(make_settings, clock, *sources) == [400, 400, 429]

    async def test_varios_proxies_de_confianza(self, make_settings: Any, clock: FakeClock) -> None:
        sources = [f"1.1.1.1, 203.0.113.{n}, 10.0.0.{n}, 10.9.9.9" for n in (1, 1, 1, 2)]
        assert await self.limited(make_settings, clock, *sources) == [400, 400, 429, 400]

    async def test_mil_saltos(self, make_settings: Any, clock: FakeClock) -> None:
        sources = [", ".join([f"1.1.{n}.{hop % 250}" for hop in range(1000)] + ["203.0.113.1"]) for n in range(3)]
        assert await self.limited(make_settings, clock, *sources) == [400, 400, 429]

    async def test_lo_ilegible_es_un_solo_sitio(self, make_settings: Any, clock: FakeClock) -> None:
        sources = ["unknown", "_oculto-2", "999.0.0.1", "203.0.113.1"]
        assert await self.limited(make_settings, clock, *sources) == [400, 400, 429, 400]


class TestAltas:
    async def test_cuentan_por_redes(self, make_settings: Any, clock: FakeClock) -> None:
        async with shop(make_settings, clock, registrations_per_source_per_minute=2) as running:
            statuses = [
                (
                    await running.http.post(
                        "/auth/usuarios",
                        json={"email": f"u{n}@b.es", "password": PASSWORD},
                        headers={"X-Forwarded-For": f"2001:db8::{n}"},
                    )
                ).status_code
                for n in range(3)
            ]
        assert statuses == [201, 201, 429]


async def test_quien_restablece_su_password_entra_desde_alli_pese_a_un_ataque(tienda: Shop) -> None:
    recuperacion, cuentas = tienda.app.state.service.recuperacion, tienda.app.state.service.cuentas
    await tienda.attack()
    assert await tienda.status(ELSEWHERE) == 429
    usuario = await cuentas.consultar(tienda.registered)
    later = int(cuentas._clock.now().timestamp()) + 600
    body = {"token": recuperacion._enlaces.escribir("restablecer", usuario, later), "nueva": "otra muy distinta"}
    headers = {"X-Forwarded-For": ELSEWHERE}
    assert (await tienda.http.post("/auth/password/restablecer", json=body, headers=headers)).status_code == 204
    assert await tienda.status(ELSEWHERE, "otra muy distinta") == 200
