"""A Comanda on thirteen hosts: two of each service, three of PostgreSQL, the proxies, and us who shop."""

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import httpx2
from chaos.cluster import SERVICES, Cluster, inherited
from hosts.machines import NETWORK, Host
from hosts.patroni import Patroni

from comanda.cli.api import Api
from comanda.cli.environment import PORTS
from comanda.common.clock import SystemClock
from comanda.common.server import SUPERVISOR_VARIABLE
from comanda.common.tokens import SigningKey
from comanda.testing import Issuer

ROOT = Path(__file__).parents[2]
NUMBERS = {"auth": 20, "productos": 30, "inventario": 40, "pedidos": 50}
REPLICAS = 2
PROXY, TO_INVENTARIO = 5, f"{NETWORK}.6"
"""The proxies' host has an own address for pedidos' calls to inventario, so that a fault can be in these alone."""

READY_SECONDS, SHUTDOWN_SECONDS, LOOK_SECONDS = 60, 30, 0.2
SETTINGS = {
    "INVENTARIO_RESERVA_TTL_SECONDS": "30",
    "PEDIDOS_ABANDON_SECONDS": "30",
    "PEDIDOS_RECOVERY_BACKOFF_SECONDS": "5",
    "AUTH_ARGON2_MEMORY_KIB": "8",  # what a password costs to guess is no matter here
    "AUTH_ARGON2_TIME_COST": "1",
    "AUTH_REGISTRATIONS_PER_SOURCE_PER_MINUTE": "60000",  # all of these people have one address
    "AUTH_LOGIN_ATTEMPTS_PER_SOURCE_PER_MINUTE": "60000",
    **{
        f"{service.upper()}_{setting}": value
        for service in SERVICES
        for setting, value in (
            ("BREAKER_TIMEOUT_SECONDS", "5"),
            ("ALLOWED_HOSTS", "*"),
            ("TRUSTED_PROXIES", f"{NETWORK}.{PROXY}"),
            ("LOG_FORMAT", "json"),
            ("LOG_LEVEL", "warning"),
        )
    },
}
"""What docs/operations.md («Several hosts») recommends; shorter lives, so that a round has an end."""


class Plant(Cluster):
    """Args: release: the folder of the release that runs at first; its `.venv` is installed."""

    def __init__(self, folder: Path, databases: Patroni, release: Path) -> None:
        for name in ("pedidos", "inventario", "productos", "operador"):
            SigningKey.load_or_create(folder / "keys" / f"{name}.pem")
        urls = {service: databases.url(service, service) for service in SERVICES}
        super().__init__(folder, urls, Issuer(SystemClock()), SETTINGS)
        self.postgresql = databases
        self.proxy = Host("proxy", PROXY, int(TO_INVENTARIO.rpartition(".")[2]))
        self.hosts = {
            f"{service}-{i}": Host(f"{service}-{i}", NUMBERS[service] + i)
            for service in SERVICES
            for i in range(1, REPLICAS + 1)
        }
        self.releases = dict.fromkeys(self.hosts, release)
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def urls(self) -> dict[str, str]:
        """The gateway, as everybody sees it."""
        return dict.fromkeys(SERVICES, f"http://{self.proxy.address}:8080")

    def operator(self) -> Api:
        """Calls the services past the gateway, which does not lead to what only operators may read."""
        inside = {service: f"http://{self.proxy.address}:{port}" for service, port in PORTS.items()}
        return Api(inside, self._operator.token)

    def verify(self) -> subprocess.CompletedProcess[str]:
        hosts = {f"{service.upper()}_HOST": self.proxy.address for service in SERVICES}
        return self._comanda(ROOT, "verify", hosts)

    def migrate(self, release: Path) -> None:
        """Brings the schemas up to what that release wants."""
        ran = self._comanda(release, "migrate", {})
        if ran.returncode:
            raise RuntimeError(f"comanda migrate: {ran.stdout}{ran.stderr}")

    async def start(self) -> None:
        """Starts proxies and services; the databases are there."""
        self._start_proxies()
        for name in self.hosts:
            self.boot(name)
        await self.ready()

    def boot(self, name: str) -> None:
        """Starts the service that belongs on that host."""
        service, host = name.partition("-")[0], self.hosts[name]
        prefix = service.upper()
        environment = {
            **self._common(),
            SUPERVISOR_VARIABLE: str(os.getpid()),
            f"{prefix}_HOST": host.address,
            "INVENTARIO_PRODUCTOS_URL": f"http://{self.proxy.address}:{PORTS['productos']}",
            "PEDIDOS_PRODUCTOS_URL": f"http://{self.proxy.address}:{PORTS['productos']}",
            "PEDIDOS_INVENTARIO_URL": f"http://{TO_INVENTARIO}:{PORTS['inventario']}",
        }
        python = str(self.releases[name] / ".venv" / "bin" / "python")
        self._running[name] = self._run(host, name, environment, python, "-m", f"comanda.{service}")

    def drain(self, name: str) -> None:
        """Tells that service to stop, and waits until it has."""
        self._running[name].send_signal(signal.SIGTERM)
        self._running[name].wait(SHUTDOWN_SECONDS)

    async def ready(self) -> None:
        """Waits until every service serves. Raises `RuntimeError`: one does not."""
        for name in self.hosts:
            await self.ready_on(name)

    async def ready_on(self, name: str) -> None:
        """The same for the service of that host."""
        url = f"http://{self.hosts[name].address}:{PORTS[name.partition('-')[0]]}/readyz"
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            try:
                if (await self.http.get(url, timeout=2)).status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            await asyncio.sleep(LOOK_SECONDS)
        raise RuntimeError(f"{name} does not get ready\n{self.log()}")

    async def boot_again(self, name: str) -> None:
        """The host has power again."""
        self.hosts[name].plug()
        self.boot(name)
        await self.ready_on(name)

    def _start_proxies(self) -> None:
        upstreams = {
            f"{service.upper()}_UPSTREAMS": " ".join(
                f"{host.address}:{PORTS[service]}" for name, host in self.hosts.items() if name.startswith(service)
            )
            for service in SERVICES
        }
        caddy = str(ROOT / ".venv" / "bin" / "caddy")
        for name, file in (
            ("gateway", ROOT / "deploy" / "gateway" / "Caddyfile"),
            ("inside", Path(__file__).with_name("inside.Caddyfile")),
        ):
            state = self.folder / name
            environment = {
                **inherited(),
                **upstreams,
                "GATEWAY_SITE": "http://:8080",
                "GATEWAY_STATE": str(state),
                "GATEWAY_WEB": str(ROOT / "web"),
                "XDG_DATA_HOME": str(state),
            }
            words = (caddy, "run", "--config", str(file), "--adapter", "caddyfile")
            self._run(self.proxy, name, environment, *words)

    def _common(self) -> dict[str, str]:
        issuer = {
            f"{service.upper()}_AUTH_JWKS": json.dumps(self.issuer.jwks) for service in SERVICES if service != "auth"
        }
        databases = {f"{service.upper()}_DATABASE_URL": url for service, url in self.databases.items()}
        return {**inherited(), **self.settings, **databases, **issuer, "COMANDA_DATA": str(self.folder)}

    def _comanda(self, release: Path, command: str, more: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(release / ".venv" / "bin" / "comanda"), command],
            env={**self._common(), **more},
            capture_output=True,
            text=True,
            timeout=200,
        )

    def _run(self, host: Host, name: str, environment: Mapping[str, str], *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as output:
            return subprocess.Popen(
                host.command(*words),
                env=environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
