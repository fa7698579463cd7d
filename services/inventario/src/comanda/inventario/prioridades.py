"""Which requests come first when inventario cannot serve all."""

from comanda.common.admission import Clase


def clase(method: str, path: str, _query: bytes) -> Clase:
    """Reservations are work that pedidos has begun, and has let in by its own rules: they go before all else."""
    if path == "/reservas" or path.startswith("/reservas/"):
        return "critica"
    return "lectura" if method == "GET" else "ordinaria"
