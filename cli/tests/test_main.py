"""The command line: what reaches which module, and how failures look."""

import os
import runpy
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from comanda.cli import environment, reference
from comanda.cli.errors import CommandFailed
from comanda.cli.main import app
from comanda.cli.narrator import Narrator
from comanda.cli.supervision import Program

REPOSITORY = Path(__file__).parents[2]
COMMANDS = {
    "up": "comanda.cli.up.up",
    "announce": "comanda.cli.announce.announce",
    "status": "comanda.cli.status.status",
    "seed": "comanda.cli.seed.command",
    "verify": "comanda.cli.verify.command",
    "demo": "comanda.cli.demo.demo",
    "migrate": "comanda.cli.migrate.migrate",
    "admin create a@b.c": "comanda.cli.admin.create",
    "keys rotate --now": "comanda.cli.keys.rotate",
    "keys list": "comanda.cli.keys.listing",
}


@pytest.fixture(autouse=True)
def environment_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.environ", dict(os.environ))


class TestVerify:
    def test_las_opciones_llegan(self, monkeypatch: pytest.MonkeyPatch) -> None:
        given: dict[str, object] = {}
        monkeypatch.setattr("comanda.cli.verify.command", lambda _, **options: given.update(options))
        assert CliRunner().invoke(app, ["verify", "--json", "--repair", "--strict"]).exit_code == 0
        assert given == {"inventario": None, "pedidos": None, "as_json": True, "repair": True, "strict": True}


class TestCommands:
    @pytest.mark.parametrize("command", COMMANDS)
    def test_llega_a_su_modulo(self, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
        calls: list[object] = []
        monkeypatch.setattr(COMMANDS[command], lambda *_, **__: calls.append(command))
        result = CliRunner().invoke(app, command.split(" "))
        assert (result.exit_code, calls) == (0, [command]), result.output

    @pytest.mark.parametrize("code", [1, 2])
    def test_un_fallo_es_una_linea(self, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
        def fail(*_: object, **__: object) -> None:
            raise CommandFailed("what is wrong", code)

        monkeypatch.setattr("comanda.cli.verify.command", fail)
        result = CliRunner().invoke(app, ["verify"])
        assert (result.exit_code, result.stdout, result.stderr) == (code, "", "what is wrong\n")

    def test_contrasena_a_mano(self, monkeypatch: pytest.MonkeyPatch) -> None:
        calls: list[tuple[object, ...]] = []
        monkeypatch.setattr("comanda.cli.admin.create", lambda *arguments: calls.append(arguments))
        result = CliRunner().invoke(app, ["admin", "create", "a@b.c", "--prompt"], input="secret\nsecret\n")
        assert (result.exit_code, calls) == (0, [("a@b.c", "secret")])

    def test_python_m(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setattr(sys, "argv", ["comanda", "--help"])
        with pytest.raises(SystemExit):
            runpy.run_module("comanda.cli", run_name="__main__")
        assert "four services" in capsys.readouterr().out


class TestSettings:
    def test_env_example_esta_al_dia(self) -> None:
        result = CliRunner().invoke(app, ["settings"])
        assert result.stdout == (REPOSITORY / ".env.example").read_text(), "run `make settings`"

    def test_copiarlo_no_cambia_nada(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text((REPOSITORY / ".env.example").read_text())
        before = dict(os.environ)
        environment.read_env_file(tmp_path / ".env")
        assert dict(os.environ) == before

    def test_con_los_valores_por_omision_arranca(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        text = reference.env_example()
        (tmp_path / ".env").write_text(text.replace("\n#", "\n").replace("\n ", "\n# "))
        environment.read_env_file(tmp_path / ".env")
        environment.load_settings()


class TestStatus:
    def test_cada_servicio(self, monkeypatch: pytest.MonkeyPatch) -> None:
        programs = [Program(service, "RUNNING", 10, 61) for service in environment.SERVICES]
        programs[3] = Program("pedidos", "BACKOFF", 0, 0)
        monkeypatch.setattr("comanda.cli.supervision.programs", lambda _: programs)
        result = CliRunner().invoke(app, ["status"])
        lines = [line.split() for line in result.stdout.splitlines()]
        assert lines[0] == ["auth", "RUNNING", "pid", "10", "0:01:01", "http://127.0.0.1:8000"]
        assert lines[3] == ["pedidos", "BACKOFF", "pid", "-", "0:00:00", "http://127.0.0.1:8003"]

    def test_no_corre(self, tmp_path: Path) -> None:
        os.environ["COMANDA_DATA"] = str(tmp_path)
        result = CliRunner().invoke(app, ["status"])
        assert (result.exit_code, result.stderr) == (1, f"Comanda is not running on {tmp_path}\n")


class TestNarrator:
    def test_lo_que_no_es_verdad_acaba_el_cuento(self, capsys: pytest.CaptureFixture[str]) -> None:
        narrator = Narrator()
        narrator.claim("the sky is up", 1, 1)
        with pytest.raises(CommandFailed, match="the sky is green: expected 'green', found 'blue'"):
            narrator.claim("the sky is green", "blue", "green")
        output = capsys.readouterr().out
        assert "✓ the sky is up" in output
        assert "✗ the sky is green" in output
