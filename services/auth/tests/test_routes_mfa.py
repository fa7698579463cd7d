"""Logging in with a second factor: the two steps, and every way around the second."""

from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from auth_internals import count, database
from authenticator import OTP, RECOVERY_CODE, Ana, App, bearer, claims, completar, pedir_mfa_token, recuperar

from comanda.auth.app import create_app
from comanda.auth.tables import familias, usuarios
from comanda.testing import FakeClock, problem, running

ADMIN_EMAIL, ADMIN_PASSWORD = "jefa@comanda.test", "la-clave-de-la-jefa"
PASSWORD = "caballo correcto"
NUEVA = "otra muy distinta"
CLIENTE = "productos:leer inventario:leer pedidos:crear pedidos:propios"


def refusal(response: Any) -> str:
    assert response.status_code == 400, response.text
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    assert body.keys() == {"error", "error_description"}
    assert all(0x20 <= ord(letter) <= 0x7E and letter not in '"\\' for letter in body["error_description"])
    return str(body["error"])


class TestDosPasos:
    async def test_la_password_sola_no_abre_ninguna_sesion(self, con_factor: Ana, api: Any) -> None:
        before = await count(api, familias)
        response = await api.pedir_token()
        assert (response.status_code, response.headers["cache-control"]) == (400, "no-store")
        body = response.json()
        assert body.keys() == {"error", "error_description", "mfa_token"}
        assert body["error"] == "mfa_required"
        assert body["error_description"].isascii()
        assert await count(api, familias) == before

    async def test_con_el_codigo(self, con_factor: Ana, api: Any) -> None:
        tokens = await con_factor.entrar()
        assert tokens.keys() == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
        assert tokens["scope"] == CLIENTE
        assert (await api.http.get("/auth/yo", headers=bearer(tokens))).json() == con_factor.usuario

    async def test_los_tokens_dicen_como_se_entro(self, con_factor: Ana, api: Any) -> None:
        tokens = await con_factor.entrar()
        assert claims(tokens)["amr"] == ["pwd", "otp"]
        renewed = (await api.renovar(tokens["refresh_token"])).json()
        assert claims(renewed)["amr"] == ["pwd", "otp"]

    async def test_una_sesion_de_antes_de_que_se_guardara(self, api: Any) -> None:
        await api.registrar()
        token = (await api.entrar())["refresh_token"]
        async with database(api).transaction() as connection:
            await connection.execute(sa.update(familias).values(amr=None))
        assert claims((await api.renovar(token)).json())["amr"] == ["pwd"]

    async def test_el_alcance_es_el_que_se_pidio_con_la_password(self, con_factor: Ana, api: Any) -> None:
        token = await pedir_mfa_token(api, scope="productos:leer")
        tokens = (await completar(api.http, token, con_factor.app.codigo(), scope=CLIENTE)).json()
        assert tokens["scope"] == "productos:leer"
        assert (await api.renovar(tokens["refresh_token"])).json()["scope"] == "productos:leer"

    async def test_un_alcance_de_mas_se_rechaza_antes(self, con_factor: Ana, api: Any) -> None:
        assert refusal(await api.pedir_token(scope="usuarios:gestionar")) == "invalid_scope"

    async def test_un_codigo_con_espacios(self, con_factor: Ana, api: Any) -> None:
        code = con_factor.app.codigo()
        token = await pedir_mfa_token(api)
        assert (await completar(api.http, token, f" {code[:3]} {code[3:]}")).status_code == 200

    async def test_faltan_parametros(self, con_factor: Ana, api: Any) -> None:
        token = await pedir_mfa_token(api)
        for form in [
            {"grant_type": OTP, "mfa_token": token},
            {"grant_type": OTP, "otp": "123456"},
            {"grant_type": OTP, "mfa_token": token, "recovery_code": con_factor.codigos[0]},
            {"grant_type": RECOVERY_CODE, "mfa_token": token, "otp": con_factor.app.codigo()},
        ]:
            assert refusal(await api.http.post("/auth/token", data=form)) == "invalid_request"

    async def test_esta_descrito(self, api: Any) -> None:
        operation = (await api.http.get("/openapi.json")).json()["paths"]["/auth/token"]["post"]
        form = operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]["properties"]
        assert {"mfa_token", "otp", "recovery_code"} <= form.keys()
        refused = operation["responses"]["400"]["content"]["application/json"]["schema"]["properties"]
        assert "mfa_required" in refused["error"]["enum"]
        assert "mfa_token" in refused
        assert "mfa_token" not in operation["responses"]["401"]["content"]["application/json"]["schema"]["properties"]


