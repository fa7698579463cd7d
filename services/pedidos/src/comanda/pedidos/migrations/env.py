from comanda.common.migrations import run
from comanda.pedidos.tables import metadata

run(metadata)
