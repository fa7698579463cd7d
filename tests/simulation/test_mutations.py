"""The simulation notices what it is there to notice."""

import pytest

from simulation.mutations import LIMIT, MUTATIONS, first_to_notice
from simulation.world import simulate


@pytest.mark.parametrize("name", MUTATIONS)
def test_noticed(name: str) -> None:
    outcome = first_to_notice(MUTATIONS[name])
    assert outcome is not None, f"{LIMIT} runs do not notice it"
    assert simulate(outcome.seed).violations == []  # without the fault there is nothing to notice


def test_there_are_enough() -> None:
    assert len(MUTATIONS) >= 12
