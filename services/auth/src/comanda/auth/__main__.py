"""`python -m comanda.auth`."""

from comanda.auth.settings import Settings
from comanda.common.server import serve


def main() -> None:
    serve("comanda.auth", Settings)


if __name__ == "__main__":
    main()
