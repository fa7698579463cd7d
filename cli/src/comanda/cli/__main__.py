"""`python -m comanda.cli`."""

from comanda.cli.main import app

if __name__ == "__main__":
    app()
