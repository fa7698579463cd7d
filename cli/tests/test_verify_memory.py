"""A verification needs as much memory for many orders as for few."""

import tracemalloc

from crowd import PRODUCTS, Crowd

FEW, MANY = 2000, 20_000


class TestMemory:
    def test_no_crece_con_los_pedidos(self) -> None:
        Crowd(1000).verified()  # what is imported and cached once
        few, many = _peak(FEW), _peak(MANY)
        assert many < 4_000_000
        assert many < few * 1.2


def _peak(orders: int) -> int:
    """The most bytes in use at once beyond those at the start."""
    tracemalloc.start()
    try:
        report = Crowd(orders).verified()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    figures = f"{orders} pedidos, {orders} reservas, {PRODUCTS} productos"
    assert str(report) == f"comanda verify: {figures}: sin violaciones"
    return peak
