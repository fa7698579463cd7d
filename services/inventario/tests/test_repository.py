"""What only the database can be asked: schema, constraint, times to the microsecond, and rows that vanish meanwhile."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.common.database import Database
from comanda.inventario.almacen import CLOSED_KEPT
from comanda.inventario.domain import EstadoReserva, Existencias, Falta, Linea, Reserva
from comanda.inventario.repository import Repository
from comanda.inventario.tables import existencias, metadata, reservas
from comanda.testing import START, Databases, FakeClock
from comanda.testing.schema import schema_differences


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


class TestElBarrido:
    async def test_ni_una_antes_de_tiempo(self, database: Database, clock: FakeClock) -> None:
        repository, ahora, instant = Repository(database), clock.now(), timedelta(microseconds=1)
        activa, cerrada = clock.new_id(), clock.new_id()
        rows = [{"pedido_id": activa, "estado": "ACTIVA"}, {"pedido_id": cerrada, "estado": "EXPIRADA"}]
        times = {"expira_en": ahora, "creado_en": ahora, "actualizado_en": ahora}
        async with database.transaction() as connection:
            await connection.execute(sa.insert(reservas), [row | times for row in rows])
            assert await repository.vencidas(connection, ahora - instant, 200) == []
            assert await repository.vencidas(connection, ahora, 200) == [(ahora, activa)]
            assert await repository.cerradas(connection, ahora + CLOSED_KEPT, 200) == []
            assert await repository.cerradas(connection, ahora + CLOSED_KEPT + instant, 200) == [cerrada]
