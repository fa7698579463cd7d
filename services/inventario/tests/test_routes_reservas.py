"""The contract of `/reservas`, as pedidos and those who audit it meet it."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from reservas_preparadas import TTL_SECONDS, activa, confirmada, liberada, rechazada

from comanda.testing import FakeClock, problem

HOURS = 3600


class TestReservar:
    async def test_nueva(self, tienda: Any, clock: FakeClock) -> None:
        uno, otro, pedido = await tienda.alta(10), await tienda.alta(5), clock.new_id()
        response = await tienda.reservar(pedido, {uno: 4, otro: 5})
        assert response.status_code == 201
        documento = response.json()
        assert documento == {
            "pedido_id": str(pedido),
            "estado": "ACTIVA",
            "lineas": [{"producto_id": uno, "cantidad": 4}, {"producto_id": otro, "cantidad": 5}],
            "expira_en": "2026-01-01T12:15:00Z",
            "creado_en": "2026-01-01T12:00:00Z",
            "actualizado_en": "2026-01-01T12:00:00Z",
        }
        leida = await tienda.reserva(pedido)
        assert leida["lineas"] == sorted(documento["lineas"], key=lambda linea: linea["producto_id"])
        assert leida | {"lineas": None} == documento | {"lineas": None}
        assert await tienda.existencias(uno) == (10, 4)
        assert await tienda.existencias(otro) == (5, 5)

    async def test_las_mismas_en_otro_orden(self, tienda: Any, clock: FakeClock) -> None:
        uno, otro, pedido = await tienda.alta(10), await tienda.alta(5), clock.new_id()
        assert (await tienda.reservar(pedido, {uno: 4, otro: 5})).status_code == 201
        assert (await tienda.reservar(pedido, {otro: 5, uno: 4})).status_code == 200
        assert await tienda.existencias(uno) == (10, 4)

    async def test_una_repeticion_no_alarga_el_plazo(self, tienda: Any, clock: FakeClock) -> None:
        producto, pedido = await tienda.alta(10), clock.new_id()
        first = await tienda.reservar(pedido, {producto: 4})
        clock.advance(TTL_SECONDS - 1)
        again = await tienda.reservar(pedido, {producto: 4})
        assert (again.status_code, again.json()) == (200, first.json())

    async def test_todas_o_ninguna(self, tienda: Any, clock: FakeClock) -> None:
        hay, poco, pedido, nada = await tienda.alta(10), await tienda.alta(2), clock.new_id(), str(uuid4())
        response = await tienda.reservar(pedido, {hay: 4, poco: 3, nada: 1})
        assert (response.status_code, problem(response)) == (409, "existencias-insuficientes")
        assert response.json()["faltantes"] == [
            {"producto_id": poco, "solicitado": 3, "disponible": 2},
            {"producto_id": nada, "solicitado": 1, "disponible": 0},
        ]
        assert await tienda.existencias(hay) == (10, 0)
        assert await tienda.existencias(poco) == (2, 0)

    async def test_la_negativa_es_para_siempre(self, tienda: Any, clock: FakeClock) -> None:
        producto, pedido = await tienda.alta(2), clock.new_id()
        first = await tienda.reservar(pedido, {producto: 3})
        await tienda.mover(producto, "ENTRADA", 100)
        clock.advance(47 * HOURS)
        again = await tienda.reservar(pedido, {producto: 3})
        assert (again.status_code, again.json()) == (409, first.json())
        rechazada = await tienda.reserva(pedido)
        assert (rechazada["estado"], rechazada["expira_en"]) == ("RECHAZADA", None)
        assert await tienda.existencias(producto) == (102, 0)

    async def test_cien_lineas(self, tienda: Any, clock: FakeClock) -> None:
        lineas = {str(UUID(int=n)): 1 for n in range(100)}
        response = await tienda.reservar(clock.new_id(), lineas)
        assert [falta["producto_id"] for falta in response.json()["faltantes"]] == list(lineas)

    async def test_el_plazo_es_el_configurado(self, abrir: Any, clock: FakeClock) -> None:
        async with abrir(reserva_ttl_seconds=60) as tienda:
            producto, pedido = await tienda.alta(10), clock.new_id()
            assert (await tienda.reservar(pedido, {producto: 4})).json()["expira_en"] == "2026-01-01T12:01:00Z"
            clock.advance(59.9)
            assert (await tienda.confirmar(pedido)).status_code == 200


def aged(clock: FakeClock, **age: float) -> UUID:
    """An order's id that was made that long ago (or ahead, when negative)."""
    back = timedelta(**age).total_seconds()
    clock.set_wall(-back)
    identifier = clock.new_id()
    clock.set_wall(back)
    return identifier


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)  # what decides is no database
class TestReservarConUnIdQueNoVale:
    @pytest.mark.parametrize("age", [48, 0, -0.02, -24])
    async def test_de_estos_dias(self, tienda: Any, clock: FakeClock, age: float) -> None:
        producto, pedido = await tienda.alta(10), aged(clock, hours=age)
        assert (await tienda.reservar(pedido, {producto: 4})).status_code == 201

    @pytest.mark.parametrize(
        "pedido",
        [
            {"hours": 48, "milliseconds": 1},
            {"days": 3000},
            {"hours": -24, "milliseconds": -1},
            {"days": -3000},
            "ffffffff-ffff-7fff-bfff-ffffffffffff",
            "00000000-0000-7000-8000-000000000000",
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "0f37e2a6-91b5-4d0e-8a34-5f3f6d3f8f11",
        ],
        ids=str,
    )
    async def test_viejo_futuro_o_sin_fecha(self, tienda: Any, clock: FakeClock, pedido: Any) -> None:
        producto = await tienda.alta(10)
        identifier = pedido if isinstance(pedido, str) else aged(clock, **pedido)
        for _ in range(2):
            response = await tienda.reservar(identifier, {producto: 4})
            assert (response.status_code, problem(response)) == (409, "reserva-cerrada")
        assert (await tienda.reserva(identifier))["lineas"] == []
        assert await tienda.existencias(producto) == (10, 0)

    async def test_lo_que_ya_se_aparto_no_envejece(self, tienda: Any, clock: FakeClock) -> None:
        producto, pedido = await tienda.alta(10), clock.new_id()
        await confirmada(tienda, pedido, producto)
        clock.advance(100 * HOURS)
        assert (await tienda.reservar(pedido, {producto: 4})).status_code == 200

    @pytest.mark.parametrize("age", [48, 0, -24])
    async def test_lo_olvidado_no_revive(self, tienda: Any, clock: FakeClock, age: float) -> None:
        producto, pedido = await tienda.alta(10), aged(clock, hours=age)
        await liberada(tienda, pedido, producto)
        clock.advance(72 * HOURS + 1)
        assert await tienda.servicio.olvidar_cerradas() == 1
        assert problem(await tienda.http.get(f"/reservas/{pedido}")) == "no-encontrado"
        assert problem(await tienda.reservar(pedido, {producto: 4})) == "reserva-cerrada"
        assert await tienda.existencias(producto) == (10, 0)


