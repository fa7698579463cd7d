from comanda.auth.tables import metadata
from comanda.testing import Databases
from comanda.testing.schema import schema_differences


async def test_las_migraciones_dan_las_tablas(databases: Databases) -> None:
    differences = await schema_differences(await databases.new("comanda.auth"), metadata)
    assert [found for found in differences if "dispositivo" not in str(found)] == []  # SQLite tells no default of ''
