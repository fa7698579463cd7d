"""The contract of forgotten passwords and verified addresses."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from auth_internals import count, database
from authenticator import Ana, completar, pedir_mfa_token
from mailed import (
    AVISO,
    EMAIL,
    NUEVA,
    PASSWORD,
    RESTABLECER,
    VERIFICAR,
    Recibir,
    enlace,
    invalido,
    olvidada,
    restablecer,
)

from comanda.auth.app import create_app
from comanda.auth.passwords import Passwords
from comanda.auth.settings import Settings
from comanda.auth.tables import correos, usuarios
from comanda.testing import FakeClock, fields, problem, running

pytestmark = pytest.mark.usefixtures("sin_bucle")

mine: ContextVar[bool] = ContextVar("mine", default=False)
"""Set in the task of the test, and so in the request that it makes; the service's loops have begun before."""


@contextmanager
def statements(api: Any) -> Iterator[list[str]]:
    """The statements that the requests of this test execute meanwhile."""
    seen: list[str] = []

    def note(_con: Any, _cur: Any, statement: str, *_: Any) -> None:
        if mine.get():
            seen.append(statement)

    engine = database(api).engine.sync_engine
    sa.event.listen(engine, "before_cursor_execute", note)
    token = mine.set(True)
    try:
        yield seen
    finally:
        mine.reset(token)
        sa.event.remove(engine, "before_cursor_execute", note)


class TestOlvidada:
    async def test_no_se_sabe_quien_tiene_cuenta(self, api: Any, recibir: Recibir) -> None:
        await api.registrar()
        await recibir()
        answers, works, rows = [], [], []
        for email in (EMAIL, "nadie@ejemplo.es"):
            before = await count(api, correos)
            with statements(api) as seen:
                answers.append(await olvidada(api, email, headers={"X-Request-Id": "igual"}))
            works.append(seen)
            rows.append(await count(api, correos) - before)
        known, unknown = answers
        assert (known.status_code, known.content) == (unknown.status_code, unknown.content) == (202, b"")
        assert known.headers.raw == unknown.headers.raw
        assert works[0] == works[1]
        assert len(works[0]) == 2  # the mail, and the line in the audit log
        assert rows == [1, 1]
        assert [message["To"] for message in await recibir() if message["Subject"] == RESTABLECER] == [EMAIL]

    async def test_como_mucho_tres_por_direccion_y_hora(self, api: Any, recibir: Recibir, clock: FakeClock) -> None:
        await api.registrar()
        for email in (EMAIL, "nadie@ejemplo.es"):
            await recibir()
            for written in (email, email.upper(), email, email, email):
                assert (await olvidada(api, written)).status_code == 202
            assert await count(api, correos) == 3
        await recibir()
        clock.advance(3600)
        await olvidada(api)
        assert await count(api, correos) == 1

    async def test_desde_un_sitio_no_sin_fin(self, make_settings: Callable[..., Settings], clock: FakeClock) -> None:
        app = create_app(make_settings(forgotten_passwords_per_source_per_minute=2), clock=clock)
        async with running(app) as client:
            answers = [
                await client.post("/auth/password/olvidada", json={"email": f"u{n}@ejemplo.es"}) for n in range(3)
            ]
            assert [answer.status_code for answer in answers] == [202, 202, 429]
            assert problem(answers[2]) == "demasiados-intentos"
            assert int(answers[2].headers["retry-after"]) == 30

    async def test_email_malo(self, api: Any) -> None:
        for email in ("", "ana", None, 7, "a@b.c\r\nBcc: d@e.f"):
            assert fields(await api.http.post("/auth/password/olvidada", json={"email": email})) == {"email"}

    async def test_en_produccion_sin_servidor_se_dice(
        self, make_settings: Callable[..., Settings], clock: FakeClock
    ) -> None:
        app = create_app(make_settings(environment="production", issuer="https://id.tienda.es"), clock=clock)
        async with running(app) as client:
            body = {"email": EMAIL, "password": PASSWORD}
            assert (await client.post("/auth/usuarios", json=body)).status_code == 201
            for email in (EMAIL, "nadie@ejemplo.es"):
                answer = await client.post("/auth/password/olvidada", json={"email": email})
                assert (answer.status_code, problem(answer)) == (503, "servicio-no-disponible")
                assert answer.json()["servicio"] == "correo"
                assert "administra" in answer.json()["detail"]
            async with app.state.wiring.database.read() as connection:
                assert (await connection.execute(sa.select(correos))).first() is None


