"""Deliberate faults in group commit."""

from collections.abc import Sequence
from typing import Any

from comanda.common.batch import Batch
from comanda.common.calls import SharedCalls
from comanda.common.problems import Problem
from comanda.pedidos.clients import InventarioHttp
from simulation.mutation import Mutations

MUTATIONS = Mutations()

_carry_out = Batch._carry_out


def _altered(alter: Any) -> Any:
    async def carry_out(self: Batch[Any, Any], group: Sequence[Any]) -> None:
        serve = self._serve

        async def altered(requests: Sequence[Any]) -> Sequence[Any]:
            return alter(await serve(requests))  # type: ignore[no-any-return]

        self._serve = altered
        try:
            await _carry_out(self, group)
        finally:
            self._serve = serve

    return carry_out


@MUTATIONS.of(Batch, "_carry_out", "9", "refusal", "answer")
async def refusal_fails_its_neighbours(self: Batch[Any, Any], group: Sequence[Any]) -> None:
    """Whoever shares a transaction with a refused request is told the same."""

    def alter(outcomes: Sequence[Any]) -> Sequence[Any]:
        refusal = next((outcome for outcome in outcomes if isinstance(outcome, Problem)), None)
        return outcomes if refusal is None else [refusal] * len(outcomes)

    await _altered(alter)(self, group)


@MUTATIONS.of(Batch, "_carry_out", "9", "refusal", "answer", "500")
async def answers_crossed(self: Batch[Any, Any], group: Sequence[Any]) -> None:
    """The answers of a batch come in another order than its requests."""
    await _altered(lambda outcomes: list(reversed(outcomes)))(self, group)


_send_together = InventarioHttp._send_together


@MUTATIONS.of(InventarioHttp, "_send_together", "4", "5", "6", "answer")
async def shared_answers_crossed(self: InventarioHttp, operaciones: Sequence[Any]) -> Sequence[Any]:
    """The answers of a call that carries several orders are given to others of them."""
    return list(reversed(await _send_together(self, operaciones)))


_alone = SharedCalls._send_alone


@MUTATIONS.of(SharedCalls, "_send", "9", "refusal", "answer")
async def shared_refusal_for_all(self: SharedCalls[Any, Any], asked: Sequence[Any]) -> Sequence[Any]:
    """Only the first of those who come at once is asked for; the others are told the same."""
    return [await _alone(self, asked[0])] * len(asked)
