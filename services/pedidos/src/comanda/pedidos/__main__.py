"""`python -m comanda.pedidos`."""

from comanda.common.server import serve
from comanda.pedidos.settings import Settings


def main() -> None:
    serve("comanda.pedidos", Settings)


if __name__ == "__main__":
    main()
