"""What a caller gets for each answer of a neighbour."""

from typing import Any

import pytest
from fastapi import HTTPException
from neighbour_server import FakeClock, Server, answering, client, problem

from comanda.common.http import Neighbour, NeighbourAnswer
from comanda.common.problems import RespuestaInvalida, ServicioNoDisponible
from comanda.common.resilience import Circuit
from comanda.common.transport import MAX_ANSWER_BYTES


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class TestAnswers:
    async def test_expected(self, server: Server, neighbour: Neighbour) -> None:
        server.behaviour = answering(201, {"id": 7}, ETag='"1"')
        answer = await neighbour.request("POST", "/", expected=(200, 201))
        assert (answer.status, answer.json(), answer.headers["etag"]) == (201, {"id": 7}, '"1"')

    async def test_expected_refusal(self, server: Server, neighbour: Neighbour) -> None:
        server.behaviour = problem(409, "existencias-insuficientes")
        answer = await neighbour.request("PUT", "/", expected=(200, 409))
        assert (answer.status, answer.slug) == (409, "existencias-insuficientes")
        assert answer.problem["status"] == 409

    @pytest.mark.parametrize("body", [b"<html>", b"", b"[1]", b"\xff", b"[" * 100_000, {"type": None}, {}])
    async def test_expected_refusal_without_a_problem(self, server: Server, neighbour: Neighbour, body: Any) -> None:
        server.behaviour = answering(404, body)
        answer = await neighbour.request("GET", "/", expected=(404,))
        assert answer.slug in ("", "None")

    @pytest.mark.parametrize("body", [b"<html>", b"", b"\xff", b'{"a":', b"[" * 100_000])
    async def test_malformed_json(self, server: Server, neighbour: Neighbour, body: bytes) -> None:
        server.behaviour = answering(200, body)
        answer = await neighbour.request("GET", "/")
        with pytest.raises(RespuestaInvalida):
            answer.json()

    @pytest.mark.parametrize("status", [202, 204, 302, 307, 400, 401, 403, 404, 409, 422, 500, 502])
    async def test_unexpected_status(self, server: Server, neighbour: Neighbour, status: int) -> None:
        server.behaviour = answering(status, b"", Location="/otra")
        with pytest.raises(RespuestaInvalida) as raised:
            await neighbour.request("GET", "/")
        assert raised.value.extras == {"servicio": "inventario"}
        assert len(server.requests) == 1

    @pytest.mark.parametrize("status", [429, 503])
    @pytest.mark.parametrize(
        ("said", "passed_on"), [("17", "17"), ("soon", "1"), ("-3", "1"), ("²", "1"), ("9" * 5000, "1"), ("", "1")]
    )
    async def test_neighbour_is_overloaded(
        self, server: Server, neighbour: Neighbour, status: int, said: str, passed_on: str
    ) -> None:
        server.behaviour = problem(status, "servicio-saturado", Retry_After=said)
        with pytest.raises(ServicioNoDisponible) as raised:
            await neighbour.request("GET", "/")
        assert raised.value.headers == {"Retry-After": passed_on}
        assert raised.value.extras == {"servicio": "inventario"}
        assert len(server.requests) == 1

    async def test_too_large(self, server: Server, circuit: Circuit) -> None:
        neighbour = client(server.url, circuit)
        server.behaviour = answering(200, bytes(MAX_ANSWER_BYTES + 1))
        with pytest.raises(RespuestaInvalida):
            await neighbour.request("GET", "/")
        await neighbour.aclose()
        assert circuit.snapshot().fallos == 0

    async def test_as_the_breaker_sees_them(self, server: Server, neighbour: Neighbour) -> None:
        server.behaviour = problem(404, "no-encontrado")
        with pytest.raises(NeighbourAnswer) as raised:
            await neighbour._attempt("GET", "/", None, None, {})
        assert isinstance(raised.value, HTTPException)
        assert (raised.value.status, raised.value.status_code, raised.value.slug) == (404, 404, "no-encontrado")
        assert raised.value.problem["status"] == 404
