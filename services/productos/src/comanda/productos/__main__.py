"""`python -m comanda.productos`."""

from comanda.common.server import main
from comanda.productos.settings import Settings

if __name__ == "__main__":
    main("comanda.productos", Settings)
