"""Sessions in a cookie, as a browser and as those who would use somebody else's browser see them."""

from collections.abc import AsyncIterator
from functools import partial
from http.cookies import SimpleCookie
from typing import Any

import pytest
import sqlalchemy as sa
from auth_internals import count, database
from authenticator import Ana, bearer, claims

from comanda.auth.app import create_app
from comanda.auth.sesiones import Sesiones
from comanda.auth.tables import auditoria, familias
from comanda.common.database import DatabaseUnavailable
from comanda.testing import FakeClock, fields, problem, running

EMAIL, PASSWORD = "ana@ejemplo.es", "caballo correcto"
CLIENTE = "productos:leer inventario:leer pedidos:crear pedidos:propios"
NAME = "comanda_sesion"
DAY = 86_400
ROUTES = [("POST", "/auth/sesion"), ("POST", "/auth/sesion/renovar"), ("DELETE", "/auth/sesion")]


class Browser:
    """Keeps the cookie as a browser does, for no other path than its own."""

    def __init__(self, http: Any, **headers: str) -> None:
        self.http = http
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.cookie: str | None = None

    async def request(self, method: str, path: str = "", **options: Any) -> Any:
        headers = self.headers | ({"Cookie": self.cookie} if self.cookie else {})
        self.http.cookies.clear()
        response = await self.http.request(method, f"/auth/sesion{path}", headers=headers, **options)
        set_cookie = response.headers.get("set-cookie")
        if set_cookie:
            ((name, morsel),) = SimpleCookie(set_cookie).items()
            self.cookie = None if morsel["max-age"] == "0" else f"{name}={morsel.value}"
        return response

    async def entrar(self, **body: str) -> Any:
        return await self.request("POST", json=body or {"email": EMAIL, "password": PASSWORD})

    async def renovar(self) -> Any:
        return await self.request("POST", "/renovar")

    async def salir(self) -> Any:
        return await self.request("DELETE")

    @property
    def token(self) -> str:
        assert self.cookie
        return self.cookie.partition("=")[2]


@pytest.fixture
async def navegador(api: Any) -> Browser:
    await api.registrar()
    return Browser(api.http)


def tokens(response: Any) -> dict[str, Any]:
    """Fails the test unless the answer is a session that no script can keep."""
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "no-store"
    body = dict(response.json())
    assert body.keys() == {"access_token", "token_type", "expires_in", "scope"}
    return body


