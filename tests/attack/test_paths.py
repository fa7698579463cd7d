"""Other ways to write a path, a method or an address: none leads past the guards."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import httpx2
import pytest
from attack.door import Door, auth_process, status
from attack.target import SERVICES, Target

from comanda.testing import problem

ENGINES = ("sqlite",)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with auth_process(
        tmp_path_factory.mktemp("paths"), AUTH_LOG_LEVEL="error", AUTH_LOGIN_ATTEMPTS_PER_SOURCE_PER_MINUTE="5"
    ) as door:
        yield door


@pytest.fixture(scope="module")
def behind_a_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with auth_process(
        tmp_path_factory.mktemp("proxy"),
        AUTH_LOG_LEVEL="error",
        AUTH_LOGIN_ATTEMPTS_PER_SOURCE_PER_MINUTE="5",
        AUTH_TRUSTED_PROXIES="127.0.0.1",
    ) as door:
        yield door


@pytest.mark.proc
class TestWaysAround:
    @pytest.mark.parametrize(
        "written",
        [
            "//auth/yo",
            "/auth//yo",
            "/./auth/yo",
            "/auth/./yo",
            "/auth/yo/",
            "/auth/yo/.",
            "/auth/yo//",
            "/auth/yo;admin=true",
            "/auth/yo%00",
            "/auth/yo%20",
            "/auth/yo%0a",
            "/auth/yo%3f",
            "/AUTH/YO",
            "/auth/YO",
            "/%61uth/yo",
            "/auth%2fyo",
            "/auth%2Fyo",
            "/auth%252fyo",
            "/auth%5cyo",
            "/auth\\yo",
            "/livez/../auth/yo",
            "/livez/%2e%2e/auth/yo",
            "/livez%2f..%2fauth%2fyo",
            "/docs/../auth/yo",
            "/docs/assets/../../auth/yo",
            "/docs/assets/%2e%2e/%2e%2e/auth/yo",
            "/.well-known/../auth/yo",
            "/.well-known/jwks.json/../../auth/yo",
            "http://x/auth/yo",
            "http://evil.test/auth/yo",
            "/auth/yo?/livez",
            "/auth/yo#/livez",
            "*",
            "auth/yo",
        ],
    )
    def test_to_what_needs_a_token(self, door: Door, written: str) -> None:
        for method in (b"GET", b"HEAD"):
            answer = door.ask(written, method=method)
            assert status(answer) in (400, 401, 404, 405), answer
            assert b"@comanda.test" not in answer

    @pytest.mark.parametrize(
        "dots", ["..", "%2e%2e", "%2E.", "..%2f..", "..%5c..", "%252e%252e", "....//", "%c0%ae%c0%ae"]
    )
    @pytest.mark.parametrize("file", ["etc/passwd", "fastapi_swagger/__init__.py", "pyproject.toml"])
    def test_out_of_the_folder_of_the_documentation(self, door: Door, dots: str, file: str) -> None:
        for depth in (1, 2, 12):
            for start in ("/docs/assets/", "/docs/assets//", "/docs/assets/swagger-ui.css/"):
                answer = door.ask(start + f"{dots}/" * depth + file)
                assert status(answer) in (400, 404, 405), answer
                assert b"root:" not in answer
        assert status(door.ask(f"/docs/assets//{file}")) == 404
        assert status(door.ask("/docs/assets/swagger-ui.css")) == 200  # what is there to be had

    @pytest.mark.parametrize(
        "method", [b"TRACE", b"TRACK", b"OPTIONS", b"CONNECT", b"PROPFIND", b"get", b"G\0T", b"FOO"]
    )
    def test_with_other_methods(self, door: Door, method: bytes) -> None:
        for path in ("/auth/yo", "/auth/usuarios", "/livez", "/nada"):
            answer = door.ask(path, "X-Echo: secreto-del-cliente", method=method)
            assert status(answer) in (400, 401, 404, 405), answer
            assert b"secreto-del-cliente" not in answer

    def test_by_another_host(self, door: Door) -> None:
        """Nothing that is answered, or kept in a cache, is made of the name by which we were called."""
        evil = (
            "Host: evil.test",
            "X-Forwarded-Host: evil.test",
            "Forwarded: host=evil.test",
            "X-Forwarded-Proto: evil",
        )
        for path in ("/.well-known/oauth-authorization-server", "/docs", "/openapi.json", "/auth/yo", "/docs/assets"):
            for header in evil[1:]:
                assert b"evil" not in door.ask(path, header)
            request = f"GET {path} HTTP/1.1\r\nConnection: close\r\n{evil[0]}\r\n\r\n"
            assert b"evil" not in door.exchange(request.encode())


SOURCES = ("X-Forwarded-For", "X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP", "Client-IP", "Via")


@pytest.mark.proc
class TestSource:
    def test_is_not_what_the_client_says(self, door: Door) -> None:
        """Seven log-ins, each of another account, and from another address by its own account."""
        statuses = []
        for number, name in enumerate(SOURCES):
            headers = (f"{name}: 10.0.0.{number}", f"Forwarded: for=10.0.0.{number}")
            statuses.append(status(door.log_in(f"nadie-{number}@ejemplo.es", *headers)))
        assert statuses == [400] * 5 + [429] * 2

    def test_is_what_a_trusted_proxy_saw(self, behind_a_proxy: Door) -> None:
        """The proxy writes last; what the client wrote before it counts for nothing."""

        def log_in(number: int, forwarded: str) -> int:
            return status(behind_a_proxy.log_in(f"nadie-{number}@ejemplo.es", f"X-Forwarded-For: {forwarded}"))

        spoofed = [log_in(number, f"10.0.0.{number}, 127.0.0.1, 192.0.2.1") for number in range(7)]
        assert spoofed == [400] * 5 + [429] * 2
        assert log_in(7, "192.0.2.2") == 400


@pytest.mark.asyncio(loop_scope="module")
class TestHeaders:
    @pytest.mark.parametrize("service", SERVICES)
    async def test_of_other_systems_name_no_caller(self, target: Target, service: str) -> None:
        path = {"auth": "/auth/usuarios", "productos": "/productos", "inventario": "/inventario", "pedidos": "/pedidos"}
        claims = {
            "X-User-Id": target.jefa,
            "X-Forwarded-User": target.jefa,
            "X-Remote-User": "admin",
            "Remote-User": "admin",
            "X-Role": "admin",
            "X-Scope": "usuarios:gestionar",
            "X-Forwarded-For": "127.0.0.1",
            "X-Internal": "true",
            "X-Service": "pedidos",
            "X-Client-Cert": "CN=pedidos",
            "Proxy-Authorization": target.admin["Authorization"],
            "X-Authorization": target.admin["Authorization"],
            "Cookie": f"access_token={target.admin['Authorization'][7:]}",
        }
        response = await target.clients[service].get(path[service], headers=claims)
        assert (response.status_code, problem(response)) == (401, "no-autenticado")
        token = target.admin["Authorization"][7:]
        for name in ("access_token", "token", "authorization"):
            response = await target.clients[service].get(path[service], params={name: token})
            assert (response.status_code, problem(response)) == (401, "no-autenticado")

    async def test_two_tokens(self, target: Target) -> None:
        """The first counts, so that nobody can add another behind a gateway's back; none of them adds to the other."""
        mine, admins = target.cliente(target.ana)["Authorization"], target.admin["Authorization"]
        for first, second, expected in ((mine, admins, 403), ("Bearer x", admins, 401)):
            headers = [("Authorization", first), ("Authorization", second)]
            response = await target.auth.get("/auth/usuarios", headers=headers)
            assert response.status_code == expected
        joined = await target.auth.get("/auth/usuarios", headers={"Authorization": f"{mine}, {admins}"})
        assert joined.status_code == 401

    @pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"])
    async def test_override_no_method(self, target: Target, name: str) -> None:
        producto = await target.system.producto(1)
        for headers in (target.admin, target.cliente(target.ana)):
            response = await target.system.productos.get(
                f"/productos/{producto}?_method=DELETE&method=DELETE", headers=headers | {name: "DELETE"}
            )
            assert (response.status_code, response.json()["activo"]) == (200, True)
        response = await target.system.productos.post(
            f"/productos/{producto}", json={"_method": "DELETE"}, headers=target.admin | {name: "DELETE"}
        )
        assert (response.status_code, problem(response)) == (405, "metodo-no-permitido")

    @pytest.mark.parametrize("name", ["X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Forwarded-Path"])
    async def test_override_no_path(self, target: Target, name: str) -> None:
        for public in ("/livez", "/.well-known/jwks.json"):
            plain = await target.auth.get(public)
            other = await target.auth.get(public, headers={name: "/auth/usuarios"})
            assert (other.status_code, other.content) == (200, plain.content)
        for headers, expected in (({}, 401), (target.cliente(target.ana), 403)):
            response = await target.auth.get("/auth/usuarios", headers=headers | {name: "/livez"})
            assert response.status_code == expected


