"""The wiring of pedidos."""

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
from comanda.common.revocation import Revocations, polled
from comanda.common.server import prepare_process
from comanda.common.settings import load
from comanda.common.signing import ServiceSigner
from comanda.common.transport import Transport
from comanda.common.trust import signer, verifier
from comanda.pedidos.altas import Altas
from comanda.pedidos.clients import InventarioHttp
from comanda.pedidos.domain import Inventario, Productos
from comanda.pedidos.eventos import Eventos
from comanda.pedidos.fichas import ProductosHttp
from comanda.pedidos.operation import FasesAbiertas, of_orders
from comanda.pedidos.prioridades import clase
from comanda.pedidos.recovery import Recovery
from comanda.pedidos.repository import Repository
from comanda.pedidos.repository_eventos import EventosRepository
from comanda.pedidos.routes import routes
from comanda.pedidos.routes_eventos import ENDED, EXPIRED, HEARTBEAT, encode
from comanda.pedidos.routes_eventos import routes as routes_eventos
from comanda.pedidos.saga import Saga
from comanda.pedidos.service import Pedidos
from comanda.pedidos.settings import Settings
from comanda.pedidos.tables import auditoria, idempotency_keys
from comanda.pedidos.ventas import Ventas

NAME = "pedidos"


def build() -> FastAPI:
    """The service as its environment describes it."""
    settings = load(Settings)
    prepare_process(settings, NAME)
    return create_app(settings)


def create_app(settings: Settings, *, clock: Clock | None = None, transport: Transport | None = None) -> FastAPI:
    """Args: transport: the network to the neighbours; None: the real one."""
    clock = clock or SystemClock()
    database = Database(settings.database_url, clock=clock, pool_size=settings.database_pool)
    signs = signer(NAME, settings.signing_key, clock)
    neighbours = _neighbours(settings, clock, signs, transport)
    inventario = InventarioHttp(neighbours["inventario"], most=settings.group_commit)
    productos = ProductosHttp(
        neighbours["productos"], clock, reuse_seconds=settings.price_reuse_seconds, most=settings.group_commit
    )
    parts = assemble(settings, clock, database, inventario, productos)
    revocations = polled(settings.auth_address, settings.revocation_poll_seconds, lambda: signs, clock, transport)
    eventos = _eventos(settings, clock, database, revocations)
    pools = [neighbour.pool for neighbour in neighbours.values()]
    services = {"operador": (settings.operador_jwks, ["pedidos:leer", "operaciones:leer"])}
    app = common.create_app(
        common.Wiring(
            name=NAME,
            description="Orders: placed once, completed or cancelled once, whatever happens in between.",
            settings=settings,
            clock=clock,
            database=database,
            migrations="comanda.pedidos",
            verifier=verifier(settings, NAME, clock, services, revocations=revocations),
            routers=[routes_eventos, routes],  # in this order: `eventos` is no id
            use_cases=parts.pedidos,
            classify=clase,
            audit=Audit(auditoria, database, clock, retention_days=settings.audit_retention_days),
            circuits=[neighbour.circuit for neighbour in neighbours.values()],
            loops=[*parts.loops, eventos.follow, eventos.keep_time],
            queues=[*parts.pedidos.queues, inventario.queue, productos.queue, *pools],
            more=of_orders(FasesAbiertas(database, parts.repository, clock)),
            on_close=[neighbour.aclose for neighbour in neighbours.values()],
        )
    )
    app.state.eventos = eventos
    app.state.ventas = parts.ventas
    return app


@dataclass(frozen=True, slots=True)
class Parts:
    """What the service is made of behind its HTTP interface."""

    pedidos: Pedidos
    repository: Repository
    ventas: Ventas
    loops: Sequence[Callable[[], Awaitable[None]]]
    """What runs in the background for ever."""


def assemble(
    settings: Settings, clock: Clock, database: Database, inventario: Inventario, productos: Productos
) -> Parts:
    """The use cases over those neighbours; the simulation builds the very same ones over its own."""
    keys = Keys(idempotency_keys, database, clock)
    repository = Repository(database, keys)
    saga = Saga(
        database,
        repository,
        inventario,
        clock,
        abandon_seconds=settings.abandon_seconds,
        grace_seconds=settings.lease_seconds,
        group_commit=settings.group_commit,
    )
    altas = Altas(
        database,
        repository,
        keys,
        saga,
        clock,
        max_open_orders=settings.max_open_orders,
        max_open_units=settings.max_open_units,
        group_commit=settings.group_commit,
    )
    pedidos = Pedidos(
        database,
        repository,
        keys,
        altas,
        saga,
        productos,
        clock,
        lease_seconds=settings.lease_seconds,
        group_commit=settings.group_commit,
    )
    ventas = Ventas(database, repository, saga, inventario, productos, clock)
    recovery = Recovery(
        database,
        repository,
        saga,
        inventario,
        clock,
        lease_seconds=settings.lease_seconds,
        pause_seconds=settings.recovery_seconds,
        backoff_seconds=settings.recovery_backoff_seconds,
    )
    return Parts(pedidos, repository, ventas, [recovery.run, keys.keep_swept])


def _eventos(settings: Settings, clock: Clock, database: Database, revocations: Revocations | None) -> Eventos:
    return Eventos(
        database,
        EventosRepository(database),
        clock,
        encode,
        revocations=revocations,
        heartbeat=HEARTBEAT,
        expired=EXPIRED,
        ended=ENDED,
        max_streams=settings.max_streams,
        max_streams_per_caller=settings.max_streams_per_user,
        heartbeat_seconds=settings.stream_heartbeat_seconds,
        poll_seconds=settings.stream_poll_seconds,
    )


def _neighbours(
    settings: Settings, clock: Clock, signs: ServiceSigner, transport: Transport | None
) -> dict[str, Neighbour]:
    addresses = {"productos": settings.productos_url, "inventario": settings.inventario_url}
    return {
        name: Neighbour(
            name,
            address,
            circuit=Circuit.from_settings(name, settings, clock),
            timeout_seconds=settings.http_timeout_seconds,
            authorization=lambda name=name: signs.token(name),  # type: ignore[misc]  # bound now, not at the call
            transport=transport,
        )
        for name, address in addresses.items()
    }
