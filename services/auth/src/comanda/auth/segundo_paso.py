"""The second step of a log-in, and of whatever else needs a code: is it right, and was it not used before?"""

import hashlib
import hmac
import math
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.auth.cipher import CipherAtRest, Unreadable
from comanda.auth.domain import ConcesionInvalida, DemasiadosIntentos, Usuario
from comanda.auth.master_keys import MasterKeys
from comanda.auth.mfa_tokens import LoginPendiente, MfaTokens
from comanda.auth.origen import lugar
from comanda.auth.repository_claves import RepositoryClaves
from comanda.auth.repository_totp import RepositoryTotp
from comanda.auth.settings import Settings
from comanda.auth.tables import auditoria
from comanda.auth.throttling import Throttling
from comanda.auth.totp import Factor, es_de_app, normalizar_codigo, paso_de
from comanda.common.audit import Audit
from comanda.common.clock import Clock
from comanda.common.database import Database
from comanda.common.problems import DatosInvalidos

_MFA_TOKEN = "El mfa_token no es, o ya no es, correcto: empiece de nuevo con la password."  # noqa: S105  # a sentence

TOTP_SECRETS = "totp secrets"
"""What their encryption keys are for."""

log = structlog.get_logger()


class SegundoPaso:
    """Checks codes within transactions of the caller, who has locked the user's row.

    Of two uses of a code at once, at whatever replicas, the second therefore sees what the first made of it. A wrong
    code has to be remembered, so none of these raises because of it: the caller commits, then refuses.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Clock,
        *,
        master_keys: MasterKeys,
        throttling: Throttling,
    ) -> None:
        self._tolerancia = settings.totp_tolerance_steps
        self._repository = RepositoryTotp(database)
        self._claves = RepositoryClaves()
        self._clock = clock
        self._audit = Audit(auditoria, database, clock)
        self._throttling = throttling
        self._cipher = CipherAtRest(master_keys, TOTP_SECRETS)
        self._tokens = MfaTokens(master_keys)
        self._recovery_keys = master_keys.derive("recovery codes")
        self.llave = master_keys.id
        """What its recovery codes are kept under."""

    async def pendiente(
        self, connection: AsyncConnection, usuario: Usuario, *, client_id: str, alcance: str | None
    ) -> str | None:
        """The `mfa_token` for a log-in whose password was right; None if the account has no factor in force."""
        factor = await self.en_vigor(connection, usuario)
        if factor is None:
            return None
        login = LoginPendiente(usuario.id, client_id, alcance, _huella(usuario, factor))
        return self._tokens.write(login, self._clock.now())

    def leer(self, mfa_token: str) -> LoginPendiente:
        """Raises `ConcesionInvalida`. Whether the account is still the same is for `superar` to see."""
        login = self._tokens.read(mfa_token, self._clock.now())
        if login is None:
            raise ConcesionInvalida(_MFA_TOKEN)
        return login

    async def superar(
        self,
        connection: AsyncConnection,
        usuario: Usuario | None,
        login: LoginPendiente,
        codigo: str,
        *,
        de_recuperacion: bool,
        origen: str,
    ) -> Usuario | None:
        """Spends the code that completes a log-in. Whose it is, or None if the code is wrong.

        Raises:
            ConcesionInvalida: since the password was given, a log-in was completed, the account deactivated, its
                password changed, or its factor removed.
            DemasiadosIntentos.
        """
        factor = await self.en_vigor(connection, usuario) if usuario and usuario.activo else None
        if usuario is None or factor is None or not hmac.compare_digest(_huella(usuario, factor), login.huella):
            raise ConcesionInvalida(_MFA_TOKEN)
        codigo = normalizar_codigo(codigo)
        if de_recuperacion:
            correcto = await self._gastar_de_recuperacion(connection, factor, codigo, origen)
        else:
            correcto = await self.gastar_de_app(connection, factor, codigo, origen)
        return usuario if correcto else None

    async def exigir(self, connection: AsyncConnection, usuario: Usuario, codigo: str | None, *, origen: str) -> bool:
        """Spends a code of either kind, if it is right; an account without a factor in force needs none.

        Raises:
            DatosInvalidos: there is none.
            DemasiadosIntentos.
        """
        factor = await self.en_vigor(connection, usuario)
        if factor is None:
            return True
        if codigo is None:
            raise DatosInvalidos.of("codigo", "Falta: el segundo factor está activo.")
        codigo = normalizar_codigo(codigo)
        if es_de_app(codigo):
            return await self.gastar_de_app(connection, factor, codigo, origen)
        return await self._gastar_de_recuperacion(connection, factor, codigo, origen)

    async def en_vigor(self, connection: AsyncConnection, usuario: Usuario) -> Factor | None:
        factor = await self._repository.leer_factor(connection, usuario.id)
        return factor if factor and factor.activado_en else None

    async def gastar_de_app(self, connection: AsyncConnection, factor: Factor, codigo: str, origen: str) -> bool:
        """Whether it is a right code of the app that was not used before. Too many wrong ones make everybody wait."""
        ahora = self._clock.now()
        self._throttling.check_login(str(factor.usuario_id), lugar(origen), known=True)
        espera = factor.espera(ahora)
        if espera:
            raise DemasiadosIntentos(math.ceil(espera.total_seconds()))
        paso = self._paso_de(codigo, factor, ahora)
        if paso is None:
            await self._fallo(connection, "totp_failed", factor, origen)
            await self._repository.guardar_factor(connection, factor.fallar(ahora))
            return False
        await self._repository.guardar_factor(connection, factor.acertar(paso))
        return True

    async def _gastar_de_recuperacion(
        self, connection: AsyncConnection, factor: Factor, codigo: str, origen: str
    ) -> bool:
        """Wrong codes of the app make nobody wait here, so whoever guesses those cannot keep the owner out."""
        self._throttling.check_login(str(factor.usuario_id), lugar(origen), known=True)
        hashes = [_hash(key, codigo) for key in self._recovery_keys]
        if not await self._repository.gastar_codigo(connection, factor.usuario_id, hashes):
            await self._fallo(connection, "recovery_code_failed", factor, origen)
            return False
        await self._repository.guardar_factor(connection, factor.acertar(None))
        restantes = await self._repository.codigos_restantes(connection, factor.usuario_id)
        await self._audit.tell(connection, "codigo_de_recuperacion_usado", factor.usuario_id, restantes=restantes)
        log.warning("recovery_code_used", usuario_id=str(factor.usuario_id), origen=origen, restantes=restantes)
        return True

    async def _fallo(self, connection: AsyncConnection, event: str, factor: Factor, origen: str) -> None:
        self._throttling.login_failed(str(factor.usuario_id), lugar(origen), known=True)
        await self._audit.tell(connection, "segundo_factor_fallido", factor.usuario_id)
        log.warning(event, usuario_id=str(factor.usuario_id), origen=origen)

    async def cifrar(self, connection: AsyncConnection, secreto: bytes, usuario_id: UUID) -> str:
        if await self._claves.hay_de_antes(connection):
            return self._cipher.seal_as_before(secreto)
        return self._cipher.seal(secreto, str(usuario_id))

    def _paso_de(self, codigo: str, factor: Factor, ahora: datetime) -> int | None:
        """See `paso_de`. A secret that no master key opens has no right code: recovery codes still log in."""
        try:
            secreto = self._cipher.open(factor.secreto, str(factor.usuario_id))
        except Unreadable:
            log.error("totp_secret_unreadable", usuario_id=str(factor.usuario_id))
            return None
        return paso_de(
            codigo,
            secreto,
            ahora,
            despues_de=factor.ultimo_paso,
            tolerancia=self._tolerancia,
            algoritmo=factor.algoritmo,
        )

    def hash_de(self, codigo: str) -> str:
        """What the database keeps of a recovery code. Without the master key it cannot even be tried out."""
        return _hash(self._recovery_keys[0], codigo)


def _huella(usuario: Usuario, factor: Factor) -> str:
    """Differs after a change of password or of the account's state, another app, or a code accepted meanwhile."""
    state = f"{usuario.password_hash} {usuario.version} {factor.creado_en.isoformat()} {factor.usos}"
    return hashlib.sha256(state.encode()).hexdigest()


def _hash(key: bytes, codigo: str) -> str:
    return hmac.digest(key, normalizar_codigo(codigo).encode(), "sha256").hex()
