"""The wiring of auth."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from argon2 import PasswordHasher
from fastapi import FastAPI

from comanda.auth import (
    routes,
    routes_clientes,
    routes_oauth,
    routes_passkeys,
    routes_password,
    routes_privacidad,
    routes_sesion_web,
    routes_sesiones,
    routes_terminadas,
    routes_totp,
)
from comanda.auth.administradores import Administradores
from comanda.auth.buzon import Buzon
from comanda.auth.credenciales import Credenciales
from comanda.auth.cuentas_de_servicio import CuentasDeServicio
from comanda.auth.enlaces import Enlaces
from comanda.auth.fin_de_sesiones import FinDeSesiones
from comanda.auth.first_admin import FirstAdmin
from comanda.auth.key_store import KeyStore
from comanda.auth.keys import SigningKeys
from comanda.auth.master_keys import MasterKeys
from comanda.auth.origenes import Origenes
from comanda.auth.passkeys import Passkeys
from comanda.auth.passwords import Passwords
from comanda.auth.politica import Politica
from comanda.auth.prioridades import clase
from comanda.auth.privacidad import Privacidad
from comanda.auth.recuperacion import Recuperacion
from comanda.auth.refresh_tokens import RefreshTokens
from comanda.auth.segundo_factor import SegundoFactor
from comanda.auth.segundo_paso import SegundoPaso
from comanda.auth.service import Auth, Cuentas
from comanda.auth.sesiones import Sesiones
from comanda.auth.settings import Settings
from comanda.auth.tables import auditoria
from comanda.auth.terminadas import Terminadas
from comanda.auth.throttling import Throttling
from comanda.common import app as common
from comanda.common import migrations
from comanda.common.audit import Audit
from comanda.common.clock import Clock, SystemClock
from comanda.common.database import Database
from comanda.common.revocation import ENDED_SCOPE
from comanda.common.server import prepare_process
from comanda.common.settings import load
from comanda.common.trust import verifier

NAME = "auth"


def build() -> FastAPI:
    """The service as its environment describes it."""
    settings = load(Settings)
    prepare_process(settings, NAME)
    return create_app(settings)


def create_app(settings: Settings, *, clock: Clock | None = None) -> FastAPI:
    clock = clock or SystemClock()
    database = Database(settings.database_url, clock=clock, pool_size=settings.database_pool)
    master_keys = MasterKeys.of(settings)
    keys = SigningKeys(KeyStore(settings, database, master_keys, clock), clock)
    passwords = _passwords(settings, clock)
    politica = Politica(settings)
    origenes = Origenes(settings, database, clock, master_keys.derive("login sources"))
    auth = _auth(settings, database, clock, keys, master_keys, passwords, politica, origenes)

    async def on_ready() -> None:
        await keys.load_or_create()
        await FirstAdmin(settings, database, clock, passwords, politica).ensure()

    return common.create_app(
        common.Wiring(
            name=NAME,
            description="Identities, roles and signed tokens.",
            settings=settings,
            clock=clock,
            database=database,
            migrations="comanda.auth",
            verifier=verifier(settings, NAME, clock, _services(settings), users=keys, revocations=auth.terminadas),
            routers=[
                routes.routes,
                routes_password.routes,
                routes_sesiones.routes,
                routes_sesion_web.routes,
                routes_terminadas.routes,
                routes_totp.routes,
                *routes_passkeys.routes,
                routes_privacidad.routes,
                routes_clientes.routes,
                routes_oauth.routes,
            ],
            use_cases=auth,
            classify=clase,
            audit=Audit(auditoria, database, clock, retention_days=settings.audit_retention_days),
            queues=passwords.queues,
            on_ready=on_ready,
            loops=[
                auth.sesiones.barrer,
                keys.keep_current,
                auth.buzon.repartir,
                origenes.barrer,
                auth.terminadas.barrer,
            ],
            on_close=[passwords.aclose],
        )
    )


@asynccontextmanager
async def administradores(settings: Settings) -> AsyncIterator[Administradores]:
    """That use case alone, on a schema that is up to date: for a command, whether or not the service runs."""
    clock = SystemClock()
    database = Database(settings.database_url, clock=clock)
    master_keys = MasterKeys.of(settings)
    passwords = _passwords(settings, clock)
    try:
        await migrations.migrate(database, "comanda.auth")
        yield Administradores(
            database,
            clock,
            passwords=passwords,
            politica=Politica(settings),
            buzon=Buzon(settings, database, clock, Enlaces(*master_keys.derive("mail links"))),
            origenes=Origenes(settings, database, clock, master_keys.derive("login sources")),
        )
    finally:
        await passwords.aclose()
        await database.aclose()


def _services(settings: Settings) -> dict[str, tuple[str, list[str]]]:
    return {
        "productos": (settings.productos_jwks, [ENDED_SCOPE]),
        "inventario": (settings.inventario_jwks, [ENDED_SCOPE]),
        "pedidos": (settings.pedidos_jwks, [ENDED_SCOPE]),
        "operador": (settings.operador_jwks, ["operaciones:leer"]),
    }


def _auth(
    settings: Settings,
    database: Database,
    clock: Clock,
    keys: SigningKeys,
    master_keys: MasterKeys,
    passwords: Passwords,
    politica: Politica,
    origenes: Origenes,
) -> Auth:
    throttling = Throttling(settings, clock)
    credenciales = Credenciales(passwords, throttling, Audit(auditoria, database, clock))
    paso = SegundoPaso(settings, database, clock, master_keys=master_keys, throttling=throttling)
    refresh_tokens = RefreshTokens(*master_keys.derive("refresh tokens"))
    enlaces = Enlaces(*master_keys.derive("mail links"))
    buzon = Buzon(settings, database, clock, enlaces)
    sesiones = Sesiones(
        settings,
        database,
        clock,
        keys=keys,
        refresh_tokens=refresh_tokens,
        credenciales=credenciales,
        paso=paso,
        origenes=origenes,
    )
    return Auth(
        Cuentas(
            database,
            clock,
            passwords=passwords,
            politica=politica,
            throttling=throttling,
            credenciales=credenciales,
            paso=paso,
            buzon=buzon,
            origenes=origenes,
        ),
        sesiones,
        FinDeSesiones(settings, database, clock, credenciales=credenciales),
        Terminadas(settings, database, clock),
        SegundoFactor(settings, database, clock, paso=paso, credenciales=credenciales),
        Passkeys(
            settings,
            database,
            clock,
            master_keys=master_keys,
            sesiones=sesiones,
            credenciales=credenciales,
            paso=paso,
            throttling=throttling,
            origenes=origenes,
            buzon=buzon,
        ),
        CuentasDeServicio(settings, database, clock, keys=keys, throttling=throttling),
        Recuperacion(
            database,
            clock,
            buzon=buzon,
            enlaces=enlaces,
            passwords=passwords,
            politica=politica,
            throttling=throttling,
            origenes=origenes,
        ),
        Privacidad(database, clock, credenciales=credenciales, paso=paso, origenes=origenes, buzon=buzon),
        buzon,
        keys,
    )


def _passwords(settings: Settings, clock: Clock) -> Passwords:
    hasher = PasswordHasher(
        time_cost=settings.argon2_time_cost,
        memory_cost=settings.argon2_memory_kib,
        parallelism=settings.argon2_parallelism,
    )
    return Passwords(
        hasher,
        workers=settings.hash_workers,
        queue=settings.hash_queue,
        wait_seconds=settings.hash_wait_seconds,
        clock=clock,
    )
