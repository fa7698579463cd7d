"""The contract of verified addresses, and the notice of a changed password."""

from typing import Any

import pytest
from mailed import AVISO, EMAIL, NUEVA, PASSWORD, RESTABLECER, VERIFICAR, Recibir, enlace, invalido, olvidada, verificar

from comanda.testing import FakeClock, problem

pytestmark = pytest.mark.usefixtures("sin_bucle")


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
