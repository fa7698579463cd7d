"""What the client who places an order is answered, for each verdict of inventario."""

from typing import Protocol

from comanda.common.idempotency import Answer
from comanda.common.problems import Problem
from comanda.pedidos.domain import (
    ExistenciasInsuficientes,
    Fase,
    Insuficientes,
    Pedido,
    PedidoCancelado,
    Veredicto,
)


class Render(Protocol):
    """How the outcomes of placing an order look on the wire."""

    def placed(self, pedido: Pedido) -> Answer: ...
    def refused(self, problem: Problem) -> Answer: ...


def answer_to(pedido: Pedido, veredicto: Veredicto, render: Render) -> Answer:
    """The answer that is bound to the order's key: placed, short of stock, or cancelled meanwhile."""
    if isinstance(veredicto, Insuficientes):
        return render.refused(ExistenciasInsuficientes(faltantes=veredicto.faltantes, pedido_id=str(pedido.id)))
    if pedido.fase is Fase.CANCELADO:
        return render.refused(PedidoCancelado(pedido))
    return render.placed(pedido)
