"""The contract of the second factor: setting it up, using and renewing it, removing it."""

import base64
from typing import Any

import structlog
from auth_internals import database
from authenticator import Ana, bearer, claims, completar, pedir_mfa_token, recuperar

from comanda.auth.tables import codigos_recuperacion, totp
from comanda.testing import FakeClock, fields, problem

PASSWORD = "caballo correcto"
NUEVA = "otra muy distinta"


class TestPreparar:
    async def test_da_un_secreto_que_aun_no_obliga(self, ana: Ana, api: Any) -> None:
        response = await ana.preparar()
        assert response.headers["cache-control"] == "no-store"
        body = response.json()
        assert body.keys() == {"secreto", "uri"}
        assert len(base64.b32decode(body["secreto"])) == 20
        assert body["uri"].startswith("otpauth://totp/Comanda:ana%40ejemplo.es?")
        assert body["secreto"] in body["uri"]
        assert await ana.estado() == {"activo": False, "codigos_restantes": 0}
        await api.entrar()

    async def test_pide_la_password(self, ana: Ana, api: Any) -> None:
        ana.headers = await api.cabeceras()
        assert fields(await ana.post("", password="no es esta")) == {"password"}
        assert fields(await ana.post("")) == {"password"}

    async def test_otra_vez_da_otro_secreto_y_el_primero_ya_no_sirve(self, ana: Ana) -> None:
        await ana.preparar()
        first = ana.app
        await ana.preparar()
        assert fields(await ana.post("/confirmar", codigo=first.codigo())) == {"codigo"}
        assert (await ana.post("/confirmar", codigo=ana.app.codigo())).status_code == 200

    async def test_con_uno_activo(self, con_factor: Ana) -> None:
        response = await con_factor.post("", password=PASSWORD)
        assert (response.status_code, problem(response)) == (409, "segundo-factor-activo")
        assert await con_factor.estado() == {"activo": True, "codigos_restantes": 10}

    async def test_la_base_de_datos_no_guarda_ni_el_secreto_ni_los_codigos(self, con_factor: Ana, api: Any) -> None:
        async with database(api).read() as connection:
            row = (await connection.execute(totp.select())).mappings().one()
            hashes = [
                str(dict(found)) for found in (await connection.execute(codigos_recuperacion.select())).mappings()
            ]
        secret = con_factor.app.secreto
        for form in (base64.b32encode(secret).decode(), base64.b64encode(secret).decode(), secret.hex()):
            assert form not in str(dict(row))
        for code in con_factor.codigos:
            assert code not in str(hashes)
            assert code.replace("-", "") not in str(hashes)


class TestConfirmar:
    async def test_lo_pone_en_vigor_y_termina_las_demas_sesiones(self, ana: Ana, api: Any) -> None:
        other = await api.entrar()
        own = await api.entrar()
        await ana.preparar()
        ana.headers = bearer(own)
        response = await ana.post("/confirmar", codigo=ana.app.codigo())
        assert response.headers["cache-control"] == "no-store"
        assert len(set(response.json()["codigos_recuperacion"])) == 10
        assert await ana.estado() == {"activo": True, "codigos_restantes": 10}
        assert (await api.renovar(other["refresh_token"])).status_code == 400
        assert (await api.renovar(own["refresh_token"])).status_code == 200

    async def test_con_un_codigo_incorrecto_no_obliga(self, ana: Ana, api: Any) -> None:
        await ana.preparar()
        for code in [ana.app.incorrecto(), "abc", "1" * 40]:
            assert fields(await ana.post("/confirmar", codigo=code)) == {"codigo"}
        for code in ["", "1" * 41, "12\n456", 123456, None]:
            assert fields(await ana.post("/confirmar", codigo=code)) == {"codigo"}
        assert (await ana.estado())["activo"] is False
        await api.entrar()

    async def test_sin_secreto(self, ana: Ana, api: Any) -> None:
        ana.headers = await api.cabeceras()
        response = await ana.post("/confirmar", codigo="123456")
        assert (response.status_code, problem(response)) == (409, "segundo-factor-inactivo")

    async def test_si_se_perdio_la_respuesta_se_piden_otros_codigos(self, con_factor: Ana) -> None:
        response = await con_factor.post("/confirmar", codigo=con_factor.app.codigo())
        assert (response.status_code, problem(response)) == (409, "segundo-factor-activo")
        response = await con_factor.post("/codigos", codigo=con_factor.app.codigo())
        assert len(response.json()["codigos_recuperacion"]) == 10

    async def test_el_codigo_que_confirma_no_sirve_para_entrar(self, ana: Ana, api: Any) -> None:
        await ana.preparar()
        code = ana.app.codigo()
        assert (await ana.post("/confirmar", codigo=code)).status_code == 200
        response = await completar(api.http, await pedir_mfa_token(api), code)
        assert response.json()["error"] == "invalid_grant"


