"""The contract of one's own account: registering, `/auth/yo` and the password."""

from typing import Any

from comanda.auth.app import create_app
from comanda.common.tokens import ServiceSigner, SigningKey
from comanda.testing import FakeClock, fields, problem, running

PASSWORD = "caballo correcto"


NUEVA = "otra muy distinta"


class TestRegistrar:
    async def test_alta(self, api: Any) -> None:
        body = {"email": "Ana@Ejemplo.es", "password": PASSWORD, "nombre": "Ana"}
        response = await api.http.post("/auth/usuarios", json=body)
        usuario = response.json()
        assert response.status_code == 201
        assert response.headers["location"] == f"/auth/usuarios/{usuario['id']}"
        assert response.headers["etag"] == '"1"'
        assert usuario == {
            "id": usuario["id"],
            "email": "Ana@Ejemplo.es",
            "nombre": "Ana",
            "rol": "cliente",
            "creado_en": "2026-01-01T12:00:00Z",
            "email_verificado": False,
        }

    async def test_el_nombre_puede_faltar(self, api: Any) -> None:
        assert (await api.registrar())["nombre"] == ""

    async def test_email_en_uso_con_otras_mayusculas(self, api: Any) -> None:
        await api.registrar("ana@ejemplo.es")
        response = await api.http.post("/auth/usuarios", json={"email": "ANA@ejemplo.es", "password": PASSWORD})
        assert (response.status_code, problem(response)) == (409, "email-en-uso")

    async def test_password_mala(self, api: Any) -> None:
        for password in [
            "corta",
            "a" * 257,
            "a" * 500_000,
            "password1234",
            "ana.maria.perez@ejemplo.es",
            "Ana.Maria.Perez",
            12,
            None,
        ]:
            body = {"email": "ana.maria.perez@ejemplo.es", "password": password}
            response = await api.http.post("/auth/usuarios", json=body)
            assert (response.status_code, fields(response)) == (422, {"password"})

    async def test_el_mensaje_dice_que_falla(self, api: Any) -> None:
        response = await api.http.post("/auth/usuarios", json={"email": "ana", "password": "corta"})
        messages = {entry["campo"]: entry["mensaje"] for entry in response.json()["errores"]}
        assert messages == {"email": "No es un email válido.", "password": "Debe tener 12 caracteres o más."}

    async def test_email_malo(self, api: Any) -> None:
        for email in ["", "ana", "ana@\0.es", "a@b@c.es", "a" * 100_000 + "@b.es", 7, None, ["a@b.c"]]:
            response = await api.http.post("/auth/usuarios", json={"email": email, "password": PASSWORD})
            assert (response.status_code, fields(response)) == (422, {"email"})

    async def test_nombre_malo(self, api: Any) -> None:
        for nombre in ["a\0b", "a\nb", " a", "a" * 201, 5, None]:
            body = {"email": "a@b.es", "password": PASSWORD, "nombre": nombre}
            response = await api.http.post("/auth/usuarios", json=body)
            assert fields(response) == {"nombre"}

    async def test_nadie_se_hace_admin_a_si_mismo(self, api: Any) -> None:
        body = {"email": "a@b.es", "password": PASSWORD, "rol": "admin"}
        assert fields(await api.http.post("/auth/usuarios", json=body)) == {"rol"}

    async def test_un_sustituto_suelto_no_es_json(self, api: Any) -> None:
        content = b'{"email": "a@b.es", "password": "doce letras \\ud800"}'
        response = await api.http.post("/auth/usuarios", content=content, headers={"Content-Type": "application/json"})
        assert (response.status_code, problem(response)) == (400, "json-invalido")

    async def test_un_password_con_nul_vale(self, api: Any) -> None:
        await api.registrar(password="doce letras \0 y más")
        await api.entrar(password="doce letras \0 y más")

    async def test_demasiadas_altas(self, make_settings: Any, clock: FakeClock) -> None:
        async with running(create_app(make_settings(registrations_per_source_per_minute=1), clock=clock)) as client:
            await client.post("/auth/usuarios", json={"email": "a@b.es", "password": PASSWORD})
            response = await client.post("/auth/usuarios", json={"email": "c@b.es", "password": PASSWORD})
        assert (response.status_code, problem(response)) == (429, "demasiados-intentos")
        assert response.headers["retry-after"] == "60"


