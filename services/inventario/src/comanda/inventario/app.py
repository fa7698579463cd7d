"""The wiring of inventario."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from fastapi import FastAPI

from comanda.common import app as common
from comanda.common.audit import Audit
from comanda.common.clock import Clock, SystemClock
from comanda.common.database import Database
from comanda.common.http import Neighbour
from comanda.common.idempotency import Keys
from comanda.common.resilience import Circuit
from comanda.common.revocation import polled
from comanda.common.server import prepare_process
from comanda.common.settings import load
from comanda.common.transport import Transport
from comanda.common.trust import signer, verifier
from comanda.inventario.clients import ProductosHttp
from comanda.inventario.domain import Productos
from comanda.inventario.prioridades import clase
from comanda.inventario.routes import reservas, stock
from comanda.inventario.service import Inventario
from comanda.inventario.settings import Settings
from comanda.inventario.tables import auditoria, idempotency_keys

NAME = "inventario"


def build() -> FastAPI:
    """The service as its environment describes it."""
    settings = load(Settings)
    prepare_process(settings, NAME)
    return create_app(settings)


def create_app(settings: Settings, *, clock: Clock | None = None, transport: Transport | None = None) -> FastAPI:
    """Args: transport: the network to the neighbours; None: the real one."""
    clock = clock or SystemClock()
    database = Database(settings.database_url, clock=clock, pool_size=settings.database_pool, hot_rows=True)
    signs = signer(NAME, settings.signing_key, clock)
    productos = Neighbour(
        "productos",
        settings.productos_url,
        circuit=Circuit.from_settings("productos", settings, clock),
        timeout_seconds=settings.http_timeout_seconds,
        authorization=lambda: signs.token("productos"),
        transport=transport,
    )
    parts = assemble(settings, clock, database, ProductosHttp(productos))
    revocations = polled(settings.auth_address, settings.revocation_poll_seconds, lambda: signs, clock, transport)
    services = {
        "pedidos": (settings.pedidos_jwks, ["reservas:escribir", "reservas:leer", "inventario:leer"]),
        "operador": (
            settings.operador_jwks,
            ["inventario:leer", "movimientos:leer", "reservas:leer", "operaciones:leer"],
        ),
    }
    return common.create_app(
        common.Wiring(
            name=NAME,
            description="Stock: counted, held for orders, sold. It never oversells.",
            settings=settings,
            clock=clock,
            database=database,
            migrations="comanda.inventario",
            verifier=verifier(settings, NAME, clock, services, revocations=revocations),
            routers=[stock, reservas],
            use_cases=parts.inventario,
            classify=clase,
            audit=Audit(auditoria, database, clock, retention_days=settings.audit_retention_days),
            circuits=[productos.circuit],
            queues=[parts.inventario.queue, productos.pool],
            loops=parts.loops,
            on_close=[productos.aclose],
        )
    )


@dataclass(frozen=True, slots=True)
class Parts:
    """What the service is made of behind its HTTP interface."""

    inventario: Inventario
    loops: Sequence[Callable[[], Awaitable[None]]]
    """What runs in the background for ever."""


def assemble(settings: Settings, clock: Clock, database: Database, productos: Productos) -> Parts:
    """The use cases over that neighbour; the simulation builds the very same ones over its own."""
    keys = Keys(idempotency_keys, database, clock)
    inventario = Inventario(
        database,
        keys,
        productos,
        clock,
        reserva_ttl_seconds=settings.reserva_ttl_seconds,
        sweep_seconds=settings.sweep_seconds,
        group_commit=settings.group_commit,
    )
    return Parts(inventario, [inventario.barrer, keys.keep_swept])
