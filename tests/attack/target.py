"""The four services as one system in this process, seen by those who would break into it."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
from contract.system import ADMIN, CLIENTE, StillClock, System, all_of, start
from fastapi import FastAPI

import comanda.auth.app
from comanda.auth.claves import activa
from comanda.auth.domain_clientes import ALCANCES_DE_SERVICIO
from comanda.auth.settings import Settings
from comanda.common.tokens import ServiceSigner, SigningKey
from comanda.testing import Databases, Issuer, problem, running

ADMIN_EMAIL, ADMIN_PASSWORD = "jefa@comanda.test", "la-clave-de-la-jefa"
PASSWORD = "caballo correcto"
CALLING = ("productos", "inventario", "pedidos", "operador")
"""Who calls a service in its own name."""

SERVICES = ("auth", "productos", "inventario", "pedidos")
LECTURAS = {"auth": "/auth/yo", "productos": "/productos", "inventario": "/inventario", "pedidos": "/pedidos"}
"""A route of each service that any client may read."""

CALLERS = ("nadie", "basura", "cliente", "admin", "cuenta", "pedidos", "inventario", "operador")
"""Everybody who could call: `cuenta` is a service account that was granted all it can be, the last three are services,
with a token meant for the one that they call."""


@dataclass
class Target:
    """The running services and their users; tokens are signed with the key that auth itself made."""

    system: System
    auth_app: FastAPI
    auth: httpx2.AsyncClient
    folder: Path
    ana: str = ""
    eva: str = ""
    """Two clients' ids."""
    jefa: str = ""
    """The administrator's id."""
    cuenta: str = ""
    """A token of the service account."""

    @property
    def clients(self) -> dict[str, httpx2.AsyncClient]:
        return {"auth": self.auth, **self.system.clients}

    @property
    def apps(self) -> dict[str, FastAPI]:
        return {"auth": self.auth_app, **self.system.apps}

    @property
    def now(self) -> int:
        """Seconds since the epoch."""
        return int(self.system.clock.now().timestamp())

    @property
    def user_key(self) -> SigningKey:
        return self.system.issuer.key

    @property
    def admin(self) -> dict[str, str]:
        return self.system.issuer.headers(*ADMIN, subject=self.jefa, auth_time=self.now)

    def cliente(self, usuario_id: str) -> dict[str, str]:
        return self.system.issuer.headers(*CLIENTE, subject=usuario_id, auth_time=self.now)

    def service_key(self, name: str) -> SigningKey:
        return SigningKey.load_or_create(self.folder / f"{name}.pem")

    def headers(self, caller: str, callee: str) -> dict[str, str]:
        """What that caller presents to that service."""
        users = {"nadie": {}, "basura": bearer("a.b.c"), "cliente": self.cliente(self.ana), "admin": self.admin}
        users["cuenta"] = bearer(self.cuenta)
        if caller in users:
            return users[caller]
        return bearer(ServiceSigner(caller, self.service_key(caller), self.system.clock).token(callee))

    async def registrar(self, email: str) -> str:
        response = await self.auth.post("/auth/usuarios", json={"email": email, "password": PASSWORD})
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    async def token(self, **form: str) -> httpx2.Response:
        return await self.auth.post("/auth/token", data=form)

    async def entrar(self, email: str, **extra: str) -> Any:
        """What auth answers to a right password."""
        password = ADMIN_PASSWORD if email == ADMIN_EMAIL else PASSWORD
        response = await self.token(grant_type="password", username=email, password=password, **extra)
        assert response.status_code == 200, response.text
        return response.json()

    async def renovar(self, refresh_token: str, **extra: str) -> httpx2.Response:
        return await self.token(grant_type="refresh_token", refresh_token=refresh_token, **extra)

    async def pedir(self, usuario_id: str, producto_id: str, key: str | None = None) -> httpx2.Response:
        return await self.system.pedir((producto_id, 1), cliente=usuario_id, key=key)

    async def everything(self) -> Mapping[str, Any]:
        """All that the services keep and show: what an attack without effect leaves as it was."""
        kept: dict[str, Any] = {}
        for service, path in (
            ("auth", "/auth/usuarios"),
            ("auth", "/auth/clientes"),
            ("productos", "/productos"),
            ("inventario", "/inventario"),
            ("inventario", "/reservas"),
            ("pedidos", "/pedidos"),
        ):
            kept[path] = await all_of(self.clients[service], path, self.admin)
        return kept


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def refused(target: Target, token: str, *services: str) -> None:
    """Fails the test unless each of those services, by default all, answers that token with the same 401 as none."""
    for service in services or SERVICES:
        headers = [(b"Authorization", b"Bearer " + token.encode())]
        response = await target.clients[service].get(LECTURAS[service], headers=headers)
        assert (response.status_code, problem(response)) == (401, "no-autenticado"), (service, response.text)
        assert response.headers["WWW-Authenticate"] == "Bearer"


@asynccontextmanager
async def attacked(databases: Databases, folder: Path, **auth_settings: Any) -> AsyncIterator[Target]:
    """The four services on fresh databases, with an administrator, two clients and nothing else."""
    clock = StillClock()
    keys = {name: SigningKey.load_or_create(folder / f"{name}.pem") for name in CALLING}
    values = {
        "database_url": await databases.new("comanda.auth"),
        "master_key": "una-clave-maestra-de-mas-de-32-letras",
        "admin_email": ADMIN_EMAIL,
        "admin_password": ADMIN_PASSWORD,
        **{f"{name}_jwks": json.dumps({"keys": [key.public_jwk()]}) for name, key in keys.items()},
        "argon2_time_cost": 1,
        "argon2_memory_kib": 8,
        "log_level": "error",
    }
    auth_app = comanda.auth.app.create_app(Settings(**values | auth_settings), clock=clock)
    async with AsyncExitStack() as stack:
        auth = await stack.enter_async_context(running(auth_app))
        for _ in auth_app.state.wiring.background:
            await clock.dormidos.acquire()
        issuer = Issuer(clock)
        own = auth_app.state.service.keys
        issuer.key = own._signers[activa(own._claves, clock.now()).kid]
        system = await start(stack, databases, folder, clock, clock, issuer, auth_app)
        target = Target(system, auth_app, auth, folder)
        target.ana = await target.registrar("ana@ejemplo.es")
        target.eva = await target.registrar("eva@ejemplo.es")
        headers = bearer((await target.entrar(ADMIN_EMAIL))["access_token"])
        target.jefa = (await auth.get("/auth/yo", headers=headers)).json()["id"]
        target.cuenta = await _service_account(target)
        yield target
    await databases.discard()


async def _service_account(target: Target) -> str:
    body = {"nombre": "ERP", "alcances": ALCANCES_DE_SERVICIO}
    made = (await target.auth.post("/auth/clientes", json=body, headers=target.admin)).json()
    form = {"grant_type": "client_credentials", "client_id": made["id"], "client_secret": made["client_secret"]}
    return str((await target.token(**form)).json()["access_token"])


def some_email() -> str:
    return f"{uuid4().hex}@ejemplo.es"