class TestReloj:
    @pytest.mark.parametrize("desfase", [-30, 30])
    async def test_un_paso_de_diferencia(self, con_factor: Ana, api: Any, desfase: int) -> None:
        con_factor.clock.advance(30)
        token = await pedir_mfa_token(api)
        assert (await completar(api.http, token, con_factor.app.codigo(desfase=desfase))).status_code == 200

    @pytest.mark.parametrize("desfase", [-60, 60])
    async def test_dos_ya_no(self, con_factor: Ana, api: Any, desfase: int) -> None:
        con_factor.clock.advance(60)
        token = await pedir_mfa_token(api)
        assert refusal(await completar(api.http, token, con_factor.app.codigo(desfase=desfase))) == "invalid_grant"

    async def test_tras_uno_adelantado_no_valen_los_de_antes(self, con_factor: Ana, api: Any) -> None:
        early = con_factor.app.codigo(desfase=30)
        assert (await completar(api.http, await pedir_mfa_token(api), early)).status_code == 200
        token = await pedir_mfa_token(api)
        assert refusal(await completar(api.http, token, con_factor.app.codigo())) == "invalid_grant"
        con_factor.clock.advance(30)
        assert refusal(await completar(api.http, token, early)) == "invalid_grant"
        con_factor.clock.advance(30)
        assert (await completar(api.http, token, con_factor.app.codigo())).status_code == 200


class TestSinTolerancia:
    @pytest.fixture
    async def make_settings(self, make_settings: Any) -> Any:
        return partial(make_settings, totp_tolerance_steps=0)

    async def test_un_codigo_vive_treinta_segundos(self, con_factor: Ana, api: Any) -> None:
        con_factor.clock.advance(30)
        token = await pedir_mfa_token(api)
        for desfase in (-30, 30):
            answer = await completar(api.http, token, con_factor.app.codigo(desfase=desfase))
            assert refusal(answer) == "invalid_grant"
        assert (await completar(api.http, token, con_factor.app.codigo())).status_code == 200


class TestSha256:
    @pytest.fixture
    async def make_settings(self, make_settings: Any) -> Any:
        return partial(make_settings, totp_algorithm="SHA256")

    async def test_la_aplicacion_lo_sabe_por_la_uri_y_sus_codigos_valen(
        self, ana: Ana, api: Any, make_settings: Any, clock: FakeClock
    ) -> None:
        uri = (await ana.preparar()).json()["uri"]
        assert "algorithm=SHA256" in uri
        sha1 = App(ana.app.secreto, clock)
        assert (await ana.post("/confirmar", codigo=sha1.codigo())).status_code == 422
        assert (await ana.post("/confirmar", codigo=ana.app.codigo())).status_code == 200
        clock.advance(30)
        async with running(create_app(make_settings(totp_algorithm="SHA1"), clock=clock)) as other:
            token = await pedir_mfa_token(api)
            assert (await completar(other, token, ana.app.codigo())).status_code == 200

    async def test_las_de_antes_siguen_con_el_suyo(
        self, ana: Ana, api: Any, make_settings: Any, clock: FakeClock
    ) -> None:
        async with running(create_app(make_settings(totp_algorithm="SHA1"), clock=clock)) as before:
            luis = Ana(type(api)(before, api.app), clock, await api.registrar("luis@ejemplo.es"), "luis@ejemplo.es")
            await luis.activar()
        token = await pedir_mfa_token(api, "luis@ejemplo.es")
        assert (await completar(api.http, token, luis.app.codigo())).status_code == 200


