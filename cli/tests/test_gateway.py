"""Whether there is a gateway, and what it and the services are told. That it works is for tests/e2e."""

import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from comanda.cli import environment, gateway
from comanda.cli.errors import CommandFailed
from comanda.cli.listening import Place
from comanda.common.ports import free_ports
from comanda.productos.settings import Settings


@pytest.fixture
def caddy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "caddy"
    path.touch()
    monkeypatch.setattr(gateway, "caddy", lambda: path)
    return path


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


class TestPlan:
    def test_donde_se_diga(self, caddy: Path) -> None:
        port = free_ports(1)[0]
        planned = gateway.plan({"COMANDA_GATEWAY_PORT": str(port)}, {})
        assert planned is not None
        assert planned.place.port == port

    def test_no_se_quiere(self, caddy: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert gateway.plan({"COMANDA_GATEWAY_PORT": "0"}, {}) is None
        assert capsys.readouterr().out == ""

    def test_no_hay_caddy(self, caddy: Path, capsys: pytest.CaptureFixture[str]) -> None:
        caddy.unlink()
        assert gateway.plan({"COMANDA_GATEWAY_PORT": "1"}, {}) is None
        assert capsys.readouterr().out.startswith("No gateway: Caddy is not installed")

    def test_el_de_siempre_en_uso(
        self, caddy: Path, busy_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Several installations start with nothing but the services' ports changed."""
        monkeypatch.setattr(gateway, "PORT", busy_port)
        assert gateway.plan({}, {}) is None
        line = f"No gateway: 127.0.0.1:{busy_port} is in use: set COMANDA_GATEWAY_PORT to another port\n"
        assert capsys.readouterr().out == line

    def test_el_pedido_en_uso(self, caddy: Path, busy_port: int) -> None:
        with pytest.raises(CommandFailed) as failure:
            gateway.plan({"COMANDA_GATEWAY_PORT": str(busy_port)}, {})
        assert str(failure.value) == f"127.0.0.1:{busy_port} is in use: set COMANDA_GATEWAY_PORT to another port"

    def test_el_de_un_servicio(self, caddy: Path) -> None:
        port = free_ports(1)[0]
        with pytest.raises(CommandFailed, match="is given to two programs: set COMANDA_GATEWAY_PORT"):
            gateway.plan({"COMANDA_GATEWAY_PORT": str(port)}, {"productos": Settings(port=port)})

    def test_el_de_un_servicio_en_todas_las_direcciones(self, caddy: Path) -> None:
        port = str(free_ports(1)[0])
        given = {"COMANDA_GATEWAY_PORT": port, "COMANDA_GATEWAY_HOST": next(iter(environment.ANY_ADDRESS))}
        with pytest.raises(CommandFailed, match="is given to two programs: set COMANDA_GATEWAY_PORT"):
            gateway.plan(given, {"productos": Settings(port=int(port))})

    @pytest.mark.parametrize("port", ["many", "-1", "65536", "8080.0", "²"])
    def test_no_es_un_puerto(self, caddy: Path, port: str) -> None:
        with pytest.raises(CommandFailed, match="COMANDA_GATEWAY_PORT: must be a port"):
            gateway.plan({"COMANDA_GATEWAY_PORT": port}, {})


class TestComplete:
    def complete(self, **given: str) -> dict[str, str]:
        place = Place("127.0.0.1", 8080, gateway.HOST_VARIABLE, gateway.PORT_VARIABLE)
        return gateway.Gateway(place).complete(environment.derive(given))

    @pytest.mark.skipif(not gateway._has_source(), reason="127.80.80.80 is no address of this machine")
    def test_solo_se_le_cree_a_ella(self) -> None:
        variables = self.complete()
        assert variables["AUTH_UPSTREAMS"] == "127.0.0.1:8000"
        assert variables["GATEWAY_SOURCE"] == variables["AUTH_TRUSTED_PROXIES"] == gateway.SOURCE

    @pytest.mark.parametrize("given", [{"PEDIDOS_HOST": "192.0.2.1"}, {"AUTH_HOST": "::1"}, {"AUTH_UPSTREAMS": "a:1"}])
    def test_servicios_en_otro_sitio(self, given: dict[str, str]) -> None:
        """They are not reached from loopback, so that they must be told whom to believe."""
        variables = self.complete(**given)
        assert "GATEWAY_SOURCE" not in variables
        assert "AUTH_TRUSTED_PROXIES" not in variables

    def test_lo_dado_se_queda(self) -> None:
        variables = self.complete(AUTH_TRUSTED_PROXIES="10.0.0.1", AUTH_PUBLIC_URL="https://tienda.es")
        assert variables["AUTH_TRUSTED_PROXIES"] == "10.0.0.1"
        assert variables["AUTH_PUBLIC_URL"] == "https://tienda.es"

    def test_los_correos_llevan_a_la_tienda(self) -> None:
        assert self.complete()["AUTH_PUBLIC_URL"] == "http://127.0.0.1:8080"


class Answer(http.server.BaseHTTPRequestHandler):
    body = b""

    def do_GET(self) -> None:  # the name that the base class calls
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


class TestWhoAnswers:
    def test_nadie(self) -> None:
        assert gateway.who_answers({"COMANDA_GATEWAY_PORT": str(free_ports(1)[0])}) is None

    @pytest.mark.parametrize(
        ("body", "who"),
        [(b'{"estado":"vivo","instancia":"a1"}', "a1"), (b'{"estado":"vivo"}', ""), (b"<html>", ""), (b"[]", "")],
    )
    def test_alguien(self, monkeypatch: pytest.MonkeyPatch, body: bytes, who: str) -> None:
        monkeypatch.setattr(Answer, "body", body)
        with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
            threading.Thread(target=server.handle_request, daemon=True).start()
            assert gateway.who_answers({"COMANDA_GATEWAY_PORT": str(server.server_port)}) == who


class TestProcess:
    def start(self, supervisor: int, **variables: str) -> "subprocess.Popen[str]":
        given = {**os.environ, **variables, "COMANDA_SUPERVISOR_PID": str(supervisor)}
        command = [sys.executable, "-m", "comanda.cli.gateway_process"]
        return subprocess.Popen(command, env=given, stderr=subprocess.PIPE, text=True)

    def test_espera_a_que_el_puerto_quede_libre(self, busy_port: int) -> None:
        with self.start(os.getpid(), COMANDA_GATEWAY_PORT=str(busy_port)) as process:
            assert process.stderr is not None
            reason = f"127.0.0.1:{busy_port} is in use: set COMANDA_GATEWAY_PORT to another port\n"
            assert process.stderr.readline() == reason
            assert process.poll() is None
            process.terminate()
        assert process.returncode == -signal.SIGTERM

    def test_una_direccion_ajena(self) -> None:
        with self.start(os.getpid(), COMANDA_GATEWAY_HOST="192.0.2.1") as process:
            _, reason = process.communicate(timeout=30)
        assert process.returncode == 1
        assert reason.startswith("COMANDA_GATEWAY_HOST: cannot listen on 192.0.2.1: ")

    def test_sin_supervisor(self) -> None:
        with self.start(1 if os.getpid() != 1 else 2) as process:
            _, reason = process.communicate(timeout=30)
        assert (process.returncode, reason) == (1, "the supervisor is gone\n")


class TestAddress:
    @pytest.mark.parametrize(
        ("host", "url"),
        [("", "http://127.0.0.1:8080"), ("0.0.0.0", "http://127.0.0.1:8080"), ("::", "http://[::1]:8080")],  # noqa: S104
    )
    def test_desde_esta_maquina(self, host: str, url: str) -> None:
        assert gateway.address({"COMANDA_GATEWAY_HOST": host}) == url
