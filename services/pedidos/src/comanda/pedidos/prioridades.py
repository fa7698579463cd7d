"""Which requests come first when pedidos cannot serve all."""

from comanda.common.admission import Clase

ENDS = ("/completar", "/cancelar", "/venta")


def clase(method: str, path: str, _query: bytes) -> Clase:
    """What ends an order frees stock and work, so it goes before new orders, and these before reads."""
    if method == "GET":
        return "lectura"
    return "critica" if path.endswith(ENDS) else "ordinaria"
