"""What belongs to somebody else: it is not there, and nothing in the answer tells that it might be."""

from typing import Any

import pytest
import pytest_asyncio
from attack.target import Target

from comanda.testing import problem

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODYS = "019b796d-d600-7000-8000-000000000000"


@pytest_asyncio.fixture(loop_scope="module")
async def cafe(target: Target) -> str:
    """A product of which there is enough."""
    return await target.system.producto(1000)


@pytest_asyncio.fixture(loop_scope="module")
async def de_ana(target: Target, cafe: str) -> str:
    """An order of Ana's."""
    response = await target.pedir(target.ana, cafe)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


def telling(response: Any, identifier: str) -> tuple[Any, ...]:
    """All of an answer that could tell one thing from another."""
    headers = {name: value for name, value in response.headers.items() if name != "x-request-id"}
    return response.status_code, headers, response.text.replace(identifier, "ID")


class TestOrders:
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize("path", ["/pedidos/{}", "/pedidos/{}/historial"])
    @pytest.mark.parametrize(
        "condition", [{}, {"If-None-Match": "*"}, {"If-None-Match": '"2"'}], ids=["", "any", "one"]
    )
    async def test_are_read_by_nobody_else(
        self, target: Target, de_ana: str, method: str, path: str, condition: dict[str, str]
    ) -> None:
        headers = target.cliente(target.eva) | condition
        hers = await target.system.pedidos.request(method, path.format(de_ana), headers=headers)
        none = await target.system.pedidos.request(method, path.format(NOBODYS), headers=headers)
        assert telling(hers, de_ana) == telling(none, NOBODYS)
        assert hers.status_code == 404
        own = await target.system.pedidos.get(path.format(de_ana), headers=target.cliente(target.ana))
        assert own.status_code == 200

    @pytest.mark.parametrize("body", [None, {}, {"motivo": "porque sí"}])
    @pytest.mark.parametrize("condition", [{}, {"If-Match": "*"}, {"If-Match": '"1"'}, {"If-Match": '"99"'}])
    async def test_are_cancelled_by_nobody_else(
        self, target: Target, de_ana: str, body: Any, condition: dict[str, str]
    ) -> None:
        before = await target.system.pedido(de_ana)
        headers = target.cliente(target.eva) | condition
        hers = await target.system.pedidos.post(f"/pedidos/{de_ana}/cancelar", json=body, headers=headers)
        none = await target.system.pedidos.post(f"/pedidos/{NOBODYS}/cancelar", json=body, headers=headers)
        assert telling(hers, de_ana) == telling(none, NOBODYS)
        assert (hers.status_code, problem(hers)) == (404, "no-encontrado")
        assert await target.system.pedido(de_ana) == before
        assert await target.system.reserva(de_ana) == "ACTIVA"

    async def test_are_completed_by_no_client(self, target: Target, de_ana: str) -> None:
        for usuario in (target.eva, target.ana):
            headers = target.cliente(usuario)
            hers = await target.system.pedidos.post(f"/pedidos/{de_ana}/completar", headers=headers)
            none = await target.system.pedidos.post(f"/pedidos/{NOBODYS}/completar", headers=headers)
            assert telling(hers, de_ana) == telling(none, NOBODYS)
            assert (hers.status_code, problem(hers)) == (403, "no-autorizado")
        assert await target.system.estado(de_ana) == ("PENDIENTE", None)

    async def test_have_reservations_that_no_client_sees(self, target: Target, de_ana: str) -> None:
        for usuario in (target.eva, target.ana):
            headers = target.cliente(usuario)
            hers = await target.system.inventario.get(f"/reservas/{de_ana}", headers=headers)
            none = await target.system.inventario.get(f"/reservas/{NOBODYS}", headers=headers)
            assert telling(hers, de_ana) == telling(none, NOBODYS)
            assert (hers.status_code, problem(hers)) == (403, "no-autorizado")

    async def test_are_completed_by_no_reading_operator(self, target: Target, de_ana: str) -> None:
        headers = target.headers("operador", "pedidos")
        assert (await target.system.pedidos.get(f"/pedidos/{de_ana}", headers=headers)).status_code == 200
        for step in ("completar", "cancelar"):
            response = await target.system.pedidos.post(f"/pedidos/{de_ana}/{step}", headers=headers)
            assert (response.status_code, problem(response)) == (403, "no-autorizado")


class TestLists:
    async def test_hold_ones_own(self, target: Target, de_ana: str, cafe: str) -> None:
        own = (await target.pedir(target.eva, cafe)).json()["id"]
        for query in (
            "",
            "?estado=PENDIENTE",
            "?limite=200",
            "?desde=2000-01-01T00:00:00Z",
            f"?cliente_id={target.eva}",
        ):
            page = (await target.system.pedidos.get(f"/pedidos{query}", headers=target.cliente(target.eva))).json()
            assert own in [pedido["id"] for pedido in page["elementos"]], query
            assert {pedido["cliente_id"] for pedido in page["elementos"]} == {target.eva}, query

    @pytest.mark.parametrize("query", ["cliente_id={ana}", "cliente_id={ana}&cliente_id={eva}", "cliente_id=%25"])
    async def test_of_others_are_empty(self, target: Target, de_ana: str, query: str) -> None:
        path = "/pedidos?" + query.format(ana=target.ana, eva=target.eva)
        page = (await target.system.pedidos.get(path, headers=target.cliente(target.eva))).json()
        nobody = await target.system.pedidos.get(f"/pedidos?cliente_id={NOBODYS}", headers=target.cliente(target.eva))
        assert {pedido["cliente_id"] for pedido in page["elementos"]} <= {target.eva}
        assert nobody.json() == {"elementos": [], "siguiente": None}
        if query == "cliente_id={ana}":
            assert page == nobody.json()

    async def test_continued_with_a_cursor_of_somebody_else(self, target: Target, cafe: str) -> None:
        """A cursor says where, not whose: it goes on in one's own list."""
        own = (await target.pedir(target.eva, cafe)).json()["id"]
        for _ in range(2):
            await target.pedir(target.ana, cafe)
        page = await target.system.pedidos.get("/pedidos?limite=1", headers=target.cliente(target.ana))
        cursor = page.json()["siguiente"]
        path = f"/pedidos?limite=200&cursor={cursor}"
        mine = (await target.system.pedidos.get(path, headers=target.cliente(target.eva))).json()["elementos"]
        assert own in [pedido["id"] for pedido in mine]
        assert {pedido["cliente_id"] for pedido in mine} == {target.eva}
        admins = (await target.system.pedidos.get("/pedidos?limite=1", headers=target.admin)).json()["siguiente"]
        path = f"/pedidos?limite=200&cursor={admins}"
        mine = (await target.system.pedidos.get(path, headers=target.cliente(target.eva))).json()["elementos"]
        assert {pedido["cliente_id"] for pedido in mine} == {target.eva}


