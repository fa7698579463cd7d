"""Deliberate faults in the services, each a patch. A simulation that does not notice them would prove nothing.

Each is a way in which a capable programmer could have written it. One that was tried is missing, since it does no harm:
when a failed request ends the lease of whoever holds its key, two requests work on one order at once, and the saga
allows that.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from simulation import mutations_batch as batch
from simulation import mutations_inventario as inventario
from simulation import mutations_pedidos as pedidos
from simulation.accelerate import tidy
from simulation.mutation import Mutation
from simulation.world import Outcome, simulate

MUTATIONS: dict[str, Mutation] = {
    mutation.name: mutation for module in (batch, inventario, pedidos) for mutation in module.MUTATIONS
}

LIKELY: dict[str, int] = {
    "refusal_fails_its_neighbours": 13,
    "answers_crossed": 1,
    "shared_answers_crossed": 12,
    "shared_refusal_for_all": 109,
    "no_tombstone": 18,
    "liberar_deletes_the_row": 15,
    "refusal_not_stored": 6,
    "decided_on_a_stale_read": 7,
    "each_decided_on_the_first_state": 0,
    "confirmar_not_idempotent": 1,
    "repeated_confirmar_refused": 1,
    "repeated_reservar_holds_again": 6,
    "some_lines_are_held": 0,
    "ajuste_ignores_fisico_esperado": 7,
    "movement_key_ignored": 0,
    "salida_takes_what_is_reserved": 2,
    "nothing_available": 0,
    "refusals_forgotten_at_once": 0,
    "old_ids_accepted": 46,
    "nothing_is_forgotten": 8,
    "intent_after_the_call": 1,
    "transition_without_compare": 58,
    "lease_without_fencing": 68,
    "key_in_its_own_transaction": 0,
    "order_after_its_key": 0,
    "key_claimed_twice_in_a_batch": 1,
    "answer_not_stored": 0,
    "lost_cas_answered_201": 0,
    "verdict_without_transition": 40,
    "silence_taken_for_refusal": 0,
    "expiry_by_the_clock_of_pedidos": 0,
    "abandoned_without_liberar": 1,
    "cancelled_before_liberar": 15,
    "recovery_gives_up": 1,
    "cancelar_while_completing": 4,
    "completar_always_refused": 0,
    "cancelar_records_nothing": 0,
    "any_200_confirms": 18,
    "caps_not_checked": 7,
    "key_of_any_body": 2,
    "keys_swept_too_early": 8,
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
    """The run in which it does the harm that it is expected to do; None: there is none among so many."""
    likely = [] if from_zero or mutation.name not in LIKELY else [LIKELY[mutation.name]]
    with applied(mutation):
        for seed in [*likely, *range(LIMIT)]:
            outcome = simulate(seed)
            tidy()
            if any(kind(violation) in mutation.noticed_by for violation in outcome.violations):
                return outcome
    return None


def kind(violation: str) -> str:
    """The number of an invariant, a status, or a word."""
    return violation.partition(":")[0]
