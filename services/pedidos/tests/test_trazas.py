"""The spans of what moves orders on in the background: each links to the trace of its order."""

from typing import Any

from pedidos_world import vencido

from comanda.pedidos.domain import Fase
from comanda.testing.collector import recording


async def test_recuperar(mundo: Any) -> None:
    pedido = await vencido(mundo, Fase.SOLICITADO)
    with recording("pedidos") as exported:
        assert await mundo.recuperar() == 1
        spans = {span.name: span for span in exported()}
    own = (pedido.id.hex, pedido.id.hex[16:])
    whole, step = spans["recuperar"], spans["saga CANCELANDO"]
    assert (whole.parent, whole.links) == ("", [own])
    assert (step.trace, step.parent, step.links) == (whole.trace, whole.id, [own])
    assert whole.attributes["comanda.pedido.id"] == str(pedido.id)
    assert {span.trace for span in spans.values()} == {whole.trace}


async def test_preguntar_por_las_que_vencieron(mundo: Any) -> None:
    pedidos = [await vencido(mundo, Fase.RESERVADO) for _ in range(2)]
    with recording("pedidos") as exported:
        assert await mundo.recuperar() == 2
        [asked] = [span for span in exported() if span.name == "preguntar"]
    assert {trace for trace, _ in asked.links} == {pedido.id.hex for pedido in pedidos}
    assert asked.parent == ""