class TestCodigoDeRecuperacion:
    async def test_cada_uno_una_vez(self, con_factor: Ana, api: Any) -> None:
        code = con_factor.codigos[0]
        tokens = (await recuperar(api.http, await pedir_mfa_token(api), code.upper())).json()
        assert claims(tokens)["amr"] == ["pwd", "otp"]
        assert await con_factor.estado() == {"activo": True, "codigos_restantes": 9}
        assert refusal(await recuperar(api.http, await pedir_mfa_token(api), code)) == "invalid_grant"
        assert (await recuperar(api.http, await pedir_mfa_token(api), con_factor.codigos[1])).status_code == 200

    async def test_los_de_otro_no(self, con_factor: Ana, api: Any) -> None:
        luis = Ana(api, con_factor.clock, await api.registrar("luis@ejemplo.es"), "luis@ejemplo.es")
        await luis.activar()
        token = await pedir_mfa_token(api)
        assert refusal(await recuperar(api.http, token, luis.codigos[0])) == "invalid_grant"
        assert refusal(await completar(api.http, token, luis.app.codigo())) == "invalid_grant"
        assert (await luis.estado())["codigos_restantes"] == 10

    async def test_los_codigos_de_una_clase_no_son_de_la_otra(self, con_factor: Ana, api: Any) -> None:
        token = await pedir_mfa_token(api)
        assert refusal(await recuperar(api.http, token, con_factor.app.codigo())) == "invalid_grant"
        assert refusal(await completar(api.http, token, con_factor.codigos[0])) == "invalid_grant"
        assert (await completar(api.http, token, con_factor.app.codigo())).status_code == 200


class TestMfaToken:
    async def test_solo_vale_para_el_segundo_paso(self, con_factor: Ana, api: Any) -> None:
        token = await pedir_mfa_token(api)
        response = await api.http.get("/auth/yo", headers={"Authorization": f"Bearer {token}"})
        assert (response.status_code, problem(response)) == (401, "no-autenticado")
        assert refusal(await api.renovar(token)) == "invalid_grant"
        assert (await api.http.post("/auth/revocar", data={"token": token})).status_code == 200
        assert (await completar(api.http, token, con_factor.app.codigo())).status_code == 200

    async def test_ningun_otro_token_vale_por_el(self, con_factor: Ana, api: Any) -> None:
        tokens = await con_factor.entrar()
        for other in [tokens["access_token"], tokens["refresh_token"], "nada", "\0", "a" * 100_000, "ñ" * 100]:
            assert refusal(await completar(api.http, other, con_factor.app.codigo())) == "invalid_grant"

    async def test_tras_un_fallo_sigue_valiendo(self, con_factor: Ana, api: Any) -> None:
        token = await pedir_mfa_token(api)
        assert refusal(await completar(api.http, token, con_factor.app.incorrecto())) == "invalid_grant"
        assert (await completar(api.http, token, con_factor.app.codigo())).status_code == 200

    async def test_tras_un_acierto_ya_no(self, con_factor: Ana, api: Any) -> None:
        token, parallel = await pedir_mfa_token(api), await pedir_mfa_token(api)
        assert (await completar(api.http, token, con_factor.app.codigo())).status_code == 200
        con_factor.clock.advance(30)
        for spent in (token, parallel):
            assert refusal(await completar(api.http, spent, con_factor.app.codigo())) == "invalid_grant"
            assert refusal(await recuperar(api.http, spent, con_factor.codigos[0])) == "invalid_grant"
        assert (await con_factor.estado())["codigos_restantes"] == 10

    async def test_dura_cinco_minutos(self, con_factor: Ana, api: Any) -> None:
        token = await pedir_mfa_token(api)
        con_factor.clock.advance(301)
        assert refusal(await completar(api.http, token, con_factor.app.codigo())) == "invalid_grant"

    async def test_muere_con_la_password(self, con_factor: Ana, api: Any) -> None:
        token = await pedir_mfa_token(api)
        body = {"actual": PASSWORD, "nueva": NUEVA, "codigo": con_factor.codigos[0]}
        await api.http.post("/auth/yo/password", json=body, headers=con_factor.headers)
        assert refusal(await completar(api.http, token, con_factor.app.codigo())) == "invalid_grant"

    async def test_tambien_si_la_cambia_quien_no_sabe_de_segundos_factores(self, con_factor: Ana, api: Any) -> None:
        """A replica of the release before does."""
        token = await pedir_mfa_token(api)
        async with database(api).transaction() as connection:
            await connection.execute(sa.update(usuarios).values(password_hash="otro"))
        assert refusal(await completar(api.http, token, con_factor.app.codigo())) == "invalid_grant"

    async def test_muere_con_la_cuenta_aunque_vuelva(self, con_factor: Ana, api: Any) -> None:
        token, path = await pedir_mfa_token(api), f"/auth/usuarios/{con_factor.usuario['id']}"
        admin = await api.de_admin()
        await api.http.patch(path, json={"activo": False}, headers=admin)
        assert refusal(await completar(api.http, token, con_factor.app.codigo())) == "invalid_grant"
        await api.http.patch(path, json={"activo": True}, headers=admin)
        assert refusal(await completar(api.http, token, con_factor.app.codigo())) == "invalid_grant"

    async def test_muere_con_la_aplicacion(self, con_factor: Ana, api: Any) -> None:
        token, old = await pedir_mfa_token(api), con_factor.app
        await con_factor.post("/desactivar", password=PASSWORD, codigo=con_factor.codigos[0])
        assert refusal(await completar(api.http, token, old.codigo())) == "invalid_grant"
        await con_factor.activar()
        assert refusal(await completar(api.http, token, con_factor.app.codigo())) == "invalid_grant"

    async def test_un_hash_que_se_renueva_al_entrar_no_lo_mata(self, con_factor: Ana, api: Any) -> None:
        old = PasswordHasher(2, 16, 1).hash(PASSWORD)
        async with database(api).transaction() as connection:
            await connection.execute(
                sa.update(usuarios).where(usuarios.c.email == "ana@ejemplo.es").values(password_hash=old)
            )
        await con_factor.entrar()


