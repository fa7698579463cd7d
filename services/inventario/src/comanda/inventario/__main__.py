"""`python -m comanda.inventario`."""

from comanda.common.server import serve
from comanda.inventario.settings import Settings


def main() -> None:
    serve("comanda.inventario", Settings)


if __name__ == "__main__":
    main()
