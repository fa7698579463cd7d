"""How much load retries may add to a neighbour that fails."""

import asyncio

import pytest
from circuits import FakeClock, Neighbour, away, fail, make_circuit

from comanda.common.resilience import RetriesSpent
from comanda.common.retry_budget import WINDOW_SECONDS, RetryBudget


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def budget(clock: FakeClock) -> RetryBudget:
    return RetryBudget("n", percent=20, reserve=6, clock=clock)


class TestRetryBudget:
    def test_a_fifth_of_the_calls(self, budget: RetryBudget) -> None:
        for _ in range(1000):
            budget.count()
        assert [budget.grant(50) is not None for _ in range(5)] == [True] * 4 + [False]

    def test_few_calls_have_the_reserve(self, budget: RetryBudget) -> None:
        budget.count()
        assert [budget.grant(3) is not None for _ in range(3)] == [True, True, False]

    def test_a_round_is_granted_as_a_whole(self, budget: RetryBudget) -> None:
        budget.count()
        assert budget.grant(4) is not None
        assert budget.grant(4) is None
        assert budget.grant(2) is not None

    def test_what_is_not_needed_goes_to_others(self, budget: RetryBudget) -> None:
        budget.count()
        window = budget.grant(6)
        assert window is not None
        assert budget.grant(1) is None
        budget.give_back(5, window)
        assert budget.grant(5) is not None
        assert budget.grant(1) is None

    def test_another_window_begins_anew(self, budget: RetryBudget, clock: FakeClock) -> None:
        budget.count()
        old = budget.grant(6)
        assert old is not None
        clock.advance(WINDOW_SECONDS)
        budget.count()
        assert budget.grant(6) is not None
        budget.give_back(6, old)
        assert budget.grant(1) is None


class Standing(FakeClock):
    """Who sleeps does so beside all others, not one after the other."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class TestCircuit:
    async def test_a_dead_neighbour_under_load(self) -> None:
        """All at once, so that the circuit, which ends it all after five rounds, cannot help."""
        circuit = make_circuit(Standing(), fail_max=20)
        calls, tries = 800, 0

        async def attempt() -> None:
            nonlocal tries
            tries += 1
            raise away()

        outcomes = await asyncio.gather(*(circuit.call(attempt) for _ in range(calls)), return_exceptions=True)
        assert calls < tries <= 1.2 * calls
        assert any(isinstance(outcome, RetriesSpent) for outcome in outcomes)

    async def test_opens_all_the_same(self) -> None:
        circuit = make_circuit(Standing())
        neighbour = Neighbour(away())
        await asyncio.gather(*(circuit.call(neighbour) for _ in range(100)), return_exceptions=True)
        assert circuit.state == "ABIERTO"
        assert neighbour.tries <= 100 + 30

    async def test_a_call_without_retries_is_no_verdict(self, clock: FakeClock) -> None:
        circuit = make_circuit(clock, retry_budget_percent=0, fail_max=2, retry_wait_seconds=0)
        await circuit.call(Neighbour(away(), "hecho"))  # gives two of its three retries back
        for _ in range(3):
            await circuit.call(Neighbour(away(), away(), away(), "hecho"))
        assert circuit.snapshot().fallos == 0
        neighbour = Neighbour(away())
        with pytest.raises(RetriesSpent):
            await circuit.call(neighbour)
        assert neighbour.tries == 1
        assert circuit.snapshot().fallos == 0

    async def test_a_probe_needs_no_budget(self, clock: FakeClock) -> None:
        circuit = make_circuit(clock, timeout_seconds=1, retry_wait_seconds=0, fail_max=1, retry_budget_percent=0)
        await fail(circuit, 1)
        for _ in range(5):
            clock.advance(1)
            probe = Neighbour(away(), away(), away(), away())
            with pytest.raises(type(away())):
                await circuit.call(probe)
            assert probe.tries == 4
