from comanda.common.migrations import run
from comanda.inventario.tables import metadata

run(metadata)
