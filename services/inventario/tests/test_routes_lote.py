"""Several operations in one call: each as if it had come alone."""

from typing import Any

import httpx2
import pytest

from comanda.common.database import DatabaseUnavailable
from comanda.testing import FakeClock, fields, problem


async def lote(tienda: Any, *operaciones: dict[str, Any], como: str = "pedidos") -> httpx2.Response:
    response: httpx2.Response = await tienda.http.post(
        "/reservas/lote", json={"operaciones": operaciones}, headers=tienda.vecino(como)
    )
    return response


def reservar(pedido: Any, lineas: dict[str, int]) -> dict[str, Any]:
    pedidas = [{"producto_id": producto, "cantidad": cantidad} for producto, cantidad in lineas.items()]
    return {"pedido_id": str(pedido), "operacion": "reservar", "lineas": pedidas}


def cerrar(operacion: str, pedido: Any) -> dict[str, Any]:
    return {"pedido_id": str(pedido), "operacion": operacion}


def resultados(response: httpx2.Response) -> list[tuple[int, str]]:
    """For each its status, and the state of the reservation or the slug of the problem."""
    assert response.status_code == 200, response.text
    return [
        (one["status"], one["cuerpo"].get("type", "").rpartition("/")[2] or one["cuerpo"]["estado"])
        for one in response.json()["resultados"]
    ]


class TestLote:
    async def test_en_su_orden(self, tienda: Any, clock: FakeClock) -> None:
        producto, uno, otro, tarde = await tienda.alta(10), clock.new_id(), clock.new_id(), clock.new_id()
        response = await lote(
            tienda,
            reservar(uno, {producto: 4}),
            reservar(otro, {producto: 6}),
            reservar(tarde, {producto: 1}),
            cerrar("confirmar", uno),
            cerrar("liberar", otro),
            reservar(uno, {producto: 4}),
        )
        assert resultados(response) == [
            (201, "ACTIVA"),
            (201, "ACTIVA"),
            (409, "existencias-insuficientes"),
            (200, "CONFIRMADA"),
            (200, "LIBERADA"),
            (200, "CONFIRMADA"),
        ]
        assert await tienda.existencias(producto) == (6, 0)
        await tienda.cuadra()

    async def test_cada_una_como_a_solas(self, tienda: Any, clock: FakeClock) -> None:
        producto, hay, falta = await tienda.alta(10), clock.new_id(), clock.new_id()
        response = await lote(tienda, reservar(hay, {producto: 4}), reservar(falta, {producto: 7}))
        reservada, rechazada = response.json()["resultados"]
        assert reservada["cuerpo"] == (await tienda.reservar(hay, {producto: 4})).json() == await tienda.reserva(hay)
        assert rechazada["cuerpo"] == (await tienda.reservar(falta, {producto: 7})).json()
        assert rechazada["cuerpo"]["faltantes"] == [{"producto_id": producto, "solicitado": 7, "disponible": 6}]

    async def test_repetido(self, tienda: Any, clock: FakeClock) -> None:
        producto = await tienda.alta(10)
        operaciones = [reservar(clock.new_id(), {producto: 1}) for _ in range(5)]
        first, again = await lote(tienda, *operaciones), await lote(tienda, *operaciones)
        assert resultados(first) == [(201, "ACTIVA")] * 5
        assert resultados(again) == [(200, "ACTIVA")] * 5
        assert await tienda.existencias(producto) == (10, 5)

    async def test_dos_sobre_la_misma_reserva(self, tienda: Any, clock: FakeClock) -> None:
        producto, pedido = await tienda.alta(10), clock.new_id()
        response = await lote(tienda, cerrar("liberar", pedido), reservar(pedido, {producto: 1}))
        assert resultados(response) == [(200, "LIBERADA"), (409, "reserva-cerrada")]
        assert await tienda.existencias(producto) == (10, 0)

    async def test_una_que_rompe_no_rompe_las_demas(
        self, tienda: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        producto, bien, mal = await tienda.alta(10), clock.new_id(), clock.new_id()
        await lote(tienda, reservar(bien, {producto: 1}), reservar(mal, {producto: 2}))
        abrir = tienda.servicio._repository.abrir

        async def breaks(connection: Any, provisionales: Any, *rest: Any) -> Any:
            if mal in provisionales:
                raise RuntimeError("SELECT secreto")
            return await abrir(connection, provisionales, *rest)

        monkeypatch.setattr(tienda.servicio._repository, "abrir", breaks)
        response = await lote(tienda, cerrar("confirmar", mal), cerrar("confirmar", bien))
        assert resultados(response) == [(500, "error-interno"), (200, "CONFIRMADA")]
        assert "secreto" not in response.text

    async def test_sin_base_de_datos(self, tienda: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
        async def away(*_: Any) -> Any:
            raise DatabaseUnavailable("away")

        monkeypatch.setattr(tienda.servicio._repository, "abrir", away)
        response = await lote(tienda, cerrar("liberar", clock.new_id()), cerrar("liberar", clock.new_id()))
        assert resultados(response) == [(503, "servicio-no-disponible")] * 2

    @pytest.mark.parametrize(
        ("operacion", "campo"),
        [
            ({"operacion": "reservar"}, "operaciones.0"),
            ({"operacion": "confirmar", "lineas": []}, "operaciones.0.lineas"),
            ({"operacion": "vender"}, "operaciones.0.operacion"),
            ({"operacion": "liberar", "pedido_id": "x"}, "operaciones.0.pedido_id"),
            ({"operacion": "liberar", "otro": 1}, "operaciones.0.otro"),
        ],
    )
    async def test_mal_hecho(self, tienda: Any, clock: FakeClock, operacion: dict[str, Any], campo: str) -> None:
        response = await lote(tienda, {"pedido_id": str(clock.new_id())} | operacion)
        assert (response.status_code, problem(response)) == (422, "datos-invalidos")
        assert fields(response) == {campo}

    @pytest.mark.parametrize("count", [0, 201])
    async def test_ni_ninguna_ni_demasiadas(self, tienda: Any, clock: FakeClock, count: int) -> None:
        response = await lote(tienda, *(cerrar("liberar", clock.new_id()) for _ in range(count)))
        assert (response.status_code, fields(response)) == (422, {"operaciones"})

    async def test_solo_pedidos(self, tienda: Any, clock: FakeClock) -> None:
        assert (await lote(tienda, cerrar("liberar", clock.new_id()), como="operador")).status_code == 403
        assert (await tienda.http.post("/reservas/lote", json={"operaciones": []})).status_code == 403
