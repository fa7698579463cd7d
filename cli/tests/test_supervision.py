import configparser
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from comanda.cli import supervision
from comanda.productos.settings import Settings


class TestConfiguration:
    @pytest.mark.parametrize("name", ["data", "with spaces ; and # signs", "año"])
    def test_el_supervisor_la_entiende(self, tmp_path: Path, name: str) -> None:
        """Read by the supervisor itself, whatever the folder is called."""
        data = tmp_path / name
        (data / "run").mkdir(parents=True)
        (data / "logs").mkdir()
        path = supervision.write_configuration(data, {"productos": Settings(shutdown_seconds=33)})
        options = ServerOptions()
        options.realize(["-n", "-c", str(path)])
        (server,) = options.server_configs
        assert Path(server["file"]).resolve() == supervision.socket_path(data)
        (group,) = options.process_group_configs
        (program,) = group.process_configs
        assert program.command.endswith(" -m comanda.productos")
        assert Path(program.stdout_logfile).resolve() == data / "logs" / "productos.log"
        assert (program.autorestart.__name__, program.stopsignal, program.stopwaitsecs) == (
            "RestartUnconditionally",
            15,
            38,
        )
        assert Path(options.logfile).resolve() == data / "logs" / "supervisor.log"

    def test_sin_ser_root(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.geteuid", lambda: 1000)
        parser = configparser.RawConfigParser()
        parser.read_string(supervision.configuration(tmp_path, {"productos": Settings()}))
        assert "user" not in parser["supervisord"]


class TestSocketPath:
    def test_en_la_carpeta(self, tmp_path: Path) -> None:
        assert supervision.socket_path(Path("/data")) == Path("/data/run/supervisor.sock")

    def test_ruta_demasiado_larga(self) -> None:
        long = Path("/" + "x" * 100)
        path = supervision.socket_path(long)
        assert len(str(path)) <= supervision.MAX_SOCKET_CHARS
        assert path == supervision.socket_path(long)
        assert path != supervision.socket_path(long / "other")


class TestNadie:
    def test_no_hay_supervisor(self, tmp_path: Path) -> None:
        assert supervision.running_pid(tmp_path) is None
        with pytest.raises(supervision.NotRunning):
            supervision.programs(tmp_path)
