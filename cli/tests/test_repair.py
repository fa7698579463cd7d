"""What `comanda verify --repair` asks of whom, and what it says of it."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from fakes import URLS, api, problem
from shop import Hands, Shop

from comanda.cli.errors import CommandFailed
from comanda.cli.repair import Repair, Writers
from comanda.cli.repair_plan import Remedy
from comanda.cli.verify_report import Outcome
from comanda.common.settings import CallerSettings
from comanda.common.tokens import SigningKey

VARIABLES = {"COMANDA_ADMIN_EMAIL": "a@b.c", "COMANDA_ADMIN_PASSWORD": "secret", "COMANDA_DATA": "none"}
OK = httpx2.Response(200, json={})


def repaired(shop: Shop, hands: Hands) -> list[Outcome]:
    report = shop.verified()
    assert report.violations
    with api(shop.answer) as client:
        return list(Repair(shop.reader(client), hands).run(report))  # type: ignore[arg-type]


class TestRepair:
    def test_lo_que_se_arregla(self) -> None:
        shop = Shop()
        shop.pedidos["o1"] |= {"estado": "CANCELADO", "fase": "CANCELADO"}
        (outcome,) = repaired(shop, Hands(shop))
        assert str(outcome) == (
            "reparado: invariante 5: pedido o1 CANCELADO/CANCELADO: "
            "POST /reservas/o1/liberar: 200; pedido CANCELADO, reserva LIBERADA"
        )

    def test_rechazado_por_el_servicio(self) -> None:
        shop = Shop()
        shop.pedidos["o1"] |= {"estado": "CANCELADO", "fase": "CANCELADO"}
        (outcome,) = repaired(shop, Hands(shop, "503 servicio-no-disponible"))
        assert str(outcome) == (
            "sin reparar: invariante 5: pedido o1 CANCELADO/CANCELADO: "
            "POST /reservas/o1/liberar: 503 servicio-no-disponible; pedido CANCELADO, reserva ACTIVA"
        )

    def test_cada_uno_por_su_lado(self) -> None:
        shop = Shop()
        shop.reservas["o1"]["estado"] = "LIBERADA"
        hands = Hands(shop)
        outcomes = repaired(shop, hands)
        assert [(one.violation.invariant, one.repaired) for one in outcomes] == [(6, True), (3, False)]
        assert hands.sent == [Remedy("pedidos", "o1", "cancelar", "reparado")]

    def test_dos_violaciones_una_peticion(self) -> None:
        shop = Shop()
        shop.pedidos["o1"] |= {"estado": "CANCELADO", "fase": "CANCELADO"}
        shop.reservas["o1"]["expira_en"] = None
        hands = Hands(shop)
        assert [(one.violation.invariant, one.repaired) for one in repaired(shop, hands)] == [(5, True), (8, True)]
        assert len(hands.sent) == 1

    def test_ya_vendido_no_se_vende_otra_vez(self) -> None:
        shop = Shop()
        shop.pedidos["o1"] |= {"estado": "COMPLETADO", "fase": "COMPLETADO"}
        shop.sold = "o1"
        hands = Hands(shop)
        (outcome,) = repaired(shop, hands)
        assert (hands.sent, outcome.repaired) == ([], False)
        assert "su VENTA ya está" in outcome.text

    def test_vendido_de_un_producto_sin_existencias(self) -> None:
        """Its ledger cannot be read, and nothing is done to what its stock does not count."""
        shop = Shop()
        shop.pedidos["o1"] |= {"estado": "COMPLETADO", "fase": "COMPLETADO"}
        shop.knows_product = shop.lists_product = False
        hands = Hands(shop)
        outcomes = repaired(shop, hands)
        assert [(one.violation.invariant, one.repaired) for one in outcomes] == [(4, False), (3, False)]
        assert "no cuadran" in outcomes[0].text
        assert "insertarla" in outcomes[1].text
        assert hands.sent == []

    def test_existencias_que_no_se_pudieron_comprobar(self) -> None:
        shop = Shop()
        shop.pedidos["o1"] |= {"estado": "CANCELADO", "fase": "CANCELADO"}
        shop.stock["reservado"] = 3

        def change(path: str) -> None:
            shop.version += 1

        shop.on_request = change
        hands = Hands(shop)
        (outcome,) = repaired(shop, hands)
        assert (outcome.violation.invariant, outcome.repaired, hands.sent) == (5, False, [])

    def test_lo_que_ya_no_esta_asi(self) -> None:
        shop = Shop()
        shop.pedidos["o1"] |= {"estado": "CANCELADO", "fase": "CANCELADO"}
        shop.reservas["o1"]["estado"] = "CONFIRMADA"
        shop.stock["reservado"] = 0
        report = shop.verified()
        shop.reservas["o1"]["estado"] = "LIBERADA"
        hands = Hands(shop)
        with api(shop.answer) as client:
            (outcome,) = Repair(shop.reader(client), hands).run(report)  # type: ignore[arg-type]
        assert (outcome.repaired, outcome.text, hands.sent) == (True, "ya no está así", [])


@pytest.fixture
def settings(tmp_path: Path) -> CallerSettings:
    key = tmp_path / "keys" / "pedidos.pem"
    SigningKey.load_or_create(key)
    return CallerSettings(port=1, database_url="sqlite:///x.db", signing_key=str(key))


class TestWriters:
    @pytest.fixture
    def requests(self, monkeypatch: pytest.MonkeyPatch) -> list[httpx2.Request]:
        return self._listen(monkeypatch, lambda _: OK)

    def test_inventario_como_pedidos(self, settings: CallerSettings, requests: list[httpx2.Request]) -> None:
        with Writers(URLS, VARIABLES, settings) as writers:
            assert writers.send(Remedy("inventario", "o1", "liberar")) == "200"
        assert str(requests[-1].url) == "http://inventario/reservas/o1/liberar"
        assert requests[-1].headers["authorization"].startswith("Bearer ey")

    def test_pedidos_como_admin(self, settings: CallerSettings, requests: list[httpx2.Request]) -> None:
        with Writers(URLS, VARIABLES, settings) as writers:
            writers.send(Remedy("pedidos", "o1", "cancelar", "reparado"))
            writers.send(Remedy("pedidos", "o1", "completar"))
        cancel, complete = requests[-2:]
        assert cancel.headers["authorization"] == "Bearer first"
        assert json.loads(cancel.content) == {"motivo": "reparado"}
        assert (complete.url.path, complete.content) == ("/pedidos/o1/completar", b"")

    def test_sesion_caducada(self, settings: CallerSettings, monkeypatch: pytest.MonkeyPatch) -> None:
        def expired(request: httpx2.Request) -> httpx2.Response:
            return problem(401, "no-autenticado") if request.headers["authorization"] == "Bearer first" else OK

        requests = self._listen(monkeypatch, expired)
        with Writers(URLS, VARIABLES, settings) as writers:
            assert writers.send(Remedy("pedidos", "o1", "completar")) == "200"
        assert requests[-1].headers["authorization"] == "Bearer second"

    def test_lo_que_contesta(self, settings: CallerSettings, monkeypatch: pytest.MonkeyPatch) -> None:
        self._listen(monkeypatch, lambda _: problem(409, "reserva-cerrada"))
        with Writers(URLS, VARIABLES, settings) as writers:
            assert writers.send(Remedy("inventario", "o1", "confirmar")) == "409 reserva-cerrada"

    def test_sin_clave_de_pedidos(self, settings: CallerSettings, tmp_path: Path) -> None:
        missing = settings.model_copy(update={"signing_key": str(tmp_path / "none.pem")})
        with pytest.raises(CommandFailed, match="PEDIDOS_SIGNING_KEY"):
            Writers(URLS, VARIABLES, missing)

    def test_no_es_una_clave(self, settings: CallerSettings, tmp_path: Path) -> None:
        (tmp_path / "bad.pem").write_text("hello")
        bad = settings.model_copy(update={"signing_key": str(tmp_path / "bad.pem")})
        with pytest.raises(CommandFailed, match=r"bad\.pem"):
            Writers(URLS, VARIABLES, bad)

    def _listen(
        self, monkeypatch: pytest.MonkeyPatch, answer: Callable[[httpx2.Request], httpx2.Response]
    ) -> list[httpx2.Request]:
        """Services that give the tokens `first` and `second`, and otherwise that answer."""
        requests: list[httpx2.Request] = []
        tokens = iter(("first", "second"))

        def handle(request: httpx2.Request) -> httpx2.Response:
            requests.append(request)
            if request.url.path == "/auth/token":
                return httpx2.Response(200, json={"access_token": next(tokens)})
            return answer(request)

        client = httpx2.Client(transport=httpx2.MockTransport(handle))
        monkeypatch.setattr("comanda.cli.api.httpx2.Client", lambda **_: client)
        return requests
