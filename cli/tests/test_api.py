import json

import httpx2
import pytest
from fakes import URLS, api, page, problem

from comanda.cli.api import Api, Unreachable, slug
from comanda.cli.errors import CommandFailed


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comanda.cli.api.BUSY_PAUSE_SECONDS", 0)


class TestGet:
    def test_con_su_token(self) -> None:
        with api(lambda request: httpx2.Response(200, json=request.headers["authorization"])) as client:
            answer = client.get("pedidos", "/pedidos/1")
        assert answer is not None
        assert answer.json() == "Bearer token for pedidos"

    def test_lo_que_no_existe(self) -> None:
        with api(lambda _: problem(404, "no-encontrado")) as client:
            assert client.get("pedidos", "/pedidos/1") is None

    def test_no_es_de_los_nuestros(self) -> None:
        with api(lambda _: httpx2.Response(404, text="nginx")) as client, pytest.raises(Unreachable, match="404"):
            client.get("pedidos", "/pedidos/1")

    def test_token_rechazado(self) -> None:
        with api(lambda _: problem(401, "no-autenticado")) as client, pytest.raises(Unreachable) as failure:
            client.get("pedidos", "/pedidos")
        assert str(failure.value) == "pedidos at http://pedidos: it does not accept our token (no-autenticado)"
        assert failure.value.code == 2

    def test_ocupado_un_momento(self) -> None:
        answers = iter([problem(503, "servicio-no-disponible"), problem(429, "saturado"), page([])])
        with api(lambda _: next(answers)) as client:
            assert client.get("pedidos", "/pedidos") is not None

    def test_vuelve_tras_un_momento(self) -> None:
        calls = iter(range(3))

        def handler(request: httpx2.Request) -> httpx2.Response:
            if next(calls) < 2:
                raise httpx2.ConnectError("refused", request=request)
            return page([])

        with api(handler) as client:
            assert client.get("pedidos", "/pedidos") is not None

    def test_nadie_responde(self) -> None:
        def handler(request: httpx2.Request) -> httpx2.Response:
            raise httpx2.ConnectError("refused", request=request)

        with api(handler) as client, pytest.raises(Unreachable, match="pedidos at http://pedidos: no answer"):
            client.get("pedidos", "/pedidos")


class TestAll:
    def test_pagina_tras_pagina(self) -> None:
        def handler(request: httpx2.Request) -> httpx2.Response:
            assert request.url.params["limite"] == "200"
            assert request.url.params["estado"] == "ACTIVA"
            return page([{"id": 2}]) if request.url.params.get("cursor") == "more" else page([{"id": 1}], "more")

        with api(handler) as client:
            assert list(client.all("inventario", "/reservas", estado="ACTIVA")) == [{"id": 1}, {"id": 2}]

    def test_la_lista_no_existe(self) -> None:
        with api(lambda _: problem(404, "no-encontrado")) as client, pytest.raises(Unreachable, match="no /reservas"):
            list(client.all("inventario", "/reservas"))


class TestLogin:
    def test_bien(self) -> None:
        def handler(request: httpx2.Request) -> httpx2.Response:
            assert request.content == b"grant_type=password&username=a%40b.c&password=secret&client_id=comanda-web"
            return httpx2.Response(200, json={"access_token": "abc"})

        with api(handler) as client:
            assert client.login("a@b.c", "secret").headers("pedidos") == {"Authorization": "Bearer abc"}

    def test_mal(self) -> None:
        refusal = pytest.raises(CommandFailed, match=r"credentials of a@b\.c: .*invalid_grant")
        with api(lambda _: httpx2.Response(400, json={"error": "invalid_grant"})) as client, refusal:
            client.login("a@b.c", "secret")

    @pytest.mark.parametrize(
        ("code", "expected"),
        [
            ("123456", "mfa-otp&mfa_token=sealed&otp=123456"),
            ("k3fq-zt7a", "code&mfa_token=sealed&recovery_code=k3fq-zt7a"),
        ],
    )
    def test_en_dos_pasos(self, code: str, expected: str) -> None:
        def handler(request: httpx2.Request) -> httpx2.Response:
            if request.content.startswith(b"grant_type=password"):
                return httpx2.Response(400, json={"error": "mfa_required", "mfa_token": "sealed"})
            assert request.content.decode().endswith(expected)
            return httpx2.Response(200, json={"access_token": "abc"})

        with api(handler) as client:
            assert client.login("a@b.c", "secret", code).headers("pedidos") == {"Authorization": "Bearer abc"}

    @pytest.mark.parametrize(("code", "field"), [("123456", "codigo"), ("k3fq-zt7a", "codigo_de_recuperacion")])
    def test_sin_concesion_por_password(self, code: str, field: str) -> None:
        def handler(request: httpx2.Request) -> httpx2.Response:
            if request.url.path == "/auth/token":
                return httpx2.Response(400, json={"error": "unsupported_grant_type"})
            assert request.url.path == "/auth/sesion"
            body = json.loads(request.content)
            if body == {"email": "a@b.c", "password": "secret"}:
                return httpx2.Response(403, json={"mfa_token": "sealed"})
            assert body == {"mfa_token": "sealed", field: code}
            return httpx2.Response(200, json={"access_token": "abc"})

        with api(handler) as client:
            assert client.login("a@b.c", "secret", code).headers("pedidos") == {"Authorization": "Bearer abc"}

    def test_falta_el_segundo_paso(self) -> None:
        answer = httpx2.Response(400, json={"error": "mfa_required", "mfa_token": "sealed"})
        refusal = pytest.raises(CommandFailed, match="has a second factor: set COMANDA_ADMIN_CODE")
        with api(lambda _: answer) as client, refusal:
            client.login("a@b.c", "secret")


def test_sin_token() -> None:
    with Api(URLS) as client:
        assert client.headers("pedidos") == {}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (problem(409, "sku-en-uso"), "sku-en-uso"),
        (httpx2.Response(500, text="oops"), ""),
        (httpx2.Response(200, json=[1]), ""),
        (httpx2.Response(200, json={"id": 1}), ""),
    ],
)
def test_slug(answer: httpx2.Response, expected: str) -> None:
    assert slug(answer) == expected