class TestCodigos:
    async def test_los_nuevos_sustituyen_a_los_anteriores(self, con_factor: Ana, api: Any) -> None:
        response = await con_factor.post("/codigos", codigo=con_factor.app.codigo())
        assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")
        new = response.json()["codigos_recuperacion"]
        assert set(new).isdisjoint(con_factor.codigos)
        assert (await recuperar(api.http, await pedir_mfa_token(api), con_factor.codigos[0])).status_code == 400
        assert (await recuperar(api.http, await pedir_mfa_token(api), new[0])).status_code == 200

    async def test_tambien_con_uno_de_recuperacion(self, con_factor: Ana) -> None:
        assert (await con_factor.post("/codigos", codigo=con_factor.codigos[3])).status_code == 200
        assert fields(await con_factor.post("/codigos", codigo=con_factor.codigos[4])) == {"codigo"}

    async def test_con_uno_incorrecto_siguen_los_anteriores(self, con_factor: Ana, api: Any) -> None:
        assert fields(await con_factor.post("/codigos", codigo=con_factor.app.incorrecto())) == {"codigo"}
        assert (await recuperar(api.http, await pedir_mfa_token(api), con_factor.codigos[0])).status_code == 200

    async def test_sin_segundo_factor(self, ana: Ana) -> None:
        await ana.preparar()
        response = await ana.post("/codigos", codigo=ana.app.codigo())
        assert (response.status_code, problem(response)) == (409, "segundo-factor-inactivo")


class TestDesactivar:
    async def test_basta_otra_vez_la_password(self, con_factor: Ana, api: Any) -> None:
        response = await con_factor.post("/desactivar", password=PASSWORD, codigo=con_factor.app.codigo())
        assert (response.status_code, response.content) == (204, b"")
        assert await con_factor.estado() == {"activo": False, "codigos_restantes": 0}
        await api.entrar()

    async def test_termina_las_demas_sesiones_y_la_propia_ya_no_cuenta(self, con_factor: Ana, api: Any) -> None:
        other, own = await con_factor.entrar(), await con_factor.entrar()
        con_factor.headers = bearer(own)
        await con_factor.post("/desactivar", password=PASSWORD, codigo=con_factor.codigos[0])
        assert (await api.renovar(other["refresh_token"])).status_code == 400
        renewed = (await api.renovar(own["refresh_token"])).json()
        assert claims(renewed)["amr"] == ["pwd"]

    async def test_hacen_falta_los_dos(self, con_factor: Ana) -> None:
        code = con_factor.app.codigo()
        assert fields(await con_factor.post("/desactivar", password="no es esta", codigo=code)) == {"password"}
        wrong = con_factor.app.incorrecto()
        assert fields(await con_factor.post("/desactivar", password=PASSWORD, codigo=wrong)) == {"codigo"}
        assert fields(await con_factor.post("/desactivar", password=PASSWORD)) == {"codigo"}
        assert (await con_factor.estado())["activo"] is True

    async def test_sin_segundo_factor(self, ana: Ana, api: Any) -> None:
        ana.headers = await api.cabeceras()
        response = await ana.post("/desactivar", password=PASSWORD, codigo="123456")
        assert (response.status_code, problem(response)) == (409, "segundo-factor-inactivo")


class TestCambiarPassword:
    async def cambiar(self, ana: Ana, **extra: str) -> Any:
        body = {"actual": PASSWORD, "nueva": NUEVA, **extra}
        return await ana.api.http.post("/auth/yo/password", json=body, headers=ana.headers)

    async def test_hace_falta_un_codigo(self, con_factor: Ana) -> None:
        assert fields(await self.cambiar(con_factor)) == {"codigo"}
        assert fields(await self.cambiar(con_factor, codigo=con_factor.app.incorrecto())) == {"codigo"}
        assert (await self.cambiar(con_factor, codigo=con_factor.app.codigo())).status_code == 204
        await pedir_mfa_token(con_factor.api, password=NUEVA)

    async def test_vale_uno_de_recuperacion_una_vez(self, con_factor: Ana) -> None:
        assert (await self.cambiar(con_factor, codigo=con_factor.codigos[0])).status_code == 204
        assert await con_factor.estado() == {"activo": True, "codigos_restantes": 9}

    async def test_sin_segundo_factor_no_hace_falta(self, ana: Ana, api: Any) -> None:
        ana.headers = await api.cabeceras()
        assert (await self.cambiar(ana)).status_code == 204