class TestYo:
    async def test_consultar(self, api: Any) -> None:
        usuario = await api.registrar(nombre="Ana")
        headers = await api.cabeceras()
        response = await api.http.get("/auth/yo", headers=headers)
        assert (response.status_code, response.json()) == (200, usuario)
        tag = response.headers["etag"]
        assert (await api.http.get("/auth/yo", headers=headers | {"If-None-Match": tag})).status_code == 304

    async def test_modificar(self, api: Any) -> None:
        await api.registrar()
        headers = await api.cabeceras()
        response = await api.http.patch("/auth/yo", json={"nombre": "Ana"}, headers=headers)
        assert (response.json()["nombre"], response.headers["etag"]) == ("Ana", '"2"')
        again = await api.http.patch("/auth/yo", json={"nombre": "Ana"}, headers=headers)
        assert again.headers["etag"] == '"2"'
        stale = await api.http.patch("/auth/yo", json={"nombre": "Eva"}, headers=headers | {"If-Match": '"1"'})
        assert (stale.status_code, problem(stale)) == (412, "version-obsoleta")

    async def test_modificar_mal(self, api: Any) -> None:
        await api.registrar()
        for body in [{}, {"nombre": None}, {"nombre": "a\0"}, {"nombre": "a", "rol": "admin"}, []]:
            response = await api.http.patch("/auth/yo", json=body, headers=await api.cabeceras())
            assert problem(response) == "datos-invalidos"

    async def test_sin_token(self, api: Any) -> None:
        for header in [{}, {"Authorization": "Bearer nada"}, {"Authorization": "Basic YTpi"}]:
            response = await api.http.get("/auth/yo", headers=header)
            assert (response.status_code, problem(response)) == (401, "no-autenticado")
            assert response.headers["www-authenticate"] == "Bearer"

    async def test_el_token_caduca_a_los_quince_minutos(self, api: Any, clock: FakeClock) -> None:
        await api.registrar()
        headers = await api.cabeceras()
        clock.advance(900 + 29)
        assert (await api.http.get("/auth/yo", headers=headers)).status_code == 200
        clock.advance(1)
        assert (await api.http.get("/auth/yo", headers=headers)).status_code == 401

    async def test_un_servicio_no_tiene_cuenta(self, make_settings: Any, clock: FakeClock) -> None:
        key = SigningKey.generate()
        jwks = '{"keys": [' + str(key.public_jwk()).replace("'", '"') + "]}"
        headers = {"Authorization": f"Bearer {ServiceSigner('operador', key, clock).token('auth')}"}
        async with running(create_app(make_settings(operador_jwks=jwks), clock=clock)) as client:
            response = await client.get("/auth/yo", headers=headers)
            assert (response.status_code, problem(response)) == (403, "no-autorizado")
            assert (await client.get("/auth/usuarios", headers=headers)).status_code == 403
            assert (await client.get("/circuitos", headers=headers)).json() == []

    async def test_desactivado_deja_de_entrar_en_el_acto(self, api: Any) -> None:
        usuario = await api.registrar()
        headers = await api.cabeceras()
        await api.http.patch(f"/auth/usuarios/{usuario['id']}", json={"activo": False}, headers=await api.de_admin())
        for response in (
            await api.http.get("/auth/yo", headers=headers),
            await api.http.patch("/auth/yo", json={"nombre": "x"}, headers=headers),
            await api.http.post("/auth/yo/password", json={"actual": PASSWORD, "nueva": NUEVA}, headers=headers),
        ):
            assert (response.status_code, problem(response)) == (401, "no-autenticado")


class TestCambiarPassword:
    async def test_terminan_las_otras_sesiones(self, api: Any) -> None:
        await api.registrar()
        mine, other = await api.entrar(), await api.entrar()
        response = await api.http.post(
            "/auth/yo/password",
            json={"actual": PASSWORD, "nueva": NUEVA},
            headers={"Authorization": f"Bearer {mine['access_token']}"},
        )
        assert (response.status_code, response.content) == (204, b"")
        assert (await api.renovar(other["refresh_token"])).json()["error"] == "invalid_grant"
        assert (await api.renovar(mine["refresh_token"])).status_code == 200
        assert (await api.pedir_token()).json()["error"] == "invalid_grant"
        await api.entrar(password=NUEVA)

    async def test_las_de_los_demas_siguen(self, api: Any) -> None:
        await api.registrar()
        await api.registrar("luis@ejemplo.es")
        other = await api.entrar("luis@ejemplo.es")
        body = {"actual": PASSWORD, "nueva": NUEVA}
        await api.http.post("/auth/yo/password", json=body, headers=await api.cabeceras())
        assert (await api.renovar(other["refresh_token"])).status_code == 200

    async def test_la_actual_no_es_esa(self, api: Any) -> None:
        await api.registrar()
        for actual in ["no es esta", "", "a" * 100_000]:
            body = {"actual": actual, "nueva": NUEVA}
            response = await api.http.post("/auth/yo/password", json=body, headers=await api.cabeceras())
            assert (response.status_code, fields(response)) == (422, {"actual"})
            await api.entrar()

    async def test_la_nueva_no_vale(self, api: Any) -> None:
        await api.registrar("ana.maria.perez@ejemplo.es")
        headers = await api.cabeceras("ana.maria.perez@ejemplo.es")
        for nueva in ["corta", "ana.maria.perez", "PASSWORD1234", None]:
            response = await api.http.post(
                "/auth/yo/password", json={"actual": PASSWORD, "nueva": nueva}, headers=headers
            )
            assert fields(response) == {"nueva"}

    async def test_adivinar_la_actual_tiene_limite(self, api: Any) -> None:
        await api.registrar()
        headers = await api.cabeceras()
        body = {"actual": "no es esta", "nueva": NUEVA}
        for _ in range(10):
            assert (await api.http.post("/auth/yo/password", json=body, headers=headers)).status_code == 422
        response = await api.http.post("/auth/yo/password", json=body, headers=headers)
        assert (response.status_code, problem(response)) == (429, "demasiados-intentos")
