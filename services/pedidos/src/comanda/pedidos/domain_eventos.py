"""What is told of an order, live."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from comanda.common.problems import Problem
from comanda.pedidos.domain import Estado, Fase, estado_de


class DemasiadosFlujos(Problem):
    """The user has as many streams of events open as one may; close another, or try again after `Retry-After`."""

    status, slug, title = 429, "demasiados-flujos", "Demasiadas conexiones de eventos abiertas"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evento:
    """A transition, and the order as it stood after it.

    Args:
        motivo_final, reserva_expira_en_final: as the order has them now. Each is written once and stays, so whether it
            had them at that moment follows from the phase.
    """

    numero: int
    pedido_id: UUID
    cliente_id: str
    en: datetime
    de: Fase | None
    a: Fase
    causa: str
    total_centimos: int
    moneda: str
    motivo_final: str | None
    reserva_expira_en_final: datetime | None

    @property
    def estado(self) -> Estado:
        return estado_de(self.a)

    @property
    def motivo(self) -> str | None:
        return self.motivo_final if self.a in (Fase.CANCELANDO, Fase.CANCELADO) else None

    @property
    def reserva_expira_en(self) -> datetime | None:
        return None if self.a is Fase.SOLICITADO else self.reserva_expira_en_final