def refused(response: Any, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["cache-control"] == "no-store"
    return str(problem(response))


async def sucesos(api: Any) -> set[str]:
    async with database(api).read() as connection:
        return set((await connection.execute(sa.select(auditoria.c.suceso))).scalars())


class TestEntrar:
    async def test_el_token_de_refresco_va_en_la_cookie(self, navegador: Browser, api: Any) -> None:
        response = await navegador.entrar()
        body = tokens(response)
        assert (body["token_type"], body["expires_in"], body["scope"]) == ("bearer", 900, CLIENTE)
        assert claims(body)["client_id"] == "comanda-web"
        assert (await api.http.get("/auth/yo", headers=bearer(body))).json()["email"] == EMAIL
        assert (await api.renovar(navegador.token)).status_code == 200

    async def test_como_es_la_cookie(self, navegador: Browser) -> None:
        set_cookie = (await navegador.entrar()).headers["set-cookie"]
        assert set_cookie.partition("=")[0] == NAME
        rules = {"Max-Age=604800", "Path=/auth/sesion", "HttpOnly", "SameSite=Strict"}
        assert set(set_cookie.split("; ")[1:]) == rules

    async def test_con_https_solo_viaja_por_https(self, make_settings: Any, clock: FakeClock) -> None:
        async with running(create_app(make_settings(issuer="https://tienda.es"), clock=clock)) as http:
            await http.post("/auth/usuarios", json={"email": EMAIL, "password": PASSWORD})
            navegador = Browser(http)
            set_cookie = (await navegador.entrar()).headers["set-cookie"]
            assert set_cookie.startswith(f"__Host-{NAME}=")
            assert {"Secure", "Path=/"} <= set(set_cookie.split("; "))
            tokens(await navegador.renovar())
            navegador.cookie = f"{NAME}={navegador.token}"  # what a plain page could have set
            assert refused(await navegador.renovar(), 401) == "sesion-terminada"

    async def test_quien_no_existe_y_quien_se_equivoca_oyen_lo_mismo(self, navegador: Browser) -> None:
        wrong = await navegador.entrar(email=EMAIL, password="no es esta")
        nobody = await navegador.entrar(email="nadie@ejemplo.es", password=PASSWORD)
        assert refused(wrong, 401) == refused(nobody, 401) == "credenciales-incorrectas"
        assert wrong.json() == nobody.json()
        assert "set-cookie" not in wrong.headers

    async def test_cuenta_como_cualquier_otro_intento(self, navegador: Browser, api: Any, clock: FakeClock) -> None:
        for n in range(10):
            if n % 2:
                await api.pedir_token(password="no es esta")
            else:
                await navegador.entrar(email=EMAIL, password="no es esta")
        response = await navegador.entrar()
        assert refused(response, 429) == "demasiados-intentos"
        assert response.headers["retry-after"] == "5"
        assert (await api.pedir_token()).status_code == 429
        clock.advance(5)
        tokens(await navegador.entrar())

    async def test_queda_en_la_auditoria(self, navegador: Browser, api: Any) -> None:
        await navegador.entrar(email=EMAIL, password="no es esta")
        await navegador.entrar()
        await navegador.salir()
        assert await sucesos(api) >= {"login_fallido", "sesion_iniciada", "sesion_terminada"}

    async def test_la_sesion_dice_con_que_se_entro(self, navegador: Browser, api: Any) -> None:
        navegador.headers["User-Agent"] = "Firefox"
        body = tokens(await navegador.entrar())
        (sesion,) = (await api.http.get("/auth/yo/sesiones", headers=bearer(body))).json()["elementos"]
        assert (sesion["dispositivo"], sesion["actual"]) == ("Firefox", True)

    async def test_la_sesion_anterior_de_la_cookie_termina(self, navegador: Browser, api: Any) -> None:
        await navegador.entrar()
        before = navegador.token
        await navegador.entrar()
        assert await count(api, familias) == 1
        assert (await api.renovar(before)).json()["error"] == "invalid_grant"
        tokens(await navegador.renovar())

    async def test_un_intento_fallido_no_termina_la_que_hay(self, navegador: Browser) -> None:
        await navegador.entrar()
        await navegador.entrar(email=EMAIL, password="no es esta")
        tokens(await navegador.renovar())

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"email": EMAIL},
            {"password": PASSWORD},
            {"mfa_token": "x"},
            {"mfa_token": "x", "codigo": "1", "codigo_de_recuperacion": "2"},
            {"email": EMAIL, "password": PASSWORD, "codigo": "1"},
            {"email": EMAIL, "password": None},
        ],
        ids=range(7),
    )
    async def test_ni_un_paso_ni_el_otro(self, api: Any, body: dict[str, Any]) -> None:
        response = await api.http.post("/auth/sesion", json=body)
        assert (response.status_code, problem(response)) == (422, "datos-invalidos")
        assert "mfa_token" in response.json()["errores"][0]["mensaje"]

    async def test_lo_que_no_es_un_email(self, navegador: Browser) -> None:
        response = await navegador.entrar(email="no es un email", password=PASSWORD)
        assert (response.status_code, fields(response)) == (422, {"email"})


