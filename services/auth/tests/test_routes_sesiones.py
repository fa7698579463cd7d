"""The contract of one's own sessions: seeing them, and ending one or all."""

from typing import Any
from uuid import uuid4

from auth_internals import PASSWORD

from comanda.auth.domain import DISPOSITIVO_MAX, nombre_de_dispositivo
from comanda.testing import FakeClock, fields, problem

SESIONES = "/auth/yo/sesiones"


async def entrar(api: Any, dispositivo: str = "Firefox", email: str = "ana@ejemplo.es") -> tuple[dict[str, str], str]:
    """The headers of a new session, and its refresh token."""
    form = {"grant_type": "password", "username": email, "password": "caballo correcto"}
    answer = (await api.http.post("/auth/token", data=form, headers={"User-Agent": dispositivo})).json()
    return {"Authorization": f"Bearer {answer['access_token']}"}, answer["refresh_token"]


async def listar(api: Any, headers: dict[str, str], **params: Any) -> Any:
    response = await api.http.get(SESIONES, headers=headers, params=params)
    assert response.status_code == 200, response.text
    return response.json()


async def sigue(api: Any, refresh_token: str) -> bool:
    return (await api.renovar(refresh_token)).status_code == 200


class TestListar:
    async def test_la_mas_reciente_primero_con_su_dispositivo_y_su_ultimo_uso(self, api: Any, clock: FakeClock) -> None:
        await api.registrar()
        uno, token = await entrar(api, "Firefox")
        clock.advance(60)
        await entrar(api, "Chrome")
        await api.renovar(token)
        page = await listar(api, uno)
        assert page["siguiente"] is None
        assert [(s["dispositivo"], s["actual"]) for s in page["elementos"]] == [("Chrome", False), ("Firefox", True)]
        primera = page["elementos"][1]
        assert primera == {
            "id": primera["id"],
            "dispositivo": "Firefox",
            "actual": True,
            "creada_en": "2026-01-01T12:00:00Z",
            "usada_en": "2026-01-01T12:01:00Z",
            "expira_en": "2026-01-08T12:01:00Z",
        }

    async def test_por_paginas(self, api: Any, clock: FakeClock) -> None:
        await api.registrar()
        for numero in range(3):
            clock.advance(1)
            headers, _ = await entrar(api, f"n{numero}")
        first = await listar(api, headers, limite=2)
        rest = await listar(api, headers, limite=2, cursor=first["siguiente"])
        assert [s["dispositivo"] for s in first["elementos"] + rest["elementos"]] == ["n2", "n1", "n0"]

    async def test_solo_las_suyas_y_las_que_no_han_caducado(self, api: Any, clock: FakeClock) -> None:
        await api.registrar()
        await api.registrar("otro@ejemplo.es")
        await entrar(api, "antigua")
        clock.advance(2_592_000)
        await entrar(api, "ajena", "otro@ejemplo.es")
        headers, _ = await entrar(api, "nueva")
        assert [s["dispositivo"] for s in (await listar(api, headers))["elementos"]] == ["nueva"]

    async def test_sin_token(self, api: Any) -> None:
        for response in [
            await api.http.get(SESIONES),
            await api.http.delete(SESIONES),
            await api.http.delete(f"{SESIONES}/{uuid4()}"),
        ]:
            assert (response.status_code, problem(response)) == (401, "no-autenticado")


class TestTerminar:
    async def test_una(self, api: Any) -> None:
        await api.registrar()
        headers, propio = await entrar(api, "este")
        _, perdido = await entrar(api, "perdido")
        [perdida] = [s for s in (await listar(api, headers))["elementos"] if s["dispositivo"] == "perdido"]
        assert (await api.http.delete(f"{SESIONES}/{perdida['id']}", headers=headers)).status_code == 204
        assert not await sigue(api, perdido)
        assert await sigue(api, propio)
        again = await api.http.delete(f"{SESIONES}/{perdida['id']}", headers=headers)
        assert (again.status_code, problem(again)) == (404, "no-encontrado")

    async def test_la_de_otro_no(self, api: Any) -> None:
        await api.registrar()
        await api.registrar("otro@ejemplo.es")
        headers, _ = await entrar(api)
        ajenas, ajeno = await entrar(api, email="otro@ejemplo.es")
        ajena = (await listar(api, ajenas))["elementos"][0]["id"]
        response = await api.http.delete(f"{SESIONES}/{ajena}", headers=headers)
        assert (response.status_code, problem(response)) == (404, "no-encontrado")
        assert await sigue(api, ajeno)

    async def test_todas_tambien_la_propia(self, api: Any) -> None:
        await api.registrar()
        await api.registrar("otro@ejemplo.es")
        headers, uno = await entrar(api)
        _, dos = await entrar(api)
        _, ajeno = await entrar(api, email="otro@ejemplo.es")
        assert (await api.http.delete(SESIONES, headers=headers)).status_code == 204
        assert [await sigue(api, token) for token in (uno, dos, ajeno)] == [False, False, True]
        assert (await listar(api, (await entrar(api, "nueva"))[0]))["elementos"][1:] == []