class TestIdempotencyKeys:
    async def test_are_each_clients_own(self, target: Target, cafe: str) -> None:
        hers = await target.pedir(target.ana, cafe, key="una-clave")
        mine = await target.pedir(target.eva, cafe, key="una-clave")
        assert (hers.status_code, mine.status_code) == (201, 201)
        assert "Idempotent-Replayed" not in mine.headers
        assert mine.json()["id"] != hers.json()["id"]
        assert mine.json()["cliente_id"] == target.eva

    async def test_do_not_tell_that_somebody_used_them(self, target: Target, cafe: str) -> None:
        te = await target.system.producto(10)
        await target.pedir(target.ana, cafe, key="otra-clave")
        mine = await target.pedir(target.eva, te, key="otra-clave")  # another body: of one's own key it would be a 422
        assert mine.status_code == 201

    async def test_of_refused_orders_neither(self, target: Target) -> None:
        te = await target.system.producto(0)
        for usuario in (target.ana, target.eva):
            response = await target.pedir(usuario, te, key="sin-existencias")
            assert (response.status_code, problem(response)) == (409, "existencias-insuficientes")
            assert "Idempotent-Replayed" not in response.headers
            pedido = await target.system.pedido(response.json()["pedido_id"])
            assert pedido["cliente_id"] == usuario

    async def test_of_two_administrators_are_two(self, target: Target, cafe: str) -> None:
        body = {"tipo": "ENTRADA", "cantidad": 1}
        path = f"/inventario/{cafe}/movimientos"
        other = target.system.issuer.headers("inventario:escribir", subject=target.eva)
        ids = set()
        for headers in (target.admin, other, target.admin, other):
            response = await target.system.inventario.post(
                path, json=body, headers=headers | {"Idempotency-Key": "entrada"}
            )
            assert response.status_code == 201, response.text
            ids.add(response.json()["id"])
        assert len(ids) == 2


class TestUsers:
    @pytest.mark.parametrize("method", ["GET", "PATCH"])
    async def test_are_unknown_to_clients(self, target: Target, method: str) -> None:
        body = {"rol": "admin"} if method == "PATCH" else None
        answers = []
        for usuario_id in (target.ana, target.eva, target.jefa, NOBODYS):
            headers = target.cliente(target.eva)
            response = await target.auth.request(method, f"/auth/usuarios/{usuario_id}", json=body, headers=headers)
            assert (response.status_code, problem(response)) == (403, "no-autorizado")
            answers.append(telling(response, usuario_id))
        assert answers == answers[:1] * 4

    async def test_are_not_changed_through_ones_own_account(self, target: Target) -> None:
        headers = target.cliente(target.eva)
        for path in (f"/auth/yo?id={target.ana}", f"/auth/yo?sub={target.ana}&usuario_id={target.ana}"):
            response = await target.auth.patch(path, json={"nombre": "Eva"}, headers=headers)
            assert (response.status_code, response.json()["id"]) == (200, target.eva)
        ana = await target.auth.get("/auth/yo", headers=target.cliente(target.ana))
        assert ana.json()["nombre"] == ""

    async def test_lose_no_session_to_others(self, target: Target) -> None:
        hers = await target.entrar("ana@ejemplo.es")
        page = (await target.auth.get("/auth/yo/sesiones", headers=target.cliente(target.ana))).json()
        headers = target.cliente(target.eva)
        for sesion in page["elementos"]:
            ended = await target.auth.delete(f"/auth/yo/sesiones/{sesion['id']}", headers=headers)
            none = await target.auth.delete(f"/auth/yo/sesiones/{NOBODYS}", headers=headers)
            assert telling(ended, sesion["id"]) == telling(none, NOBODYS)
            assert (ended.status_code, problem(ended)) == (404, "no-encontrado")
        assert (await target.auth.delete("/auth/yo/sesiones", headers=headers)).status_code == 204
        assert (await target.renovar(hers["refresh_token"])).status_code == 200

    async def test_do_not_lose_their_sessions_by_anothers_change_of_password(self, target: Target) -> None:
        """Sessions end by whose they are; that a stolen `sid` names somebody else's session changes nothing there."""
        hers = await target.entrar("ana@ejemplo.es")
        response = await target.auth.post(
            "/auth/yo/password",
            json={"actual": "caballo correcto", "nueva": "caballo correcto"},
            headers=target.system.issuer.headers(subject=target.eva, sid=NOBODYS),
        )
        assert response.status_code == 204
        assert (await target.renovar(hers["refresh_token"])).status_code == 200
