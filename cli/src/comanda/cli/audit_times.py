"""Invariant 8: nothing that ought to move on by itself stands still for too long."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

from comanda.cli.audit import Document, Violation, state_of

if TYPE_CHECKING:
    from comanda.common.settings import ServiceSettings
    from comanda.inventario.settings import Settings as OfInventario
    from comanda.pedidos.settings import Settings as OfPedidos

MOVING = ("SOLICITADO", "COMPLETANDO", "CANCELANDO")
SWEEPER_SECONDS = 60
"""What inventario's sweeper may need to catch up: it closes reservations page after page, without a pause."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long things may take while all services are up, as the settings have it.

    Args:
        order: the longest that an order may stand in a moving phase, or RESERVADO with an EXPIRADA reservation.
        reservation: the longest that a reservation may still be ACTIVA after its end.
        round: within this time recovery tries at least once to move an order on.
    """

    order: timedelta
    reservation: timedelta
    round: timedelta

    @classmethod
    def of(cls, settings: Mapping[str, "ServiceSettings"]) -> "Limits":
        """From the settings of pedidos and of inventario."""
        pedidos = cast("OfPedidos", settings["pedidos"])
        inventario = cast("OfInventario", settings["inventario"])
        order = (
            pedidos.abandon_seconds
            + pedidos.breaker_timeout_seconds
            + pedidos.recovery_backoff_seconds
            + inventario.reserva_ttl_seconds
        )
        round_ = pedidos.recovery_backoff_seconds + pedidos.recovery_seconds + pedidos.lease_seconds
        reservation = SWEEPER_SECONDS + inventario.sweep_seconds
        return cls(timedelta(seconds=order), timedelta(seconds=reservation), timedelta(seconds=round_))


def check_times(
    pedido: Document | None, reserva: Document | None, limits: Limits, now: Mapping[str, datetime]
) -> list[Violation]:
    """Invariant 8 on an order and its reservation.

    Args:
        now: by the clocks of `pedidos` and `inventario`: each judges only what it wrote itself.
    """
    violations = []
    if pedido and (since := _since(pedido, reserva)) and since < now["pedidos"] - limits.order:
        standing = f"{pedido['estado']}/{pedido['fase']}"
        expected = f"otra fase a los {limits.order.total_seconds():g} s"
        found = f"{pedido['fase']} desde {_wire(since)}"
        violations.append(Violation(8, "pedido", str(pedido["id"]), expected, found, standing))
    if reserva and reserva["estado"] == "ACTIVA":
        end = reserva["expira_en"]
        if end is None or _moment(end) < now["inventario"] - limits.reservation:
            expected = f"que expire a los {limits.reservation.total_seconds():g} s de su fin" if end else "un fin"
            found = f"ACTIVA, con fin en {end}" if end else "ninguno"
            violations.append(Violation(8, "reserva", str(reserva["pedido_id"]), expected, found, "ACTIVA"))
    return violations


def _since(pedido: Document, reserva: Document | None) -> datetime | None:
    """Since when pedidos ought to be moving this order on; None while it need not."""
    if pedido["fase"] in MOVING:
        return _moment(pedido["actualizado_en"])
    if pedido["fase"] == "RESERVADO" and state_of(reserva) == "EXPIRADA" and pedido["reserva_expira_en"]:
        return _moment(pedido["reserva_expira_en"])
    return None


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _wire(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
