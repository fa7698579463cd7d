"""A whole Comanda to measure: four processes on free ports, on a disk, with customers, products and plenty of stock."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

import httpx2

from comanda.cli import environment
from comanda.cli.api import Api, addresses
from comanda.cli.postgres import create_databases
from comanda.cli.up import SIGNERS
from comanda.common.ports import free_ports
from comanda.common.server import SUPERVISOR_VARIABLE
from comanda.common.tokens import SigningKey
from comanda.testing.postgres import PostgresServer
from measuring.driver import Load, Outcome
from measuring.machine import mount

SERVICES = environment.SERVICES
STOCK = 10**9
PASSWORD = "tres gatos verdes en el tejado"  # noqa: S105  # of accounts that live as long as a measure
READY_SECONDS, STOP_SECONDS, VERIFY_SECONDS = 60, 30, 1800
SETTINGS = {
    "AUTH_ARGON2_MEMORY_KIB": "8",  # what a password costs to guess is no matter here
    "AUTH_ARGON2_TIME_COST": "1",
    "AUTH_ACCESS_TOKEN_SECONDS": "86400",  # nobody signs in again while a measure runs
    "INVENTARIO_RESERVA_TTL_SECONDS": "86400",  # nothing expires during a measure, and none is measured beside it
    "COMANDA_ADMIN_EMAIL": "admin@example.com",
    "COMANDA_ADMIN_PASSWORD": PASSWORD,
}
"""What a measure sets; a variable of the environment wins over it."""


@dataclass
class System:
    """The running services.

    Args:
        variables: their whole environment.
        postgres: the server with their databases; None: SQLite.
    """

    folder: Path
    variables: Mapping[str, str]
    postgres: PostgresServer | None
    processes: dict[str, "subprocess.Popen[bytes]"]
    admin: str = ""
    customers: Sequence[str] = ()
    products: Sequence[str] = ()

    @property
    def pids(self) -> dict[str, int]:
        """What runs, by name; `postgresql` among them where there is one."""
        pids = {name: process.pid for name, process in self.processes.items()}
        return pids | ({"postgresql": self.postgres.pid} if self.postgres else {})

    def port(self, service: str) -> int:
        return int(self.variables[f"{service.upper()}_PORT"])

    def load(self, service: str, heads: list[str], tails: list[str], expected: int, requests: int) -> Load:
        return Load("127.0.0.1", self.port(service), heads, tails, expected, requests)

    def furnish(self, customers: int, products: int) -> None:
        """Makes them, and signs everybody in."""
        with Api(addresses(self.variables)) as nobody:
            self.admin = _token(nobody, self.variables["COMANDA_ADMIN_EMAIL"], self.variables["COMANDA_ADMIN_PASSWORD"])
            self.customers = [_customer(nobody) for _ in range(customers)]
        shop = [{"sku": f"SKU-{n:05}", "nombre": f"Producto {n}", "precio": "19.90"} for n in range(products)]
        self.products = self._make("productos", "/productos", shop)
        self._make("inventario", "/inventario", [{"producto_id": p, "cantidad": STOCK} for p in self.products])

    def _make(self, service: str, path: str, documents: Sequence[object]) -> list[str]:
        """Creates them as the admin; returns their ids."""
        heads = [f"POST {path} HTTP/1.1\r\n{headers(self.admin)}"]
        load = self.load(service, heads, [with_body(document) for document in documents], 201, len(documents))
        outcome = drive(Load(**asdict(load) | {"clients": 16, "collect": True}))
        if outcome.faults:
            raise RuntimeError(f"POST {path}: {outcome.statuses} {outcome.fault}")
        return outcome.locations

    def verify(self) -> tuple[bool, str]:
        """Whether the invariants hold, and what `comanda verify` says."""
        command = [sys.executable, "-m", "comanda.cli", "verify", "--strict"]
        done = subprocess.run(
            command, env=self.variables, capture_output=True, text=True, timeout=VERIFY_SECONDS, check=False
        )
        return done.returncode == 0, f"{done.stdout}{done.stderr}".strip()


@contextmanager
def running(
    database: str,
    *,
    customers: int = 64,
    products: int = 1000,
    settings: Mapping[str, str] | None = None,
    postgres: PostgresServer | None = None,
) -> Iterator[System]:
    """A system with customers and products.

    Args:
        database: `sqlite` or `postgresql`.
        settings: beside those of the environment.
        postgres: a running server to use; by default one is started.
    """
    with tempfile.TemporaryDirectory(prefix="comanda-bench-") as folder:
        refuse_memory(Path(folder))
        server = (postgres or PostgresServer(in_memory=False).start()) if database == "postgresql" else None
        system = System(Path(folder), _variables(folder, server, settings or {}), server, {})
        try:
            start(system)
            system.furnish(customers, products)
            yield system
        finally:
            stop(system)
            if server is not None and postgres is None:
                server.stop()


def start(system: System, settings: Mapping[str, str] | None = None) -> None:
    """Starts the services, this time with those settings too, and waits until they serve."""
    for service in SERVICES:
        with (system.folder / f"{service}.log").open("ab") as log:
            system.processes[service] = subprocess.Popen(
                [sys.executable, "-m", f"comanda.{service}"],
                env={**system.variables, **(settings or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
    deadline = time.monotonic() + READY_SECONDS
    with httpx2.Client(trust_env=False) as client:
        for service, process in system.processes.items():
            while not _is_ready(client, system.port(service)):
                if process.poll() is not None or time.monotonic() > deadline:
                    log_end = (system.folder / f"{service}.log").read_text()[-3000:]
                    raise RuntimeError(f"{service} does not start:\n{log_end}")
                time.sleep(0.05)


def stop(system: System) -> None:
    for process in system.processes.values():
        process.terminate()
    for process in system.processes.values():
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    system.processes.clear()


def drive(load: Load) -> Outcome:
    """Sends that load from a process of its own."""
    driver = Path(__file__).with_name("driver.py")
    done = subprocess.run(
        [sys.executable, str(driver)], input=json.dumps(asdict(load)), stdout=subprocess.PIPE, text=True, check=True
    )
    return Outcome(**json.loads(done.stdout))


def headers(token: str) -> str:
    """The header lines of every request as the holder of that token."""
    return f"Host: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"


def with_body(document: object) -> str:
    """The end of a request that has that JSON document as its body."""
    body = json.dumps(document)
    return f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"


def _variables(folder: str, server: PostgresServer | None, settings: Mapping[str, str]) -> dict[str, str]:
    ports = zip(SERVICES, free_ports(len(SERVICES)), strict=True)
    chosen = {f"{service.upper()}_PORT": str(port) for service, port in ports}
    chosen |= {"COMANDA_DATA": folder, SUPERVISOR_VARIABLE: str(os.getpid())}
    chosen |= {f"{service.upper()}_DATABASE_URL": url for service, url in _databases(folder, server).items()}
    for name in SIGNERS:
        SigningKey.load_or_create(Path(folder) / "keys" / f"{name}.pem")
    # An address that is set for some other system would have this one measured through a neighbour of that.
    given = {name: value for name, value in os.environ.items() if not name.endswith(("_URL", "_HOST", "_ISSUER"))}
    return environment.derive({**SETTINGS, **given, **chosen, **settings})


def _databases(folder: str, server: PostgresServer | None) -> dict[str, str]:
    """New ones, on that server if there is one."""
    if server is None:
        return {service: f"sqlite:///{folder}/{service}.db" for service in SERVICES}
    names = {service: f"bench_{service}_{uuid4().hex[:8]}" for service in SERVICES}
    create_databases(server.url, list(names.values()))
    return {service: f"{server.url}/{name}" for service, name in names.items()}


def _is_ready(client: httpx2.Client, port: int) -> bool:
    try:
        return client.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx2.TransportError:
        return False


def _customer(nobody: Api) -> str:
    """A new customer's token."""
    email = f"{uuid4().hex}@example.com"
    answer = nobody.request("auth", "POST", "/auth/usuarios", json={"email": email, "password": PASSWORD})
    if answer.status_code != 201:
        raise RuntimeError(f"auth refused a customer: {answer.status_code} {answer.text}")
    return _token(nobody, email, PASSWORD)


def _token(nobody: Api, email: str, password: str) -> str:
    return nobody.login(email, password).headers("pedidos")["Authorization"].removeprefix("Bearer ")


def refuse_memory(folder: Path) -> None:
    """A commit to memory costs nothing; what is measured there says nothing about a disk."""
    if mount(folder)[1] == "tmpfs":
        raise RuntimeError(f"{folder} is in memory: set TMPDIR to a folder on a disk")