REWRITTEN = (
    "/{}/",
    "//{}",
    "/./{}",
    "/{}/.",
    "/%2e/{}",
    "/x/%2e%2e/{}",
    "/{};x",
    "/{}%00",
    "/{}%2f",
    "/{}%20",
    "/{}/%2e",
)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("written", REWRITTEN)
class TestRewrittenPaths:
    async def test_are_other_paths(self, target: Target, written: str) -> None:
        """A route has one path: what a gateway forbids by its name cannot be had under another."""
        for service, path in (
            ("auth", "auth/usuarios"),
            ("auth", "circuitos"),
            ("productos", "productos"),
            ("inventario", "reservas"),
            ("pedidos", "pedidos"),
        ):
            response: Any = await request(target, service, written.format(path))
            assert response.status_code in (404, 422), path  # 422: `.` is no id

    async def test_of_an_object_neither(self, target: Target, written: str) -> None:
        producto = await target.system.producto(1)
        for service, path in (("productos", f"productos/{producto}"), ("inventario", f"inventario/{producto}")):
            response: Any = await request(target, service, written.format(path))
            assert response.status_code in (404, 422), path


async def request(target: Target, service: str, path: str) -> Any:
    """As an administrator, with the path as it is: the client would tidy it up."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"authorization", target.admin["Authorization"].encode())],
        "client": ("127.0.0.1", 1),
        "server": ("x", 80),
    }
    await target.apps[service](scope, receive, send)
    return httpx2.Response(sent[0]["status"], headers=sent[0]["headers"], content=sent[1]["body"])
