"""`python -m comanda.inventario`."""

from comanda.common.server import main
from comanda.inventario.settings import Settings

if __name__ == "__main__":
    main("comanda.inventario", Settings)
