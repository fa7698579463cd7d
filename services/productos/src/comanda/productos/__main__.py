"""`python -m comanda.productos`."""

from comanda.common.server import serve
from comanda.productos.settings import Settings


def main() -> None:
    serve("comanda.productos", Settings)


if __name__ == "__main__":
    main()
