"""A whole Comanda of real processes on loopback, made to be broken: productos, and replicas of inventario and pedidos.

Users' tokens are signed here, by a key that the services are told of, so auth runs only where a test asks for it. A
complete cluster has replicas of everything instead, and auth's own tokens.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

import httpx2
from chaos.forwarder import Forwarder
from chaos.processes import Launcher, Service, launch, supervise

from comanda.cli.api import Api
from comanda.common.clock import SystemClock
from comanda.common.ports import free_ports
from comanda.common.server import SUPERVISOR_VARIABLE
from comanda.common.tokens import ServiceSigner, SigningKey
from comanda.testing import Issuer

CLIENTE = ("productos:leer", "inventario:leer", "pedidos:crear", "pedidos:propios")
ADMIN = (*CLIENTE, "productos:escribir", "inventario:escribir", "reservas:leer", "pedidos:leer", "pedidos:gestionar")
SERVICES = ("auth", "productos", "inventario", "pedidos")
OWN_PREFIXES = ("COMANDA_", *(f"{service.upper()}_" for service in SERVICES))
TTL_SECONDS = 10
QUICK = {
    "INVENTARIO_RESERVA_TTL_SECONDS": str(TTL_SECONDS),
    "PEDIDOS_ABANDON_SECONDS": "10",
    "PEDIDOS_RECOVERY_SECONDS": "0.5",
    "PEDIDOS_RECOVERY_BACKOFF_SECONDS": "3",
    "AUTH_ARGON2_MEMORY_KIB": "8",  # what a password costs to guess is no matter here
    "AUTH_ARGON2_TIME_COST": "1",
    **{
        f"{service.upper()}_{setting}": value
        for service in SERVICES
        for setting, value in (
            ("BREAKER_TIMEOUT_SECONDS", "2"),
            ("RETRY_ATTEMPTS", "1"),
            ("RETRY_WAIT_SECONDS", "0.2"),
            ("HTTP_TIMEOUT_SECONDS", "1"),
            ("LOG_FORMAT", "json"),
            ("LOG_LEVEL", "warning"),
        )
    },
}


class Cluster:
    """Args: databases: the URL of each service's database."""

    def __init__(self, folder: Path, databases: Mapping[str, str], issuer: Issuer, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.settings = settings
        self.databases = databases
        self.issuer = issuer
        self.services: dict[str, Service] = {}
        self.forwarders: dict[str, Forwarder] = {}
        self.http = httpx2.AsyncClient(timeout=5, trust_env=False, limits=httpx2.Limits(max_keepalive_connections=64))
        self.admin = issuer.headers(*ADMIN, subject="admin")
        self._operator = ServiceSigner(
            "operador", SigningKey.from_pem((folder / "keys" / "operador.pem").read_bytes()), SystemClock()
        )

    @property
    def urls(self) -> dict[str, str]:
        return {name: forwarder.url for name, forwarder in self.forwarders.items()}

    def of(self, service: str) -> list[Service]:
        """Its replicas."""
        return [replica for replica in self.services.values() if replica.service == service]

    def operator(self) -> Api:
        """What `comanda verify` calls the services with."""
        return Api(self.urls, self._operator.token)

    def verify(self) -> subprocess.CompletedProcess[str]:
        """Runs `comanda verify`."""
        ports = {service: self.urls[service].rpartition(":")[2] for service in SERVICES if service in self.urls}
        addresses = {f"{service.upper()}_PORT": port for service, port in ports.items()}
        databases = {f"{service.upper()}_DATABASE_URL": url for service, url in self.databases.items()}
        return subprocess.run(
            [sys.executable, "-m", "comanda.cli", "verify"],
            env={**inherited(), **self.settings, **databases, **addresses, "COMANDA_DATA": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def customer(self, name: str) -> dict[str, str]:
        """The headers of that customer's requests."""
        return self.issuer.headers(*CLIENTE, subject=name)

    async def ready(self) -> None:
        """Waits until every process serves, restarting ones included."""
        for service in self.services.values():
            while not await service.ready(self.http):
                assert service.supervised, f"{service.name} is dead"
                await asyncio.sleep(0.1)

    async def product(self, stock: int) -> str:
        """The id of a new product with that stock."""
        data = {"sku": f"CHAOS-{uuid4().hex[:12]}", "nombre": "Producto", "precio": "2.50"}
        made = await self.http.post(f"{self.urls['productos']}/productos", json=data, headers=self.admin)
        assert made.status_code == 201, made.text
        product_id = str(made.json()["id"])
        count = {"producto_id": product_id, "cantidad": stock}
        counted = await self.http.post(f"{self.urls['inventario']}/inventario", json=count, headers=self.admin)
        assert counted.status_code == 201, counted.text
        return product_id

    def log(self) -> str:
        """The ends of what the processes wrote, for who looks at a failure."""
        return "\n".join(f"── {log.name}\n{log.read_text()[-1500:]}" for log in sorted(self.folder.glob("*.log")))


@asynccontextmanager
async def running(
    folder: Path,
    databases: Mapping[str, str],
    *,
    replicas: int = 1,
    launcher: Launcher = launch,
    settings: Mapping[str, str] | None = None,
    auth: bool = False,
    complete: bool = False,
) -> AsyncIterator[Cluster]:
    """A cluster in which whatever dies is started again.

    Args:
        replicas: of inventario and of pedidos.
        settings: beside `QUICK`.
        auth: whether auth runs, too.
        complete: whether productos and auth have replicas, too, and the services take auth's tokens.
    """
    for name in ("pedidos", "inventario", "operador"):
        SigningKey.load_or_create(folder / "keys" / f"{name}.pem")
    cluster = Cluster(folder, databases, Issuer(SystemClock()), {**QUICK, **(settings or {})})
    try:
        others = {"auth": replicas, "productos": replicas} if complete else {"auth": int(auth), "productos": 1}
        await _assemble(cluster, others | {"inventario": replicas, "pedidos": replicas}, launcher, complete)
        for service in cluster.services.values():
            service.start()
        async with _supervised(cluster):
            await cluster.ready()
            yield cluster
    finally:
        for service in cluster.services.values():
            service.supervised = False
            await service.kill()
        await cluster.http.aclose()
        for forwarder in cluster.forwarders.values():
            await forwarder.stop()


async def _assemble(cluster: Cluster, counts: Mapping[str, int], launcher: Launcher, complete: bool) -> None:
    names = [(service, f"{service}-{i + 1}") for service, count in counts.items() for i in range(count)]
    ports = dict(zip([name for _, name in names], free_ports(len(names)), strict=True))
    for service in dict(names):
        own = [ports[name] for other, name in names if other == service]
        cluster.forwarders[service] = await Forwarder(own).start()
    # Each replica of pedidos has a way to inventario of its own, which a test can hold. Each way begins at another
    # replica of inventario: who shares its calls may never need a second connection.
    inventario = [port for other, port in ports.items() if other.startswith("inventario")]
    for i, name in enumerate(name for service, name in names if service == "pedidos"):
        turn = i % len(inventario)
        cluster.forwarders[f"inventario of {name}"] = await Forwarder(inventario[turn:] + inventario[:turn]).start()
    jwks = f"{cluster.urls['auth']}/.well-known/jwks.json" if complete else json.dumps(cluster.issuer.jwks)
    for service, name in names:
        environment = _environment(cluster, service, name, ports[name], jwks)
        log = cluster.folder / f"{name}.log"
        cluster.services[name] = Service(name, service, ports[name], environment, log, launcher)


def _environment(cluster: Cluster, service: str, name: str, port: int, jwks: str) -> dict[str, str]:
    prefix, urls = service.upper(), cluster.urls
    keys = {} if service == "auth" else {f"{prefix}_AUTH_JWKS": jwks}
    return {
        **inherited(),
        **cluster.settings,
        "COMANDA_DATA": str(cluster.folder),
        SUPERVISOR_VARIABLE: str(os.getpid()),
        f"{prefix}_PORT": str(port),
        f"{prefix}_DATABASE_URL": cluster.databases[service],
        **keys,
        "INVENTARIO_PRODUCTOS_URL": urls["productos"],
        "PEDIDOS_PRODUCTOS_URL": urls["productos"],
        "PEDIDOS_INVENTARIO_URL": urls.get(f"inventario of {name}", ""),
    }


@asynccontextmanager
async def _supervised(cluster: Cluster) -> AsyncIterator[None]:
    supervisor = asyncio.create_task(supervise(list(cluster.services.values())))
    try:
        yield
    finally:
        supervisor.cancel()
        with suppress(asyncio.CancelledError):
            await supervisor


def inherited() -> dict[str, str]:
    """The environment of this process without what could be a setting of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith(OWN_PREFIXES)}