class TestDemasiadosFallos:
    async def test_cada_vez_mas_espera_y_despues_se_puede(self, con_factor: Ana, api: Any) -> None:
        for _ in range(5):
            token = await pedir_mfa_token(api)
            assert refusal(await completar(api.http, token, con_factor.app.incorrecto())) == "invalid_grant"
        for wait in (30, 60, 120):
            response = await completar(api.http, token, con_factor.app.codigo())
            assert (response.status_code, problem(response)) == (429, "demasiados-intentos")
            assert response.headers["retry-after"] == str(wait)
            con_factor.clock.advance(wait)
            token = await pedir_mfa_token(api)
            assert refusal(await completar(api.http, token, con_factor.app.incorrecto())) == "invalid_grant"
        con_factor.clock.advance(240)
        await con_factor.entrar()
        await con_factor.entrar()

    async def test_los_de_recuperacion_no_esperan(self, con_factor: Ana, api: Any) -> None:
        token = await pedir_mfa_token(api)
        for _ in range(5):
            await completar(api.http, token, con_factor.app.incorrecto())
        assert (await completar(api.http, token, con_factor.app.codigo())).status_code == 429
        assert (await recuperar(api.http, token, con_factor.codigos[0])).status_code == 200

    async def test_tampoco_se_prueban_en_otras_rutas(self, con_factor: Ana, api: Any) -> None:
        for _ in range(5):
            await con_factor.post("/codigos", codigo=con_factor.app.incorrecto())
        response = await con_factor.post("/desactivar", password=PASSWORD, codigo=con_factor.app.codigo())
        assert (response.status_code, problem(response)) == (429, "demasiados-intentos")
        assert (await completar(api.http, await pedir_mfa_token(api), con_factor.app.codigo())).status_code == 429

    async def test_los_de_recuperacion_tambien_tienen_su_limite(self, con_factor: Ana, api: Any) -> None:
        token = await pedir_mfa_token(api)
        statuses = [(await recuperar(api.http, token, f"aaaa-bbbb-cccc-ddd{n}")).status_code for n in range(11)]
        assert statuses == [400] * 10 + [429]


