"""What the outbox promises when servers, processes and replicas fail."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from auth_internals import until
from mail_server import Estafeta, estafeta

from comanda.auth import buzon as module
from comanda.auth.buzon import MAX_INTENTOS, Buzon
from comanda.auth.domain import Usuario
from comanda.auth.enlaces import Enlaces
from comanda.auth.repository import Repository
from comanda.auth.repository_correo import Motivo, RepositoryCorreo
from comanda.auth.settings import Settings
from comanda.auth.tables import correos
from comanda.common.database import Database, DatabaseUnavailable
from comanda.testing import Databases, FakeClock, free_port


class Puesto:
    """An outbox without the service around it, and one user whose mails it holds."""

    def __init__(self, settings: Settings, clock: FakeClock) -> None:
        self.settings, self.clock = settings, clock
        self.database = Database(settings.database_url, clock=clock)
        self.buzon = self.replica()
        self.ana = Usuario(
            clock.new_id(), "ana@ejemplo.es", "Ana", "cliente", True, "hash", 1, clock.now(), clock.now()
        )

    def replica(self) -> Buzon:
        return Buzon(self.settings, self.database, self.clock, Enlaces(b"secreto"))

    async def guardar(self, usuario: Usuario) -> None:
        self.ana = usuario
        async with self.database.transaction() as connection:
            await Repository(self.database).actualizar_usuario(connection, usuario)

    async def echar(self, motivo: Motivo = "restablecer") -> None:
        async with self.database.transaction() as connection:
            await self.buzon.echar(connection, self.ana.id, motivo)

    async def esperan(self) -> list[dict[str, Any]]:
        async with self.database.read() as connection:
            return [dict(row) for row in (await connection.execute(sa.select(correos))).mappings()]


Abrir = Callable[[int], Puesto]


@pytest.fixture
async def abrir(make_settings: Callable[..., Settings], clock: FakeClock) -> AsyncIterator[Abrir]:
    puestos: list[Puesto] = []

    def abrir(port: int) -> Puesto:
        url = f"smtp+insecure://127.0.0.1:{port}"
        puestos.append(Puesto(make_settings(smtp_url=url, mail_from="Tienda <no@tienda.es>"), clock))
        return puestos[-1]

    yield abrir
    for puesto in puestos:
        await puesto.database.aclose()


@pytest.fixture
async def servidor() -> AsyncIterator[Estafeta]:
    async with estafeta() as server:
        yield server


@pytest.fixture
async def puesto(abrir: Abrir, servidor: Estafeta) -> Puesto:
    return await con_usuario(abrir(servidor.port))


async def con_usuario(puesto: Puesto) -> Puesto:
    async with puesto.database.transaction() as connection:
        await Repository(puesto.database).insertar_usuario(connection, puesto.ana)
    return puesto


class TestEnviar:
    async def test_llega_a_su_dueno_y_no_queda_nada(self, puesto: Puesto, servidor: Estafeta) -> None:
        await puesto.echar()
        assert await puesto.buzon.enviar_siguiente()
        assert not await puesto.buzon.enviar_siguiente()
        assert servidor.destinatarios == ["ana@ejemplo.es"]
        assert servidor.correos[0]["From"] == "Tienda <no@tienda.es>"
        assert await puesto.esperan() == []

    async def test_lo_guardado_no_lleva_ni_direccion_ni_enlace(self, puesto: Puesto) -> None:
        await puesto.echar()
        [row] = await puesto.esperan()
        assert row.keys() == {"id", "usuario_id", "motivo", "intentos", "creado_en", "siguiente_en"}
        assert (row["usuario_id"], row["motivo"]) == (puesto.ana.id, "restablecer")

    async def test_varios_pedidos_iguales_son_un_correo(self, puesto: Puesto, servidor: Estafeta) -> None:
        for motivo in ("restablecer", "restablecer", "aviso-password"):
            await puesto.echar(motivo)  # type: ignore[arg-type]
        while await puesto.buzon.enviar_siguiente():
            pass
        assert sorted(str(correo["Subject"]) for correo in servidor.correos) == [
            "La contraseña de su cuenta ha cambiado",
            "Una contraseña nueva para su cuenta",
        ]

    async def test_lo_pedido_mientras_se_envia_no_se_pierde(
        self, puesto: Puesto, servidor: Estafeta, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await puesto.echar("aviso-password")
        deliver = servidor.handle_DATA

        async def and_another(*args: Any) -> str:
            if not servidor.correos:
                clock.advance(1)
                await puesto.echar("aviso-password")
            return await deliver(*args)

        monkeypatch.setattr(servidor, "handle_DATA", and_another)
        while await puesto.buzon.enviar_siguiente():
            pass
        assert len({correo["Message-ID"] for correo in servidor.correos}) == 2

    @pytest.mark.parametrize(
        ("motivo", "cambio", "llegan"),
        [
            ("restablecer", {"activo": False}, 0),
            ("verificar", {"activo": False}, 0),
            ("verificar", {"email_verificado_en": True}, 0),
            ("restablecer", {"email_verificado_en": True}, 1),
            ("aviso-password", {"activo": False}, 1),
        ],
    )
    async def test_lo_que_ha_cambiado_desde_que_se_pidio(
        self, puesto: Puesto, servidor: Estafeta, motivo: Motivo, cambio: dict[str, Any], llegan: int
    ) -> None:
        await puesto.echar(motivo)
        values = {name: puesto.clock.now() if name.endswith("_en") else value for name, value in cambio.items()}
        await puesto.guardar(replace(puesto.ana, **values))
        assert await puesto.buzon.enviar_siguiente()
        assert len(servidor.correos) == llegan
        assert await puesto.esperan() == []

    async def test_la_direccion_que_nadie_tiene(self, puesto: Puesto, servidor: Estafeta) -> None:
        async with puesto.database.transaction() as connection:
            await puesto.buzon.echar_para_email(connection, "nadie@ejemplo.es", "restablecer")
        [row] = await puesto.esperan()
        assert row["usuario_id"] is None
        assert await puesto.buzon.enviar_siguiente()
        assert (await puesto.esperan(), servidor.correos) == ([], [])

    async def test_se_envia_a_la_direccion_registrada_no_a_la_escrita(self, puesto: Puesto, servidor: Estafeta) -> None:
        async with puesto.database.transaction() as connection:
            await puesto.buzon.echar_para_email(connection, "ANA@EJEMPLO.ES", "restablecer")
        assert await puesto.buzon.enviar_siguiente()
        assert servidor.destinatarios == ["ana@ejemplo.es"]

    async def test_un_dominio_imposible_no_para_a_los_demas(self, puesto: Puesto, servidor: Estafeta) -> None:
        await puesto.guardar(replace(puesto.ana, email="ana@ejemplo\u2713.es"))
        await puesto.echar()
        assert await puesto.buzon.enviar_siguiente()
        assert (await puesto.esperan(), servidor.correos) == ([], [])


class TestFallos:
    async def test_el_servidor_cae_y_vuelve(self, abrir: Abrir, clock: FakeClock) -> None:
        port = free_port()
        puesto = await con_usuario(abrir(port))
        await puesto.echar()
        assert not await puesto.buzon.enviar_siguiente()
        clock.advance(59)
        assert not await puesto.buzon.enviar_siguiente()
        [row] = await puesto.esperan()
        assert row["intentos"] == 1
        async with estafeta(port) as server:
            clock.advance(1)
            assert await puesto.buzon.enviar_siguiente()
        assert server.destinatarios == ["ana@ejemplo.es"]
        assert await puesto.esperan() == []

    async def test_cada_intento_espera_mas_y_son_contados(self, abrir: Abrir, clock: FakeClock) -> None:
        puesto = await con_usuario(abrir(free_port()))
        await puesto.echar()
        waits = []
        for _ in range(MAX_INTENTOS):
            assert not await puesto.buzon.enviar_siguiente()
            [row] = await puesto.esperan()
            waits.append((row["siguiente_en"] - clock.now()).total_seconds())
            clock.advance(waits[-1])
        assert waits == [60, 120, 240, 480, 960, 1920, *[3600] * 10]
        assert await puesto.buzon.enviar_siguiente()
        assert await puesto.esperan() == []

    async def test_muere_entre_enviar_y_anotarlo(
        self, puesto: Puesto, servidor: Estafeta, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def die(*_: Any) -> None:
            raise DatabaseUnavailable("the process ended here")

        await puesto.echar()
        with monkeypatch.context() as patch:
            patch.setattr(RepositoryCorreo, "borrar_servidos", die)
            with pytest.raises(DatabaseUnavailable):
                await puesto.buzon.enviar_siguiente()
        otra = puesto.replica()
        assert not await otra.enviar_siguiente()  # for all it knows the first is still at it
        clock.advance(module.FIRST_WAIT_SECONDS)
        assert await otra.enviar_siguiente()
        assert len(servidor.correos) == 2
        assert len({correo["Message-ID"] for correo in servidor.correos}) == 1
        assert await puesto.esperan() == []

    async def test_muere_antes_de_enviar(
        self, puesto: Puesto, servidor: Estafeta, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def die(*_: Any, **__: Any) -> None:
            raise RuntimeError("the process ended here")

        await puesto.echar()
        with monkeypatch.context() as patch:
            patch.setattr(module.Smtp, "enviar", die)
            with pytest.raises(RuntimeError):
                await puesto.buzon.enviar_siguiente()
        clock.advance(module.FIRST_WAIT_SECONDS)
        assert await puesto.replica().enviar_siguiente()
        assert len(servidor.correos) == 1

    async def test_dos_replicas_no_lo_envian_dos_veces(
        self, puesto: Puesto, servidor: Estafeta, databases: Databases
    ) -> None:
        await puesto.echar("restablecer")
        await puesto.echar("aviso-password")
        async with puesto.database.transaction() as connection:
            assert await RepositoryCorreo().bloquear_siguiente(connection, puesto.clock.now())
            if databases.dialect == "postgresql":  # on SQLite there is one writer at a time, so the other waits
                assert await puesto.replica().enviar_siguiente()
                assert len(servidor.correos) == 1
                assert not await puesto.replica().enviar_siguiente()
        while await puesto.replica().enviar_siguiente():
            pass
        assert len({str(correo["Subject"]) for correo in servidor.correos}) == len(servidor.correos) == 2

    async def test_mientras_uno_envia_el_otro_no(
        self, puesto: Puesto, servidor: Estafeta, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await puesto.echar()
        deliver = servidor.handle_DATA
        seen: list[bool] = []

        async def meanwhile(*args: Any) -> str:
            seen.append(await puesto.replica().enviar_siguiente())
            return await deliver(*args)

        monkeypatch.setattr(servidor, "handle_DATA", meanwhile)
        assert await puesto.buzon.enviar_siguiente()
        assert seen == [False]
        assert len(servidor.correos) == 1

    async def test_si_la_transaccion_no_llega_a_su_fin_no_hay_correo(self, puesto: Puesto) -> None:
        with suppress(RuntimeError):
            async with puesto.database.transaction() as connection:
                await puesto.buzon.echar(connection, puesto.ana.id, "verificar")
                raise RuntimeError
        assert await puesto.esperan() == []


class TestRepartir:
    async def test_envia_sin_que_nadie_se_lo_pida(self, api: Any, clock: FakeClock, data_folder: Path) -> None:
        await api.registrar()

        async def arrived_a_moment_later() -> int:
            clock.advance(2)  # the loop may just have begun to sleep
            return len(list((data_folder / "correo").glob("*.eml")))

        await until(arrived_a_moment_later, 1)

    async def test_en_produccion_sin_servidor_lo_dice_una_vez(
        self, make_settings: Callable[..., Settings], clock: FakeClock
    ) -> None:
        puesto = Puesto(make_settings(environment="production", issuer="https://id.tienda.es"), clock)
        with structlog.testing.capture_logs() as lines:
            loop = asyncio.create_task(puesto.buzon.repartir())
            for _ in range(3):
                await asyncio.sleep(0)
                clock.advance(2)
            loop.cancel()
        assert lines == [{"event": "mail_not_configured", "variable": "AUTH_SMTP_URL", "log_level": "warning"}]
        await puesto.database.aclose()


class TestVaciar:
    async def test_a_la_vez_en_dos_replicas(self, abrir: Abrir) -> None:
        """Each removes many rows; they wait for each other, and not in a circle."""
        puesto = await con_usuario(abrir(0))
        for _ in range(30):
            await puesto.echar()
        other = abrir(0).database

        async def vaciar(database: Database) -> None:
            async with database.transaction() as connection:
                await RepositoryCorreo().borrar_de(connection, puesto.ana.id)

        await asyncio.gather(*(vaciar(database) for database in (puesto.database, other) * 4))
        assert await puesto.esperan() == []
