"""Which requests come first when auth cannot serve all."""

from comanda.common.admission import Clase
from comanda.common.revocation import ENDED_PATH

FOR_SERVICES = ("/.well-known/", ENDED_PATH)


def clase(_method: str, path: str, _query: bytes) -> Clase:
    """Keys and ended sessions: without them other services refuse everybody, or nobody that they should."""
    return "critica" if path.startswith(FOR_SERVICES) else "ordinaria"
