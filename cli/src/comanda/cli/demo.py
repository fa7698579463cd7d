"""`comanda demo`: the story of an order, told by services that really run and really break."""

import secrets
import tempfile
from pathlib import Path

from comanda.cli.errors import CommandFailed
from comanda.cli.installation import Installation
from comanda.cli.narrator import Narrator
from comanda.cli.story import Story

BREAKER_SECONDS = 3.0
SETTINGS = {
    "COMANDA_ADMIN_EMAIL": "ana@comanda.local",
    "PEDIDOS_BREAKER_TIMEOUT_SECONDS": str(BREAKER_SECONDS),
    "PEDIDOS_RETRY_ATTEMPTS": "1",
    "PEDIDOS_RETRY_WAIT_SECONDS": "0.1",
    "PEDIDOS_HTTP_TIMEOUT_SECONDS": "1",
}


def demo() -> None:
    """Raises `CommandFailed` when anything differs from what is promised."""
    narrator = Narrator()
    with tempfile.TemporaryDirectory(prefix="comanda-demo-") as folder:
        password = secrets.token_urlsafe(18)
        installation = Installation(Path(folder), SETTINGS | {"COMANDA_ADMIN_PASSWORD": password})
        narrator.chapter("Four services, four databases, one command")
        installation.start()
        try:
            narrator.fact(f"comanda up: ready in {folder}")
            story = Story(installation, narrator, BREAKER_SECONDS)
            story.tell(SETTINGS["COMANDA_ADMIN_EMAIL"], password)
        finally:
            status = installation.stop()
        if status != 0:
            raise CommandFailed(f"comanda up ended with status {status}, not 0")
        narrator.fact("SIGTERM: everything stopped cleanly")
    narrator.end()
