"""The tour of the README, pasted as it stands."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from e2e.helpers import ADMIN

from comanda.cli.installation import Installation

ROOT = Path(__file__).parents[2]
SERVICES = ("auth", "productos", "inventario", "pedidos")


@pytest.mark.parametrize("readme", ["README.md", "README.es.md"])
class TestTour:
    def test_works_as_pasted(self, comanda: Installation, readme: str) -> None:
        (tour,) = re.findall(r"```bash\n(.*?)```", (ROOT / readme).read_text(), re.DOTALL)
        environment = {
            "PATH": os.environ["PATH"],
            "COMANDA_ADMIN_EMAIL": ADMIN[0],
            "COMANDA_ADMIN_PASSWORD": ADMIN[1],
            **{f"{service.upper()}_URL": comanda.address(service) for service in SERVICES},
        }
        done = subprocess.run(["bash"], input=tour, env=environment, capture_output=True, text=True, timeout=60)

        assert (done.returncode, done.stderr) == (0, "")
        assert "HTTP/1.1 201" in done.stdout
        assert "idempotent-replayed: true" in done.stdout
        assert "existencias-insuficientes" in done.stdout
        assert "\nCOMPLETADO\n" in done.stdout
        assert '"fisico":3,"reservado":0' in done.stdout
