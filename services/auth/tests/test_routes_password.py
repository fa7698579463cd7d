"""The contract of forgotten passwords and verified addresses."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTPUTF8
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from auth_internals import count, database, until, use_cases

from comanda.auth.app import create_app
from comanda.auth.passwords import Passwords
from comanda.auth.settings import Settings
from comanda.auth.tables import correos, usuarios
from comanda.common.testing import FakeClock, fields, problem, running

EMAIL, PASSWORD, NUEVA = "ana@ejemplo.es", "caballo correcto", "otra muy distinta"
RESTABLECER, VERIFICAR, AVISO = (
    "Una contraseña nueva para su cuenta",
    "Confirme su dirección de correo",
    "La contraseña de su cuenta ha cambiado",
)

mine: ContextVar[bool] = ContextVar("mine", default=False)
"""Set in the task of the test, and so in the request that it makes; the service's loops have begun before."""

Recibir = Callable[[], Awaitable[list[EmailMessage]]]


@pytest.fixture
def recibir(api: Any, data_folder: Path) -> Recibir:
    """Everything that was mailed so far, once nothing waits any more."""

    async def recibir() -> list[EmailMessage]:
        async def waiting() -> int:
            await use_cases(api).buzon.enviar_siguiente()
            return await count(api, correos)

        await until(waiting, 0)
        return read(data_folder / "correo")

    return recibir


def read(folder: Path) -> list[EmailMessage]:
    found = [message_from_bytes(path.read_bytes(), policy=SMTPUTF8) for path in sorted(folder.glob("*.eml"))]
    return [message for message in found if isinstance(message, EmailMessage)]


async def enlace(recibir: Recibir, asunto: str) -> str:
    """The token of the newest mail with that subject."""
    texts = [message.get_content() for message in await recibir() if message["Subject"] == asunto]
    accion = "restablecer" if asunto == RESTABLECER else "verificar"
    [token] = re.findall(rf"http://127\.0\.0\.1:8000/{accion}#token=(\S+)", texts[-1])
    return str(token)


async def olvidada(api: Any, email: str = EMAIL, **kwargs: Any) -> Any:
    return await api.http.post("/auth/password/olvidada", json={"email": email}, **kwargs)


async def restablecer(api: Any, token: str, nueva: str = NUEVA) -> Any:
    return await api.http.post("/auth/password/restablecer", json={"token": token, "nueva": nueva})


async def verificar(api: Any, token: str) -> Any:
    return await api.http.post("/auth/email/verificar", json={"token": token})


def invalido(response: Any) -> bool:
    return (response.status_code, problem(response)) == (422, "enlace-invalido")


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
        assert len(works[0]) == 1
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
            assert int(answers[2].headers["retry-after"]) == 60

    async def test_email_malo(self, api: Any) -> None:
        for email in ("", "ana", None, 7, "a@b.c\r\nBcc: d@e.f"):
            assert fields(await api.http.post("/auth/password/olvidada", json={"email": email})) == {"email"}

    async def test_en_produccion_sin_servidor_se_dice(
        self, make_settings: Callable[..., Settings], clock: FakeClock
    ) -> None:
        app = create_app(make_settings(environment="production"), clock=clock)
        with structlog.testing.capture_logs() as lines:
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
        assert {"event": "mail_not_configured", "variable": "AUTH_SMTP_URL", "log_level": "warning"} in lines


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

        async def together(self: Passwords, password: str) -> str:
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

        async def hash_after_the_fall(self: Passwords, password: str) -> str:
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


class TestVerificar:
    async def test_el_alta_envia_un_enlace(self, api: Any, recibir: Recibir) -> None:
        await api.registrar()
        headers = await api.cabeceras()
        before = await api.http.get("/auth/yo", headers=headers)
        assert before.json()["email_verificado"] is False
        token = await enlace(recibir, VERIFICAR)
        assert (await verificar(api, token)).status_code == 204
        after = await api.http.get("/auth/yo", headers=headers)
        assert after.json()["email_verificado"] is True
        assert after.headers["etag"] != before.headers["etag"]
        assert (await verificar(api, token)).status_code == 204  # the answer may have been lost
        assert (await api.http.get("/auth/yo", headers=headers)).headers["etag"] == after.headers["etag"]

    async def test_se_puede_pedir_otro_hasta_que_esta_verificado(
        self, api: Any, recibir: Recibir, clock: FakeClock
    ) -> None:
        await api.registrar()
        first = await enlace(recibir, VERIFICAR)
        clock.advance(86_400)
        assert invalido(await verificar(api, first))
        headers = await api.cabeceras()
        assert (await api.http.post("/auth/yo/email/verificacion", headers=headers)).status_code == 202
        assert (await verificar(api, await enlace(recibir, VERIFICAR))).status_code == 204
        sent = len(await recibir())
        assert (await api.http.post("/auth/yo/email/verificacion", headers=headers)).status_code == 202
        assert len(await recibir()) == sent

    async def test_no_sin_fin(self, api: Any) -> None:
        await api.registrar()
        headers = await api.cabeceras()
        answers = [await api.http.post("/auth/yo/email/verificacion", headers=headers) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
        assert 0 < int(answers[3].headers["retry-after"]) <= 3600

    async def test_sin_token_de_acceso(self, api: Any) -> None:
        answer = await api.http.post("/auth/yo/email/verificacion")
        assert (answer.status_code, problem(answer)) == (401, "no-autenticado")

    async def test_el_de_restablecer_no_vale(self, api: Any, recibir: Recibir) -> None:
        await api.registrar()
        await olvidada(api)
        assert invalido(await verificar(api, await enlace(recibir, RESTABLECER)))


class TestAviso:
    async def test_tras_cambiar_la_password(self, api: Any, recibir: Recibir, clock: FakeClock) -> None:
        await api.registrar()
        clock.advance(1)
        body = {"actual": PASSWORD, "nueva": NUEVA}
        await api.http.post("/auth/yo/password", json=body, headers=await api.cabeceras())
        last = (await recibir())[-1]
        assert (last["Subject"], last["To"]) == (AVISO, EMAIL)
        assert "#token" not in last.get_content()

    async def test_no_si_no_se_cambio(self, api: Any, recibir: Recibir) -> None:
        await api.registrar()
        body = {"actual": "no es esta clave", "nueva": NUEVA}
        await api.http.post("/auth/yo/password", json=body, headers=await api.cabeceras())
        assert [message["Subject"] for message in await recibir()] == [VERIFICAR]


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


async def test_el_bucle_envia_solo(api: Any, clock: FakeClock, data_folder: Path) -> None:
    await api.registrar()

    async def arrived_a_moment_later() -> list[str]:
        clock.advance(2)  # the loop may just have begun to sleep
        return [str(message["Subject"]) for message in read(data_folder / "correo")]

    await until(arrived_a_moment_later, [VERIFICAR])
