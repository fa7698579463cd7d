"""What `comanda up` refuses before it starts anything. That it starts is for tests/e2e."""

import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from comanda.auth.settings import Settings as AuthSettings
from comanda.cli import supervision, up
from comanda.cli.errors import CommandFailed
from comanda.common.ports import free_ports
from comanda.common.settings import ServiceSettings
from comanda.productos.settings import Settings as ProductosSettings


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def settings(**values: object) -> dict[str, ServiceSettings]:
    return {"productos": ProductosSettings(**values)}  # type: ignore[arg-type]


class TestPorts:
    def test_libres(self) -> None:
        up._check_ports(settings(port=free_ports(1)[0]))

    def test_en_uso(self, busy_port: int) -> None:
        with pytest.raises(CommandFailed) as failure:
            up._check_ports(settings(port=busy_port))
        assert str(failure.value) == f"127.0.0.1:{busy_port} is in use: set PRODUCTOS_PORT to another port"

    def test_para_dos(self) -> None:
        port = free_ports(1)[0]
        with pytest.raises(CommandFailed, match="is given to two programs: set AUTH_PORT"):
            up._check_ports({**settings(port=port), "auth": AuthSettings(port=port)})

    def test_ninguno(self) -> None:
        with pytest.raises(CommandFailed, match="PRODUCTOS_PORT: 0 is no port"):
            up._check_ports(settings(port=0))

    @pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
    def test_direccion_ajena(self, host: str) -> None:
        with pytest.raises(CommandFailed, match=f"PRODUCTOS_HOST: cannot listen on {host}: "):
            up._check_ports(settings(host=host, port=free_ports(1)[0]))

    def test_sin_permiso(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def forbidden(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("socket.socket.bind", forbidden)
        with pytest.raises(CommandFailed, match="needs more rights than this user has: set PRODUCTOS_PORT"):
            up._check_ports(settings(port=80))


class TestDataFolder:
    def test_solo_para_nosotros(self, tmp_path: Path) -> None:
        data = up._data_folder({"COMANDA_DATA": str(tmp_path / "deep" / "data")})
        assert data.stat().st_mode & 0o777 == 0o700
        assert (data / "logs").is_dir()

    def test_no_se_puede(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(CommandFailed, match="Set COMANDA_DATA to another folder"):
            up._data_folder({"COMANDA_DATA": str(tmp_path / "file" / "data")})

    def test_un_nombre_que_el_supervisor_no_admite(self, tmp_path: Path) -> None:
        with pytest.raises(CommandFailed, match="COMANDA_DATA: the supervisor cannot work in"):
            up._data_folder({"COMANDA_DATA": str(tmp_path / "100 %")})

    def test_ya_en_uso(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(supervision, "running_pid", lambda _: 42)
        with pytest.raises(CommandFailed, match=r"already runs on .* \(pid 42\)"):
            up._check_folder_is_free(tmp_path)


class TestKeys:
    def test_una_vez(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COMANDA_DATA", str(tmp_path))
        up._create_keys(tmp_path)
        keys = {path.name: path.read_bytes() for path in (tmp_path / "keys").iterdir()}
        assert keys.keys() == {f"{name}.{kind}" for name in up.SIGNERS for kind in ("pem", "jwks.json")}
        up._create_keys(tmp_path)
        assert {path.name: path.read_bytes() for path in (tmp_path / "keys").iterdir()} == keys


class TestSamples:
    def test_en_desarrollo(self) -> None:
        assert up._may_have_samples(settings())

    def test_en_produccion_ni_uno(self) -> None:
        produccion = settings(
            environment="production", auth_issuer="https://auth.example.com", revocation_poll_seconds=0
        )
        assert not up._may_have_samples({"auth": AuthSettings()} | produccion)


class TestOpenFiles:
    @pytest.mark.parametrize(
        ("hard", "soft"),
        [(resource.RLIM_INFINITY, up.MAX_OPEN_FILES), (4096, 4096), (1_000_000, up.MAX_OPEN_FILES)],
    )
    def test_hasta_donde_se_puede(self, monkeypatch: pytest.MonkeyPatch, hard: int, soft: int) -> None:
        limits: list[tuple[int, int]] = []
        monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, hard))
        monkeypatch.setattr(resource, "setrlimit", lambda _, limit: limits.append(limit))
        up._raise_open_files()
        assert limits == [(soft, hard)]


class TestExec:
    @pytest.mark.parametrize(
        ("seed", "samples", "option"),
        [(True, True, "--seed"), (True, False, "--no-seed"), (False, True, "--no-seed")],
    )
    def test_se_convierte_en_el_supervisor(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seed: bool, samples: bool, option: str
    ) -> None:
        """Whoever signals `comanda up` signals the supervisor: it is the same process."""
        ports = dict(zip(("AUTH", "PRODUCTOS", "INVENTARIO", "PEDIDOS"), free_ports(4), strict=True))
        given = {f"{name}_PORT": str(port) for name, port in ports.items()} | {
            "COMANDA_DATA": str(tmp_path),
            "COMANDA_GATEWAY_PORT": "0",
        }
        monkeypatch.setattr("os.environ", given)
        started: list[list[str]] = []
        became: list[tuple[list[str], dict[str, str]]] = []
        monkeypatch.setattr("subprocess.Popen", lambda command, **_: started.append(command))
        monkeypatch.setattr("os.execve", lambda _, command, variables: became.append((command, variables)))
        monkeypatch.setattr("os.getpid", lambda: 4711)
        monkeypatch.setattr("signal.signal", lambda *_: None)
        monkeypatch.setattr(up, "_raise_open_files", lambda: None)
        monkeypatch.setattr(up, "_may_have_samples", lambda _: samples)
        up.up(seed=seed)
        assert started[0][-2:] == ["announce", option]
        (command, variables) = became[0]
        assert command[1:4] == ["-m", "comanda.cli.supervisor_process", "-n"]
        assert Path(command[-1]) == tmp_path / "run" / "supervisor.conf"
        assert variables["COMANDA_SUPERVISOR_PID"] == "4711"
