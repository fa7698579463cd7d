"""Which index answers: a question costs the same with a million orders as with ten thousand."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from comanda.common.idempotency import KEPT, SWEEP_ROWS, Answer, Key, Keys
from comanda.common.pagination import PageRequest
from comanda.pedidos.domain import Estado, Fase
from comanda.pedidos.repository import Repository, Transition
from comanda.pedidos.repository_eventos import EventosRepository
from comanda.pedidos.tables import idempotency_keys
from comanda.testing import ISSUER, START, FakeClock
from comanda.testing.filling import Filling
from comanda.testing.plans import Question, Scale, Scales

PACKAGE = "comanda.pedidos"
ANA, MAYORISTA = "cliente-7", "mayorista"
"""One of ten thousand clients, and the one who places every hundredth order, and half of those that are open."""

LINE = (
    '{"producto_id":"00000000-0000-7000-8000-000000000001","sku":"CAF-1","nombre":"Café","precio_centimos":250,'
    '"cantidad":1}'
)


def _repository(scale: Scale) -> Repository:
    return Repository(scale.database, Keys(idempotency_keys, scale.database, FakeClock()))


def fill(sql: Filling) -> Mapping[str, Mapping[str, str]]:
    """A hundred orders of most clients; one order in 200 is open, among the newest; one in five was cancelled."""
    newest = sql.rows * 95 // 100
    pedidos = {
        "id": sql.uuid7(),
        "cliente_id": f"CASE WHEN i % 101 = 0 OR i > {newest} AND i % 20 = 0 THEN '{MAYORISTA}' "
        f"ELSE 'cliente-' || (i % {sql.rows // 100 + 1}) END",
        "fase": f"CASE WHEN i > {newest} AND i % 10 = 0 THEN 'RESERVADO' "
        "WHEN i % 5 = 1 THEN 'CANCELADO' ELSE 'COMPLETADO' END",
        "version": "3",
        "lineas": f"'[{LINE}]'",
        "unidades": "1",
        "moneda": "'EUR'",
        "creado_en": sql.start,
        "actualizado_en": sql.start,
        "next_attempt_at": sql.moment(),
        "attempts": "0",
        "lease": "0",
    }
    historial = {
        "pedido_id": sql.uuid7("(i - 1) / 3 + 1"),
        "version": "(i - 1) % 3 + 1",
        "en": sql.start,
        "de": "'SOLICITADO'",
        "a": "'RESERVADO'",
        "causa": "'existencias reservadas'",
        "numero": f"CASE WHEN i <= {sql.rows - 10} THEN i END",
        "cliente_id": f"CASE WHEN i <= {sql.rows - 10} THEN 'cliente-' || (i % {sql.rows // 100 + 1}) END",
    }
    keys = {
        "issuer": f"'{ISSUER}'",
        "subject": "'cliente-' || (100000 + i / 100)",
        "route": "'POST /pedidos'",
        "key": "'clave-' || i",
        "fingerprint": f"'{'f' * 64}'",
        "status": "201",
        "body": "'{}'",
        "created_at": sql.moment(),
    }
    return {"pedidos": pedidos, "historial": historial, "idempotency_keys": keys}


def pages(
    *cliente_ids: str, since: float = 0, before: float = 1, limit: int = 50, estado: Estado | None = None
) -> Question:
    """A short page and the one that follows it, of what was made between these moments: 0 is the first, 1 is now."""

    async def ask(scale: Scale) -> Any:
        desde = scale.moment(since) if since else None
        options: dict[str, Any] = {"cliente_ids": cliente_ids, "estado": estado, "desde": desde, "hasta": None}
        start = options if before == 1 else options | {"hasta": scale.moment(before)}
        first = await _repository(scale).listar(scale.connection, PageRequest(20), **start)
        next_page = PageRequest(limit, first.next_cursor)
        return (await _repository(scale).listar(scale.connection, next_page, **options)).items

    return ask


class TestListar:
    @pytest.mark.parametrize("before", [1, 0.5, 0.1])
    async def test_todos_por_su_clave(self, escalas: Scales, before: float) -> None:
        asked = await escalas.ask(pages(before=before))
        assert len(asked.answer) == 50
        asked.assert_by("pedidos_pkey")

    @pytest.mark.parametrize("before", [1, 0.5])
    async def test_los_de_un_cliente(self, escalas: Scales, before: float) -> None:
        asked = await escalas.ask(pages(ANA, before=before))
        assert {pedido.cliente_id for pedido in asked.answer} == {ANA}
        asked.assert_by("ix_pedidos_cliente_id", sorts=["pedidos"])

    @pytest.mark.parametrize("before", [1, 0.5])
    async def test_los_de_un_cliente_con_muchos(self, escalas: Scales, before: float) -> None:
        asked = await escalas.ask(pages(MAYORISTA, before=before, limit=25))
        assert {pedido.cliente_id for pedido in asked.answer} == {MAYORISTA}
        asked.assert_by("ix_pedidos_cliente_id")

    async def test_los_de_nadie(self, escalas: Scales) -> None:
        asked = await escalas.ask(pages("nadie"))
        assert asked.answer == []
        asked.assert_by("ix_pedidos_cliente_id")

    @pytest.mark.parametrize(
        ("estado", "index", "before"),
        [
            (Estado.PENDIENTE, "ix_pedidos_abiertos", 1),
            (Estado.PENDIENTE, "ix_pedidos_abiertos", 0.5),
            (Estado.CANCELADO, "ix_pedidos_cancelados", 1),
            (Estado.CANCELADO, "ix_pedidos_cancelados", 0.5),
            (Estado.COMPLETADO, "ix_pedidos_completados", 1),
            (Estado.COMPLETADO, "ix_pedidos_completados", 0.5),
        ],
    )
    async def test_los_de_un_estado(self, escalas: Scales, estado: Estado, index: str, before: float) -> None:
        asked = await escalas.ask(pages(before=before, estado=estado, limit=25))
        assert {pedido.estado for pedido in asked.answer} <= {estado}
        asked.assert_by(index)

    @pytest.mark.parametrize("cliente_id", [ANA, MAYORISTA])
    async def test_los_pendientes_de_un_cliente(self, escalas: Scales, cliente_id: str) -> None:
        asked = await escalas.ask(pages(cliente_id, estado=Estado.PENDIENTE, limit=5))
        assert {pedido.cliente_id for pedido in asked.answer} <= {cliente_id}
        asked.assert_by("ix_pedidos_abiertos_cliente_id")

    @pytest.mark.parametrize("estado", [Estado.COMPLETADO, Estado.CANCELADO])
    async def test_los_terminados_de_un_cliente_entre_todos_los_suyos(self, escalas: Scales, estado: Estado) -> None:
        asked = await escalas.ask(pages(ANA, estado=estado, limit=1))
        assert {(pedido.cliente_id, pedido.estado) for pedido in asked.answer} == {(ANA, estado)}
        asked.assert_by("ix_pedidos_cliente_id", sorts=["pedidos"], lookups=100)

    @pytest.mark.parametrize(("cliente_ids", "index"), [((), "pedidos_pkey"), ((ANA,), "ix_pedidos_cliente_id")])
    async def test_los_de_un_tiempo(self, escalas: Scales, cliente_ids: tuple[str, ...], index: str) -> None:
        asked = await escalas.ask(pages(*cliente_ids, since=0.2, before=0.9, limit=40))
        assert len(asked.answer) == 40
        asked.assert_by(index, sorts=["pedidos"] if cliente_ids else [])


class TestUno:
    async def test_el_pedido_y_su_historial(self, escalas: Scales) -> None:
        async def ask(scale: Scale) -> Any:
            repository, one = _repository(scale), scale.uuid7(scale.rows // 5)
            pedido = await repository.leer(scale.connection, one)
            return pedido, await repository.historial(scale.connection, one)

        asked = await escalas.ask(ask)
        assert asked.answer[0] is not None
        assert len(asked.answer[1]) == 3
        asked.assert_by("pedidos_pkey", "historial_pkey", lookups=2)

    async def test_lo_que_se_escribe(self, escalas: Scales) -> None:
        async def ask(scale: Scale) -> Any:
            repository, one = _repository(scale), scale.uuid7(scale.rows - 10)
            pedido = await repository.leer(scale.connection, one)
            assert pedido is not None
            intent = Transition(pedido, pedido.completar(START), "completar", START)
            moved = await repository.mover(scale.connection, [intent])
            return moved, await repository.reprogramar(scale.connection, intent.despues, START, lease=0)

        asked = await escalas.ask(ask)
        assert asked.answer == ([True], True)
        asked.assert_by("pedidos_pkey", sorts={"pedidos"}, lookups=20)  # the locked one; each index has its new entry


class TestArrendar:
    async def test_lo_que_toca_mirar(self, escalas: Scales) -> None:
        async def ask(scale: Scale) -> Any:
            return await _repository(scale).arrendar(scale.connection, START, START + timedelta(minutes=1), 20)

        asked = await escalas.ask(ask)
        assert len(asked.answer) == 20
        asked.assert_by("ix_pedidos_next_attempt_at", lookups=20)

    async def test_cuando_no_toca_nada(self, escalas: Scales) -> None:
        """As it is asked twice a second."""

        async def ask(scale: Scale) -> Any:
            before = scale.moment(0.5)
            return await _repository(scale).arrendar(scale.connection, before, before, 20)

        asked = await escalas.ask(ask)
        assert asked.answer == []
        asked.assert_by("ix_pedidos_next_attempt_at")


class TestEventos:
    async def test_si_hay_nuevos_y_cual_fue_el_ultimo(self, escalas: Scales) -> None:
        """As it is asked all the time."""

        async def ask(scale: Scale) -> Any:
            hay_nuevos, ultimo = await EventosRepository(scale.database).estado(scale.connection)
            return hay_nuevos, scale.rows - ultimo

        asked = await escalas.ask(ask)
        assert asked.answer == (True, 10)
        asked.assert_by("ix_historial_sin_numero", "ix_historial_numero", lookups=2)

    async def test_si_no_hay_ninguno(self, escalas: Scales) -> None:
        async def ask(scale: Scale) -> Any:
            repository = EventosRepository(scale.database)
            await repository.numerar(scale.connection)
            return (await repository.estado(scale.connection))[0]

        asked = await escalas.ask(ask)
        assert asked.answer is False

    async def test_numerar(self, escalas: Scales) -> None:
        async def ask(scale: Scale) -> Any:
            return await EventosRepository(scale.database).numerar(scale.connection)

        asked = await escalas.ask(ask)
        assert asked.answer == 10
        asked.assert_by("ix_historial_sin_numero", "historial_pkey", "pedidos_pkey", lookups=70)

    @pytest.mark.parametrize("fraction", [0.1, 0.99])
    async def test_los_que_siguen_a_uno(self, escalas: Scales, fraction: float) -> None:
        async def ask(scale: Scale) -> Any:
            desde = int(scale.rows * fraction)
            return await EventosRepository(scale.database).leer(
                scale.connection, desde=desde, hasta=2**63 - 1, cliente_id=None, limite=50
            )

        asked = await escalas.ask(ask)
        assert len(asked.answer) == 50
        asked.assert_by("ix_historial_numero", "pedidos_pkey", lookups=102)  # each and its order

    @pytest.mark.parametrize("fraction", [0, 0.5])
    async def test_los_de_un_cliente_que_siguen_a_uno(self, escalas: Scales, fraction: float) -> None:
        async def ask(scale: Scale) -> Any:
            desde = int(scale.rows * fraction)
            return await EventosRepository(scale.database).leer(
                scale.connection, desde=desde, hasta=scale.rows, cliente_id=ANA, limite=40
            )

        asked = await escalas.ask(ask)
        assert len(asked.answer) == 40
        asked.assert_by("ix_historial_cliente_id", "pedidos_pkey", lookups=41)


class TestPendientes:
    @pytest.mark.parametrize("cliente_ids", [[ANA], ["nadie"], [ANA, "cliente-30", "cliente-50", "nadie"]])
    async def test_los_abiertos_de_unos_clientes(self, escalas: Scales, cliente_ids: list[str]) -> None:
        async def ask(scale: Scale) -> Any:
            return await _repository(scale).pendientes(scale.connection, cliente_ids)

        asked = await escalas.ask(ask)
        assert asked.answer.keys() == set(cliente_ids)
        asked.assert_by("ix_pedidos_abiertos_cliente_id", lookups=len(cliente_ids))


class TestFases:
    async def test_las_abiertas_hasta_cierto_numero(self, escalas: Scales) -> None:
        async def ask(scale: Scale) -> Any:
            return await _repository(scale).fases(scale.connection, 20)

        asked = await escalas.ask(ask)
        assert asked.answer[Fase.RESERVADO] == sum(asked.answer.values()) == 20
        asked.assert_by("ix_pedidos_abiertos", sorts=["pedidos", "abiertos"])  # to group them


class TestClaves:
    async def test_una_por_su_clave(self, escalas: Scales) -> None:
        async def ask(scale: Scale) -> Any:
            keys, number = Keys(idempotency_keys, scale.database, FakeClock()), scale.rows // 2
            key = Key(ISSUER, f"cliente-{100_000 + number // 100}", "POST /pedidos", f"clave-{number}", "f" * 64)
            found = await keys.find(scale.connection, key)
            claimed = await keys.claim(scale.connection, key, now=START, resource_id=None, until=None)
            await keys.settle(scale.connection, key, Answer(201, "{}", {}))
            return found, claimed

        asked = await escalas.ask(ask)
        assert asked.answer[0] is not None
        assert not asked.answer[1]
        asked.assert_by("idempotency_keys_pkey", lookups=5)

    @pytest.mark.parametrize("count", [SWEEP_ROWS, 0])
    async def test_las_viejas_por_su_fecha(self, escalas: Scales, count: int) -> None:
        async def ask(scale: Scale) -> Any:
            clock = FakeClock()
            now = scale.moment(1 if count else 0) + KEPT
            clock.set_wall((now - START).total_seconds())
            return await Keys(idempotency_keys, scale.database, clock).sweep(scale.connection)

        asked = await escalas.ask(ask)
        assert asked.answer == count
        asked.assert_by("ix_idempotency_keys_created_at", "idempotency_keys_pkey", lookups=2 * count + 1)
