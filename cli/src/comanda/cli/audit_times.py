"""Invariant 8: nothing that ought to move on by itself stands still for too long.

After an outage much looks as if it stood still: it only waits for its turn. `pending` says how long that may take.
"""

from collections.abc import Iterable, Mapping
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

RESUMABLE = timedelta(hours=49)
"""How long after an order was placed a client can still resume it: keys are swept after 48 hours, and the sweep may be
late."""

NO_TIME = timedelta()


@dataclass(frozen=True, slots=True)
class Limits:
    """How long things may take while all services are up, as the settings have it.

    Args:
        order: the longest that an order may stand in a moving phase, or RESERVADO with an EXPIRADA reservation.
        reservation: the longest that a reservation may still be ACTIVA after its end.
        round: within this time after all are up again, recovery has tried to move each order on and could.
        abandon: how long a SOLICITADO order is left to its client, from each of the client's tries on.
    """

    order: timedelta
    reservation: timedelta
    round: timedelta
    abandon: timedelta

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
        # The circuit may have opened a moment before. When it is about to probe, each order may have been refused and
        # wait for its next try; and only one order probes, so that the others are refused and wait once more.
        round_ = (
            pedidos.breaker_timeout_seconds
            + 2 * pedidos.recovery_backoff_seconds
            + pedidos.recovery_seconds
            + pedidos.lease_seconds
        )
        reservation = SWEEPER_SECONDS + inventario.sweep_seconds
        return cls(*(timedelta(seconds=each) for each in (order, reservation, round_, pedidos.abandon_seconds)))


@dataclass(frozen=True, slots=True)
class Pending:
    """What may yet go by itself of what looks wrong.

    Args:
        within: it has gone this long after all services are up, or it never will; zero: nothing moves it.
        by_recovery: whether it needs pedidos to reach inventario.
    """

    within: timedelta
    by_recovery: bool


def check_times(
    pedido: Document | None, reserva: Document | None, limits: Limits, now: Mapping[str, datetime]
) -> list[Violation]:
    """Invariant 8 on an order and its reservation.

    Args:
        now: by the clocks of `pedidos` and `inventario`: that of whoever ought to act. pedidos acts by its own clock
            even where the moment was set by inventario's (`reserva_expira_en`).
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


def pending(
    found: Iterable[Violation],
    pedido: Document | None,
    reserva: Document | None,
    limits: Limits,
    now: Mapping[str, datetime],
) -> Pending:
    """How long what was found on an order and its reservation may take to go by itself.

    Args:
        now: as `check_times` has it.
    """
    recovery = sweep = NO_TIME
    for violation in found:
        if violation.kind == "pedido" and pedido:
            recovery = max(recovery, _recovery(violation.invariant, pedido, reserva, limits, now["pedidos"]))
        elif violation.invariant == 8 and reserva and reserva["expira_en"]:
            sweep = limits.reservation
    return Pending(max(recovery, sweep), recovery > NO_TIME)


def _recovery(invariant: int, pedido: Document, reserva: Document | None, limits: Limits, now: datetime) -> timedelta:
    """Within what time recovery mends that; zero: it does not."""
    if invariant == 8 and pedido["fase"] == "SOLICITADO" and now < _moment(pedido["actualizado_en"]) + RESUMABLE:
        # As old as its last change: SOLICITADO is the first phase. Each try of its client puts abandonment off, and
        # nothing that can be read tells of it. While inventario was away the client may have tried until the circuit
        # closed.
        return limits.round + limits.abandon
    if invariant == 8 and pedido["fase"] == "RESERVADO":
        return limits.round + limits.reservation  # only once inventario's sweeper has come to it
    if invariant == 8:
        return limits.round
    if invariant == 6 and reserva is None and (end := pedido["reserva_expira_en"]) and _moment(end) < now:
        return limits.round  # pedidos was away for so long that inventario has forgotten the reservation
    return NO_TIME


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
