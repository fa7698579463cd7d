"""What `comanda verify` makes of services that change while it reads them."""

import pytest
from shop import AGO, Shop

from comanda.cli.errors import CommandFailed
from comanda.cli.verify_settle import ATTEMPTS, CONFIRMATIONS


class TestVerification:
    def test_sin_violaciones(self) -> None:
        report = Shop().verified()
        assert str(report) == "comanda verify: 1 pedidos, 1 reservas, 1 productos: sin violaciones"

    def test_cada_una(self) -> None:
        shop = Shop()
        shop.reservas["o1"]["estado"] = "LIBERADA"
        shop.stock["fisico"] = 6
        report = shop.verified()
        assert [violation.invariant for violation in report.violations] == [6, 2, 3]
        assert str(report).endswith(": 3 violaciones")

    def test_una_pagina_vieja_no_es_una_violacion(self) -> None:
        """The order was completed between the reading of the two lists."""
        shop = Shop()

        def complete(path: str) -> None:
            if path == "/reservas" and shop.requests.count("/reservas") == 2:  # the first asks only for the time
                shop.pedidos["o1"] |= {"estado": "COMPLETADO", "fase": "COMPLETADO"}
                shop.reservas["o1"]["estado"] = "CONFIRMADA"
                shop.stock |= {"fisico": 3, "reservado": 0}
                shop.ledger.append(-2)

        shop.on_request = complete
        assert shop.verified().violations == []

    def test_un_pedido_recien_hecho(self) -> None:
        """Its reservation is seen, while the list of orders was read before it existed."""
        shop = Shop()
        del shop.pedidos["o1"]
        shop.reservas["o1"]["estado"] = "CONFIRMADA"
        shop.stock["reservado"] = 0

        def appear(path: str) -> None:
            if path == "/pedidos/o1":
                lines = shop.reservas["o1"]["lineas"]
                shop.pedidos["o1"] = {"id": "o1", "estado": "COMPLETADO", "fase": "COMPLETADO", "lineas": lines}

        shop.on_request = appear
        assert shop.verified().violations == []

    def test_lo_que_no_deja_de_cambiar_queda_sin_decidir(self) -> None:
        shop = Shop()
        shop.stock["reservado"] = 3

        def change(path: str) -> None:
            shop.version += 1

        shop.on_request = change
        report = shop.verified()
        assert (report.violations, report.undecided) == ([], ["p1"])
        assert str(report).endswith("sin violaciones, 1 sin decidir")
        assert shop.requests.count("/inventario/p1") == 2 * ATTEMPTS

    def test_se_mira_varias_veces(self) -> None:
        shop = Shop()
        shop.stock["fisico"] = 6
        assert len(shop.verified().violations) == 1
        assert shop.requests.count("/inventario/p1/movimientos") == 1 + CONFIRMATIONS

    def test_un_pedido_que_cambia_mientras_se_lee(self) -> None:
        shop = Shop()
        shop.reservas["o1"]["estado"] = "LIBERADA"
        shop.stock["reservado"] = 0

        def change(path: str) -> None:
            if path == "/pedidos/o1":
                shop.pedidos["o1"]["actualizado_en"] = len(shop.requests)

        shop.on_request = change
        assert (shop.verified().violations, shop.verified().undecided) == ([], ["o1"])

    def test_8_parado(self) -> None:
        shop = Shop()
        shop.pedidos["o1"]["fase"] = "CANCELANDO"
        (violation,) = shop.verified().violations
        assert str(violation) == (
            "invariante 8: pedido o1 PENDIENTE/CANCELANDO: se esperaba otra fase a los 1200 s, "
            f"hay CANCELANDO desde {AGO}"
        )

    def test_el_reloj_de_inventario(self) -> None:
        """By our clock its time is long over; by inventario's, which alone counts, it is not."""
        shop = Shop()
        shop.reservas["o1"]["expira_en"] = AGO
        shop.date = "Wed, 31 Dec 2025 23:59:00 GMT"
        assert shop.verified().violations == []

    def test_existencias_borradas(self) -> None:
        shop = Shop()
        shop.knows_product = shop.lists_product = False
        (violation,) = shop.verified().violations
        assert str(violation) == (
            "invariante 3: producto p1: se esperaba reservado 2 (suma de sus reservas ACTIVA), "
            "hay ninguna fila de existencias"
        )

    def test_un_producto_mas_nuevo_que_la_lista(self) -> None:
        """Its page was read before it existed; read again, it is there and all is well."""
        shop = Shop()
        shop.lists_product = False
        assert shop.verified().violations == []

    def test_un_producto_que_se_esfuma(self) -> None:
        shop = Shop()
        shop.stock["fisico"] = 6
        shop.knows_product = False
        with pytest.raises(CommandFailed, match="does not know it"):
            shop.verified()
