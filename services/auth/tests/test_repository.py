from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy.exc import IntegrityError

from comanda.auth import repository
from comanda.auth.domain import EmailEnUso, Familia, Usuario
from comanda.auth.repository import Repository
from comanda.common.database import Database
from comanda.common.pagination import PageRequest
from comanda.testing import Databases, FakeClock


@pytest.fixture
async def database(databases: Databases, clock: FakeClock) -> AsyncIterator[Database]:
    database = Database(await databases.new("comanda.auth"), clock=clock)
    yield database
    await database.aclose()


def usuario(clock: FakeClock, email: str = "ana@ejemplo.es") -> Usuario:
    ahora = clock.now()
    return Usuario(
        id=clock.new_id(),
        email=email,
        nombre="Ana",
        rol="cliente",
        activo=True,
        password_hash="hash",
        version=1,
        creado_en=ahora,
        actualizado_en=ahora,
    )


def familia(clock: FakeClock, usuario_id: UUID, *, segundos: float = 60) -> Familia:
    ahora = clock.now()
    return Familia(
        id=clock.new_id(),
        usuario_id=usuario_id,
        client_id="comanda-web",
        alcance=None,
        generacion=0,
        token_hash="aa",
        rotada_en=ahora,
        creada_en=ahora,
        expira_en=ahora + timedelta(seconds=segundos),
    )


class TestUsuarios:
    async def test_se_lee_lo_que_se_guardo(self, database: Database, clock: FakeClock) -> None:
        repo, ana = Repository(database), usuario(clock, "Ana@Ejemplo.es")
        async with database.transaction() as connection:
            await repo.insertar_usuario(connection, ana)
        async with database.read() as connection:
            assert await repo.leer_usuario(connection, ana.id) == ana
            assert await repo.leer_por_email(connection, "ANA@ejemplo.ES") == ana
            assert await repo.leer_por_email(connection, "otra@ejemplo.es") is None
            assert await repo.leer_usuario(connection, clock.new_id()) is None

    async def test_el_mismo_email_con_otras_mayusculas(self, database: Database, clock: FakeClock) -> None:
        repo = Repository(database)
        async with database.transaction() as connection:
            await repo.insertar_usuario(connection, usuario(clock))
        with pytest.raises(EmailEnUso):
            async with database.transaction() as connection:
                await repo.insertar_usuario(connection, usuario(clock, "ANA@ejemplo.es"))

    async def test_otra_violacion_no_se_confunde(self, database: Database, clock: FakeClock) -> None:
        repo, ana = Repository(database), usuario(clock)
        with pytest.raises(IntegrityError):
            async with database.transaction() as connection:
                await repo.insertar_usuario(connection, replace(ana, rol="duque"))  # type: ignore[arg-type]

    async def test_paginas_por_orden_de_alta(self, database: Database, clock: FakeClock) -> None:
        repo = Repository(database)
        async with database.transaction() as connection:
            for n in range(5):
                clock.advance(1)
                await repo.insertar_usuario(connection, usuario(clock, f"u{n}@ejemplo.es"))
        seen: list[str] = []
        page = PageRequest(2)
        async with database.read() as connection:
            while True:
                found = await repo.listar_usuarios(connection, page)
                seen += [item.email[:2] for item in found.items]
                if found.next_cursor is None:
                    break
                page = PageRequest(2, found.next_cursor)
        assert seen == ["u0", "u1", "u2", "u3", "u4"]

    async def test_bloquear_trae_al_usuario_y_a_los_admins_activos(self, database: Database, clock: FakeClock) -> None:
        repo = Repository(database)
        ana, jefa, antigua = (usuario(clock, f"{name}@ejemplo.es") for name in ("ana", "jefa", "antigua"))
        async with database.transaction() as connection:
            await repo.insertar_usuario(connection, ana)
            assert not await repo.hay_admin(connection)
            await repo.insertar_usuario(connection, replace(jefa, rol="admin"))
            await repo.insertar_usuario(connection, replace(antigua, rol="admin", activo=False))
            assert await repo.hay_admin(connection)
            assert (await repo.bloquear_con_admins(connection, ana.id)).keys() == {ana.id, jefa.id}


class TestFamilias:
    async def test_terminar_las_de_un_usuario_salvo_una(self, database: Database, clock: FakeClock) -> None:
        repo, ana, luis = Repository(database), usuario(clock), usuario(clock, "luis@ejemplo.es")
        suyas = [familia(clock, ana.id) for _ in range(3)]
        ajena = familia(clock, luis.id)
        async with database.transaction() as connection:
            for item in (ana, luis):
                await repo.insertar_usuario(connection, item)
            for item in (*suyas, ajena):
                await repo.insertar_familia(connection, item)
            await repo.terminar_familias_de(connection, ana.id, clock.now(), salvo=suyas[1].id)
            left = [await repo.leer_familia(connection, item.id) for item in (*suyas, ajena)]
            assert left == [None, suyas[1], None, ajena]
            await repo.terminar_familias_de(connection, ana.id, clock.now())
            assert await repo.leer_familia(connection, suyas[1].id) is None

    async def test_barrer_por_paginas_solo_las_caducadas(
        self, database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(repository, "SWEEP_ROWS", 2)
        repo, ana = Repository(database), usuario(clock)
        viva = familia(clock, ana.id, segundos=100)
        async with database.transaction() as connection:
            await repo.insertar_usuario(connection, ana)
            for item in (*(familia(clock, ana.id, segundos=10) for _ in range(3)), viva):
                await repo.insertar_familia(connection, item)
        clock.advance(10)
        swept = []
        for _ in range(3):
            async with database.transaction() as connection:
                swept.append(await repo.barrer_familias(connection, clock.now()))
        assert swept == [2, 1, 0]
        async with database.transaction() as connection:
            assert await repo.leer_familia(connection, viva.id) == viva
