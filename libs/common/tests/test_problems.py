import json
from uuid import UUID

import pytest

from comanda.common.problems import (
    NoEncontrado,
    Problem,
    RespuestaInvalida,
    ServicioNoDisponible,
)


class TestProblem:
    def test_document(self) -> None:
        class Raro(Problem):
            status, slug, title = 409, "raro", "Es raro"

        response = Raro("Sucede.", headers={"Retry-After": "1"}, dato="\ud800", id=UUID(int=1)).response("/ñ")
        assert response.media_type == "application/problem+json"
        assert response.headers["retry-after"] == "1"
        assert json.loads(bytes(response.body)) == {
            "type": "https://comanda.dev/problemas/raro",
            "title": "Es raro",
            "status": 409,
            "detail": "Sucede.",
            "instance": "/ñ",
            "dato": "\ud800",
            "id": str(UUID(int=1)),
        }

    def test_detail_is_the_title_unless_said(self) -> None:
        assert NoEncontrado().document("/")["detail"] == "No existe"

    @pytest.mark.parametrize(("seconds", "header"), [(0, "1"), (0.2, "1"), (1, "1"), (1.2, "2"), (59.001, "60")])
    def test_retry_after_never_too_soon(self, seconds: float, header: str) -> None:
        refusal = ServicioNoDisponible("inventario", seconds, pedido_id="x")
        assert refusal.headers == {"Retry-After": header}
        assert (refusal.extras["servicio"], refusal.extras["pedido_id"]) == ("inventario", "x")

    def test_odd_answer_of_a_neighbour(self) -> None:
        refusal = RespuestaInvalida("inventario", pedido_id="x")
        assert (refusal.status, refusal.extras) == (502, {"servicio": "inventario", "pedido_id": "x"})
