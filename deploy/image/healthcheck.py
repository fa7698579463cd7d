"""Whether the service of this image is alive: exit 0 if `GET /livez` (or the path given) answers 200, else 1.

Not the service's own code, whose import costs a hundred times as much as the question.
"""

import http.client
import os
import sys
from pathlib import Path

PORTS = {"auth": 8000, "productos": 8001, "inventario": 8002, "pedidos": 8003}
TIMEOUT_SECONDS = 3


def main(path: str = "/livez") -> int:
    port = int(os.environ.get(f"{_service().upper()}_PORT") or PORTS[_service()])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        return 0 if connection.getresponse().status == 200 else 1
    except (OSError, http.client.HTTPException):
        return 1
    finally:
        connection.close()


def _service() -> str:
    """The one that the entry point starts."""
    return (Path(sys.prefix) / "bin" / "servicio").readlink().name.removeprefix("comanda-")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
