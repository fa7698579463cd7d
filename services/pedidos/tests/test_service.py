"""The use cases, with neighbours that fail, wait and answer late: every interleaving is drawn by hand."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.common.conditional import Precondition
from comanda.common.database import Database, DatabaseUnavailable
from comanda.common.idempotency import Answer, Key, Keys
from comanda.common.problems import (
    ClaveReutilizada,
    DatosInvalidos,
    NoEncontrado,
    PeticionEnCurso,
    RespuestaInvalida,
    ServicioNoDisponible,
    VersionObsoleta,
)
from comanda.common.testing import FakeClock
from comanda.pedidos.domain import (
    DemasiadosPendientes,
    Fase,
    PedidoCancelado,
    ProductoNoDisponible,
    ReservaExpirada,
    TotalDistinto,
    TransicionInvalida,
)

NADA = Precondition()
SIN_VEREDICTO = [ServicioNoDisponible("inventario"), RespuestaInvalida("inventario")]


def documento(result: tuple[Answer, bool]) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(result[0].body)
    return body


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
        assert await mundo.todos() == []
        assert (await mundo.crear(key=mundo.clave(cuerpo="otro")))[0].status == 201

    async def test_total_esperado(self, mundo: Any) -> None:
        assert (await mundo.crear((mundo.producto(250), 2), total_esperado=500))[0].status == 201

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
        assert mundo.productos.preguntas == 1

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
            async def claim(self, *_: Any, **__: Any) -> bool:
                return False

        with pytest.raises(PeticionEnCurso) as refusal:
            await replica(keys=Olvidadiza).crear(key=mundo.clave())
        assert refusal.value.headers == {"Retry-After": "1"}
        assert await mundo.todos() == []


class TestReanudar:
    @pytest.mark.parametrize("fallo", SIN_VEREDICTO)
    async def test_la_misma_clave_sigue_con_el_mismo_pedido(self, mundo: Any, fallo: Any) -> None:
        cafe = mundo.producto(250)
        mundo.inventario.fallos = [fallo]
        with pytest.raises(type(fallo)) as fault:
            await mundo.crear((cafe, 2), key=mundo.clave(), total_esperado=500)
        mundo.producto(999)
        mundo.productos.catalogo.clear()
        answer, replayed = await mundo.crear((cafe, 2), key=mundo.clave(), total_esperado=500)
        body = json.loads(answer.body)
        assert (body["id"], body["total"], replayed) == (fault.value.extras["pedido_id"], "5.00", False)
        assert mundo.productos.preguntas == 1
        assert await mundo.crear((cafe, 2), key=mundo.clave(), total_esperado=500) == (answer, True)

    async def test_aplaza_el_abandono(self, mundo: Any) -> None:
        mundo.inventario.caido = True
        for _ in range(3):
            with pytest.raises(ServicioNoDisponible):
                await mundo.crear(key=mundo.clave())
            mundo.clock.advance(299)
            assert await mundo.recuperar() == 0

    async def test_la_peticion_cancelada_suelta_la_clave(self, mundo: Any) -> None:
        pausa = mundo.inventario.pausar("reservar", antes=False)
        primera = asyncio.create_task(mundo.crear(key=mundo.clave()))
        await pausa.llegada.wait()
        primera.cancel()
        with pytest.raises(asyncio.CancelledError):
            await primera
        answer, replayed = await mundo.crear(key=mundo.clave())
        assert (answer.status, replayed) == (201, False)
        assert len(await mundo.todos()) == 1

    async def test_tras_una_caida_cuando_el_arriendo_acaba(self, mundo: Any, replica: Any) -> None:
        """The first process dies in the middle of its call: it neither answers nor releases anything."""
        pausa = mundo.inventario.pausar("reservar", antes=False)
        muerta = asyncio.create_task(mundo.crear(key=mundo.clave()))
        await pausa.llegada.wait()
        nueva = replica()
        mundo.clock.advance(27.999)
        with pytest.raises(PeticionEnCurso):
            await nueva.crear(key=mundo.clave())
        mundo.clock.advance(0.001)
        answer, _ = await nueva.crear(key=mundo.clave())
        assert answer.status == 201
        # … and if it was only paused, its late answer is the one that the client got meanwhile.
        pausa.seguir.set()
        assert await muerta == (answer, True)
        assert await mundo.fases(json.loads(answer.body)["id"]) == ["SOLICITADO", "RESERVADO"]

    async def test_dos_reintentos_a_la_vez(self, mundo: Any, replica: Any) -> None:
        mundo.inventario.fallos = [ServicioNoDisponible("inventario")]
        with pytest.raises(ServicioNoDisponible):
            await mundo.crear(key=mundo.clave())
        results = await asyncio.gather(
            *(one.crear(key=mundo.clave()) for one in (mundo, replica())), return_exceptions=True
        )
        answers = [result for result in results if not isinstance(result, BaseException)]
        assert {answer.status for answer, _ in answers} == {201}
        assert all(isinstance(result, PeticionEnCurso) for result in results if isinstance(result, BaseException))
        assert len(await mundo.todos()) == 1

    async def test_la_base_de_datos_falla_tras_el_veredicto(self, mundo: Any) -> None:
        """inventario holds the stock, nobody wrote it down: the same key finds the same reservation again."""
        with fault_at(mundo.database, 3), pytest.raises(DatabaseUnavailable):
            await mundo.crear(key=mundo.clave())
        [pedido] = await mundo.todos()
        assert pedido.fase is Fase.SOLICITADO
        answer, replayed = await mundo.crear(key=mundo.clave())
        assert (json.loads(answer.body)["id"], replayed) == (str(pedido.id), False)
        assert mundo.inventario.reservas == {pedido.id: "ACTIVA"}

    async def test_sin_base_de_datos_el_arriendo_acaba_solo(self, mundo: Any) -> None:
        with fault_at(mundo.database, 3, 4), pytest.raises(DatabaseUnavailable):
            await mundo.crear(key=mundo.clave())
        with pytest.raises(PeticionEnCurso):
            await mundo.crear(key=mundo.clave())
        mundo.clock.advance(28)
        assert (await mundo.crear(key=mundo.clave()))[0].status == 201

    async def test_el_pedido_guardado_cuyo_commit_no_se_supo(self, mundo: Any) -> None:
        """The order and its key are there although the client got 503: its retry goes on with them at once."""
        with fault_at(mundo.database, 2, after=True), pytest.raises(DatabaseUnavailable):
            await mundo.crear(key=mundo.clave())
        [pedido] = await mundo.todos()
        answer, replayed = await mundo.crear(key=mundo.clave())
        assert (documento((answer, replayed))["id"], replayed) == (str(pedido.id), False)
        assert len(await mundo.todos()) == 1

    async def test_el_pedido_sin_clave_cuyo_commit_no_se_supo(self, mundo: Any) -> None:
        """Nobody can come back for it, so it is abandoned."""
        with fault_at(mundo.database, 1, after=True), pytest.raises(DatabaseUnavailable):
            await mundo.crear()
        [pedido] = await mundo.todos()
        mundo.clock.advance(300)
        assert await mundo.recuperar() == 1
        assert (await mundo.leer(pedido.id)).motivo == "abandonado"

    async def test_la_respuesta_guardada_cuyo_commit_no_se_supo(self, mundo: Any) -> None:
        """COMMIT took effect but its answer was lost: the client gets 503, and its retry the original answer."""
        with fault_at(mundo.database, 3, after=True), pytest.raises(DatabaseUnavailable):
            await mundo.crear(key=mundo.clave())
        answer, replayed = await mundo.crear(key=mundo.clave())
        assert (answer.status, replayed) == (201, True)
        assert len(await mundo.todos()) == 1


class TestPierdeElPedido:
    """Somebody else moves the order on while its PUT is in flight."""

    async def en_vuelo(self, mundo: Any, *, antes: bool) -> tuple[Any, Any, Any]:
        """(the request, its stopped PUT, the order)"""
        pausa = mundo.inventario.pausar("reservar", antes=antes)
        task = asyncio.create_task(mundo.crear(key=mundo.clave()))
        await pausa.llegada.wait()
        [pedido] = await mundo.todos()
        return task, pausa, pedido

    @pytest.mark.parametrize("antes", [True, False])
    async def test_el_cliente_cancela(self, mundo: Any, antes: bool) -> None:
        task, pausa, pedido = await self.en_vuelo(mundo, antes=antes)
        cancelado = await mundo.servicio.cancelar(pedido.id, "ana", "me arrepentí", NADA)
        assert cancelado.fase is Fase.CANCELADO
        pausa.seguir.set()
        with pytest.raises(PedidoCancelado) as refusal:
            await task
        assert refusal.value.extras == {"pedido_id": str(pedido.id), "motivo": "me arrepentí"}
        assert mundo.inventario.reservas == {pedido.id: "LIBERADA"}
        assert await mundo.fases(pedido.id) == ["SOLICITADO", "CANCELANDO", "CANCELADO"]

    async def test_la_misma_clave_lo_dice_enseguida(self, mundo: Any) -> None:
        """The request is over, so its key is not running any more: no 409 `peticion-en-curso` until the lease ends."""
        task, pausa, pedido = await self.en_vuelo(mundo, antes=True)
        await mundo.servicio.cancelar(pedido.id, "ana", "me arrepentí", NADA)
        pausa.seguir.set()
        for request in (task, mundo.crear(key=mundo.clave())):
            with pytest.raises(PedidoCancelado):
                await request

    @pytest.mark.parametrize("antes", [True, False])
    async def test_recovery_lo_abandona(self, mundo: Any, antes: bool) -> None:
        task, pausa, pedido = await self.en_vuelo(mundo, antes=antes)
        mundo.clock.advance(300)
        assert await mundo.recuperar() == 1
        pausa.seguir.set()
        with pytest.raises(PedidoCancelado) as refusal:
            await task
        assert refusal.value.extras["motivo"] == "abandonado"
        assert mundo.inventario.reservas == {pedido.id: "LIBERADA"}

    async def test_recovery_lo_abandona_y_aun_no_lo_ha_liberado(self, mundo: Any) -> None:
        """The late 201 of inventario is real; the client must not be told so, and the stock must not stay held."""
        task, pausa, pedido = await self.en_vuelo(mundo, antes=False)
        mundo.clock.advance(300)
        liberar = mundo.inventario.pausar("liberar", antes=True)
        recovery = asyncio.create_task(mundo.recuperar())
        await liberar.llegada.wait()
        pausa.seguir.set()
        with pytest.raises(PedidoCancelado):
            await task
        assert (await mundo.leer(pedido.id)).fase is Fase.CANCELANDO
        liberar.seguir.set()
        await recovery
        assert (await mundo.leer(pedido.id)).fase is Fase.CANCELADO
        assert mundo.inventario.reservas == {pedido.id: "LIBERADA"}

    async def test_el_reintento_llega_con_recovery_ya_en_marcha(self, mundo: Any) -> None:
        mundo.inventario.fallos = [ServicioNoDisponible("inventario")]
        with pytest.raises(ServicioNoDisponible):
            await mundo.crear(key=mundo.clave())
        mundo.clock.advance(300)
        liberar = mundo.inventario.pausar("liberar", antes=True)
        recovery = asyncio.create_task(mundo.recuperar())
        await liberar.llegada.wait()
        with pytest.raises(PedidoCancelado):
            await mundo.crear(key=mundo.clave())
        liberar.seguir.set()
        await recovery
        with pytest.raises(PedidoCancelado):
            await mundo.crear(key=mundo.clave())

    async def test_sin_clave(self, mundo: Any) -> None:
        pausa = mundo.inventario.pausar("reservar", antes=False)
        task = asyncio.create_task(mundo.crear())
        await pausa.llegada.wait()
        [pedido] = await mundo.todos()
        await mundo.servicio.cancelar(pedido.id, "ana", "x", NADA)
        pausa.seguir.set()
        with pytest.raises(PedidoCancelado):
            await task

    @pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
    async def test_un_veredicto_tardio_y_un_reintento_no_se_bloquean(self, mundo: Any, replica: Any) -> None:
        """Both transactions lock the order and its key. In one order, or PostgreSQL would have to kill one of them."""
        dentro, seguir = asyncio.Event(), asyncio.Event()

        class Lenta(Keys):
            async def settle(self, connection: AsyncConnection, key: Key, answer: Answer) -> None:
                dentro.set()
                await seguir.wait()
                await super().settle(connection, key, answer)

        lenta = replica(keys=Lenta)
        tardia = asyncio.create_task(lenta.crear(key=mundo.clave()))
        await dentro.wait()
        mundo.clock.advance(28)
        reintento = asyncio.create_task(mundo.crear(key=mundo.clave()))
        await waits_for_a_lock(lenta.database)
        seguir.set()
        answer, replayed = await tardia
        assert (answer.status, replayed) == (201, False)
        with pytest.raises(PeticionEnCurso):
            await reintento
        assert await mundo.crear(key=mundo.clave()) == (answer, True)


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


class TestConsultar:
    async def test_lo_ajeno_no_existe(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO, cliente="ana")
        assert await mundo.servicio.consultar(pedido.id, "ana") == pedido
        assert await mundo.servicio.consultar(pedido.id, None) == pedido
        for ask in (mundo.servicio.consultar, mundo.servicio.historial):
            with pytest.raises(NoEncontrado):
                await ask(pedido.id, "luis")
            with pytest.raises(NoEncontrado):
                await ask(mundo.clock.new_id(), None)


class TestCompletar:
    async def test_completado(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        completado = await mundo.servicio.completar(pedido.id, NADA)
        assert completado == await mundo.leer(pedido.id)
        assert completado.fase is Fase.COMPLETADO
        assert mundo.inventario.reservas == {pedido.id: "CONFIRMADA"}
        assert await mundo.fases(pedido.id) == ["SOLICITADO", "RESERVADO", "COMPLETANDO", "COMPLETADO"]

    async def test_otra_vez(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.COMPLETADO)
        assert await mundo.servicio.completar(pedido.id, NADA) == pedido
        assert mundo.inventario.llamadas_a("confirmar") == 1

    async def test_expirado(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        mundo.inventario.reservas[pedido.id] = "EXPIRADA"
        for _ in range(2):
            with pytest.raises(ReservaExpirada):
                await mundo.servicio.completar(pedido.id, NADA)
        cancelado = await mundo.leer(pedido.id)
        assert (cancelado.fase, cancelado.motivo) == (Fase.CANCELADO, "expirado")

    async def test_inventario_ya_no_sabe_de_la_reserva(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        mundo.inventario.reservas.clear()
        with pytest.raises(ReservaExpirada):
            await mundo.servicio.completar(pedido.id, NADA)
        assert (await mundo.leer(pedido.id)).motivo == "reserva-cerrada"

    @pytest.mark.parametrize("fase", [Fase.SOLICITADO, Fase.CANCELANDO, Fase.CANCELADO])
    async def test_transicion_invalida(self, mundo: Any, fase: Fase) -> None:
        pedido = await mundo.en_fase(fase)
        with pytest.raises(TransicionInvalida) as refusal:
            await mundo.servicio.completar(pedido.id, NADA)
        assert refusal.value.extras["fase"] == fase
        assert await mundo.leer(pedido.id) == pedido

    async def test_no_existe(self, mundo: Any) -> None:
        with pytest.raises(NoEncontrado):
            await mundo.servicio.completar(mundo.clock.new_id(), NADA)

    async def test_version_obsoleta(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        with pytest.raises(VersionObsoleta):
            await mundo.servicio.completar(pedido.id, Precondition(['"1"']))
        assert (await mundo.servicio.completar(pedido.id, Precondition(['"2"']))).fase is Fase.COMPLETADO

    @pytest.mark.parametrize("fallo", SIN_VEREDICTO)
    async def test_sin_veredicto_el_intento_queda_y_recovery_lo_acaba(self, mundo: Any, fallo: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        mundo.inventario.fallos = [fallo]
        with pytest.raises(type(fallo)):
            await mundo.servicio.completar(pedido.id, NADA)
        assert (await mundo.leer(pedido.id)).fase is Fase.COMPLETANDO
        assert await mundo.recuperar() == 1
        assert (await mundo.leer(pedido.id)).fase is Fase.COMPLETADO

    async def test_la_peticion_cancelada_la_acaba_recovery(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        await abort(lambda: mundo.servicio.completar(pedido.id, NADA), mundo.inventario.pausar("confirmar", antes=True))
        assert await mundo.recuperar() == 1
        assert (await mundo.leer(pedido.id)).fase is Fase.COMPLETADO

    async def test_sin_base_de_datos_recovery_la_acaba_tras_la_espera(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        mundo.inventario.caido = True
        with fault_at(mundo.database, 2), pytest.raises(ServicioNoDisponible):
            await mundo.servicio.completar(pedido.id, NADA)
        mundo.inventario.caido = False
        assert await mundo.recuperar() == 0
        mundo.clock.advance(28)
        assert await mundo.recuperar() == 1
        assert (await mundo.leer(pedido.id)).fase is Fase.COMPLETADO

    async def test_dos_a_la_vez(self, mundo: Any, replica: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        results = await asyncio.gather(*(one.servicio.completar(pedido.id, NADA) for one in (mundo, replica())))
        assert results[0] == results[1] == await mundo.leer(pedido.id)
        assert results[0].fase is Fase.COMPLETADO
        assert await mundo.fases(pedido.id) == ["SOLICITADO", "RESERVADO", "COMPLETANDO", "COMPLETADO"]

    async def test_dos_respuestas_cruzadas(self, mundo: Any) -> None:
        """Both calls reached inventario, and the first answer arrives last."""
        pedido = await mundo.en_fase(Fase.RESERVADO)
        pausa = mundo.inventario.pausar("confirmar", antes=False)
        lenta = asyncio.create_task(mundo.servicio.completar(pedido.id, NADA))
        await pausa.llegada.wait()
        rapida = await mundo.servicio.completar(pedido.id, NADA)
        pausa.seguir.set()
        assert await lenta == rapida
        assert len(await mundo.fases(pedido.id)) == 4

    async def test_y_cancelar_a_la_vez(self, mundo: Any, replica: Any) -> None:
        otra = replica()
        for _ in range(4):
            pedido = await mundo.en_fase(Fase.RESERVADO)
            completar, cancelar = await asyncio.gather(
                mundo.servicio.completar(pedido.id, NADA),
                otra.servicio.cancelar(pedido.id, None, "x", NADA),
                return_exceptions=True,
            )
            assert isinstance(completar, TransicionInvalida) != isinstance(cancelar, TransicionInvalida)
            final = await mundo.leer(pedido.id)
            expected = {Fase.COMPLETADO: "CONFIRMADA", Fase.CANCELADO: "LIBERADA"}[final.fase]
            assert mundo.inventario.reservas[pedido.id] == expected
            assert len(await mundo.fases(pedido.id)) == 4


class TestCancelar:
    @pytest.mark.parametrize("motivo", ["expirado", "abandonado", "existencias-insuficientes", "reserva-cerrada"])
    async def test_motivo_reservado(self, mundo: Any, motivo: str) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        with pytest.raises(DatosInvalidos):
            await mundo.servicio.cancelar(pedido.id, "ana", motivo, NADA)
        assert await mundo.leer(pedido.id) == pedido

    async def test_version_que_cambia_entre_medias(self, mundo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        pedido = await mundo.en_fase(Fase.SOLICITADO)
        intend = mundo.servicio._saga.intend

        async def late(antes: Any, despues: Any, causa: str) -> Any:
            await mundo.servicio._saga.advance(antes)  # its request reserves in the meantime
            return await intend(antes, despues, causa)

        monkeypatch.setattr(mundo.servicio._saga, "intend", late)
        with pytest.raises(VersionObsoleta):
            await mundo.servicio.cancelar(pedido.id, "ana", "x", Precondition(['"1"']))
        assert (await mundo.leer(pedido.id)).fase is Fase.RESERVADO

    @pytest.mark.parametrize("fase", [Fase.SOLICITADO, Fase.RESERVADO])
    async def test_cancelado(self, mundo: Any, fase: Fase) -> None:
        pedido = await mundo.en_fase(fase)
        cancelado = await mundo.servicio.cancelar(pedido.id, "ana", "me arrepentí", NADA)
        assert cancelado == await mundo.leer(pedido.id)
        assert (cancelado.fase, cancelado.motivo) == (Fase.CANCELADO, "me arrepentí")
        assert mundo.inventario.reservas == {pedido.id: "LIBERADA"}

    async def test_otra_vez_conserva_el_primer_motivo(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.CANCELADO)
        assert await mundo.servicio.cancelar(pedido.id, None, "otro", NADA) == pedido
        assert mundo.inventario.llamadas_a("liberar") == 1

    async def test_uno_que_ya_se_esta_cancelando(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.CANCELANDO)
        cancelado = await mundo.servicio.cancelar(pedido.id, None, "otro", NADA)
        assert (cancelado.fase, cancelado.motivo) == (Fase.CANCELADO, "cancelado")

    @pytest.mark.parametrize("fase", [Fase.COMPLETANDO, Fase.COMPLETADO])
    async def test_transicion_invalida(self, mundo: Any, fase: Fase) -> None:
        pedido = await mundo.en_fase(fase)
        with pytest.raises(TransicionInvalida):
            await mundo.servicio.cancelar(pedido.id, "ana", "x", NADA)
        assert await mundo.leer(pedido.id) == pedido
        assert mundo.inventario.llamadas_a("liberar") == 0

    async def test_lo_ajeno_no_existe(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        with pytest.raises(NoEncontrado):
            await mundo.servicio.cancelar(pedido.id, "luis", "x", NADA)
        assert await mundo.leer(pedido.id) == pedido

    async def test_version_obsoleta(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        with pytest.raises(VersionObsoleta):
            await mundo.servicio.cancelar(pedido.id, "ana", "x", Precondition(['"1"']))
        assert await mundo.leer(pedido.id) == pedido

    @pytest.mark.parametrize("fallo", SIN_VEREDICTO)
    async def test_sin_veredicto_el_intento_queda_y_recovery_lo_acaba(self, mundo: Any, fallo: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        mundo.inventario.fallos = [fallo]
        with pytest.raises(type(fallo)):
            await mundo.servicio.cancelar(pedido.id, "ana", "me arrepentí", NADA)
        with pytest.raises(TransicionInvalida):
            await mundo.servicio.completar(pedido.id, NADA)
        assert await mundo.recuperar() == 1
        cancelado = await mundo.leer(pedido.id)
        assert (cancelado.fase, cancelado.motivo) == (Fase.CANCELADO, "me arrepentí")

    async def test_mientras_reservar_gana(self, mundo: Any) -> None:
        """The order becomes RESERVADO between the reading and the intent of cancelar: it is cancelled all the same."""
        pedido = await mundo.en_fase(Fase.SOLICITADO)
        async with changed_after_reading(mundo, pedido.id, lambda: mundo.saga.advance(pedido)):
            cancelado = await mundo.servicio.cancelar(pedido.id, "ana", "x", NADA)
        assert cancelado.fase is Fase.CANCELADO
        assert mundo.inventario.reservas == {pedido.id: "LIBERADA"}
        assert await mundo.fases(pedido.id) == ["SOLICITADO", "RESERVADO", "CANCELANDO", "CANCELADO"]


async def abort(call: Callable[[], Awaitable[Any]], pausa: Any) -> None:
    """Cancels that request while its call to the neighbour is stopped."""
    task = asyncio.ensure_future(call())
    await pausa.llegada.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@asynccontextmanager
async def changed_after_reading(
    mundo: Any, pedido_id: UUID, change: Callable[[], Awaitable[Any]]
) -> AsyncIterator[None]:
    """Inside the block, the first reader of the order is overtaken: `change` happens right after it has read."""
    original = mundo.servicio.consultar

    async def consultar(*arguments: Any) -> Any:
        mundo.servicio.consultar = original
        pedido = await original(*arguments)
        await change()
        return pedido

    mundo.servicio.consultar = consultar
    yield


class fault_at:  # noqa: N801  # reads as a statement
    """Inside the block, the write transactions with these numbers (from 1) fail, before or after they are committed."""

    def __init__(self, database: Database, *numbers: int, after: bool = False) -> None:
        self._database, self._numbers, self._after = database, numbers, after
        self._count = 0

    def __enter__(self) -> None:
        original = self._database.transaction

        @asynccontextmanager
        async def transaction() -> AsyncIterator[AsyncConnection]:
            self._count += 1
            fails = self._count in self._numbers
            if fails and not self._after:
                raise DatabaseUnavailable("lost")
            async with original() as connection:
                yield connection
            if fails:
                raise DatabaseUnavailable("lost")

        self._database.transaction = transaction  # type: ignore[method-assign]

    def __exit__(self, *_: object) -> None:
        del self._database.transaction


async def waits_for_a_lock(database: Database) -> None:
    """Returns once some transaction of that PostgreSQL database waits for another."""
    query = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    while True:
        async with database.read() as connection:
            if (await connection.execute(query)).scalar_one():
                return