class TestConfirmar:
    async def test_sale_lo_apartado(self, tienda: Any, clock: FakeClock) -> None:
        uno, otro, pedido = await tienda.alta(10), await tienda.alta(5), clock.new_id()
        reservada = (await tienda.reservar(pedido, {uno: 4, otro: 5})).json()
        clock.advance(5)
        response = await tienda.confirmar(pedido)
        assert response.status_code == 200
        confirmada = response.json()
        assert confirmada["actualizado_en"] == "2026-01-01T12:00:05Z"
        assert confirmada["estado"] == "CONFIRMADA"
        for same in ("pedido_id", "creado_en"):
            assert confirmada[same] == reservada[same]
        assert await tienda.reserva(pedido) == confirmada
        assert await tienda.existencias(uno) == (6, 0)
        assert await tienda.existencias(otro) == (0, 0)
        [_, venta] = await tienda.todas(f"/inventario/{otro}/movimientos")
        assert (venta["tipo"], venta["cantidad"], venta["pedido_id"]) == ("VENTA", -5, str(pedido))

    @pytest.mark.parametrize(("seconds", "status"), [(TTL_SECONDS - 0.001, 200), (TTL_SECONDS, 409)])
    async def test_al_filo_del_plazo(self, tienda: Any, clock: FakeClock, seconds: float, status: int) -> None:
        producto, pedido = await tienda.alta(10), clock.new_id()
        await activa(tienda, pedido, producto)
        clock.advance(seconds)
        assert (await tienda.confirmar(pedido)).status_code == status
        await tienda.cuadra()

    async def test_el_reloj_de_pedidos_no_cuenta(self, tienda: Any, clock: FakeClock) -> None:
        """An id from a minute ahead, as when the clocks differ, expires by inventario's own time."""
        producto, pedido = await tienda.alta(10), aged(clock, minutes=-1)
        await activa(tienda, pedido, producto)
        clock.advance(TTL_SECONDS)
        assert problem(await tienda.confirmar(pedido)) == "reserva-cerrada"


