"""Who gets in when nobody can: an administrator made from outside, on the machine."""

from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.auth.buzon import Buzon
from comanda.auth.domain import Usuario
from comanda.auth.origenes import Origenes
from comanda.auth.passwords import Passwords
from comanda.auth.politica import Politica
from comanda.auth.repository import Repository
from comanda.auth.repository_passkeys import RepositoryPasskeys
from comanda.auth.repository_totp import RepositoryTotp
from comanda.auth.tables import auditoria
from comanda.common.audit import Audit
from comanda.common.clock import Clock
from comanda.common.database import Database

NOMBRE = "Administrador"


@dataclass(frozen=True, slots=True)
class Nombramiento:
    nuevo: bool
    """Nobody had that address."""
    tenia_factor: bool = False
    """A second factor was removed: whoever lost the password has often lost that, too."""


class Administradores:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        passwords: Passwords,
        politica: Politica,
        buzon: Buzon,
        origenes: Origenes,
    ) -> None:
        self._database = database
        self._repository = Repository(database)
        self._totp = RepositoryTotp(database)
        self._passkeys = RepositoryPasskeys(database)
        self._clock = clock
        self._audit = Audit(auditoria, database, clock)
        self._passwords = passwords
        self._politica = politica
        self._buzon = buzon
        self._origenes = origenes

    async def nombrar(self, email: str, password: str, *, orden: str) -> Nombramiento:
        """Makes that user an active administrator with that password, registering it if necessary.

        Who had the account is out: sessions, known places, passkeys and second factor go, and its address is told.

        Args:
            orden: the command, for the audit log.

        Raises:
            DatosInvalidos: the password is not good enough.
            EmailEnUso: somebody has registered with that address just now.
        """
        async with self._database.read() as connection:
            conocido = await self._repository.leer_por_email(connection, email)
        nombre = conocido.nombre if conocido else NOMBRE
        await self._politica.exigir("password", password, email=email, nombre=nombre)
        password_hash = await self._passwords.hash(password)
        async with self._database.transaction() as connection:
            usuario = await self._repository.leer_por_email(connection, email, bloquear=True)
            if usuario is None:
                usuario, nombramiento = await self._registrar(connection, email, password_hash), Nombramiento(True)
            else:
                nombramiento = await self._reponer(connection, usuario, password_hash)
            await self._audit.tell(connection, "admin_creado", usuario.id, orden=orden)
        return nombramiento

    async def _registrar(self, connection: AsyncConnection, email: str, password_hash: str) -> Usuario:
        admin = nuevo_admin(self._clock, email, password_hash)
        await self._repository.insertar_usuario(connection, admin)
        return admin

    async def _reponer(self, connection: AsyncConnection, usuario: Usuario, password_hash: str) -> Nombramiento:
        cambiado = usuario.modificar({"rol": "admin", "activo": True}, self._clock.now())
        await self._repository.actualizar_usuario(connection, replace(cambiado, password_hash=password_hash))
        await self._repository.terminar_familias_de(connection, usuario.id, self._clock.now())
        await self._origenes.olvidar(connection, usuario.id)
        await self._passkeys.quitar_todas(connection, usuario.id)
        tenia_factor = await self._totp.quitar_factor(connection, usuario.id)
        await self._buzon.echar(connection, usuario.id, "aviso-password")
        return Nombramiento(nuevo=False, tenia_factor=tenia_factor)


def nuevo_admin(clock: Clock, email: str, password_hash: str) -> Usuario:
    ahora = clock.now()
    return Usuario(
        id=clock.new_id(),
        email=email,
        nombre=NOMBRE,
        rol="admin",
        activo=True,
        password_hash=password_hash,
        version=1,
        creado_en=ahora,
        actualizado_en=ahora,
    )
