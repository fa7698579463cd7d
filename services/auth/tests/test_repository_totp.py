from comanda.auth.tables import metadata
from comanda.testing import Databases
from comanda.testing.schema import schema_differences


class TestEsquema:
    async def test_las_migraciones_llevan_a_las_tablas(self, databases: Databases) -> None:
        assert await schema_differences(await databases.new("comanda.auth"), metadata) == []