class TestSegundoFactor:
    @pytest.fixture
    async def navegador(self, con_factor: Ana, api: Any) -> Browser:
        return Browser(api.http)

    async def pedir(self, navegador: Browser) -> str:
        response = await navegador.entrar()
        assert refused(response, 403) == "segundo-factor-requerido"
        assert "set-cookie" not in response.headers
        return str(response.json()["mfa_token"])

    async def test_con_el_codigo(self, navegador: Browser, con_factor: Ana) -> None:
        mfa_token = await self.pedir(navegador)
        body = tokens(await navegador.entrar(mfa_token=mfa_token, codigo=con_factor.app.codigo()))
        assert claims(body)["amr"] == ["pwd", "otp"]
        assert claims(tokens(await navegador.renovar()))["amr"] == ["pwd", "otp"]

    async def test_con_uno_de_recuperacion(self, navegador: Browser, con_factor: Ana) -> None:
        mfa_token = await self.pedir(navegador)
        codigo = con_factor.codigos[0]
        tokens(await navegador.entrar(mfa_token=mfa_token, codigo_de_recuperacion=codigo))
        otro = await self.pedir(navegador)
        response = await navegador.entrar(mfa_token=otro, codigo_de_recuperacion=codigo)
        assert refused(response, 401) == "credenciales-incorrectas"

    async def test_uno_incorrecto(self, navegador: Browser, con_factor: Ana) -> None:
        mfa_token = await self.pedir(navegador)
        for body in (
            {"mfa_token": mfa_token, "codigo": con_factor.app.incorrecto()},
            {"mfa_token": mfa_token, "codigo_de_recuperacion": "no-es-ninguno"},
            {"mfa_token": "no-es-uno", "codigo": con_factor.app.codigo()},
        ):
            response = await navegador.entrar(**body)
            assert refused(response, 401) == "credenciales-incorrectas"
            assert "código" in response.json()["detail"]
        assert navegador.cookie is None

    async def test_demasiados(self, navegador: Browser, con_factor: Ana) -> None:
        mfa_token = await self.pedir(navegador)
        for _ in range(5):
            await navegador.entrar(mfa_token=mfa_token, codigo=con_factor.app.incorrecto())
        response = await navegador.entrar(mfa_token=mfa_token, codigo=con_factor.app.codigo())
        assert refused(response, 429) == "demasiados-intentos"
        assert response.headers["retry-after"] == "30"