class TestQuitar:
    async def quitar(self, ana: Ana, headers: dict[str, str]) -> Any:
        return await ana.api.http.delete(f"/auth/usuarios/{ana.usuario['id']}/totp", headers=headers)

    async def test_un_admin_lo_quita_a_quien_lo_perdio(self, con_factor: Ana, api: Any) -> None:
        session = await con_factor.entrar()
        headers = await api.de_admin()
        with structlog.testing.capture_logs() as lines:
            response = await self.quitar(con_factor, headers)
        assert (response.status_code, response.content) == (204, b"")
        (line,) = [line for line in lines if line["event"] == "totp_disabled"]
        assert (line["usuario_id"], "actor_id" in line, "origen" in line) == (con_factor.usuario["id"], True, True)
        assert (await api.renovar(session["refresh_token"])).status_code == 400
        assert (await self.quitar(con_factor, headers)).status_code == 204
        await api.entrar()

    async def test_un_cliente_no_puede(self, con_factor: Ana) -> None:
        response = await self.quitar(con_factor, con_factor.headers)
        assert (response.status_code, problem(response)) == (403, "no-autorizado")

    async def test_el_propio_no_sin_codigo(self, con_factor: Ana, api: Any) -> None:
        admin = await api.de_admin()
        await api.http.patch(f"/auth/usuarios/{con_factor.usuario['id']}", json={"rol": "admin"}, headers=admin)
        response = await self.quitar(con_factor, bearer(await con_factor.entrar()))
        assert (response.status_code, problem(response)) == (403, "no-autorizado")
        assert (await con_factor.estado())["activo"] is True

    async def test_quien_ya_no_es_admin_tampoco(self, con_factor: Ana, api: Any) -> None:
        otro = await api.otro_admin("luis@ejemplo.es")
        headers = await api.cabeceras("luis@ejemplo.es")
        admin = await api.de_admin()
        await api.http.patch(f"/auth/usuarios/{otro['id']}", json={"rol": "cliente"}, headers=admin)
        response = await self.quitar(con_factor, headers)
        assert (response.status_code, problem(response)) == (401, "no-autenticado")
        assert (await con_factor.estado())["activo"] is True

    async def test_a_nadie(self, ana: Ana, api: Any, clock: FakeClock) -> None:
        response = await api.http.delete(f"/auth/usuarios/{clock.new_id()}/totp", headers=await api.de_admin())
        assert (response.status_code, problem(response)) == (404, "no-encontrado")


class TestRegistro:
    async def test_dice_lo_que_paso_y_nunca_un_codigo(self, ana: Ana, api: Any) -> None:
        with structlog.testing.capture_logs() as lines:
            await ana.activar()
            wrong = ana.app.incorrecto()
            token = await pedir_mfa_token(api)
            await completar(api.http, token, wrong)
            await recuperar(api.http, token, "aaaa-bbbb-cccc-dddd")
            await recuperar(api.http, token, ana.codigos[0])
            await ana.post("/codigos", codigo=ana.codigos[1])
            code = ana.app.codigo()
            await ana.post("/desactivar", password=PASSWORD, codigo=code)
        events = [line for line in lines if line["event"].startswith(("totp", "recovery"))]
        assert [line["event"] for line in events] == [
            "totp_enabled",
            "totp_failed",
            "recovery_code_failed",
            "recovery_code_used",
            "recovery_code_used",
            "recovery_codes_renewed",
            "totp_disabled",
        ]
        assert {(line["usuario_id"], line["origen"]) for line in events} == {(ana.usuario["id"], "127.0.0.1")}
        assert events[3]["restantes"] == 9
        values = [value for line in events for key, value in line.items() if key != "usuario_id"]
        for secret in [wrong, token, code, *ana.codigos, "aaaa-bbbb-cccc-dddd"]:
            assert secret not in str(values)
