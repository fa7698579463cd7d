"""Placing an order: keys, caps, and neighbours that fail or answer late."""

import asyncio
import json
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from pedidos_faults import NADA, SIN_VEREDICTO, documento

from comanda.common.idempotency import Keys
from comanda.common.problems import (
    ClaveReutilizada,
    PeticionEnCurso,
    Problem,
    RespuestaInvalida,
    ServicioNoDisponible,
)
from comanda.pedidos.domain import (
    DemasiadosPendientes,
    Fase,
    ProductoNoDisponible,
    TotalDistinto,
)
from comanda.testing import FakeClock


class TestCrear:
    async def test_reservado(self, mundo: Any) -> None:
        cafe, te = mundo.producto(1990), mundo.producto(5)
        answer, replayed = await mundo.crear((cafe, 3), (te, 1))
        pedido = await mundo.leer(json.loads(answer.body)["id"])
        assert not replayed
        assert answer.status == 201
        assert answer.headers == {"Location": f"/pedidos/{pedido.id}", "ETag": '"2"'}
        assert (pedido.cliente_id, pedido.fase, pedido.total_centimos) == ("ana", Fase.RESERVADO, 5975)
        assert mundo.inventario.reservas == {pedido.id: "ACTIVA"}
        assert mundo.productos.preguntas == 1

    async def test_el_orden_de_los_ids_es_el_de_los_tiempos(self, mundo: Any) -> None:
        mundo.clock.advance(0.0004)
        answer = await mundo.crear()
        assert documento(answer)["creado_en"] == "2026-01-01T12:00:00Z"

    async def test_producto_desconocido_o_retirado_no_deja_nada(self, mundo: Any) -> None:
        retirado, desconocido = mundo.producto(activo=False), mundo.clock.new_id()
        with pytest.raises(ProductoNoDisponible) as refusal:
            await mundo.crear((mundo.producto(), 1), (retirado, 1), (desconocido, 1), key=mundo.clave())
        assert refusal.value.extras == {"productos": [str(retirado), str(desconocido)]}
        assert await mundo.todos() == []
        assert (await mundo.crear(key=mundo.clave(cuerpo="otro")))[0].status == 201

    @pytest.mark.parametrize("esperado", [0, 499, 501])
    async def test_total_distinto_no_deja_nada(self, mundo: Any, esperado: int) -> None:
        with pytest.raises(TotalDistinto) as refusal:
            await mundo.crear((mundo.producto(250), 2), total_esperado=esperado, key=mundo.clave())
        assert refusal.value.extras == {"total": "5.00"}
        assert mundo.productos.preguntas == 1
        assert await mundo.todos() == []
        assert (await mundo.crear(key=mundo.clave(cuerpo="otro")))[0].status == 201

    async def test_total_esperado(self, mundo: Any) -> None:
        assert (await mundo.crear((mundo.producto(250), 2), total_esperado=500))[0].status == 201

    @pytest.mark.parametrize("esperado", [None, 500])
    async def test_con_fichas_guardadas_no_pregunta(self, mundo: Any, esperado: int | None) -> None:
        cafe = mundo.producto(250)
        mundo.productos.guardadas = {cafe: mundo.productos.catalogo.pop(cafe)}
        assert (await mundo.crear((cafe, 2), total_esperado=esperado))[0].status == 201
        assert mundo.productos.preguntas == 0

    async def test_un_precio_guardado_no_rechaza_el_total(self, mundo: Any) -> None:
        cafe = mundo.producto(300)
        mundo.productos.guardadas = {cafe: replace(mundo.productos.catalogo[cafe], precio_centimos=250)}
        assert documento(await mundo.crear((cafe, 2), total_esperado=600))["total"] == "6.00"
        with pytest.raises(TotalDistinto) as refusal:
            await mundo.crear((cafe, 2), total_esperado=700)
        assert refusal.value.extras == {"total": "6.00"}
        assert mundo.productos.preguntas == 2
        mundo.productos.fallo = ServicioNoDisponible("productos")
        with pytest.raises(ServicioNoDisponible):
            await mundo.crear((cafe, 2), total_esperado=600)
        assert len(await mundo.todos()) == 1

    async def test_existencias_insuficientes_queda_cancelado(self, mundo: Any) -> None:
        mundo.inventario.agotado = True
        answer, _ = await mundo.crear()
        body = json.loads(answer.body)
        assert (answer.status, answer.media_type) == (409, "application/problem+json")
        assert body["type"].endswith("/existencias-insuficientes")
        assert [falta["disponible"] for falta in body["faltantes"]] == [1]
        pedido = await mundo.leer(body["pedido_id"])
        assert (pedido.fase, pedido.motivo) == (Fase.CANCELADO, "existencias-insuficientes")

    async def test_reserva_cerrada_de_entrada(self, mundo: Any, clock: FakeClock) -> None:
        """inventario may refuse a new id, for instance because its clock is days away from ours."""
        pausa = mundo.inventario.pausar("reservar", antes=True)
        task = asyncio.create_task(mundo.crear(key=mundo.clave()))
        await pausa.llegada.wait()
        [pedido] = await mundo.todos()
        mundo.inventario.reservas[pedido.id] = "LIBERADA"
        pausa.seguir.set()
        answer, replayed = await task
        assert (answer.status, replayed) == (409, False)
        assert documento((answer, replayed))["type"].endswith("/pedido-cancelado")
        assert documento((answer, replayed))["motivo"] == "reserva-cerrada"
        assert await mundo.crear(key=mundo.clave()) == (answer, True)

    async def test_productos_caido_no_deja_nada(self, mundo: Any) -> None:
        mundo.productos.fallo = ServicioNoDisponible("productos")
        with pytest.raises(ServicioNoDisponible) as fault:
            await mundo.crear(key=mundo.clave())
        assert fault.value.extras == {"servicio": "productos"}
        assert await mundo.todos() == []
        mundo.productos.fallo = None
        assert (await mundo.crear(key=mundo.clave(cuerpo="otro")))[0].status == 201

    @pytest.mark.parametrize("fallo", SIN_VEREDICTO)
    async def test_inventario_sin_veredicto_dice_que_pedido(self, mundo: Any, fallo: Any) -> None:
        mundo.inventario.fallos = [fallo]
        with pytest.raises(type(fallo)) as fault:
            await mundo.crear()
        pedido = await mundo.leer(fault.value.extras["pedido_id"])
        assert pedido.fase is Fase.SOLICITADO