class TestAdmin:
    @pytest.fixture
    async def make_settings(self, make_settings: Any) -> Any:
        return partial(make_settings, admin_mfa_required=True)

    @pytest.fixture
    async def jefa(self, api: Any, clock: FakeClock) -> Ana:
        return Ana(api, clock, {}, ADMIN_EMAIL, ADMIN_PASSWORD)

    async def usuarios(self, api: Any, tokens: Any) -> int:
        return int((await api.http.get("/auth/usuarios", headers=bearer(tokens))).status_code)

    async def test_sin_segundo_factor_solo_puede_lo_de_un_cliente(self, api: Any, jefa: Ana) -> None:
        tokens = await api.entrar(ADMIN_EMAIL, ADMIN_PASSWORD)
        assert tokens["scope"] == CLIENTE
        assert await self.usuarios(api, tokens) == 403
        renewed = (await api.renovar(tokens["refresh_token"])).json()
        assert renewed["scope"] == CLIENTE
        assert (
            refusal(await api.pedir_token(ADMIN_EMAIL, ADMIN_PASSWORD, scope="usuarios:gestionar")) == "invalid_scope"
        )

    async def test_con_el_lo_puede_todo_al_entrar_de_nuevo(self, api: Any, jefa: Ana) -> None:
        before = await api.entrar(ADMIN_EMAIL, ADMIN_PASSWORD)
        await jefa.preparar()
        jefa.headers = bearer(before)
        await jefa.post("/confirmar", codigo=jefa.app.codigo())
        jefa.clock.advance(30)
        same_session = (await api.renovar(before["refresh_token"])).json()
        assert same_session["scope"] == CLIENTE
        tokens = await jefa.entrar()
        assert "usuarios:gestionar" in tokens["scope"]
        assert await self.usuarios(api, tokens) == 200
        assert "usuarios:gestionar" in (await api.renovar(tokens["refresh_token"])).json()["scope"]

    async def test_sin_el_deja_de_poder(self, api: Any, jefa: Ana) -> None:
        await jefa.activar()
        tokens = await jefa.entrar(scope="usuarios:gestionar pedidos:crear")
        jefa.headers = bearer(tokens)
        response = await jefa.post("/desactivar", password=ADMIN_PASSWORD, codigo=jefa.app.codigo())
        assert response.status_code == 204
        assert (await api.renovar(tokens["refresh_token"])).json()["scope"] == "pedidos:crear"

    async def test_si_se_empieza_a_exigir(self, api: Any, make_settings: Any, jefa: Ana) -> None:
        async with running(create_app(make_settings(admin_mfa_required=False), clock=jefa.clock)) as lax:
            form = {"grant_type": "password", "username": ADMIN_EMAIL, "password": ADMIN_PASSWORD}
            tokens = (await lax.post("/auth/token", data=form)).json()
        assert "usuarios:gestionar" in tokens["scope"]
        assert (await api.renovar(tokens["refresh_token"])).json()["scope"] == CLIENTE

    async def test_a_un_cliente_no_se_le_exige(self, api: Any) -> None:
        await api.registrar()
        assert (await api.entrar())["scope"] == CLIENTE


class TestTodos:
    @pytest.fixture
    async def make_settings(self, make_settings: Any) -> Any:
        return partial(make_settings, mfa_required=True)

    async def test_sin_segundo_factor_solo_se_puede_activar_uno(self, api: Any, ana: Ana) -> None:
        tokens = await api.entrar()
        assert tokens["scope"] == claims(tokens)["scope"] == ""
        assert (await api.http.get("/auth/yo", headers=bearer(tokens))).status_code == 200
        await ana.activar()
        tokens = await ana.entrar()
        assert tokens["scope"] == CLIENTE
        assert (await api.renovar(tokens["refresh_token"])).json()["scope"] == CLIENTE

    async def test_a_lo_demas_se_le_dice_por_que_no(self, api: Any) -> None:
        headers = bearer(await api.entrar(ADMIN_EMAIL, ADMIN_PASSWORD))
        answer = await api.http.get("/auth/usuarios", headers=headers)
        assert (answer.status_code, problem(answer)) == (403, "no-autorizado")
        assert "POST /auth/yo/totp" in answer.json()["detail"]

    async def test_pedir_un_alcance_no_sirve(self, api: Any, ana: Ana) -> None:
        answer = await api.pedir_token(scope="pedidos:crear")
        assert refusal(answer) == "invalid_scope"
        assert "segundo factor" in answer.json()["error_description"]

    async def test_la_sesion_en_que_se_activa_no_gana_nada(self, api: Any, ana: Ana) -> None:
        before = await api.entrar()
        await ana.preparar()
        ana.headers = bearer(before)
        assert (await ana.post("/confirmar", codigo=ana.app.codigo())).status_code == 200
        assert (await api.renovar(before["refresh_token"])).json()["scope"] == ""

    async def test_vale_para_las_sesiones_de_antes_y_un_admin_con_el_lo_puede_todo(
        self, api: Any, ana: Ana, make_settings: Any, clock: FakeClock
    ) -> None:
        async with running(create_app(make_settings(mfa_required=False), clock=clock)) as lax:
            form = {"grant_type": "password", "username": ana.email, "password": ana.password}
            tokens = (await lax.post("/auth/token", data=form)).json()
        assert tokens["scope"] == CLIENTE
        assert (await api.renovar(tokens["refresh_token"])).json()["scope"] == ""
        jefa = await Ana(api, clock, {}, ADMIN_EMAIL, ADMIN_PASSWORD).activar()
        assert "usuarios:gestionar" in (await jefa.entrar())["scope"]