class TestRestablecer:
    async def pedir(self, api: Any, recibir: Recibir) -> str:
        await api.registrar()
        await olvidada(api)
        return await enlace(recibir, RESTABLECER)

    async def test_cambia_la_password_y_acaba_todas_las_sesiones(
        self, api: Any, recibir: Recibir, clock: FakeClock
    ) -> None:
        token = await self.pedir(api, recibir)
        sesiones = [await api.entrar() for _ in range(2)]
        clock.advance(1)
        answer = await restablecer(api, token)
        assert (answer.status_code, answer.content) == (204, b"")
        assert [(await api.renovar(s["refresh_token"])).status_code for s in sesiones] == [400, 400]
        assert (await api.pedir_token()).status_code == 400
        headers = await api.cabeceras(password=NUEVA)
        assert (await api.http.get("/auth/yo", headers=headers)).json()["email_verificado"] is True
        assert (await recibir())[-1]["Subject"] == AVISO

    async def test_no_salta_el_segundo_factor(self, con_factor: Ana, api: Any, recibir: Recibir) -> None:
        await olvidada(api)
        assert (await restablecer(api, await enlace(recibir, RESTABLECER))).status_code == 204
        mfa_token = await pedir_mfa_token(api, password=NUEVA)
        assert (await completar(api.http, mfa_token, con_factor.app.codigo())).status_code == 200

    async def test_una_sola_vez(self, api: Any, recibir: Recibir, clock: FakeClock) -> None:
        token = await self.pedir(api, recibir)
        clock.advance(1)
        await olvidada(api)
        otro = await enlace(recibir, RESTABLECER)
        assert otro != token
        assert (await restablecer(api, token)).status_code == 204
        for used in (token, otro):
            answer = await restablecer(api, used, "y aún otra distinta")
            assert invalido(answer)
            assert "pida uno nuevo" in answer.json()["detail"]
        await api.entrar(password=NUEVA)

    async def test_de_dos_a_la_vez_gana_uno(self, api: Any, recibir: Recibir, monkeypatch: pytest.MonkeyPatch) -> None:
        token = await self.pedir(api, recibir)
        both_have_checked = asyncio.Barrier(2)
        hash_it = Passwords.hash

        async def together(self: Passwords, password: str, **_: Any) -> str:
            await both_have_checked.wait()
            return await hash_it(self, password)

        with monkeypatch.context() as patch:
            patch.setattr(Passwords, "hash", together)
            nuevas = [NUEVA, "la de la otra pestaña"]
            answers = await asyncio.gather(*(restablecer(api, token, nueva) for nueva in nuevas))
        assert sorted(answer.status_code for answer in answers) == [204, 422]
        assert invalido(max(answers, key=lambda answer: answer.status_code))
        won = nuevas[[answer.status_code for answer in answers].index(204)]
        await api.entrar(password=won)

    async def test_caduca(self, api: Any, recibir: Recibir, clock: FakeClock) -> None:
        token = await self.pedir(api, recibir)
        clock.advance(1800)
        assert invalido(await restablecer(api, token))
        await api.entrar()

    async def test_otro_cambio_de_password_lo_mata(self, api: Any, recibir: Recibir) -> None:
        token = await self.pedir(api, recibir)
        body = {"actual": PASSWORD, "nueva": "cambiada con la sesión"}
        changed = await api.http.post("/auth/yo/password", json=body, headers=await api.cabeceras())
        assert changed.status_code == 204
        assert invalido(await restablecer(api, token))

    async def test_el_de_verificar_no_vale(self, api: Any, recibir: Recibir) -> None:
        await api.registrar()
        token = await enlace(recibir, VERIFICAR)
        assert invalido(await restablecer(api, token))
        await api.entrar()

    async def test_desactivado(self, api: Any, recibir: Recibir) -> None:
        token = await self.pedir(api, recibir)
        async with database(api).transaction() as connection:
            await connection.execute(sa.update(usuarios).where(usuarios.c.email == EMAIL).values(activo=False))
        assert invalido(await restablecer(api, token))

    async def test_desactivado_mientras_se_calcula(
        self, api: Any, recibir: Recibir, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        token = await self.pedir(api, recibir)
        hash_it = Passwords.hash

        async def hash_after_the_fall(self: Passwords, password: str, **_: Any) -> str:
            async with database(api).transaction() as connection:
                await connection.execute(sa.update(usuarios).where(usuarios.c.email == EMAIL).values(activo=False))
            return await hash_it(self, password)

        monkeypatch.setattr(Passwords, "hash", hash_after_the_fall)
        assert invalido(await restablecer(api, token))

    async def test_password_mala_no_gasta_el_enlace(self, api: Any, recibir: Recibir) -> None:
        token = await self.pedir(api, recibir)
        for nueva in ("corta", "password1234", EMAIL):
            assert fields(await restablecer(api, token, nueva)) == {"nueva"}
        assert (await restablecer(api, token)).status_code == 204

    async def test_cualquier_cosa(self, api: Any) -> None:
        for token in ("", "x", "ñ" * 72, "A" * 72):
            assert invalido(await restablecer(api, token))
        assert fields(await restablecer(api, "A" * 201)) == {"token"}


async def test_ningun_enlace_queda_en_el_registro(api: Any, recibir: Recibir) -> None:
    with structlog.testing.capture_logs() as lines:
        await api.registrar()
        await olvidada(api)
        token = await enlace(recibir, RESTABLECER)
        await restablecer(api, token)
        await recibir()
    assert {"mail_sent", "password_reset"} <= {line["event"] for line in lines}
    assert token not in str(lines)
    assert EMAIL not in str(lines)
