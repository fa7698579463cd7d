import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fakes import Handler, api, page, problem

from comanda.cli import seed
from comanda.cli.errors import CommandFailed


class Shop:
    """productos and inventario as far as seeding needs them."""

    def __init__(self) -> None:
        self.products: dict[str, dict[str, Any]] = {}
        self.stock: dict[str, int] = {}

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/auth/token":
            return httpx2.Response(200, json={"access_token": "abc"})
        if request.method == "GET":
            return page([{"id": "another", "sku": "CAF"}, self.products[request.url.params["buscar"]]])
        body = json.loads(request.content)
        if request.url.path == "/productos":
            if body["sku"] in self.products:
                return problem(409, "sku-en-uso")
            self.products[body["sku"]] = body | {"id": f"id of {body['sku']}"}
            return httpx2.Response(201, json=self.products[body["sku"]])
        if body["producto_id"] in self.stock:
            return problem(409, "inventario-existente")
        self.stock[body["producto_id"]] = body["cantidad"]
        return httpx2.Response(201, json=body)


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    return {"COMANDA_DATA": str(tmp_path), "COMANDA_ADMIN_EMAIL": "a@b.c", "COMANDA_ADMIN_PASSWORD": "secret"}


def use(monkeypatch: pytest.MonkeyPatch, handler: Handler) -> None:
    monkeypatch.setattr(seed, "Api", lambda _: api(handler))


class TestSeed:
    def test_dos_veces(self, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
        shop = Shop()
        use(monkeypatch, shop.answer)
        count = len(seed.CATALOGUE)
        assert seed.seed(variables) == seed.Seeded(productos=count, existentes=0)
        assert seed.seed(variables) == seed.Seeded(productos=0, existentes=count)
        assert set(shop.stock.values()) == {seed.STOCK}
        assert len(shop.stock) == count

    def test_a_medias(self, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
        """The first run died between the product and its stock."""
        shop = Shop()
        use(monkeypatch, shop.answer)
        seed.seed(variables)
        del shop.stock["id of CAF-001"]
        assert seed.seed(variables).productos == 1

    @pytest.mark.parametrize("path", ["/productos", "/inventario"])
    def test_sin_permiso(self, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], path: str) -> None:
        shop = Shop()
        use(monkeypatch, lambda request: problem(403, "no") if request.url.path == path else shop.answer(request))
        with pytest.raises(CommandFailed, match=f"{path.strip('/')} refused .*403"):
            seed.seed(variables)

    def test_el_sku_es_de_un_producto_que_no_aparece(
        self, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
    ) -> None:
        def handler(request: httpx2.Request) -> httpx2.Response:
            if request.url.path == "/auth/token":
                return httpx2.Response(200, json={"access_token": "abc"})
            return page([]) if request.method == "GET" else problem(409, "sku-en-uso")

        use(monkeypatch, handler)
        with pytest.raises(CommandFailed, match="productos refused CAF-001"):
            seed.seed(variables)

    def test_comando(
        self, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        use(monkeypatch, Shop().answer)
        monkeypatch.setattr("os.environ", variables)
        seed.command(None, None)
        assert capsys.readouterr().out == "12 products added with 100 of each, 0 were already there.\n"
