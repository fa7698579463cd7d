"""What the use cases of sessions promise when several of them run at once."""

import asyncio
from typing import Any
from uuid import UUID

import argon2
import pytest
import sqlalchemy as sa
import structlog
from auth_internals import EMAIL, PASSWORD, count, database, until, use_cases

from comanda.auth.domain import ConcesionInvalida, DemasiadosIntentos
from comanda.auth.passwords import Passwords, Verdict
from comanda.auth.tables import familias, usuarios
from comanda.common.problems import DatosInvalidos
from comanda.testing import FakeClock


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

        async def verify(*_: Any, **__: Any) -> Verdict:
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

        async def hash_after_somebody_else(self: Passwords, password: str, **place: Any) -> str:
            async with database(api).transaction() as connection:
                await connection.execute(sa.update(usuarios).values(password_hash="otro"))
            return await hash_it(self, password, **place)

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
        clock.advance(6 * 86_400)

        async def left_a_minute_later() -> int:
            clock.advance(60)  # the loop may just have begun to sleep
            return await count(api, familias)

        await until(left_a_minute_later, 1)
