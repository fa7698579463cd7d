"""`python -m comanda.pedidos`."""

from comanda.common.server import main
from comanda.pedidos.settings import Settings

if __name__ == "__main__":
    main("comanda.pedidos", Settings)
