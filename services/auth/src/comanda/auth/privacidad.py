"""What a person may ask about themselves: everything that is kept (GDPR, article 20), and to be forgotten (17)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import structlog

from comanda.auth.buzon import Buzon
from comanda.auth.credenciales import Credenciales, password_incorrecta
from comanda.auth.domain import Familia, Usuario, activo, debe_quedar_admin
from comanda.auth.domain_passkeys import Passkey
from comanda.auth.origenes import Origenes
from comanda.auth.repository import Repository
from comanda.auth.repository_passkeys import RepositoryPasskeys
from comanda.auth.repository_totp import RepositoryTotp
from comanda.auth.segundo_paso import SegundoPaso
from comanda.auth.tables import auditoria
from comanda.auth.totp import codigo_incorrecto
from comanda.common.audit import Audit, Entry
from comanda.common.clock import Clock
from comanda.common.database import Database
from comanda.common.pagination import PageRequest
from comanda.common.problems import Problem

MAX_ROWS = 1_000
"""Sessions, and lines of the audit log of each kind, that one answer holds: the latest."""

NO_HASH = "!"
"""The hash of no password."""

_SUCESOS_PROPIOS = {"usuario_registrado", "sesion_iniciada"}
"""What the person did before there was a token to tell who it is."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Datos:
    """Everything that auth keeps of a person, but for secrets."""

    usuario: Usuario
    sesiones: Sequence[Familia]
    passkeys: Sequence[Passkey]
    apuntes: Sequence[Entry]


class Privacidad:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        credenciales: Credenciales,
        paso: SegundoPaso,
        origenes: Origenes,
        buzon: Buzon,
    ) -> None:
        self._database = database
        self._repository = Repository(database)
        self._totp = RepositoryTotp(database)
        self._passkeys = RepositoryPasskeys(database)
        self._clock = clock
        self._audit = Audit(auditoria, database, clock)
        self._credenciales = credenciales
        self._paso = paso
        self._origenes = origenes
        self._buzon = buzon

    async def exportar(self, usuario_id: UUID) -> Datos:
        """Raises `NoAutenticado`."""
        most = PageRequest(MAX_ROWS)
        async with self._database.read() as connection:
            usuario = activo(await self._repository.leer_usuario(connection, usuario_id))
            sesiones = await self._repository.listar_familias(connection, usuario_id, self._clock.now(), most)
            passkeys = await self._passkeys.listar(connection, usuario_id)
        suyos = await self._audit.page(most, autor=str(usuario_id), objeto=None)
        sobre = await self._audit.page(most, autor=None, objeto=str(usuario_id))
        apuntes = {entry.id: _sin_lugar_ajeno(entry, usuario_id) for entry in (*suyos.items, *sobre.items)}
        return Datos(usuario, sesiones.items, passkeys, [apuntes[key] for key in sorted(apuntes, reverse=True)])

    async def borrar(
        self, usuario_id: UUID, *, password: str, codigo: str | None, sesion: UUID | None, origen: str
    ) -> None:
        """Forgets the person. What refers to them keeps an id that leads to nobody; nobody can log in with it.

        Raises:
            DatosInvalidos: the password or the code is wrong.
            UltimoAdmin, NoAutenticado, DemasiadosIntentos, ServicioSaturado.
        """
        async with self._database.read() as connection:
            usuario = activo(await self._repository.leer_usuario(connection, usuario_id))
        await self._credenciales.exigir(
            usuario, password, sesion=sesion, origen=origen, incorrecta=password_incorrecta()
        )
        async with self._database.transaction() as connection:
            bloqueados = await self._repository.bloquear_con_admins(connection, usuario_id)
            ahora = activo(bloqueados.get(usuario_id))
            if ahora.password_hash != usuario.password_hash:
                raise password_incorrecta()  # somebody else changed it meanwhile
            correcto = await self._paso.exigir(connection, ahora, codigo, origen=origen)
            if correcto:
                nadie = _nadie(ahora, self._clock)
                debe_quedar_admin({**bloqueados, usuario_id: nadie})
                await self._repository.actualizar_usuario(connection, nadie)
                await self._repository.terminar_familias_de(connection, usuario_id, self._clock.now())
                await self._totp.quitar_factor(connection, usuario_id)
                await self._passkeys.quitar_todas(connection, usuario_id)
                await self._origenes.olvidar(connection, usuario_id)
                await self._buzon.vaciar(connection, usuario_id)
                await self._audit.tell(connection, "cuenta_borrada", usuario_id)
        if not correcto:
            raise codigo_incorrecto()
        log.info("account_erased", usuario_id=str(usuario_id))


class CuentaBorrada(Problem):
    """Its owner has had the account erased, and nobody is left who could use it: register a new one."""

    status, slug, title = 409, "cuenta-borrada", "La cuenta se borró a petición de su dueño"


def no_borrada(usuario: Usuario) -> None:
    """Raises `CuentaBorrada`."""
    if usuario.password_hash == NO_HASH:
        raise CuentaBorrada


def _sin_lugar_ajeno(entry: Entry, usuario_id: UUID) -> Entry:
    """Where administrators and strangers were is nothing that a person may learn of them."""
    propio = entry.autor == str(usuario_id) or (not entry.autor and entry.suceso in _SUCESOS_PROPIOS)
    return entry if propio else replace(entry, origen="")


def _nadie(usuario: Usuario, clock: Clock) -> Usuario:
    """What is left of a user: an id. The domain `invalid` is nobody's (RFC 2606 §2)."""
    cambios = {"email": f"{usuario.id}@borrado.invalid", "nombre": "", "rol": "cliente", "activo": False}
    return replace(usuario.modificar(cambios | {"email_verificado_en": None}, clock.now()), password_hash=NO_HASH)
