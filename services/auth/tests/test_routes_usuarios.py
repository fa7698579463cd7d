"""The contract of `/auth/usuarios`, as an administrator meets it."""

from typing import Any
from uuid import uuid4

import pytest

from comanda.testing import FakeClock, fields, problem

ADMIN_EMAIL = "jefa@comanda.test"


class TestListar:
    async def test_por_paginas(self, api: Any, clock: FakeClock) -> None:
        for n in range(3):
            clock.advance(1)
            await api.registrar(f"u{n}@ejemplo.es")
        headers = await api.de_admin()
        first = await api.http.get("/auth/usuarios?limite=2", headers=headers)
        assert [user["email"] for user in first.json()["elementos"]] == [ADMIN_EMAIL, "u0@ejemplo.es"]
        link = first.headers["link"].split(">")[0].removeprefix("<")
        second = await api.http.get(link, headers=headers)
        assert [user["email"] for user in second.json()["elementos"]] == ["u1@ejemplo.es", "u2@ejemplo.es"]
        assert second.json()["siguiente"] is None
        assert second.json()["elementos"][0].keys() == {
            *("id", "email", "nombre", "rol", "activo", "creado_en", "actualizado_en", "email_verificado")
        }

    async def test_un_cliente_no_puede(self, api: Any) -> None:
        usuario = await api.registrar()
        headers = await api.cabeceras()
        path = f"/auth/usuarios/{usuario['id']}"
        for response in (
            await api.http.get("/auth/usuarios", headers=headers),
            await api.http.get(path, headers=headers),
            await api.http.patch(path, json={"rol": "admin"}, headers=headers),
        ):
            assert (response.status_code, problem(response)) == (403, "no-autorizado")

    async def test_cursor_malo(self, api: Any) -> None:
        response = await api.http.get("/auth/usuarios?cursor=nada", headers=await api.de_admin())
        assert fields(response) == {"cursor"}


class TestConsultar:
    async def test_un_usuario(self, api: Any) -> None:
        usuario = await api.registrar()
        headers = await api.de_admin()
        response = await api.http.get(f"/auth/usuarios/{usuario['id']}", headers=headers)
        assert response.json() == usuario | {"activo": True, "actualizado_en": usuario["creado_en"]}
        tagged = headers | {"If-None-Match": response.headers["etag"]}
        assert (await api.http.get(f"/auth/usuarios/{usuario['id']}", headers=tagged)).status_code == 304

    async def test_nadie(self, api: Any) -> None:
        headers = await api.de_admin()
        for response in (
            await api.http.get(f"/auth/usuarios/{uuid4()}", headers=headers),
            await api.http.patch(f"/auth/usuarios/{uuid4()}", json={"activo": False}, headers=headers),
        ):
            assert (response.status_code, problem(response)) == (404, "no-encontrado")


class TestGestionar:
    async def test_el_rol_cambia_con_la_siguiente_renovacion(self, api: Any) -> None:
        usuario = await api.registrar()
        tokens = await api.entrar()
        response = await api.http.patch(
            f"/auth/usuarios/{usuario['id']}", json={"rol": "admin"}, headers=await api.de_admin()
        )
        assert (response.status_code, response.json()["rol"], response.headers["etag"]) == (200, "admin", '"2"')
        old = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert (await api.http.get("/auth/usuarios", headers=old)).status_code == 403
        renewed = (await api.renovar(tokens["refresh_token"])).json()
        assert "usuarios:gestionar" in renewed["scope"]
        new = {"Authorization": f"Bearer {renewed['access_token']}"}
        assert (await api.http.get("/auth/usuarios", headers=new)).status_code == 200

    async def test_desactivar_termina_sus_sesiones_para_siempre(self, api: Any) -> None:
        usuario = await api.registrar()
        tokens = await api.entrar()
        headers = await api.de_admin()
        path = f"/auth/usuarios/{usuario['id']}"
        assert (await api.http.patch(path, json={"activo": False}, headers=headers)).json()["activo"] is False
        assert (await api.renovar(tokens["refresh_token"])).json()["error"] == "invalid_grant"
        assert (await api.pedir_token()).json()["error"] == "invalid_grant"
        assert (await api.http.patch(path, json={"activo": True}, headers=headers)).json()["activo"] is True
        assert (await api.renovar(tokens["refresh_token"])).json()["error"] == "invalid_grant"
        await api.entrar()

    async def test_con_la_version_vieja(self, api: Any) -> None:
        usuario = await api.registrar()
        headers = await api.de_admin() | {"If-Match": '"7"'}
        response = await api.http.patch(f"/auth/usuarios/{usuario['id']}", json={"activo": False}, headers=headers)
        assert (response.status_code, problem(response)) == (412, "version-obsoleta")
        assert response.headers["etag"] == '"1"'

    async def test_sin_cambios(self, api: Any) -> None:
        usuario = await api.registrar()
        response = await api.http.patch(f"/auth/usuarios/{usuario['id']}", json={}, headers=await api.de_admin())
        assert (response.status_code, response.headers["etag"]) == (200, '"1"')

    async def test_datos_malos(self, api: Any) -> None:
        usuario = await api.registrar()
        for body in [
            {"rol": "duque"},
            {"rol": None},
            {"activo": "false"},
            {"activo": 0},
            {"activo": None},
            {"email": "x@y.es"},
            3,
        ]:
            response = await api.http.patch(f"/auth/usuarios/{usuario['id']}", json=body, headers=await api.de_admin())
            assert (response.status_code, problem(response)) == (422, "datos-invalidos")

    @pytest.mark.parametrize("cambios", [{"activo": False}, {"rol": "cliente"}])
    async def test_el_ultimo_admin_se_queda(self, api: Any, cambios: dict[str, Any]) -> None:
        headers = await api.de_admin()
        yo = (await api.http.get("/auth/yo", headers=headers)).json()["id"]
        response = await api.http.patch(f"/auth/usuarios/{yo}", json=cambios, headers=headers)
        assert (response.status_code, problem(response)) == (409, "ultimo-admin")
        otra = await api.otro_admin("otra@comanda.test")
        assert (await api.http.patch(f"/auth/usuarios/{yo}", json=cambios, headers=headers)).status_code == 200
        headers = await api.cabeceras("otra@comanda.test")
        response = await api.http.patch(f"/auth/usuarios/{otra['id']}", json=cambios, headers=headers)
        assert problem(response) == "ultimo-admin"

    @pytest.mark.parametrize("caida", [{"rol": "cliente"}, {"activo": False}])
    async def test_quien_ya_no_es_admin_no_se_levanta_a_si_mismo(self, api: Any, caida: dict[str, Any]) -> None:
        otra = await api.otro_admin("otra@comanda.test")
        path = f"/auth/usuarios/{otra['id']}"
        her_token = await api.cabeceras("otra@comanda.test")
        await api.http.patch(path, json=caida, headers=await api.de_admin())
        response = await api.http.patch(path, json={"rol": "admin", "activo": True}, headers=her_token)
        assert problem(response) == "no-autenticado"
