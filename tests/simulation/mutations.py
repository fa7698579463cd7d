"""Deliberate faults in the services, each a patch. A simulation that does not notice them would prove nothing.

Each is a way in which a capable programmer could have written it. One that was tried is missing, since it does no harm:
when a failed request ends the lease of whoever holds its key, two requests work on one order at once, and the saga
allows that.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from simulation import mutations_inventario as inventario
from simulation import mutations_pedidos as pedidos
from simulation.accelerate import tidy
from simulation.mutation import Mutation
from simulation.world import Outcome, simulate

MUTATIONS: dict[str, Mutation] = {
    mutation.name: mutation for module in (inventario, pedidos) for mutation in module.MUTATIONS
}

LIKELY: dict[str, int] = {
    "liberar_deletes_the_row": 0,
    "no_tombstone": 12,
    "decided_on_a_stale_read": 0,
    "confirmar_not_idempotent": 0,
    "repeated_confirmar_refused": 0,
    "repeated_reservar_holds_again": 0,
    "refusal_not_stored": 17,
    "some_lines_are_held": 2,
    "ajuste_ignores_fisico_esperado": 4,
    "movement_key_ignored": 0,
    "intent_after_the_call": 2,
    "salida_takes_what_is_reserved": 2,
    "transition_without_compare": 0,
    "order_after_its_key": 2,
    "key_in_its_own_transaction": 3,
    "lost_cas_answered_201": 0,
    "answer_not_stored": 0,
    "silence_taken_for_refusal": 0,
    "expiry_by_the_clock_of_pedidos": 0,
    "verdict_without_transition": 3,
    "abandoned_without_liberar": 0,
    "recovery_gives_up": 0,
    "cancelled_before_liberar": 17,
    "cancelar_while_completing": 46,
}
"""A seed that noticed it when this was written: tried first, to save time. A change of the services moves them; then
the search begins at 0. `python -m simulation --mutations` tells the new ones."""

LIMIT = 500
"""A mutation that so many runs do not notice counts as not noticed."""


@contextmanager
def applied(mutation: Mutation) -> Iterator[None]:
    with patch.object(mutation.owner, mutation.attribute, mutation.replacement):
        yield


def first_to_notice(mutation: Mutation, *, from_zero: bool = False) -> Outcome | None:
    """The run that ends with a violation; None: there is none among so many."""
    likely = [] if from_zero or mutation.name not in LIKELY else [LIKELY[mutation.name]]
    with applied(mutation):
        for seed in [*likely, *range(LIMIT)]:
            outcome = simulate(seed)
            tidy()
            if outcome.violations:
                return outcome
    return None
