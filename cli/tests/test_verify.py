"""What `comanda verify` makes of services that change while it reads them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fakes import api, page, problem

from comanda.cli import verify
from comanda.cli.errors import CommandFailed
from comanda.cli.verify import ATTEMPTS, CONFIRMATIONS, Report, Verification
from comanda.common.tokens import SigningKey


class Shop:
    """One product, one order, one reservation. `on_request` may change them before each answer."""

    def __init__(self) -> None:
        lines = [{"producto_id": "p1", "cantidad": 2}]
        self.pedidos: dict[str, dict[str, Any]] = {
            "o1": {"id": "o1", "estado": "PENDIENTE", "fase": "RESERVADO", "lineas": lines}
        }
        self.reservas: dict[str, dict[str, Any]] = {"o1": {"pedido_id": "o1", "estado": "ACTIVA", "lineas": lines}}
        self.stock: dict[str, Any] = {"producto_id": "p1", "fisico": 5, "reservado": 2}
        self.ledger = [5]
        self.version = 1
        self.knows_product = True
        self.requests: list[str] = []
        self.on_request: Callable[[str], None] = lambda _: None

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        self.requests.append(path)
        self.on_request(path)
        if path == "/pedidos":
            return page(list(self.pedidos.values()))
        if path == "/reservas":
            wanted = request.url.params.get("estado")
            return page([one for one in self.reservas.values() if wanted in (None, one["estado"])])
        if path == "/inventario":
            return page([self.stock])
        if path == "/inventario/p1" and self.knows_product:
            return httpx2.Response(200, json=self.stock, headers={"etag": f'"{self.version}"'})
        if path == "/inventario/p1/movimientos":
            return page([{"cantidad": change} for change in self.ledger])
        kind, identifier = path.strip("/").split("/")
        found = {"pedidos": self.pedidos, "reservas": self.reservas}.get(kind, {}).get(identifier)
        return httpx2.Response(200, json=found) if found else problem(404, "no-encontrado")

    def verified(self) -> Report:
        with api(self.answer) as client:
            return Verification(client, pause=lambda _: None).run()


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
            if path == "/reservas" and shop.requests.count("/reservas") == 1:
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
        assert (report.violations, report.undecided) == ([], 1)
        assert str(report).endswith("sin violaciones, 1 sin decidir porque no dejaban de cambiar")
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
        assert (shop.verified().violations, shop.verified().undecided) == ([], 1)

    def test_un_producto_que_se_esfuma(self) -> None:
        shop = Shop()
        shop.stock["fisico"] = 6
        shop.knows_product = False
        with pytest.raises(CommandFailed, match="does not know it"):
            shop.verified()


class TestCommand:
    @pytest.fixture
    def shop(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shop:
        shop = Shop()
        monkeypatch.setattr("comanda.cli.verify.environment.prepared", lambda: {"COMANDA_DATA": str(tmp_path)})
        monkeypatch.setattr("comanda.cli.verify.Api", lambda *_: api(shop.answer))
        monkeypatch.setattr("comanda.cli.verify.PAUSE_SECONDS", 0)
        SigningKey.load_or_create(tmp_path / "keys" / "operador.pem")
        return shop

    def test_bien(self, shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
        verify.command(None, inventario=None, pedidos=None)
        assert capsys.readouterr().out.endswith(": sin violaciones\n")

    def test_mal(self, shop: Shop) -> None:
        shop.stock["fisico"] = 6
        with pytest.raises(CommandFailed) as failure:
            verify.command(None, inventario="http://i", pedidos="http://p")
        line, figure = str(failure.value).splitlines()
        assert line.startswith("invariante 2: producto p1: ")
        assert figure.endswith("1 violaciones")
        assert failure.value.code == 1

    def test_sin_clave(self, shop: Shop, tmp_path: Path) -> None:
        with pytest.raises(CommandFailed, match="no operator's key") as failure:
            verify.command(tmp_path / "none.pem", inventario=None, pedidos=None)
        assert failure.value.code == 2

    def test_no_es_una_clave(self, shop: Shop, tmp_path: Path) -> None:
        (tmp_path / "bad.pem").write_text("hello")
        with pytest.raises(CommandFailed, match=r"bad\.pem") as failure:
            verify.command(tmp_path / "bad.pem", inventario=None, pedidos=None)
        assert failure.value.code == 2
