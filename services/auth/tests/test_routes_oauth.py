import json
from typing import Any

from joserfc import jws
from joserfc.jwk import KeySet

from comanda.auth.app import create_app
from comanda.testing import FakeClock, problem, running

PASSWORD = "caballo correcto"
CLIENTE = "productos:leer inventario:leer pedidos:crear pedidos:propios"


def refusal(response: Any, status: int = 400) -> str:
    """The RFC 6749 error of an answer; fails the test if the answer is none, or may be cached."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["pragma"] == "no-cache"
    body = response.json()
    assert body.keys() == {"error", "error_description"}
    assert all(0x20 <= ord(letter) <= 0x7E and letter not in '"\\' for letter in body["error_description"])
    return str(body["error"])


async def post(api: Any, content: str | bytes, path: str = "/auth/token", **headers: str) -> Any:
    content_type = {"Content-Type": "application/x-www-form-urlencoded"}
    return await api.http.post(path, content=content, headers=content_type | headers)


class TestPassword:
    async def test_entrar(self, api: Any) -> None:
        usuario = await api.registrar()
        response = await api.pedir_token("ANA@Ejemplo.es")
        tokens = response.json()
        assert tokens.keys() == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
        assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == ("bearer", 900, CLIENTE)
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["pragma"] == "no-cache"
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert (await api.http.get("/auth/yo", headers=headers)).json() == usuario

    async def test_el_token_es_el_de_rfc_9068(self, api: Any, clock: FakeClock) -> None:
        usuario = await api.registrar()
        token = (await api.entrar())["access_token"]
        keys = KeySet.import_key_set((await api.http.get("/.well-known/jwks.json")).json())
        signed = jws.deserialize_compact(token, keys, algorithms=["ES256"])
        assert (signed.headers()["typ"], signed.headers()["alg"]) == ("at+jwt", "ES256")
        claims = json.loads(signed.payload)
        now = int(clock.now().timestamp())
        assert claims == {
            "iss": "http://127.0.0.1:8000",
            "sub": usuario["id"],
            "aud": "comanda",
            "iat": now,
            "exp": now + 900,
            "jti": claims["jti"],
            "client_id": "comanda-web",
            "scope": CLIENTE,
            "sid": claims["sid"],
            "amr": ["pwd"],
            "auth_time": now,
        }

    async def test_se_puede_pedir_menos_alcance(self, api: Any) -> None:
        await api.registrar()
        tokens = await api.entrar(scope="pedidos:crear productos:leer")
        assert tokens["scope"] == "productos:leer pedidos:crear"
        assert (await api.renovar(tokens["refresh_token"])).json()["scope"] == "productos:leer pedidos:crear"

    async def test_mas_alcance_del_que_hay(self, api: Any) -> None:
        await api.registrar()
        for scope in ["usuarios:gestionar", "no-existe", "\0", "a" * 10_000]:
            assert refusal(await api.pedir_token(scope=scope)) == "invalid_scope"

    async def test_quien_no_existe_y_quien_se_equivoca_oyen_lo_mismo(self, api: Any) -> None:
        await api.registrar()
        wrong = await api.pedir_token(password="no es esta")
        nobody = await api.pedir_token("nadie@ejemplo.es")
        assert refusal(wrong) == refusal(nobody) == "invalid_grant"
        assert wrong.json() == nobody.json()

    async def test_nombres_raros(self, api: Any) -> None:
        for username in ["no es un email", "a\0b@c.es", "a" * 100_000, "💥@x.y", "a@b.c' OR 1=1 --"]:
            assert refusal(await api.pedir_token(username)) == "invalid_grant"

    async def test_passwords_raros(self, api: Any) -> None:
        await api.registrar()
        for password in ["\0", "a" * 500_000, " "]:
            assert refusal(await api.pedir_token(password=password)) == "invalid_grant"

    async def test_demasiados_intentos(self, api: Any, clock: FakeClock) -> None:
        await api.registrar()
        for _ in range(10):
            assert refusal(await api.pedir_token(password="no es esta")) == "invalid_grant"
        response = await api.pedir_token()
        assert (response.status_code, problem(response)) == (429, "demasiados-intentos")
        assert response.headers["retry-after"] == "5"
        assert response.headers["cache-control"] == "no-store"
        clock.advance(5)
        await api.entrar()

    async def test_otras_mayusculas_son_la_misma_cuenta(self, api: Any) -> None:
        for n in range(10):
            await api.pedir_token("ana@ejemplo.es" if n % 2 else "ANA@EJEMPLO.ES")
        assert (await api.pedir_token("Ana@Ejemplo.es")).status_code == 429

    async def test_demasiados_desde_un_sitio(self, make_settings: Any, clock: FakeClock) -> None:
        app = create_app(make_settings(login_attempts_per_source_per_minute=3), clock=clock)
        async with running(app) as client:
            statuses = []
            for n in range(4):
                form = {"grant_type": "password", "username": f"u{n}@ejemplo.es", "password": PASSWORD}
                statuses.append((await client.post("/auth/token", data=form)).status_code)
        assert statuses == [400, 400, 400, 429]


class TestRenovar:
    async def test_cada_uso_da_otro(self, api: Any) -> None:
        await api.registrar()
        tokens = await api.entrar()
        for _ in range(3):
            renewed = (await api.renovar(tokens["refresh_token"])).json()
            assert renewed["refresh_token"] != tokens["refresh_token"]
            assert renewed["access_token"] != tokens["access_token"]
            tokens = renewed

    async def test_pestanas_paralelas(self, api: Any, clock: FakeClock) -> None:
        await api.registrar()
        first = (await api.entrar())["refresh_token"]
        one = (await api.renovar(first)).json()["refresh_token"]
        clock.advance(10)
        other = await api.renovar(first)
        assert (other.status_code, other.json()["refresh_token"]) == (200, one)
        assert (await api.renovar(one)).status_code == 200

    async def test_pasado_el_momento_termina_la_sesion(self, api: Any, clock: FakeClock) -> None:
        await api.registrar()
        first = (await api.entrar())["refresh_token"]
        successor = (await api.renovar(first)).json()["refresh_token"]
        clock.advance(10.5)
        assert refusal(await api.renovar(first)) == "invalid_grant"
        assert refusal(await api.renovar(successor)) == "invalid_grant"

    async def test_con_el_sucesor_usado_termina_la_sesion(self, api: Any) -> None:
        await api.registrar()
        first = (await api.entrar())["refresh_token"]
        successor = (await api.renovar(first)).json()["refresh_token"]
        newest = (await api.renovar(successor)).json()["refresh_token"]
        assert refusal(await api.renovar(first)) == "invalid_grant"
        assert refusal(await api.renovar(newest)) == "invalid_grant"

    async def test_pedir_de_mas_no_oculta_el_robo(self, api: Any, clock: FakeClock) -> None:
        await api.registrar()
        first = (await api.entrar())["refresh_token"]
        successor = (await api.renovar(first)).json()["refresh_token"]
        clock.advance(11)
        assert refusal(await api.renovar(first, scope="no-existe")) == "invalid_grant"
        assert refusal(await api.renovar(successor)) == "invalid_grant"

    async def test_otras_sesiones_siguen(self, api: Any, clock: FakeClock) -> None:
        await api.registrar()
        first, other = (await api.entrar())["refresh_token"], (await api.entrar())["refresh_token"]
        await api.renovar(first)
        clock.advance(11)
        await api.renovar(first)
        assert (await api.renovar(other)).status_code == 200

    async def test_menos_alcance_solo_esta_vez(self, api: Any) -> None:
        await api.registrar()
        tokens = await api.entrar()
        narrow = (await api.renovar(tokens["refresh_token"], scope="productos:leer")).json()
        assert narrow["scope"] == "productos:leer"
        assert (await api.renovar(narrow["refresh_token"])).json()["scope"] == CLIENTE

    async def test_mas_alcance_no_gasta_el_token(self, api: Any) -> None:
        await api.registrar()
        token = (await api.entrar(scope="productos:leer"))["refresh_token"]
        assert refusal(await api.renovar(token, scope="pedidos:crear")) == "invalid_scope"
        assert (await api.renovar(token)).status_code == 200

    async def test_la_sesion_caduca_a_los_treinta_dias(self, api: Any, clock: FakeClock) -> None:
        await api.registrar()
        token = (await api.entrar())["refresh_token"]
        for _ in range(5):
            clock.advance(6 * 86_400 - 60)
            answer = (await api.renovar(token)).json()
            token = answer["refresh_token"]
        assert answer["expires_in"] == 300
        clock.advance(300)
        assert refusal(await api.renovar(token)) == "invalid_grant"

    async def test_basura(self, api: Any) -> None:
        for token in ["nada", "\0", "a" * 70, "a" * 100_000, "ñ" * 70]:
            assert refusal(await api.renovar(token)) == "invalid_grant"


class TestSolicitud:
    async def test_mal_hecha(self, api: Any) -> None:
        for content in [
            "",
            "grant_type=",
            "grant_type=password",
            "grant_type=password&username=a@b.es",
            "grant_type=password&username=a@b.es&password=",
            "grant_type=refresh_token",
            "grant_type=password&grant_type=password&username=a@b.es&password=x",
            "grant_type=password&username=a@b.es&password=x&z=1&z=2",
            "grant_type=password&username=%FF%FE&password=x",
            "grant_type=password&username=%ED%A0%80&password=x",
            b"grant_type=password&username=\xff&password=x",
            "&".join(f"p{n}=1" for n in range(100)),
            '{"grant_type": "password"}',
        ]:
            assert refusal(await post(api, content)) == "invalid_request"

    async def test_no_es_un_formulario(self, api: Any) -> None:
        response = await api.http.post("/auth/token", json={"grant_type": "password"})
        assert refusal(response) == "invalid_request"
        assert refusal(await api.http.post("/auth/token")) == "invalid_request"

    async def test_otra_concesion(self, api: Any) -> None:
        assert refusal(await post(api, "grant_type=authorization_code")) == "unsupported_grant_type"

    async def test_otro_cliente(self, api: Any) -> None:
        response = await post(api, "grant_type=password&username=a@b.es&password=x&client_id=otro")
        assert refusal(response, 401) == "invalid_client"
        assert response.headers["www-authenticate"].startswith("Basic")

    async def test_un_cliente_publico_no_se_autentica(self, api: Any) -> None:
        response = await post(api, "grant_type=password", Authorization="Basic Y29tYW5kYS13ZWI6eA==")
        assert refusal(response, 401) == "invalid_client"

    async def test_el_nuestro_se_puede_nombrar(self, api: Any) -> None:
        await api.registrar()
        await api.entrar(client_id="comanda-web", desconocido="se ignora", scope="")

    async def test_demasiado_grande(self, api: Any) -> None:
        response = await post(api, "x=" + "a" * 2_000_000)
        assert (response.status_code, problem(response)) == (413, "cuerpo-demasiado-grande")


class TestRevocar:
    async def revocar(self, api: Any, **form: str) -> Any:
        return await api.http.post("/auth/revocar", data=form)

    async def test_termina_la_sesion(self, api: Any) -> None:
        await api.registrar()
        token = (await api.entrar())["refresh_token"]
        response = await self.revocar(api, token=token, token_type_hint="refresh_token")
        assert (response.status_code, response.content) == (200, b"")
        assert refusal(await api.renovar(token)) == "invalid_grant"
        assert (await self.revocar(api, token=token)).status_code == 200

    async def test_tambien_con_uno_ya_rotado(self, api: Any) -> None:
        await api.registrar()
        first = (await api.entrar())["refresh_token"]
        successor = (await api.renovar(first)).json()["refresh_token"]
        await self.revocar(api, token=first)
        assert refusal(await api.renovar(successor)) == "invalid_grant"

    async def test_lo_desconocido_tambien_es_200(self, api: Any) -> None:
        for token in ["nada", "\0", "a" * 70, "a" * 100_000]:
            assert (await self.revocar(api, token=token)).status_code == 200

    async def test_un_token_de_acceso_no_termina_nada(self, api: Any) -> None:
        await api.registrar()
        tokens = await api.entrar()
        assert (await self.revocar(api, token=tokens["access_token"])).status_code == 200
        assert (await api.renovar(tokens["refresh_token"])).status_code == 200

    async def test_mal_hecha(self, api: Any) -> None:
        assert refusal(await post(api, "", "/auth/revocar")) == "invalid_request"
        assert refusal(await post(api, "token=x&client_id=otro", "/auth/revocar"), 401) == "invalid_client"


class TestDescubrimiento:
    async def test_claves_publicas(self, api: Any) -> None:
        response = await api.http.get("/.well-known/jwks.json")
        (key,) = response.json()["keys"]
        assert key.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}
        assert response.headers["cache-control"] == "public, max-age=300"

    async def test_metadatos(self, make_settings: Any, clock: FakeClock) -> None:
        async with running(create_app(make_settings(issuer="https://id.tienda.es"), clock=clock)) as client:
            response = await client.get("/.well-known/oauth-authorization-server")
        metadata = response.json()
        assert metadata["issuer"] == "https://id.tienda.es"
        assert metadata["token_endpoint"] == "https://id.tienda.es/auth/token"
        assert metadata["revocation_endpoint"] == "https://id.tienda.es/auth/revocar"
        assert metadata["jwks_uri"] == "https://id.tienda.es/.well-known/jwks.json"
        assert metadata["grant_types_supported"] == [
            "password",
            "refresh_token",
            "client_credentials",
            "urn:comanda:params:oauth:grant-type:mfa-otp",
            "urn:comanda:params:oauth:grant-type:mfa-recovery-code",
        ]
        methods = ["none", "client_secret_basic", "client_secret_post"]
        assert metadata["token_endpoint_auth_methods_supported"] == methods
        assert metadata["response_types_supported"] == []
        assert "reservas:escribir" not in metadata["scopes_supported"]

    async def test_los_formularios_estan_descritos(self, api: Any) -> None:
        paths = (await api.http.get("/openapi.json")).json()["paths"]
        for path in ("/auth/token", "/auth/revocar"):
            operation = paths[path]["post"]
            assert "application/x-www-form-urlencoded" in operation["requestBody"]["content"]
            assert {"400", "401"} <= operation["responses"].keys()
        assert "429" in paths["/auth/token"]["post"]["responses"]

    async def test_las_paginas_de_metodos(self, api: Any) -> None:
        assert problem(await api.http.get("/auth/token")) == "metodo-no-permitido"
