"""What only the database can be asked: schema, constraint, which index answers, and rows that vanish meanwhile."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.common.clock import SystemClock
from comanda.common.database import Database
from comanda.common.pagination import PageRequest
from comanda.common.testing import START, Databases, FakeClock
from comanda.common.testing_schema import schema_differences
from comanda.inventario.domain import EstadoReserva, Existencias, Falta, Linea, Reserva
from comanda.inventario.repository import Repository
from comanda.inventario.tables import existencias, metadata, reservas

ROWS = 20_000
FEW = 1000
"""One reservation in so many is ACTIVA, one is EXPIRADA; all others are CONFIRMADA."""

FILL = {
    "sqlite": """
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows)
        INSERT INTO reservas(pedido_id, estado, expira_en, creado_en, actualizado_en)
        SELECT printf('%032x', i), CASE i % :few WHEN 0 THEN 'ACTIVA' WHEN 1 THEN 'EXPIRADA' ELSE 'CONFIRMADA' END,
            '2026-01-01 12:00:00.000000', '2026-01-01 12:00:00.000000', '2026-01-01 12:00:00.000000' FROM n""",
    "postgresql": """
        INSERT INTO reservas(pedido_id, estado, expira_en, creado_en, actualizado_en)
        SELECT lpad(to_hex(i), 32, '0')::uuid,
            CASE i % :few WHEN 0 THEN 'ACTIVA' WHEN 1 THEN 'EXPIRADA' ELSE 'CONFIRMADA' END,
            '2026-01-01T12:00Z', '2026-01-01T12:00Z', '2026-01-01T12:00Z' FROM generate_series(1::bigint, :rows) i""",
}


@pytest.fixture
async def database(databases: Databases, clock: FakeClock) -> AsyncIterator[Database]:
    database = Database(await databases.new("comanda.inventario"), clock=clock)
    yield database
    await database.aclose()


class TestEsquema:
    async def test_las_migraciones_dan_las_tablas(self, databases: Databases) -> None:
        assert await schema_differences(await databases.new("comanda.inventario"), metadata) == []

    @pytest.mark.parametrize(("fisico", "reservado"), [(10, 11), (10, -1), (-1, -1)])
    async def test_la_base_de_datos_tampoco_vende_de_mas(self, database: Database, fisico: int, reservado: int) -> None:
        values = {"producto_id": UUID(int=1), "version": 1, "actualizado_en": START}
        with pytest.raises(sa.exc.IntegrityError):
            async with database.transaction() as connection:
                await connection.execute(sa.insert(existencias).values(fisico=fisico, reservado=reservado, **values))


class TestGuardar:
    async def test_una_rechazada_vuelve_como_se_guardo(self, database: Database, clock: FakeClock) -> None:
        repository, pedido = Repository(database), clock.new_id()
        cafe, te = UUID(int=1), UUID(int=2)
        async with database.transaction() as connection:
            await repository.insertar_existencias(connection, Existencias(cafe, 10, 4, 1, clock.now()))
            provisional = Reserva(pedido, EstadoReserva.ACTIVA, (), clock.now(), (), clock.now(), clock.now())
            almacen = await repository.abrir(connection, {provisional.pedido_id: provisional}, [cafe, te], clock)
            with pytest.raises(Exception, match="No hay existencias"):
                almacen.reservar(pedido, (Linea(cafe, 7), Linea(te, 1)), clock.now())
            await repository.guardar(connection, almacen)
        async with database.read() as connection:
            leida = (await repository.leer_reservas(connection, [pedido]))[pedido]
        assert leida == almacen.reservas[pedido]
        assert leida.faltantes == (Falta(cafe, 7, 6), Falta(te, 1, 0))
        assert leida.expira_en is None


class Olvidadiza(Repository):
    """The sweeper forgets a reservation just after it was found to be known, and before it could be locked."""

    def __init__(self, database: Database, forget: Callable[[], Awaitable[None]]) -> None:
        super().__init__(database)
        self._forget: Callable[[], Awaitable[None]] | None = forget

    async def leer_reservas(
        self, connection: AsyncConnection, ids: Iterable[UUID], *, bloquear: bool = False
    ) -> dict[UUID, Reserva]:
        if self._forget:
            forget, self._forget = self._forget, None
            await forget()
        return await super().leer_reservas(connection, ids, bloquear=bloquear)


class TestAbrir:
    @pytest.mark.parametrize("databases", ["postgresql"], indirect=True)  # SQLite's one writer excludes it
    async def test_una_que_se_olvida_entretanto_es_nueva(self, database: Database, clock: FakeClock) -> None:
        pedido, ahora = clock.new_id(), clock.now()
        tombstone = Reserva(pedido, EstadoReserva.LIBERADA, (), None, (), ahora, ahora)

        async def forget() -> None:
            async with database.transaction() as other:
                await Repository(database).olvidar(other, [pedido])

        async with database.transaction() as connection:
            await Repository(database).abrir(connection, {tombstone.pedido_id: tombstone}, [], clock)
        async with database.transaction() as connection:
            almacen = await Olvidadiza(database, forget).abrir(connection, {tombstone.pedido_id: tombstone}, [], clock)
            assert almacen.nuevas == {pedido}
        async with database.read() as connection:
            assert await Repository(database).leer_reservas(connection, [pedido]) == {pedido: tombstone}


Consulta = Callable[[AsyncConnection], Awaitable[Any]]


class Libros:
    """Many reservations, and the plans of what is asked about them."""

    def __init__(self, database: Database) -> None:
        self.repository = Repository(database)
        self._database = database
        self._statements: list[tuple[str, Any]] = []
        sa.event.listen(database.engine.sync_engine, "before_cursor_execute", self._remember)

    def _remember(self, _connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        self._statements.append((statement, parameters))

    async def ask(self, consulta: Consulta) -> tuple[Any, str]:
        """The answer, and the plan of the first statement on reservations that it took."""
        async with self._database.read() as connection:
            self._statements.clear()
            answer = await consulta(connection)
            statement, parameters = next(item for item in self._statements if "FROM reservas" in item[0])
            explain = "EXPLAIN QUERY PLAN " if self._database.dialect == "sqlite" else "EXPLAIN "
            rows = (await connection.exec_driver_sql(explain + statement, parameters)).all()
        return answer, "\n".join(str(row[-1]) for row in rows)


@pytest.fixture(scope="module")
def filled() -> dict[str, str]:
    """The URL of the filled database of each dialect, once it is filled."""
    return {}


@pytest.fixture
async def libros(databases: Databases, filled: dict[str, str]) -> AsyncIterator[Libros]:
    url = filled.get(databases.dialect) or await databases.new("comanda.inventario", keep=True)
    database = Database(url, clock=SystemClock())
    if databases.dialect not in filled:
        async with database.migration() as connection:
            await connection.execute(sa.text(FILL[databases.dialect]).bindparams(rows=ROWS, few=FEW))
        async with database.migration() as connection:
            await connection.execute(sa.text(f"ANALYZE {reservas.name}"))
        filled[databases.dialect] = url
    yield Libros(database)
    await database.aclose()


def assert_by_index(plan: str, index: str) -> None:
    assert re.search(rf"\b{index}\b", plan), plan
    assert not re.search(r"TEMP B-TREE|Sort|Seq Scan|SCAN reservas$", plan, re.MULTILINE), plan


class TestElBarridoNoRecorreLaTabla:
    """It runs every second, and the confirmed reservations stay for ever."""

    MUCHO_DESPUES = datetime(2026, 1, 8, tzinfo=UTC)

    async def test_vencidas_por_su_indice(self, libros: Libros) -> None:
        page, plan = await libros.ask(lambda c: libros.repository.vencidas(c, self.MUCHO_DESPUES, 200))
        assert len(page) == ROWS // FEW
        assert_by_index(plan, "ix_reservas_activas")
        rest, plan = await libros.ask(lambda c: libros.repository.vencidas(c, self.MUCHO_DESPUES, 200, despues=page[9]))
        assert rest == page[10:]
        assert_by_index(plan, "ix_reservas_activas")

    async def test_cerradas_por_su_indice(self, libros: Libros) -> None:
        ids, plan = await libros.ask(lambda c: libros.repository.cerradas(c, self.MUCHO_DESPUES, 200))
        assert len(ids) == ROWS // FEW
        assert_by_index(plan, "ix_reservas_cerradas")

    async def test_ni_una_antes_de_tiempo(self, libros: Libros) -> None:
        tres_dias = START + timedelta(hours=72)
        assert (await libros.ask(lambda c: libros.repository.cerradas(c, tres_dias, 200)))[0] == []
        poco_antes = START - timedelta(microseconds=1)
        assert (await libros.ask(lambda c: libros.repository.vencidas(c, poco_antes, 200)))[0] == []


class TestListarReservas:
    async def test_las_activas_por_su_indice(self, libros: Libros) -> None:
        page, plan = await libros.ask(
            lambda c: libros.repository.listar_reservas(c, PageRequest(), None, EstadoReserva.ACTIVA)
        )
        assert {reserva.estado for reserva in page.items} == {EstadoReserva.ACTIVA}
        assert "ix_reservas_activas" in plan

    async def test_todas_por_su_clave(self, libros: Libros) -> None:
        page, plan = await libros.ask(lambda c: libros.repository.listar_reservas(c, PageRequest(), None, None))
        assert len(page.items) == 50
        assert not re.search(r"TEMP B-TREE|Sort|Seq Scan", plan), plan