class TestClave:
    async def test_la_misma_peticion_recibe_la_misma_respuesta(self, mundo: Any) -> None:
        primera, _ = await mundo.crear(key=mundo.clave())
        await mundo.servicio.completar(UUID(json.loads(primera.body)["id"]), NADA)
        assert await mundo.crear(key=mundo.clave()) == (primera, True)
        assert len(await mundo.todos()) == 1

    @pytest.mark.parametrize("cambio", ["sin productos", "retirado", "otro precio", "otra respuesta"])
    async def test_digan_lo_que_digan_ahora_los_productos(self, mundo: Any, cambio: str) -> None:
        cafe = mundo.producto(250)
        pedir = partial(mundo.crear, (cafe, 2), total_esperado=500)
        primera, _ = await pedir(key=mundo.clave())
        if cambio == "sin productos":
            mundo.productos.fallo = ServicioNoDisponible("productos")
        elif cambio == "otra respuesta":
            mundo.productos.fallo = RespuestaInvalida("productos")
        elif cambio == "retirado":
            mundo.productos.catalogo.clear()
        else:
            mundo.productos.catalogo[cafe] = replace(mundo.productos.catalogo[cafe], precio_centimos=251)
        for mundo.productos.is_well in (True, False):
            preguntas = mundo.productos.preguntas
            assert await pedir(key=mundo.clave()) == (primera, True)
            assert mundo.productos.preguntas == preguntas + mundo.productos.is_well  # one that is away is not asked
        with pytest.raises(Problem):
            await pedir(key=mundo.clave("otra"))
        assert len(await mundo.todos()) == 1

    async def test_un_rechazo_tambien_queda(self, mundo: Any) -> None:
        mundo.inventario.agotado = True
        primera, _ = await mundo.crear(key=mundo.clave())
        mundo.inventario.agotado = False
        assert await mundo.crear(key=mundo.clave()) == (primera, True)

    async def test_otro_cuerpo(self, mundo: Any) -> None:
        await mundo.crear(key=mundo.clave())
        with pytest.raises(ClaveReutilizada):
            await mundo.crear(key=mundo.clave(cuerpo="b"))

    async def test_otro_cliente_es_otra_clave(self, mundo: Any) -> None:
        await mundo.crear(key=mundo.clave(cliente="ana"))
        _, replayed = await mundo.crear(key=mundo.clave(cliente="luis", cuerpo="b"), cliente="luis")
        assert not replayed

    async def test_mientras_la_primera_corre(self, mundo: Any) -> None:
        pausa = mundo.inventario.pausar("reservar", antes=False)
        primera = asyncio.create_task(mundo.crear(key=mundo.clave()))
        await pausa.llegada.wait()
        with pytest.raises(PeticionEnCurso) as refusal:
            await mundo.crear(key=mundo.clave())
        assert refusal.value.headers == {"Retry-After": "1"}
        mundo.clock.advance(27.5)
        with pytest.raises(PeticionEnCurso) as refusal:
            await mundo.crear(key=mundo.clave())
        assert refusal.value.headers == {"Retry-After": "1"}
        pausa.seguir.set()
        answer, _ = await primera
        assert await mundo.crear(key=mundo.clave()) == (answer, True)
        assert len(await mundo.todos()) == 1

    async def test_dos_que_preguntan_a_productos_a_la_vez(self, mundo: Any, replica: Any) -> None:
        """Both find no key; one of them records its order, the other answers about that one."""
        results = await asyncio.gather(
            *(one.crear(key=mundo.clave()) for one in (mundo, replica(), mundo, replica())), return_exceptions=True
        )
        answers = [result for result in results if not isinstance(result, BaseException)]
        assert len({answer.body for answer, _ in answers}) == 1
        assert all(isinstance(result, PeticionEnCurso) for result in results if isinstance(result, BaseException))
        assert sum(not replayed for _, replayed in answers) == 1
        assert len(await mundo.todos()) == 1
        assert len(mundo.inventario.reservas) == 1

    async def test_la_que_pierde_la_clave_con_otro_cuerpo(self, mundo: Any) -> None:
        results = await asyncio.gather(
            mundo.crear(key=mundo.clave()), mundo.crear(key=mundo.clave(cuerpo="b")), return_exceptions=True
        )
        assert sum(isinstance(result, ClaveReutilizada) for result in results) == 1
        assert len(await mundo.todos()) == 1

    async def test_la_clave_se_barre_entre_perderla_y_leerla(self, mundo: Any, replica: Any) -> None:
        class Olvidadiza(Keys):
            async def claim_all(self, *_: Any, **__: Any) -> list[Any]:
                return []

        with pytest.raises(PeticionEnCurso) as refusal:
            await replica(keys=Olvidadiza).crear(key=mundo.clave())
        assert refusal.value.headers == {"Retry-After": "1"}
        assert await mundo.todos() == []


