"""Deliberate faults in group commit."""

from collections.abc import Sequence
from typing import Any

from comanda.common.batch import Batch
from comanda.common.problems import Problem
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