class TestRenovar:
    async def test_cada_uso_cambia_la_cookie(self, navegador: Browser) -> None:
        seen = {tokens(await navegador.entrar())["access_token"]}
        cookies = {navegador.token}
        for _ in range(3):
            seen.add(tokens(await navegador.renovar())["access_token"])
            cookies.add(navegador.token)
        assert (len(seen), len(cookies)) == (4, 4)

    async def test_la_cookie_dura_lo_que_le_queda_a_la_sesion(self, navegador: Browser, clock: FakeClock) -> None:
        await navegador.entrar()
        for _ in range(4):  # a week without use would end it
            clock.advance(6 * DAY)
            assert "; Max-Age=" in (await navegador.renovar()).headers["set-cookie"]
        clock.advance(6 * DAY - 60)
        assert "; Max-Age=60; " in (await navegador.renovar()).headers["set-cookie"]
        clock.advance(60)
        assert refused(await navegador.renovar(), 401) == "sesion-terminada"
        assert navegador.cookie is None

    async def test_pestanas_a_la_vez(self, navegador: Browser, api: Any, clock: FakeClock) -> None:
        await navegador.entrar()
        other = Browser(api.http)
        other.cookie = navegador.cookie
        tokens(await navegador.renovar())
        clock.advance(10)
        tokens(await other.renovar())
        assert other.cookie == navegador.cookie
        tokens(await other.renovar())

    async def test_una_cookie_copiada_termina_la_sesion(self, navegador: Browser, api: Any, clock: FakeClock) -> None:
        await navegador.entrar()
        thief = Browser(api.http)
        thief.cookie = navegador.cookie
        await navegador.renovar()
        clock.advance(11)
        assert refused(await thief.renovar(), 401) == "sesion-terminada"
        assert refused(await navegador.renovar(), 401) == "sesion-terminada"
        assert "refresh_reutilizado" in await sucesos(api)

    @pytest.mark.parametrize("cookie", [None, "", "a" * 70, "a" * 10_000, "ñ", '"', "; ;"], ids=range(7))
    async def test_sin_sesion_la_cookie_se_quita(self, api: Any, cookie: str | None) -> None:
        navegador = Browser(api.http)
        if cookie is not None:
            navegador.headers["Cookie"] = f"{NAME}={cookie}".encode()  # type: ignore[assignment]
        response = await navegador.renovar()
        assert refused(response, 401) == "sesion-terminada"
        rules = {"Max-Age=0", "Path=/auth/sesion", "HttpOnly", "SameSite=Strict"}
        assert set(response.headers["set-cookie"].split("; ")) == {f"{NAME}=", *rules}

    async def test_desactivado(self, navegador: Browser, api: Any) -> None:
        usuario = (await api.http.get("/auth/yo", headers=bearer(tokens(await navegador.entrar())))).json()
        path = f"/auth/usuarios/{usuario['id']}"
        await api.http.patch(path, json={"activo": False}, headers=await api.de_admin())
        assert refused(await navegador.renovar(), 401) == "sesion-terminada"

    async def test_un_fallo_nuestro_no_quita_la_cookie(
        self, navegador: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def away(*_: Any, **__: Any) -> Any:
            raise DatabaseUnavailable("away")

        await navegador.entrar()
        for name in ("renovar", "terminar"):
            monkeypatch.setattr(Sesiones, name, away)
        for method, path in ROUTES[1:]:
            response = await navegador.request(method, path.removeprefix("/auth/sesion"))
            assert (response.status_code, "set-cookie" in response.headers) == (503, False)
        monkeypatch.undo()
        tokens(await navegador.renovar())


class TestSalir:
    async def test_termina_la_sesion_y_quita_la_cookie(self, navegador: Browser, api: Any) -> None:
        await navegador.entrar()
        token = navegador.token
        response = await navegador.salir()
        assert (response.status_code, response.headers["cache-control"]) == (204, "no-store")
        assert navegador.cookie is None
        assert (await api.renovar(token)).json()["error"] == "invalid_grant"

    async def test_dos_veces_o_sin_haber_entrado(self, navegador: Browser) -> None:
        for _ in range(2):
            response = await navegador.salir()
            assert response.status_code == 204
            assert "Max-Age=0" in response.headers["set-cookie"]


OURS: list[dict[str, str]] = [
    {},
    {"Sec_Fetch_Site": "none"},
    {"Sec_Fetch_Site": "same-origin"},
    {"Host": "localhost:8080", "Origin": "http://localhost:8080", "Sec_Fetch_Site": "same-origin"},
    {"Host": "LOCALHOST:8080", "Origin": "http://localhost:8080"},
    {"Host": "localhost", "Origin": "http://localhost"},
    {"Host": "localhost:80", "Origin": "http://localhost"},
    {"Host": "[::1]:8080", "Origin": "http://[::1]:8080"},
    # a gateway that calls us by another name: the issuer, or an origin of the settings, is where our pages are
    {"Host": "127.0.0.1:8000", "Origin": "http://tienda.test"},
    {"Host": "127.0.0.1:8000", "Origin": "http://otra.test:3000"},
]
THEIRS: list[dict[str, str]] = [
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
    {"Sec_Fetch_Site": "SAME-ORIGIN, cross-site"},
    {"Sec_Fetch_Site": ""},
    {"Host": "localhost:8080", "Origin": "http://localhost:8080", "Sec_Fetch_Site": "same-site"},
    {"Host": "localhost:8080", "Origin": "http://localhost:8080", "Sec_Fetch_Site": "cross-site"},
    {"Host": "localhost:8080", "Origin": "http://otra.test:3000", "Sec_Fetch_Site": "cross-site"},
    {"Host": "localhost:8080", "Origin": "null", "Sec_Fetch_Site": "same-origin"},
    {"Host": "localhost:8080", "Origin": "http://localhost:8081"},
    {"Host": "localhost:8080", "Origin": "http://localhost"},
    {"Host": "localhost:8080", "Origin": "https://localhost"},
    {"Host": "localhost:8080", "Origin": "http://evil.test:8080"},
    {"Host": "localhost:8080", "Origin": "http://localhost:8080.evil.test"},
    {"Host": "localhost:8080", "Origin": "http://evil.test", "X_Forwarded_Host": "evil.test"},
    {"Host": "localhost:8080", "Origin": "http://tienda.test.evil.test"},
    {"Host": "localhost:8080", "Origin": "https://tienda.test"},
    {"Host": "localhost:8080", "Origin": "null"},
    {"Host": "localhost:8080", "Origin": ""},
    {"Host": "localhost:8080", "Origin": "localhost:8080"},
    {"Host": "localhost:8080", "Origin": "http://localhost:x"},
    {"Host": "localhost:8080", "Origin": "http://[::1"},
    {"Host": "localhost:8080", "Origin": "file://"},
]


class TestPaginasAjenas:
    """Nobody else's page uses the session of whoever looks at it (CSRF), nor begins one for them."""

    @pytest.fixture
    async def http(self, make_settings: Any, clock: FakeClock) -> AsyncIterator[Any]:
        settings = make_settings(issuer="http://tienda.test", cors_origins="http://otra.test:3000")
        async with running(create_app(settings, clock=clock)) as http:
            await http.post("/auth/usuarios", json={"email": EMAIL, "password": PASSWORD})
            yield http

    @pytest.mark.parametrize("headers", OURS, ids=range(len(OURS)))
    async def test_las_nuestras(self, http: Any, headers: dict[str, str]) -> None:
        navegador = Browser(http, **headers)
        tokens(await navegador.entrar())
        tokens(await navegador.renovar())
        assert (await navegador.salir()).status_code == 204

    @pytest.mark.parametrize("headers", THEIRS, ids=range(len(THEIRS)))
    async def test_las_de_otros(self, http: Any, headers: dict[str, str]) -> None:
        victim, page = Browser(http), Browser(http, **headers)
        await victim.entrar()
        page.cookie = before = victim.cookie
        for ask in (page.entrar, page.renovar, page.salir):
            response = await ask()
            assert refused(response, 403) == "origen-no-permitido"
            assert "set-cookie" not in response.headers
            assert "access-control-allow-credentials" not in response.headers
        assert page.cookie == before
        tokens(await victim.renovar())

    @pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
    async def test_un_formulario_no_entra(self, http: Any, media_type: str) -> None:
        content = f'{{"email": "{EMAIL}", "password": "{PASSWORD}"}}'.encode()
        response = await http.post("/auth/sesion", content=content, headers={"Content-Type": media_type})
        assert (response.status_code, problem(response)) == (415, "tipo-no-admitido")
        assert "set-cookie" not in response.headers

    async def test_con_https_las_de_http_son_ajenas(self, make_settings: Any, clock: FakeClock) -> None:
        settings = make_settings(issuer="https://tienda.test", allowed_hosts="tienda.test")
        async with running(create_app(settings, clock=clock)) as http:
            await http.post("/auth/usuarios", json={"email": EMAIL, "password": PASSWORD})
            plain = Browser(http, Host="tienda.test", Origin="http://tienda.test")
            assert refused(await plain.entrar(), 403) == "origen-no-permitido"
            tokens(await Browser(http, Host="tienda.test", Origin="https://tienda.test").entrar())


class TestSinConcesionPorPassword:
    """`AUTH_PASSWORD_GRANT=false`: passwords are for /auth/sesion alone."""

    @pytest.fixture
    def settings(self, make_settings: Any) -> Any:
        return partial(make_settings, password_grant=False)

    async def test_el_token_endpoint_no_toma_passwords(self, settings: Any, clock: FakeClock) -> None:
        async with running(create_app(settings(), clock=clock)) as http:
            await http.post("/auth/usuarios", json={"email": EMAIL, "password": PASSWORD})
            for grant in ("password", "urn:comanda:params:oauth:grant-type:mfa-otp"):
                form = {"grant_type": grant, "username": EMAIL, "password": PASSWORD, "mfa_token": "x", "otp": "1"}
                response = await http.post("/auth/token", data=form)
                assert (response.status_code, response.json()["error"]) == (400, "unsupported_grant_type")
            navegador = Browser(http)
            tokens(await navegador.entrar())
            form = {"grant_type": "refresh_token", "refresh_token": navegador.token}
            assert (await http.post("/auth/token", data=form)).status_code == 200

    async def test_los_metadatos_no_la_nombran(self, settings: Any, clock: FakeClock) -> None:
        async with running(create_app(settings(), clock=clock)) as http:
            metadata = (await http.get("/.well-known/oauth-authorization-server")).json()
        assert metadata["grant_types_supported"] == ["refresh_token", "client_credentials"]

    async def test_un_segundo_paso_empezado_no_sigue_alli(
        self, con_factor: Ana, settings: Any, clock: FakeClock
    ) -> None:
        mfa_token = await con_factor.pedir_mfa_token()
        async with running(create_app(settings(), clock=clock)) as http:
            for kind, name, code in (
                ("mfa-otp", "otp", con_factor.app.codigo()),
                ("mfa-recovery-code", "recovery_code", con_factor.codigos[0]),
            ):
                form = {"grant_type": f"urn:comanda:params:oauth:grant-type:{kind}", "mfa_token": mfa_token, name: code}
                response = await http.post("/auth/token", data=form)
                assert (response.status_code, response.json()["error"]) == (400, "unsupported_grant_type")
            body = await Browser(http).entrar(mfa_token=mfa_token, codigo=con_factor.app.codigo())
            assert claims(tokens(body))["amr"] == ["pwd", "otp"]
