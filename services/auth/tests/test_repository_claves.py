from datetime import timedelta

from comanda.auth.claves import Clave
from comanda.auth.repository_claves import RepositoryClaves
from comanda.auth.tables import metadata
from comanda.common.database import Database
from comanda.testing import Databases, FakeClock
from comanda.testing.schema import schema_differences


class TestEsquema:
    async def test_las_migraciones_llevan_a_las_tablas(self, databases: Databases) -> None:
        assert await schema_differences(await databases.new("comanda.auth"), metadata) == []


class TestClaves:
    async def test_en_el_orden_en_que_firman(self, databases: Databases, clock: FakeClock) -> None:
        database, repo, ahora = (
            Database(await databases.new("comanda.auth"), clock=clock),
            RepositoryClaves(),
            clock.now(),
        )
        a, b, c = (
            Clave(kid, kid * 3, ahora, ahora + timedelta(seconds=n)) for kid, n in (("a", 2), ("b", 0), ("c", 1))
        )
        try:
            async with database.transaction() as connection:
                for clave in (a, b, c):
                    await repo.insertar(connection, clave)
            async with database.transaction() as connection:
                assert await repo.leer(connection) == [b, c, a]
                await repo.borrar(connection, [b, a])
                assert await repo.leer(connection) == [c]
        finally:
            await database.aclose()
