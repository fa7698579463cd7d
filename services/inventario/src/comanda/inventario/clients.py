"""Calls of inventario to its neighbours."""

from uuid import UUID

from comanda.common.http import Neighbour


class ProductosHttp:
    """productos, over HTTP; an inactive product exists too."""

    def __init__(self, neighbour: Neighbour) -> None:
        self._neighbour = neighbour

    async def existe(self, producto_id: UUID) -> bool:
        """Raises `ServicioNoDisponible`, `RespuestaInvalida`."""
        answer = await self._neighbour.request("GET", f"/productos/{producto_id}", expected=(200, 404))
        return answer.status == 200
