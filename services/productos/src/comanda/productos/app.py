"""The wiring of productos."""

from fastapi import FastAPI

from comanda.common import app as common
from comanda.common.audit import Audit
from comanda.common.clock import Clock, SystemClock
from comanda.common.database import Database
from comanda.common.revocation import polled
from comanda.common.server import prepare_process
from comanda.common.settings import load
from comanda.common.transport import Transport
from comanda.common.trust import signer, verifier
from comanda.productos.prioridades import clase
from comanda.productos.routes import routes
from comanda.productos.service import Catalogo
from comanda.productos.settings import Settings
from comanda.productos.tables import auditoria

NAME = "productos"


def build() -> FastAPI:
    """The service as its environment describes it."""
    settings = load(Settings)
    prepare_process(settings, NAME)
    return create_app(settings)


def create_app(settings: Settings, *, clock: Clock | None = None, transport: Transport | None = None) -> FastAPI:
    """Args: transport: the network to auth; None: the real one."""
    clock = clock or SystemClock()
    database = Database(
        settings.database_url,
        clock=clock,
        pool_size=settings.database_pool,
        by_index=False,  # a search for one or two letters has none
    )
    services = {
        "pedidos": (settings.pedidos_jwks, ["productos:leer"]),
        "inventario": (settings.inventario_jwks, ["productos:leer"]),
        "operador": (settings.operador_jwks, ["productos:leer", "operaciones:leer"]),
    }
    revocations = polled(
        settings.auth_address,
        settings.revocation_poll_seconds,
        lambda: signer(NAME, settings.signing_key, clock),
        clock,
        transport,
    )
    catalogo = Catalogo(database, clock)
    return common.create_app(
        common.Wiring(
            name=NAME,
            description="The product catalogue.",
            settings=settings,
            clock=clock,
            database=database,
            migrations="comanda.productos",
            verifier=verifier(settings, NAME, clock, services, revocations=revocations),
            routers=[routes],
            audit=Audit(auditoria, database, clock, retention_days=settings.audit_retention_days),
            use_cases=catalogo,
            classify=clase,
            queues=[catalogo.queue],
        )
    )
