"""What a person may ask about themselves: what is kept, and to be forgotten."""

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from auth_internals import EMAIL, PASSWORD, count, database, use_cases
from auth_shop import shop
from authenticator import Ana

from comanda.auth.app import create_app
from comanda.auth.tables import codigos_recuperacion, correos, familias, origenes, totp, usuarios
from comanda.testing import FakeClock, fields, problem, running

DATOS, BORRAR = "/auth/yo/datos", "/auth/yo/borrar"


async def borrar(api: Any, headers: dict[str, str], **body: Any) -> Any:
    return await api.http.post(BORRAR, json={"password": PASSWORD} | body, headers=headers)


class TestExportar:
    async def test_todo_lo_suyo_y_nada_de_otros(self, api: Any, clock: FakeClock) -> None:
        ana = await api.registrar(nombre="Ana")
        await api.registrar("otro@ejemplo.es")
        await api.cabeceras("otro@ejemplo.es")
        clock.advance(1)
        await api.pedir_token(password="no es esta clave")
        clock.advance(1)
        headers = await api.cabeceras()
        response = await api.http.get(DATOS, headers=headers)
        assert response.status_code == 200
        assert response.headers["content-disposition"] == 'attachment; filename="mis-datos.json"'
        datos = response.json()
        assert (datos["cuenta"]["id"], datos["cuenta"]["email"], datos["cuenta"]["nombre"]) == (ana["id"], EMAIL, "Ana")
        assert [sesion["actual"] for sesion in datos["sesiones"]] == [True]
        events = [line["suceso"] for line in reversed(datos["auditoria"])]
        assert events == ["usuario_registrado", "login_fallido", "sesion_iniciada"]
        for secret in ("argon2", PASSWORD, "token_hash", "otro@ejemplo.es"):
            assert secret not in response.text

    async def test_de_otros_no_dice_donde_estaban(self, make_settings: Any, clock: FakeClock) -> None:
        home, stranger, office = "198.51.100.1", "203.0.113.9", "198.51.100.200"
        async with shop(make_settings, clock) as tienda:
            ana = await tienda.register()
            await tienda.ask(stranger, "no es esta clave")
            jefa = (await tienda.ask(office, "la-clave-de-la-jefa", "jefa@comanda.test")).json()["access_token"]
            headers = {"Authorization": f"Bearer {jefa}", "X-Forwarded-For": office}
            for rol in ("admin", "cliente"):
                path = f"/auth/usuarios/{ana['id']}"
                assert (await tienda.http.patch(path, json={"rol": rol}, headers=headers)).status_code == 200
            token = (await tienda.ask(home)).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": home}
            await tienda.http.post(BORRAR, json={"password": "no es esta clave"}, headers=headers)
            datos = await tienda.http.get(DATOS, headers=headers)
        lines = {line["suceso"]: line["origen"] for line in datos.json()["auditoria"]}
        assert (lines["login_fallido"], lines["usuario_modificado"]) == ("", "")
        assert (lines["sesion_iniciada"], lines["password_incorrecta"]) == (home, home)
        assert stranger not in datos.text
        assert office not in datos.text

    async def test_hace_falta_una_persona(self, api: Any) -> None:
        assert problem(await api.http.get(DATOS)) == "no-autenticado"
        assert problem(await api.http.post(BORRAR, json={"password": PASSWORD})) == "no-autenticado"


