from comanda.common.migrations import run
from comanda.productos.tables import metadata

run(metadata)
