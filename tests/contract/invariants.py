"""What must hold across the services whatever has happened."""

from collections.abc import Iterable, Mapping
from typing import Any

from contract.system import System, all_of


async def assert_invariants(system: System) -> None:
    """Invariants 1–6 of the design, read through HTTP as `comanda verify` does."""
    stock = await all_of(system.inventario, "/inventario", system.auditor)
    reservas = {r["pedido_id"]: r for r in await all_of(system.inventario, "/reservas", system.auditor)}
    pedidos = {p["id"]: p for p in await system.todos()}
    for item in stock:
        assert 0 <= item["reservado"] <= item["fisico"], item  # 1
        assert item["disponible"] == item["fisico"] - item["reservado"], item
        path = f"/inventario/{item['producto_id']}/movimientos"
        movimientos = await all_of(system.inventario, path, system.auditor)
        assert item["fisico"] == sum(movimiento["cantidad"] for movimiento in movimientos), item  # 2
        held = sum(
            linea["cantidad"]
            for reserva in reservas.values()
            if reserva["estado"] == "ACTIVA"
            for linea in reserva["lineas"]
            if linea["producto_id"] == item["producto_id"]
        )
        assert item["reservado"] == held, item  # 3
    for pedido in pedidos.values():
        _check_order(pedido, reservas.get(pedido["id"]))
        fases = await system.fases(pedido["id"])
        assert fases[-1] == pedido["fase"]
        assert len(fases) == len(set(fases)), fases
    for reserva in reservas.values():
        if reserva["estado"] == "CONFIRMADA":
            assert pedidos[reserva["pedido_id"]]["fase"] in ("COMPLETADO", "COMPLETANDO"), reserva  # 4


def _check_order(pedido: Mapping[str, Any], reserva: Mapping[str, Any] | None) -> None:
    estado = reserva["estado"] if reserva else None
    if pedido["fase"] == "COMPLETADO":
        assert reserva is not None
        assert estado == "CONFIRMADA", pedido  # 4
        assert _amounts(pedido["lineas"]) == _amounts(reserva["lineas"])
    if pedido["fase"] == "CANCELADO":
        assert estado not in ("ACTIVA", "CONFIRMADA"), pedido  # 5
    if pedido["fase"] == "RESERVADO":
        assert estado in ("ACTIVA", "EXPIRADA"), pedido  # 6


def _amounts(lineas: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    return {linea["producto_id"]: linea["cantidad"] for linea in lineas}
