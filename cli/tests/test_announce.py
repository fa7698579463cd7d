import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from comanda.cli import announce, environment, gateway, seed, supervision
from comanda.cli.errors import CommandFailed
from comanda.cli.supervision import Program


class Readiness(http.server.BaseHTTPRequestHandler):
    """One listener that plays all four services; not ready the first few times."""

    not_yet = 0

    def do_GET(self) -> None:  # the name that the base class calls
        Readiness.not_yet -= 1
        self.send_response(503 if Readiness.not_yet >= 0 else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Readiness) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ports = {f"{service.upper()}_PORT": str(server.server_port) for service in environment.SERVICES}
        variables = ports | {"COMANDA_DATA": str(tmp_path), "COMANDA_SUPERVISOR_PID": str(os.getppid())}
        monkeypatch.setattr("os.environ", variables)
        monkeypatch.setattr(announce, "POLL_SECONDS", 0)
        Readiness.not_yet = 0
        yield variables
        server.shutdown()


class TestAnnounce:
    def test_cuando_todos_estan_listos(self, variables: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
        Readiness.not_yet = 5
        announce.announce(seed=False)
        assert capsys.readouterr().out.endswith("\n\nComanda lista\n")

    def test_no_lo_estan(
        self, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        Readiness.not_yet = 1
        monkeypatch.setattr(announce, "PATIENCE_SECONDS", 0)
        announce.announce(seed=False)
        assert capsys.readouterr().out.startswith("Still waiting for auth. Why: ")

    def test_nadie_escucha(self) -> None:
        assert not announce._is_ready("http://127.0.0.1:1")

    def test_el_supervisor_ya_no_esta(self, variables: dict[str, str]) -> None:
        variables["COMANDA_SUPERVISOR_PID"] = "1" if os.getppid() != 1 else "2"
        with pytest.raises(SystemExit):
            announce.announce(seed=False)

    def test_nadie_lee_lo_que_dice(self, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        def closed(_: str) -> bool:
            raise BrokenPipeError

        monkeypatch.setattr(announce, "_is_ready", closed)
        announce.announce(seed=False)


class TestGateway:
    @pytest.fixture
    def variables(self, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
        variables |= {"GATEWAY_INSTANCE": "x", "COMANDA_GATEWAY_PORT": "4711"}
        monkeypatch.setattr(announce, "GATEWAY_SECONDS", 0)
        return variables

    def test_cuando_ella_tambien_lo_esta(
        self, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        answers = iter((None, "x"))
        monkeypatch.setattr(gateway, "who_answers", lambda _: next(answers))
        monkeypatch.setattr(supervision, "programs", lambda _: [Program("gateway", "STARTING", 1, 0)])
        announce.announce(seed=False)
        output = capsys.readouterr().out
        assert output.split()[:2] == ["tienda", "http://127.0.0.1:4711/"]
        assert output.endswith("\n\nComanda lista\n")

    def test_no_arranca(
        self, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The services do, and that is said."""
        monkeypatch.setattr(gateway, "who_answers", lambda _: None)
        monkeypatch.setattr(supervision, "programs", lambda _: [Program("gateway", "BACKOFF", 0, 0)])
        announce.announce(seed=False)
        output = capsys.readouterr().out
        assert output.startswith("No gateway: it does not start. See ")
        assert "tienda" not in output
        assert output.endswith("\n\nComanda lista\n")

    @pytest.mark.parametrize("other", ["", "y"])
    def test_otro_fue_mas_rapido(
        self, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], other: str
    ) -> None:
        """Another installation that started at the same time, for example."""
        monkeypatch.setattr(gateway, "who_answers", lambda _: other)
        announce.announce(seed=False)
        output = capsys.readouterr().out
        assert output.startswith("No gateway: something else has its port. See ")
        assert output.endswith("\n\nComanda lista\n")

    def test_no_responde(
        self, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(announce, "PATIENCE_SECONDS", 0)
        monkeypatch.setattr(gateway, "who_answers", lambda _: None)
        announce.announce(seed=False)
        assert capsys.readouterr().out.endswith("\n\nComanda lista\n")

    def test_ya_no_hay_supervisor(self, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        def gone(_: Path) -> list[Program]:
            raise supervision.NotRunning

        monkeypatch.setattr(supervision, "programs", gone)
        assert not announce._is_starting(Path("/data"))


class TestSeedOnce:
    def test_una_vez(self, variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        seeded: list[object] = []
        monkeypatch.setattr(seed, "seed", seeded.append)
        announce.announce(seed=True)
        announce.announce(seed=True)
        assert len(seeded) == 1

    def test_no_se_pudo(
        self, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """It is said, and Comanda is ready all the same."""

        def refused(_: object) -> None:
            raise CommandFailed("no password")

        monkeypatch.setattr(seed, "seed", refused)
        announce.announce(seed=True)
        output = capsys.readouterr().out
        assert output.startswith("The catalogue was not filled: no password\n")
        assert output.endswith("Comanda lista\n")


class TestAdmin:
    def test_contrasena_escrita(self, variables: dict[str, str], tmp_path: Path) -> None:
        path = tmp_path / "admin-credentials.txt"
        path.write_text("email: a@b.c\npassword: secret\n")
        assert "\n".join(announce._admin(tmp_path, to_terminal=True)).split() == [
            "admin",
            "a@b.c",
            "password",
            "secret",
        ]
        assert announce._admin(tmp_path, to_terminal=False)[1].split() == ["password", "in", str(path)]

    def test_contrasena_dada(self, variables: dict[str, str], tmp_path: Path) -> None:
        variables |= {"COMANDA_ADMIN_PASSWORD": "secret", "COMANDA_ADMIN_EMAIL": "a@b.c"}
        os.environ.update(variables)
        assert [line.split() for line in announce._admin(tmp_path, to_terminal=True)] == [["admin", "a@b.c"]]