class TestBorrar:
    async def test_no_queda_de_quien_era(self, api: Any) -> None:
        ana = await api.registrar(nombre="Ana María")
        tokens = await api.entrar()
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        before = await count(api, usuarios)
        assert (await borrar(api, headers)).status_code == 204
        assert await count(api, usuarios) == before
        async with database(api).read() as connection:
            row = (await connection.execute(sa.select(usuarios).where(usuarios.c.id == UUID(ana["id"])))).one()
        assert (row.email, row.email_clave) == (f"{ana['id']}@borrado.invalid",) * 2
        assert (row.nombre, row.rol, row.activo, row.password_hash) == ("", "cliente", False, "!")
        for table in (correos, familias, origenes):
            rest = sa.select(sa.func.count()).select_from(table).where(table.c.usuario_id == UUID(ana["id"]))
            async with database(api).read() as connection:
                assert (await connection.execute(rest)).scalar_one() == 0, table.name
        assert (await api.pedir_token()).status_code == 400
        assert (await api.renovar(tokens["refresh_token"])).status_code == 400
        assert problem(await api.http.get("/auth/yo", headers=headers)) == "no-autenticado"
        assert problem(await borrar(api, headers)) == "no-autenticado"

    async def test_el_email_queda_libre(self, api: Any) -> None:
        first = await api.registrar()
        assert (await borrar(api, await api.cabeceras())).status_code == 204
        second = await api.registrar()
        assert second["id"] != first["id"]
        await api.entrar()

    @pytest.mark.parametrize("cambios", [{"activo": True}, {"rol": "admin"}, {"activo": True, "rol": "admin"}])
    async def test_nadie_la_reactiva(self, api: Any, cambios: dict[str, Any]) -> None:
        ana = await api.registrar()
        assert (await borrar(api, await api.cabeceras())).status_code == 204
        path = f"/auth/usuarios/{ana['id']}"
        admin = await api.de_admin()
        changed = await api.http.patch(path, json=cambios, headers=admin)
        assert (changed.status_code, problem(changed)) == (409, "cuenta-borrada")
        usuario = (await api.http.get(path, headers=admin)).json()
        assert (usuario["activo"], usuario["rol"]) == (False, "cliente")
        assert (await api.http.patch(path, json={"activo": False}, headers=admin)).status_code == 200
        for password in ("!", PASSWORD):
            assert (await api.pedir_token(f"{ana['id']}@borrado.invalid", password)).status_code == 400

    async def test_password_incorrecta(self, api: Any) -> None:
        await api.registrar()
        headers = await api.cabeceras()
        response = await borrar(api, headers, password="otra cosa distinta")
        assert (response.status_code, fields(response)) == (422, {"password"})
        assert (await api.http.get("/auth/yo", headers=headers)).status_code == 200

    async def test_con_segundo_factor_hace_falta_un_codigo(self, api: Any, con_factor: Ana) -> None:
        headers = con_factor.headers
        assert fields(await borrar(api, headers)) == {"codigo"}
        assert fields(await borrar(api, headers, codigo="000000")) == {"codigo"}
        assert (await borrar(api, headers, codigo=con_factor.codigos[0])).status_code == 204
        assert (await count(api, totp), await count(api, codigos_recuperacion)) == (0, 0)

    async def test_el_ultimo_admin_no(self, api: Any) -> None:
        admin = await api.de_admin()
        response = await borrar(api, admin, password="la-clave-de-la-jefa")
        assert (response.status_code, problem(response)) == (409, "ultimo-admin")
        assert (await api.http.get("/auth/yo", headers=admin)).status_code == 200

    async def test_si_la_password_cambia_entretanto(self, api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        await api.registrar()
        headers = await api.cabeceras()
        privacidad = use_cases(api).privacidad
        check = privacidad._credenciales.comprobar

        async def changed_meanwhile(*args: Any, **kwargs: Any) -> Any:
            verdict = await check(*args, **kwargs)
            async with database(api).transaction() as connection:
                await connection.execute(sa.update(usuarios).where(usuarios.c.email == EMAIL).values(password_hash="x"))
            return verdict

        monkeypatch.setattr(privacidad._credenciales, "comprobar", changed_meanwhile)
        assert fields(await borrar(api, headers)) == {"password"}
        assert (await api.http.get("/auth/yo", headers=headers)).status_code == 200

    async def test_otra_replica_lo_sabe(self, api: Any, make_settings: Any, clock: FakeClock) -> None:
        await api.registrar()
        headers = await api.cabeceras()
        async with running(create_app(make_settings(), clock=clock)) as other:
            assert (await borrar(api, headers)).status_code == 204
            assert problem(await other.get("/auth/yo", headers=headers)) == "no-autenticado"
