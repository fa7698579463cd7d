"""Use cases of passkeys: registering and removing them, and logging in with one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.auth import ceremonias
from comanda.auth.buzon import Buzon
from comanda.auth.ceremonias import Alta, Asercion, RespuestaIncorrecta, Sitio
from comanda.auth.credenciales import Credenciales, password_incorrecta
from comanda.auth.domain import Usuario, activo
from comanda.auth.domain_passkeys import (
    MAX_PER_USER,
    ContadorAtras,
    DemasiadasPasskeys,
    Passkey,
    PasskeyIncorrecta,
    credencial_incorrecta,
)
from comanda.auth.fin_de_sesiones import exigir_reciente
from comanda.auth.master_keys import MasterKeys
from comanda.auth.origen import lugar
from comanda.auth.origenes import Origenes
from comanda.auth.repository import Repository
from comanda.auth.repository_passkeys import RepositoryPasskeys
from comanda.auth.retos import Retos
from comanda.auth.segundo_paso import SegundoPaso
from comanda.auth.sesiones import Sesiones, Tokens
from comanda.auth.settings import Settings
from comanda.auth.tables import auditoria
from comanda.auth.throttling import Throttling
from comanda.auth.totp import PASSKEY, codigo_incorrecto
from comanda.common.audit import Audit
from comanda.common.clock import Clock
from comanda.common.database import Database
from comanda.common.problems import NoEncontrado
from comanda.common.tokens import Principal

log = structlog.get_logger()


class Passkeys:
    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Clock,
        *,
        master_keys: MasterKeys,
        sesiones: Sesiones,
        credenciales: Credenciales,
        paso: SegundoPaso,
        throttling: Throttling,
        origenes: Origenes,
        buzon: Buzon,
    ) -> None:
        self._max_age = settings.reauthentication_seconds
        self._database = database
        self._usuarios = Repository(database)
        self._repository = RepositoryPasskeys(database)
        self._clock = clock
        self._audit = Audit(auditoria, database, clock)
        self._retos = Retos(master_keys)
        self._sesiones = sesiones
        self._credenciales = credenciales
        self._paso = paso
        self._throttling = throttling
        self._origenes = origenes
        self._buzon = buzon

    async def listar(self, usuario_id: UUID) -> Sequence[Passkey]:
        """Raises `NoAutenticado`."""
        async with self._database.read() as connection:
            activo(await self._usuarios.leer_usuario(connection, usuario_id))
            return await self._repository.listar(connection, usuario_id)

    async def preparar(
        self,
        usuario_id: UUID,
        *,
        password: str,
        codigo: str | None,
        sesion: UUID | None,
        origen: str,
        sitio: Sitio,
    ) -> dict[str, Any]:
        """What the browser is to ask the authenticator for a new passkey. Nothing is kept.

        Raises:
            DatosInvalidos: the password is wrong, or the account has a second factor and `codigo` is missing or wrong.
            DemasiadasPasskeys, NoAutenticado, DemasiadosIntentos, ServicioSaturado.
        """
        usuario = await self._leer_activo(usuario_id)
        await self._credenciales.exigir(
            usuario, password, sesion=sesion, origen=origen, incorrecta=password_incorrecta()
        )
        async with self._database.transaction() as connection:
            existentes = await self._bloquear(connection, usuario)
            if existentes is None:
                raise password_incorrecta()
            if len(existentes) >= MAX_PER_USER:
                raise DemasiadasPasskeys
            correcto = await self._paso.exigir(connection, usuario, codigo, origen=origen)
        if not correcto:
            raise codigo_incorrecto()
        reto = self._retos.write("registrar", self._clock.now(), usuario)
        return ceremonias.pedir_alta(sitio, usuario, reto, existentes)

    async def registrar(self, usuario_id: UUID, alta: Alta, nombre: str, *, sitio: Sitio) -> Passkey:
        """Keeps a new passkey. Again, after a lost answer, it changes nothing.

        Raises:
            DatosInvalidos: the answer is wrong or late, or the password was changed since the challenge.
            DemasiadasPasskeys, PasskeyRepetida, NoAutenticado.
        """
        usuario = await self._leer_activo(usuario_id)
        ahora = self._clock.now()
        try:
            reto = ceremonias.reto_de(alta.client_data_json)
            if self._retos.read("registrar", reto, ahora, usuario) is None:
                raise RespuestaIncorrecta
            registrada = ceremonias.comprobar_alta(alta, sitio, reto)
        except RespuestaIncorrecta:
            raise credencial_incorrecta() from None
        async with self._database.transaction() as connection:
            existentes = await self._bloquear(connection, usuario)
            if existentes is None:
                raise credencial_incorrecta()
            for passkey in existentes:
                if (passkey.credencial, passkey.llave_publica) == (registrada.credencial, registrada.llave_publica):
                    return passkey
            if len(existentes) >= MAX_PER_USER:
                raise DemasiadasPasskeys
            passkey = Passkey(
                id=self._clock.new_id(),
                usuario_id=usuario_id,
                credencial=registrada.credencial,
                llave_publica=registrada.llave_publica,
                contador=registrada.contador,
                reto_en=None,
                nombre=nombre,
                creada_en=ahora,
                usada_en=None,
            )
            await self._repository.insertar(connection, passkey)
            await self._buzon.echar(connection, usuario_id, "aviso-passkey")
            await self._audit.tell(connection, "passkey_creada", usuario_id, passkey=str(passkey.id))
        log.info("passkey_added", usuario_id=str(usuario_id), passkey_id=str(passkey.id))
        return passkey

    async def quitar(self, persona: Principal, passkey_id: UUID) -> None:
        """Removes a passkey, and ends every session but the one that asks.

        Raises:
            AutenticacionRecienteRequerida.
            NoEncontrado: there is no such passkey, or it is somebody else's.
        """
        exigir_reciente(persona, self._clock.now(), self._max_age)
        usuario_id, sesion = UUID(persona.subject), persona.session_id
        async with self._database.transaction() as connection:
            activo(await self._usuarios.leer_usuario(connection, usuario_id, bloquear=True))
            if not await self._repository.quitar(connection, usuario_id, passkey_id):
                raise NoEncontrado
            await self._usuarios.terminar_familias_de(
                connection, usuario_id, self._clock.now(), salvo=UUID(sesion) if sesion else None
            )
            await self._audit.tell(connection, "passkey_quitada", usuario_id, passkey=str(passkey_id))
        log.info("passkey_removed", usuario_id=str(usuario_id), passkey_id=str(passkey_id))

    def invitar(self, sitio: Sitio) -> dict[str, Any]:
        """What the browser is to ask the authenticator for a log-in: the same for everybody. Nothing is kept."""
        return ceremonias.pedir_asercion(sitio, self._retos.write("entrar", self._clock.now()))

    async def entrar(
        self, asercion: Asercion, *, client_id: str, origen: str, dispositivo: str, sitio: Sitio
    ) -> Tokens:
        """Begins a session, as of two factors. What is wrong counts against the place that it comes from.

        Raises:
            PasskeyIncorrecta, DemasiadosIntentos.
        """
        self._throttling.check_passkey(lugar(origen))
        try:
            passkey, contador, reto_en = await self._comprobar(asercion, sitio)
            async with self._database.transaction() as connection:
                usuario = await self._gastar(connection, passkey, contador, reto_en)
                await self._origenes.recordar(connection, usuario, origen)
                return await self._sesiones.abrir(
                    connection, usuario, amr=PASSKEY, client_id=client_id, dispositivo=dispositivo
                )
        except RespuestaIncorrecta:
            suceso, objeto = "login_fallido", ""
        except ContadorAtras:
            suceso, objeto = "passkey_copiada", str(passkey.usuario_id)
            log.warning("passkey_counter_went_back", usuario_id=objeto, passkey_id=str(passkey.id), origen=origen)
        self._throttling.passkey_failed(lugar(origen))
        log.info("passkey_login_failed", origen=origen)
        await self._audit.note(suceso, objeto)
        raise PasskeyIncorrecta

    async def _comprobar(self, asercion: Asercion, sitio: Sitio) -> tuple[Passkey, int, datetime]:
        """Whose signature it is, by which count, over a challenge of when. Raises `RespuestaIncorrecta`."""
        reto = ceremonias.reto_de(asercion.client_data_json)
        reto_en = self._retos.read("entrar", reto, self._clock.now())
        if reto_en is None:
            raise RespuestaIncorrecta
        async with self._database.read() as connection:
            passkey = await self._repository.leer(connection, ceremonias.credencial_de(asercion))
        if passkey is None:
            raise RespuestaIncorrecta
        return passkey, ceremonias.comprobar_asercion(asercion, passkey, sitio, reto), reto_en

    async def _gastar(self, connection: AsyncConnection, passkey: Passkey, contador: int, reto_en: datetime) -> Usuario:
        """Of two uses of a challenge at once, at whatever replicas, the second sees what the first made of it.

        Raises:
            RespuestaIncorrecta, ContadorAtras.
        """
        usuario = await self._usuarios.leer_usuario(connection, passkey.usuario_id, bloquear=True)
        ahora = await self._repository.leer(connection, passkey.credencial)
        if usuario is None or not usuario.activo or ahora is None or ahora.id != passkey.id:
            raise RespuestaIncorrecta
        usada = ahora.usar(contador, reto_en, self._clock.now())
        if usada is None:
            raise RespuestaIncorrecta
        await self._repository.actualizar(connection, usada)
        return usuario

    async def _leer_activo(self, usuario_id: UUID) -> Usuario:
        async with self._database.read() as connection:
            return activo(await self._usuarios.leer_usuario(connection, usuario_id))

    async def _bloquear(self, connection: AsyncConnection, usuario: Usuario) -> Sequence[Passkey] | None:
        """The passkeys of that user, who is locked now; None: somebody has changed the password meanwhile."""
        ahora = activo(await self._usuarios.leer_usuario(connection, usuario.id, bloquear=True))
        if ahora.password_hash != usuario.password_hash:
            return None
        return await self._repository.listar(connection, usuario.id)
