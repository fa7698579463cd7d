"""Which requests come first when productos cannot serve all."""

from comanda.common.admission import Clase


def clase(method: str, _path: str, query: bytes) -> Clase:
    """A question for products by their ids is what an order, or a cart, asks; looking around comes last."""
    return "lectura" if method == "GET" and not query.startswith(b"ids=") else "ordinaria"