class TestLiberar:
    async def test_un_put_que_llega_tarde_no_aparta_nada(self, tienda: Any, clock: FakeClock) -> None:
        producto, pedido = await tienda.alta(10), clock.new_id()
        response = await tienda.liberar(pedido)
        assert (response.status_code, response.json()["estado"], response.json()["lineas"]) == (200, "LIBERADA", [])
        assert problem(await tienda.reservar(pedido, {producto: 4})) == "reserva-cerrada"
        assert await tienda.existencias(producto) == (10, 0)

    async def test_lo_liberado_sirve_para_otro(self, tienda: Any, clock: FakeClock) -> None:
        producto, uno, otro = await tienda.alta(10), clock.new_id(), clock.new_id()
        await tienda.reservar(uno, {producto: 10})
        await tienda.liberar(uno)
        assert (await tienda.reservar(otro, {producto: 10})).status_code == 201

    async def test_deja_de_contar_solo_lo_suyo(self, tienda: Any, clock: FakeClock) -> None:
        producto, uno, otro = await tienda.alta(10), clock.new_id(), clock.new_id()
        await tienda.reservar(uno, {producto: 3})
        await tienda.reservar(otro, {producto: 5})
        await tienda.liberar(uno)
        assert await tienda.existencias(producto) == (10, 5)


class TestConsultar:
    async def test_inexistente(self, tienda: Any) -> None:
        response = await tienda.http.get(f"/reservas/{uuid4()}")
        assert (response.status_code, problem(response)) == (404, "no-encontrado")

    async def test_leer_no_deja_lapida(self, tienda: Any, clock: FakeClock) -> None:
        producto, pedido = await tienda.alta(10), clock.new_id()
        await tienda.http.get(f"/reservas/{pedido}")
        assert (await tienda.reservar(pedido, {producto: 4})).status_code == 201

    async def test_etag(self, tienda: Any, clock: FakeClock) -> None:
        producto, pedido = await tienda.alta(5), clock.new_id()
        etag = (await tienda.reservar(pedido, {producto: 1})).headers["etag"]
        read = await tienda.http.get(f"/reservas/{pedido}", headers={"If-None-Match": etag})
        assert (read.status_code, read.headers["etag"]) == (304, etag)
        clock.advance(1)
        await tienda.confirmar(pedido)
        assert (await tienda.http.get(f"/reservas/{pedido}")).headers["etag"] != etag


class TestListar:
    @pytest.fixture
    async def pedidos(self, tienda: Any, clock: FakeClock) -> list[UUID]:
        """Five, the oldest first: one of each state but EXPIRADA, then another ACTIVA."""
        pedidos = []
        for preparar in (activa, confirmada, liberada, rechazada, activa):
            clock.advance(1)
            pedidos.append(clock.new_id())
            await preparar(tienda, pedidos[-1], await tienda.alta(10))
        return pedidos

    async def ids(self, tienda: Any, **params: Any) -> list[UUID]:
        return [UUID(fila["pedido_id"]) for fila in await tienda.todas("/reservas", **params)]

    async def test_la_mas_nueva_primero_pagina_a_pagina(self, tienda: Any, pedidos: list[UUID]) -> None:
        first = await tienda.http.get("/reservas?limite=2")
        assert [fila["pedido_id"] for fila in first.json()["elementos"]] == [str(pedidos[4]), str(pedidos[3])]
        assert 'rel="next"' in first.headers["Link"]
        assert await self.ids(tienda, limite=2) == pedidos[::-1]
        assert await self.ids(tienda) == pedidos[::-1]

    async def test_con_lineas_y_tiempos(self, tienda: Any, pedidos: list[UUID]) -> None:
        for fila in await tienda.todas("/reservas"):
            assert fila == await tienda.reserva(fila["pedido_id"])
            assert [linea["cantidad"] for linea in fila["lineas"]] == [4]

    async def test_por_estado(self, tienda: Any, pedidos: list[UUID]) -> None:
        assert await self.ids(tienda, estado="ACTIVA", limite=1) == [pedidos[4], pedidos[0]]
        for estado, pedido in (("CONFIRMADA", 1), ("LIBERADA", 2), ("RECHAZADA", 3)):
            assert await self.ids(tienda, estado=estado) == [pedidos[pedido]]
        assert await self.ids(tienda, estado="EXPIRADA") == []

    async def test_por_ids(self, tienda: Any, pedidos: list[UUID]) -> None:
        ids = ",".join(str(pedido) for pedido in (pedidos[0], uuid4(), pedidos[3]))
        assert await self.ids(tienda, ids=ids) == [pedidos[3], pedidos[0]]
        assert await self.ids(tienda, ids=ids, limite=1) == [pedidos[3], pedidos[0]]
        assert await self.ids(tienda, ids=ids, estado="RECHAZADA") == [pedidos[3]]
        assert await self.ids(tienda, ids="") == []

    async def test_quien_nombra_ids_los_recibe_todos_de_una_vez(self, tienda: Any, clock: FakeClock) -> None:
        pedidos = [clock.new_id() for _ in range(60)]
        for pedido in pedidos:
            await tienda.servicio.liberar(pedido)
        response = await tienda.http.get("/reservas", params={"ids": ",".join(map(str, pedidos))})
        assert len(response.json()["elementos"]) == 60
        assert response.json()["siguiente"] is None
