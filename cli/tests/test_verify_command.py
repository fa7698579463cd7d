"""`comanda verify` as a command: its options, what it prints, how it ends."""

import json
from pathlib import Path
from typing import Any

import pytest
from fakes import api
from shop import Hands, Shop

from comanda.cli import verify
from comanda.cli.errors import CommandFailed
from comanda.common.tokens import SigningKey


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shop:
    shop = Shop()
    monkeypatch.setattr("comanda.cli.verify.environment.prepared", lambda: {"COMANDA_DATA": str(tmp_path)})
    monkeypatch.setattr("comanda.cli.verify.Api", lambda *_: api(shop.answer))
    monkeypatch.setattr("comanda.cli.verify_settle.PAUSE_SECONDS", 0)
    SigningKey.load_or_create(tmp_path / "keys" / "operador.pem")
    return shop


class TestVerify:
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

    def test_para_maquinas(self, shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
        shop.stock["fisico"] = 6
        with pytest.raises(CommandFailed) as failure:
            verify.command(None, inventario=None, pedidos=None, as_json=True)
        assert str(failure.value) == "comanda verify: 1 pedidos, 1 reservas, 1 productos: 1 violaciones"
        violation = {
            "invariante": 2,
            "sujeto": {"tipo": "producto", "id": "p1", "estado": None},
            "esperado": "fisico 5 (suma de sus movimientos)",
            "encontrado": "6",
        }
        assert json.loads(capsys.readouterr().out) == {
            "pedidos": 1,
            "reservas": 1,
            "productos": 1,
            "violaciones": [violation],
            "sin_decidir": [],
            "reparado": [],
            "sin_reparar": [],
        }

    def test_sin_comprobar_para_maquinas(self, shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
        shop.knows_product, shop.stock["fisico"] = False, 6
        with pytest.raises(CommandFailed, match="does not know it") as failure:
            verify.command(None, inventario=None, pedidos=None, as_json=True)
        assert failure.value.code == 2
        assert json.loads(capsys.readouterr().out)["error"] == str(failure.value)

    def test_sin_decidir(self, shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
        self._restless(shop)
        verify.command(None, inventario=None, pedidos=None)
        doubt, figure = capsys.readouterr().out.splitlines()
        assert doubt == "sin decidir: p1"
        assert figure.endswith(": sin violaciones, 1 sin decidir")

    def test_sin_decidir_estricto(self, shop: Shop) -> None:
        self._restless(shop)
        with pytest.raises(CommandFailed, match="sin decidir: p1") as failure:
            verify.command(None, inventario=None, pedidos=None, strict=True)
        assert failure.value.code == 3

    def test_sin_decidir_estricto_para_maquinas(self, shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
        self._restless(shop)
        with pytest.raises(CommandFailed) as failure:
            verify.command(None, inventario=None, pedidos=None, as_json=True, strict=True)
        assert (failure.value.code, len(str(failure.value).splitlines())) == (3, 1)
        assert json.loads(capsys.readouterr().out)["sin_decidir"] == ["p1"]

    def test_una_violacion_cuenta_mas_que_lo_no_decidido(self, shop: Shop) -> None:
        self._restless(shop)
        shop.pedidos["o1"] |= {"estado": "CANCELADO", "fase": "CANCELADO"}
        with pytest.raises(CommandFailed, match="invariante 5") as failure:
            verify.command(None, inventario=None, pedidos=None, strict=True)
        assert failure.value.code == 1

    def test_estricto_y_todo_decidido(self, shop: Shop) -> None:
        verify.command(None, inventario=None, pedidos=None, strict=True)

    def _restless(self, shop: Shop) -> None:
        """A product that never stands still for long enough."""
        shop.stock["reservado"] = 3

        def change(_: str) -> None:
            shop.version += 1

        shop.on_request = change

    def test_ajustes_que_no_valen(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PEDIDOS_ABANDON_SECONDS", "1")
        with pytest.raises(CommandFailed, match="PEDIDOS_ABANDON_SECONDS") as failure:
            verify.command(None, inventario=None, pedidos=None)
        assert failure.value.code == 2

    def test_sin_clave(self, shop: Shop, tmp_path: Path) -> None:
        with pytest.raises(CommandFailed, match="no operator's key") as failure:
            verify.command(tmp_path / "none.pem", inventario=None, pedidos=None)
        assert failure.value.code == 2

    def test_no_es_una_clave(self, shop: Shop, tmp_path: Path) -> None:
        (tmp_path / "bad.pem").write_text("hello")
        with pytest.raises(CommandFailed, match=r"bad\.pem") as failure:
            verify.command(tmp_path / "bad.pem", inventario=None, pedidos=None)
        assert failure.value.code == 2


class TestRepair:
    @pytest.fixture(autouse=True)
    def hands(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        class Opened(Hands):
            def __init__(self, *_: object) -> None:
                super().__init__(shop)

            def __enter__(self) -> "Opened":
                return self

            def __exit__(self, *_: object) -> None: ...

        monkeypatch.setattr("comanda.cli.repair.Writers", Opened)

    def test_todo_arreglado(self, shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
        shop.reservas["o1"]["estado"], shop.stock["reservado"] = "LIBERADA", 0
        verify.command(None, inventario=None, pedidos=None, repair=True)
        done, figure = capsys.readouterr().out.splitlines()
        assert done.startswith("reparado: invariante 6: pedido o1 ")
        assert figure.endswith(": sin violaciones")

    def test_lo_que_queda(self, shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
        shop.reservas["o1"]["estado"] = "LIBERADA"
        with pytest.raises(CommandFailed, match="invariante 3: producto p1") as failure:
            verify.command(None, inventario=None, pedidos=None, repair=True)
        assert failure.value.code == 1
        assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == ["reparado", "sin reparar"]

    def test_para_maquinas(self, shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
        shop.reservas["o1"]["estado"] = "LIBERADA"
        with pytest.raises(CommandFailed):
            verify.command(None, inventario=None, pedidos=None, repair=True, as_json=True)
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert [one["invariante"] for one in document["reparado"]] == [6]
        assert [one["remedio"][:10] for one in document["sin_reparar"]] == ["ningún cas"]
        assert [one["invariante"] for one in document["violaciones"]] == [3]

    def test_sin_remedio_no_se_mira_otra_vez(self, shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
        shop.stock["fisico"] = 6
        with pytest.raises(CommandFailed, match="invariante 2: producto p1"):
            verify.command(None, inventario=None, pedidos=None, repair=True)
        assert capsys.readouterr().out.startswith("sin reparar: invariante 2: producto p1")
        assert shop.requests.count("/inventario") == 1

    def test_sin_nada_que_arreglar(self, shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
        verify.command(None, inventario=None, pedidos=None, repair=True)
        assert capsys.readouterr().out == "comanda verify: 1 pedidos, 1 reservas, 1 productos: sin violaciones\n"
