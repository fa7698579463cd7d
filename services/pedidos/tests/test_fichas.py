"""What productos says of products, and for how long it may be used again."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from vecino import Vecino

from comanda.common.problems import RespuestaInvalida, ServicioNoDisponible
from comanda.pedidos.domain import Ficha
from comanda.pedidos.fichas import ProductosHttp
from comanda.testing import FakeClock

CAFE, TE, MATE = UUID(int=1), UUID(int=2), UUID(int=3)
FICHA = {"id": str(CAFE), "sku": "CAF-1", "nombre": "Café", "precio": "2.50", "moneda": "EUR", "activo": True}


@pytest.fixture
def vecino(clock: FakeClock) -> Vecino:
    return Vecino(clock)


class TestFichas:
    async def test_de_los_que_existen(self, vecino: Vecino) -> None:
        vecino.responde(200, {"elementos": [FICHA], "siguiente": None})
        fichas = await ProductosHttp(vecino.neighbour, FakeClock()).fichas([CAFE, TE])
        assert fichas == {CAFE: Ficha(CAFE, "CAF-1", "Café", 250, "EUR", True)}
        [request] = vecino.requests
        assert (request.method, request.url.path) == ("GET", "/productos")
        assert request.url.params["ids"] == f"{CAFE},{TE}"

    @pytest.mark.parametrize(
        "cambio",
        [{"id": 5}, {"id": "x"}, {"id": None}, {"precio": 2.5}, {"precio": "-1"}, {"precio": None}, {"precio": "x"}],
    )
    async def test_una_ficha_que_no_lo_es(self, vecino: Vecino, cambio: dict[str, Any]) -> None:
        vecino.responde(200, {"elementos": [FICHA | cambio]})
        with pytest.raises(RespuestaInvalida):
            await ProductosHttp(vecino.neighbour, FakeClock()).fichas([CAFE])

    @pytest.mark.parametrize("campo", FICHA)
    async def test_una_ficha_sin_un_campo(self, vecino: Vecino, campo: str) -> None:
        vecino.responde(200, {"elementos": [{k: v for k, v in FICHA.items() if k != campo}]})
        with pytest.raises(RespuestaInvalida):
            await ProductosHttp(vecino.neighbour, FakeClock()).fichas([CAFE])

    @pytest.mark.parametrize("activo", [False, None, "true", 1])
    async def test_solo_true_esta_a_la_venta(self, vecino: Vecino, activo: Any) -> None:
        vecino.responde(200, {"elementos": [FICHA | {"activo": activo}]})
        assert not (await ProductosHttp(vecino.neighbour, FakeClock()).fichas([CAFE]))[CAFE].activo


def ficha(producto_id: UUID, precio: str = "2.50") -> dict[str, Any]:
    return FICHA | {"id": str(producto_id), "precio": precio}


class TestUnaPregunta:
    async def test_para_varios_pedidos(self, vecino: Vecino, clock: FakeClock) -> None:
        productos = ProductosHttp(vecino.neighbour, clock)
        vecino.responde(200, {"elementos": [ficha(CAFE), ficha(TE)]})
        answers = await asyncio.gather(productos.fichas([CAFE]), productos.fichas([TE]), productos.fichas([TE, CAFE]))
        assert all({CAFE, TE} >= set(answer) for answer in answers)
        [request] = vecino.requests
        assert request.url.params["ids"] == f"{CAFE},{TE}"


class TestReuso:
    """With `reuse_seconds`."""

    @pytest.fixture
    def productos(self, vecino: Vecino, clock: FakeClock) -> ProductosHttp:
        vecino.responde(200, {"elementos": [ficha(CAFE)]}, ETag='"uno"')
        return ProductosHttp(vecino.neighbour, clock, reuse_seconds=5)

    async def fichas(self, productos: ProductosHttp, ids: list[UUID]) -> Mapping[UUID, Ficha]:
        return productos.kept(ids) or await productos.fichas(ids)

    async def precio(self, productos: ProductosHttp, producto_id: UUID = CAFE) -> int:
        return (await self.fichas(productos, [producto_id]))[producto_id].precio_centimos

    async def test_sin_preguntar_mientras_dura(
        self, vecino: Vecino, clock: FakeClock, productos: ProductosHttp
    ) -> None:
        await self.fichas(productos, [CAFE])
        vecino.responde(200, {"elementos": [ficha(CAFE, "9.99")]})
        clock.advance(4.9)
        assert await self.precio(productos) == 250
        assert len(vecino.requests) == 1

    async def test_o_preguntando_si_se_quiere(self, vecino: Vecino, productos: ProductosHttp) -> None:
        await productos.fichas([CAFE])
        vecino.responde(200, {"elementos": [ficha(CAFE, "9.99")]})
        assert (await productos.fichas([CAFE]))[CAFE].precio_centimos == 999
        assert await self.precio(productos) == 999
        assert vecino.requests[1].headers["if-none-match"] == '"uno"'

    async def test_apagado_si_no_se_pide(self, vecino: Vecino, clock: FakeClock) -> None:
        productos = ProductosHttp(vecino.neighbour, clock)
        vecino.responde(200, {"elementos": [ficha(CAFE)]}, ETag='"uno"')
        await self.fichas(productos, [CAFE])
        vecino.responde(200, {"elementos": [ficha(CAFE, "9.99")]})
        assert await self.precio(productos) == 999
        assert "if-none-match" not in vecino.requests[1].headers

    async def test_despues_pregunta_si_ha_cambiado(
        self, vecino: Vecino, clock: FakeClock, productos: ProductosHttp
    ) -> None:
        await self.fichas(productos, [CAFE])
        clock.advance(5)
        vecino.responde(304, content=b"")
        assert await self.precio(productos) == 250
        assert vecino.requests[1].headers["if-none-match"] == '"uno"'
        clock.advance(4.9)
        assert await self.precio(productos) == 250
        assert len(vecino.requests) == 2

    async def test_lo_que_ha_cambiado(self, vecino: Vecino, clock: FakeClock, productos: ProductosHttp) -> None:
        await self.fichas(productos, [CAFE])
        clock.advance(5)
        vecino.responde(200, {"elementos": [ficha(CAFE, "9.99")]}, ETag='"dos"')
        assert await self.precio(productos) == 999
        clock.advance(5)
        await self.fichas(productos, [CAFE])
        assert vecino.requests[2].headers["if-none-match"] == '"dos"'

    async def test_cuenta_desde_que_se_pregunto(
        self, vecino: Vecino, clock: FakeClock, productos: ProductosHttp
    ) -> None:
        answer = vecino.neighbour.request

        async def slow(*arguments: Any, **options: Any) -> Any:
            clock.advance(3)
            return await answer(*arguments, **options)

        vecino.neighbour.request = slow  # type: ignore[method-assign]
        await self.fichas(productos, [CAFE])
        clock.advance(2)
        await self.fichas(productos, [CAFE])
        assert len(vecino.requests) == 2

    async def test_lo_que_no_existe_se_pregunta_siempre(
        self, vecino: Vecino, clock: FakeClock, productos: ProductosHttp
    ) -> None:
        assert TE not in await self.fichas(productos, [CAFE, TE])
        vecino.responde(200, {"elementos": [ficha(CAFE), ficha(TE)]})
        assert await self.precio(productos, TE) == 250

    async def test_lo_que_no_esta_a_la_venta_se_pregunta_siempre(
        self, vecino: Vecino, clock: FakeClock, productos: ProductosHttp
    ) -> None:
        vecino.responde(200, {"elementos": [ficha(CAFE), ficha(TE) | {"activo": False}]})
        assert not (await self.fichas(productos, [CAFE, TE]))[TE].activo
        vecino.responde(200, {"elementos": [ficha(CAFE), ficha(TE)]})
        assert (await self.fichas(productos, [TE]))[TE].activo
        assert (await self.fichas(productos, [CAFE, TE]))[TE].activo
        assert len(vecino.requests) == 2

    async def test_lo_que_ya_no_esta_a_la_venta_se_olvida(
        self, vecino: Vecino, clock: FakeClock, productos: ProductosHttp
    ) -> None:
        await self.fichas(productos, [CAFE])
        vecino.responde(200, {"elementos": [ficha(CAFE) | {"activo": False}, ficha(TE)]})
        await self.fichas(productos, [CAFE, TE])
        assert not (await self.fichas(productos, [CAFE]))[CAFE].activo

    async def test_pregunta_por_la_pagina_entera(
        self, vecino: Vecino, clock: FakeClock, productos: ProductosHttp
    ) -> None:
        vecino.responde(200, {"elementos": [ficha(TE), ficha(CAFE)]}, ETag='"dos"')
        await self.fichas(productos, [CAFE, TE])
        clock.advance(5)
        vecino.responde(304, content=b"")
        assert await self.precio(productos, TE) == 250
        assert vecino.requests[1].url.params["ids"] == f"{CAFE},{TE}"
        assert vecino.requests[1].headers["if-none-match"] == '"dos"'
        clock.advance(4.9)
        assert set(await self.fichas(productos, [CAFE, TE])) == {CAFE, TE}
        assert len(vecino.requests) == 2

    @pytest.mark.parametrize("sin_te", [[], [ficha(TE) | {"activo": False}]])
    async def test_no_por_una_de_la_que_no_se_guarda_todo(
        self, vecino: Vecino, clock: FakeClock, productos: ProductosHttp, sin_te: list[Any]
    ) -> None:
        vecino.responde(200, {"elementos": [ficha(CAFE), *sin_te]}, ETag='"dos"')
        await self.fichas(productos, [CAFE, TE])
        clock.advance(5)
        assert await self.precio(productos) == 250
        assert vecino.requests[1].url.params["ids"] == str(CAFE)
        assert "if-none-match" not in vecino.requests[1].headers

    async def test_ni_por_una_de_la_que_otra_ha_tomado_algo(
        self, vecino: Vecino, clock: FakeClock, productos: ProductosHttp
    ) -> None:
        vecino.responde(200, {"elementos": [ficha(CAFE), ficha(TE)]}, ETag='"dos"')
        await self.fichas(productos, [CAFE, TE])
        vecino.responde(200, {"elementos": [ficha(CAFE), ficha(MATE)]}, ETag='"otra"')
        await self.fichas(productos, [CAFE, MATE])
        assert await self.precio(productos, TE) == 250
        assert len(vecino.requests) == 2
        clock.advance(5)
        vecino.responde(200, {"elementos": [ficha(TE, "9.99")]})
        assert await self.precio(productos, TE) == 999
        assert vecino.requests[2].url.params["ids"] == str(TE)
        assert "if-none-match" not in vecino.requests[2].headers

    async def test_sigue_mientras_productos_falta(
        self, vecino: Vecino, clock: FakeClock, productos: ProductosHttp
    ) -> None:
        await self.fichas(productos, [CAFE])
        vecino.responde(503, {})
        clock.advance(4.9)
        assert await self.precio(productos) == 250
        clock.advance(0.1)
        with pytest.raises(ServicioNoDisponible):
            await self.fichas(productos, [CAFE])

    async def test_no_guarda_sin_fin(
        self, vecino: Vecino, clock: FakeClock, productos: ProductosHttp, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("comanda.pedidos.fichas.MOST_KEPT", 1)
        await self.fichas(productos, [CAFE])
        vecino.responde(200, {"elementos": [ficha(TE)]})
        await self.fichas(productos, [TE])
        vecino.responde(200, {"elementos": [ficha(CAFE, "9.99")]})
        assert await self.precio(productos) == 999