class TestHaceFaltaHaberEntradoHacePoco:
    async def test_para_terminar_otras(self, api: Any, clock: FakeClock) -> None:
        await api.registrar()
        _, perdido = await entrar(api, "perdido")
        headers, _ = await entrar(api)
        otra = (await listar(api, headers))["elementos"][1]["id"]
        clock.advance(600)
        for path in (SESIONES, f"{SESIONES}/{otra}"):
            clock.advance(0.5)
            response = await api.http.delete(path, headers=headers)
            assert (response.status_code, problem(response)) == (401, "autenticacion-reciente-requerida")
            assert response.headers["WWW-Authenticate"] == (
                'Bearer error="insufficient_user_authentication", max_age="600"'
            )
        again, propio = await entrar(api)
        assert (await api.http.delete(f"{SESIONES}/{otra}", headers=again)).status_code == 204
        assert [await sigue(api, token) for token in (perdido, propio)] == [False, True]

    async def test_renovar_no_es_entrar(self, api: Any, clock: FakeClock) -> None:
        await api.registrar()
        _, token = await entrar(api)
        clock.advance(601)
        access = (await api.renovar(token)).json()["access_token"]
        response = await api.http.delete(SESIONES, headers={"Authorization": f"Bearer {access}"})
        assert problem(response) == "autenticacion-reciente-requerida"

    async def test_la_propia_siempre(self, api: Any, clock: FakeClock) -> None:
        await api.registrar()
        headers, token = await entrar(api)
        propia = (await listar(api, headers))["elementos"][0]["id"]
        clock.advance(800)
        assert (await api.http.delete(f"{SESIONES}/{propia}", headers=headers)).status_code == 204
        assert not await sigue(api, token)


class TestTerminarConPassword:
    async def terminar(self, api: Any, headers: dict[str, str], **body: Any) -> Any:
        return await api.http.post(f"{SESIONES}/terminar", json={"password": PASSWORD} | body, headers=headers)

    async def test_todas_menos_la_propia(self, api: Any, clock: FakeClock) -> None:
        await api.registrar()
        await api.registrar("otro@ejemplo.es")
        _, perdido = await entrar(api)
        _, ajeno = await entrar(api, email="otro@ejemplo.es")
        headers, propio = await entrar(api)
        clock.advance(800)
        assert (await self.terminar(api, headers)).status_code == 204
        assert [await sigue(api, token) for token in (perdido, propio, ajeno)] == [False, True, True]

    async def test_una(self, api: Any, clock: FakeClock) -> None:
        await api.registrar()
        _, otro = await entrar(api)
        _, perdido = await entrar(api, "perdido")
        headers, propio = await entrar(api)
        [perdida] = [s for s in (await listar(api, headers))["elementos"] if s["dispositivo"] == "perdido"]
        assert (await self.terminar(api, headers, sesion=perdida["id"])).status_code == 204
        assert [await sigue(api, token) for token in (perdido, otro, propio)] == [False, True, True]
        again = await self.terminar(api, headers, sesion=perdida["id"])
        assert (again.status_code, problem(again)) == (404, "no-encontrado")

    async def test_con_otra_password_ninguna(self, api: Any) -> None:
        await api.registrar()
        _, otro = await entrar(api)
        headers, propio = await entrar(api)
        assert fields(await self.terminar(api, headers, password="no es esta clave")) == {"password"}
        assert [await sigue(api, token) for token in (otro, propio)] == [True, True]


class TestInactividad:
    async def test_sin_renovar_se_acaba(self, api: Any, clock: FakeClock) -> None:
        await api.registrar()
        _, usada = await entrar(api, "usada")
        _, olvidada = await entrar(api, "olvidada")
        clock.advance(6 * 86_400)
        usada = (await api.renovar(usada)).json()["refresh_token"]
        clock.advance(86_400)
        assert (await api.renovar(olvidada)).status_code == 400
        answer = await api.renovar(usada)
        assert answer.status_code == 200
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        assert [s["dispositivo"] for s in (await listar(api, headers))["elementos"]] == ["usada"]


def test_del_user_agent_queda_lo_que_se_puede_leer() -> None:
    assert nombre_de_dispositivo("  Mozilla/5.0 (X11)\x1b[31m\u2028\n ") == "Mozilla/5.0 (X11)[31m"
    assert nombre_de_dispositivo("x" * 5000) == "x" * DISPOSITIVO_MAX
    assert nombre_de_dispositivo("") == ""
