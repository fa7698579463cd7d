"""Watches the stock inside the transactions of inventario, where requests that share one find what others have left."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from comanda.inventario.almacen import Almacen
from comanda.inventario.domain import Existencias
from comanda.inventario.repository import Repository


class _Watched(dict[UUID, Existencias]):
    def __init__(self, rows: dict[UUID, Existencias], passes: Callable[[Existencias], None]) -> None:
        super().__init__(rows)
        self._passes = passes

    def __setitem__(self, producto_id: UUID, existencias: Existencias) -> None:
        super().__setitem__(producto_id, existencias)
        self._passes(existencias)


def watch(repository: Repository, passes: Callable[[Existencias], None]) -> None:
    """Tells of every change that the engine makes."""
    abrir = repository.abrir

    async def watched(*arguments: Any) -> Almacen:
        almacen = await abrir(*arguments)
        almacen.existencias = _Watched(almacen.existencias, passes)
        return almacen

    repository.abrir = watched  # type: ignore[method-assign]
