from comanda.auth.tables import metadata
from comanda.common.migrations import run

run(metadata)
