"""The first administrator, made at start when there is none."""

import secrets

import structlog

from comanda.auth.administradores import NOMBRE, nuevo_admin
from comanda.auth.domain import EmailEnUso
from comanda.auth.passwords import Passwords
from comanda.auth.politica import Politica
from comanda.auth.repository import Repository
from comanda.auth.settings import Settings
from comanda.auth.tables import auditoria
from comanda.common.app import NotReady
from comanda.common.audit import Audit
from comanda.common.clock import Clock
from comanda.common.database import Database
from comanda.common.files import write_if_changed
from comanda.common.settings import data_folder

CREDENTIALS_FILE = "admin-credentials.txt"

log = structlog.get_logger()


class FirstAdmin:
    def __init__(
        self, settings: Settings, database: Database, clock: Clock, passwords: Passwords, politica: Politica
    ) -> None:
        self._settings = settings
        self._database = database
        self._repository = Repository(database)
        self._clock = clock
        self._audit = Audit(auditoria, database, clock)
        self._passwords = passwords
        self._politica = politica

    async def ensure(self) -> None:
        """Makes the admin that the environment names. A generated password is written to a file, never logged.

        Production generates none: nobody would have to change it (ASVS 5.0, V6.4.1).

        Raises:
            NotReady: there is no admin, and none can be made of what the environment says.
        """
        async with self._database.read() as connection:
            if await self._repository.hay_admin(connection):
                return
        given = self._settings.admin_password
        password = await self._chosen(given.get_secret_value()) if given else self._made_up()
        password_hash = await self._passwords.hash(password)
        async with self._database.transaction() as connection:
            await self._repository.serializar_arranque(connection)
            if await self._repository.hay_admin(connection):
                return  # another replica was faster
            admin = nuevo_admin(self._clock, self._settings.admin_email, password_hash)
            try:
                await self._repository.insertar_usuario(connection, admin)
            except EmailEnUso:
                raise NotReady("COMANDA_ADMIN_EMAIL belongs to a client: set another one") from None
            await self._audit.tell(connection, "primer_admin_creado", admin.id)
            if given is None:
                self._keep(password)  # before the commit, so that no admin exists whose password nobody knows
        log.info("first_admin_created", usuario_id=str(admin.id))

    async def _chosen(self, password: str) -> str:
        motivo = await self._politica.objecion(password, email=self._settings.admin_email, nombre=NOMBRE)
        if motivo:
            raise NotReady(f"COMANDA_ADMIN_PASSWORD: {motivo}")
        return password

    def _made_up(self) -> str:
        if self._settings.production:
            raise NotReady(
                "there is no administrator yet: set COMANDA_ADMIN_PASSWORD (and COMANDA_ADMIN_EMAIL), "
                "or run comanda admin create EMAIL --prompt"
            )
        return secrets.token_urlsafe(18)

    def _keep(self, password: str) -> None:
        path = data_folder() / CREDENTIALS_FILE
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_if_changed(path, f"email: {self._settings.admin_email}\npassword: {password}\n".encode(), 0o600)