class TestJuntos:
    """Orders that come at once share a transaction; each is judged by itself."""

    async def test_la_misma_clave_dos_veces(self, mundo: Any) -> None:
        calls = [mundo.crear(key=mundo.clave(f"k{n % 5}")) for n in range(10)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        placed = [outcome for outcome in outcomes if not isinstance(outcome, Exception)]
        assert {type(outcome) for outcome in outcomes if isinstance(outcome, Exception)} <= {PeticionEnCurso}
        assert len({documento(outcome)["id"] for outcome in placed}) == 5
        assert len(await mundo.todos()) == 5

    async def test_el_tope_cuenta_a_los_que_van_delante(self, replica: Any) -> None:
        mundo = replica(max_open_orders=3)
        calls = [mundo.crear(key=mundo.clave(f"k{n}", cliente="ana"), cliente="ana") for n in range(5)]
        others = [mundo.crear(cliente="luis") for _ in range(2)]
        outcomes = await asyncio.gather(*calls, *others, return_exceptions=True)
        refused = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, DemasiadosPendientes)]
        assert len(refused) == 2
        assert max(refused) < 5
        assert len(await mundo.todos()) == 5
        for n in refused:  # its key is free: it was never answered
            with pytest.raises(DemasiadosPendientes):
                await mundo.crear(key=mundo.clave(f"k{n}", cliente="ana"), cliente="ana")

    async def test_quien_se_va_mientras_se_escribe_deja_libre_su_clave(
        self, mundo: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The transaction is shared, so it goes on without him; what it leaves is his, for when he comes again."""
        dentro, seguir, insertar = asyncio.Event(), asyncio.Event(), mundo.repository.insertar

        async def lenta(*arguments: Any) -> None:
            dentro.set()
            await seguir.wait()
            await insertar(*arguments)

        monkeypatch.setattr(mundo.repository, "insertar", lenta)
        leaves = asyncio.create_task(mundo.crear(key=mundo.clave()))
        await dentro.wait()
        leaves.cancel()
        await asyncio.sleep(0)
        seguir.set()
        with pytest.raises(asyncio.CancelledError):
            await leaves
        [pedido] = await mundo.todos()
        answer, _ = await mundo.crear(key=mundo.clave())
        assert (answer.status, documento((answer, False))["id"]) == (201, str(pedido.id))

    async def test_sin_compartir_es_lo_mismo(self, replica: Any) -> None:
        mundo = replica(group_commit=1)
        outcomes = await asyncio.gather(*(mundo.crear(key=mundo.clave(f"k{n}")) for n in range(5)))
        assert [answer.status for answer, _ in outcomes] == [201] * 5
        assert len(await mundo.todos()) == 5


class TestTopes:
    async def test_de_pedidos(self, replica: Any) -> None:
        mundo = replica(max_open_orders=2)
        first = documento(await mundo.crear())["id"]
        await mundo.crear()
        with pytest.raises(DemasiadosPendientes) as refusal:
            await mundo.crear(key=mundo.clave())
        assert refusal.value.status_code == 429
        assert "Retry-After" in (refusal.value.headers or {})
        assert len(await mundo.todos()) == 2
        await mundo.crear(cliente="luis")
        await mundo.servicio.completar(UUID(first), NADA)
        assert (await mundo.crear(key=mundo.clave(cuerpo="otro")))[0].status == 201

    async def test_de_unidades(self, replica: Any) -> None:
        mundo = replica(max_open_units=10)
        cafe = mundo.producto()
        await mundo.crear((cafe, 9))
        with pytest.raises(DemasiadosPendientes):
            await mundo.crear((cafe, 2))
        await mundo.crear((cafe, 1))
        with pytest.raises(DemasiadosPendientes):
            await mundo.crear((cafe, 1))

    async def test_los_rechazados_no_cuentan(self, replica: Any) -> None:
        mundo = replica(max_open_orders=1, max_open_units=2)
        mundo.inventario.agotado = True
        await mundo.crear()
        mundo.inventario.agotado = False
        assert (await mundo.crear())[0].status == 201

    @pytest.mark.parametrize("tope", [{"max_open_orders": 3}, {"max_open_units": 6}])
    async def test_a_la_vez_en_dos_replicas(self, replica: Any, tope: dict[str, int]) -> None:
        una, otra = replica(**tope), replica(**tope)
        cafe = una.producto()
        results = await asyncio.gather(
            *(replica.crear((cafe, 2)) for replica in (una, otra) * 4), return_exceptions=True
        )
        assert sum(isinstance(result, DemasiadosPendientes) for result in results) == 5
        assert len(await una.todos()) == 3
