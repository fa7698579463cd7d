"""Group commit: who shares a transaction, and what becomes of each when something goes wrong."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from comanda.common.batch import Batch
from comanda.common.database import DatabaseUnavailable, RolledBack
from comanda.common.problems import NoEncontrado, Problem, ServicioSaturado


class Poisoned(Exception):
    pass


class Transactions:
    """Serves numbers: doubles even ones, refuses odd ones, breaks on what is poisoned. Waits while it is held."""

    def __init__(self) -> None:
        self.begun: list[list[int]] = []
        self.committed: list[int] = []
        self.poison: set[int] = set()
        self.away = False
        self.deadlocks = 0
        self.open = asyncio.Event()
        self.open.set()

    async def serve(self, numbers: Sequence[int]) -> list[int | Problem]:
        self.begun.append(list(numbers))
        await self.open.wait()
        if self.away:
            raise DatabaseUnavailable("away")
        if self.deadlocks:
            self.deadlocks -= 1
            raise RolledBack("40P01")
        if self.poison & set(numbers):
            raise Poisoned(numbers)
        self.committed += numbers
        return [NoEncontrado() if number % 2 else 2 * number for number in numbers]


@pytest.fixture
def transactions() -> Transactions:
    return Transactions()


async def together(batch: Batch[int, int], *numbers: int) -> list[Any]:
    return await asyncio.gather(*(batch.submit(number) for number in numbers), return_exceptions=True)


async def behind(batch: Batch[int, int], transactions: Transactions, *numbers: int) -> list[asyncio.Task[int]]:
    """Those numbers, waiting behind a transaction that does not end yet."""
    transactions.open.clear()
    first = asyncio.create_task(batch.submit(0))
    while not transactions.begun:  # noqa: ASYNC110  # a few turns of the loop
        await asyncio.sleep(0)
    waiting = [asyncio.create_task(batch.submit(number)) for number in numbers]
    await asyncio.sleep(0)
    return [first, *waiting]


class TestGrouping:
    async def test_one_alone_is_served_at_once(self, transactions: Transactions) -> None:
        batch = Batch("t", transactions.serve)
        assert await batch.submit(4) == 8
        assert transactions.begun == [[4]]

    async def test_what_comes_meanwhile_shares_the_next_one_in_order(self, transactions: Transactions) -> None:
        batch = Batch("t", transactions.serve)
        tasks = await behind(batch, transactions, 8, 2, 6)
        transactions.open.set()
        assert await asyncio.gather(*tasks) == [0, 16, 4, 12]
        assert transactions.begun == [[0], [8, 2, 6]]

    async def test_never_more_than_the_most(self, transactions: Transactions) -> None:
        batch = Batch("t", transactions.serve, most=2)
        await together(batch, 0, 2, 4, 6, 8)
        assert transactions.begun == [[0, 2], [4, 6], [8]]

    async def test_never_heavier_than_the_capacity(self, transactions: Transactions) -> None:
        batch = Batch("t", transactions.serve, weigh=lambda number: number, capacity=10)
        await together(batch, 4, 6, 2, 30, 8)
        assert transactions.begun == [[4, 6], [2], [30], [8]]

    async def test_who_has_left_weighs_nothing(self, transactions: Transactions) -> None:
        batch = Batch("t", transactions.serve, weigh=lambda number: number, capacity=10)
        _, _, leaves, _ = tasks = await behind(batch, transactions, 4, 8, 6)
        leaves.cancel()
        await asyncio.sleep(0)
        transactions.open.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert transactions.begun == [[0], [4, 6]]

    async def test_beside_others_the_next_one_waits_for_no_full_one(self, transactions: Transactions) -> None:
        batch = Batch("t", transactions.serve, most=2, overlap_seconds=10)
        transactions.open.clear()
        tasks = [asyncio.create_task(batch.submit(number)) for number in range(0, 10, 2)]
        for _ in range(10):
            await asyncio.sleep(0)
        assert transactions.begun == [[0, 2], [4, 6], [8]]
        late = asyncio.create_task(batch.submit(10))
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(transactions.begun) == 3
        transactions.open.set()
        assert await asyncio.gather(*tasks, late) == [0, 4, 8, 12, 16, 20]

    async def test_switched_off_each_has_its_own_beside_the_others(self, transactions: Transactions) -> None:
        batch = Batch("t", transactions.serve, most=1)
        tasks = await behind(batch, transactions, 2, 4)
        assert transactions.begun == [[0], [2], [4]]
        transactions.open.set()
        assert await asyncio.gather(*tasks) == [0, 4, 8]
        with pytest.raises(NoEncontrado):
            await batch.submit(1)

    async def test_switched_off_those_of_one_caller_go_one_after_the_other(self, transactions: Transactions) -> None:
        batch = Batch("t", transactions.serve, most=1)
        transactions.poison = {6}
        transactions.open.clear()
        task = asyncio.create_task(batch.submit_all([4, 1, 6, 2]))
        for _ in range(10):
            await asyncio.sleep(0)
        assert transactions.begun == [[4]]
        transactions.open.set()
        four, refused, broken, two = await task
        assert (four, type(refused), type(broken), two) == (8, NoEncontrado, Poisoned, 4)
        assert transactions.begun == [[4], [1], [6], [2]]

    async def test_idle_again_and_busy_again(self, transactions: Transactions) -> None:
        batch = Batch("t", transactions.serve)
        for _ in range(3):
            assert await together(batch, 2, 4) == [4, 8]
            await asyncio.sleep(0)
        assert transactions.begun == [[2, 4]] * 3


class TestRefusals:
    async def test_one_refused_fails_nobody_else(self, transactions: Transactions) -> None:
        two, one, four = await together(Batch("t", transactions.serve), 2, 1, 4)
        assert (two, four) == (4, 8)
        assert isinstance(one, NoEncontrado)
        assert transactions.begun == [[2, 1, 4]]

    async def test_a_poisoned_one_ends_alone(self, transactions: Transactions) -> None:
        transactions.poison = {10}
        outcomes = await together(Batch("t", transactions.serve), *range(0, 16, 2))
        assert [str(outcome) for outcome in outcomes] == ["0", "4", "8", "12", "16", "[10]", "24", "28"]
        assert transactions.committed == [0, 2, 4, 6, 8, 12, 14]

    async def test_without_database_nobody_is_tried_again(self, transactions: Transactions) -> None:
        """The transaction may have been committed: only its callers can find out."""
        transactions.away = True
        batch = Batch("t", transactions.serve)
        outcomes = await together(batch, 2, 4)
        assert [type(outcome) for outcome in outcomes] == [DatabaseUnavailable, DatabaseUnavailable]
        assert transactions.begun == [[2, 4]]
        transactions.away = False
        assert await batch.submit(2) == 4

    async def test_a_deadlock_is_tried_again(self, transactions: Transactions) -> None:
        """It was rolled back for certain, and everybody else can still be served."""
        transactions.deadlocks = 1
        assert await together(Batch("t", transactions.serve), 2, 4) == [4, 8]
        assert transactions.begun == [[2, 4], [2], [4]]

    async def test_each_hears_of_the_fault_with_its_cause(self, transactions: Transactions) -> None:
        transactions.away = True
        one, other = await together(Batch("t", transactions.serve), 2, 4)
        assert one is not other
        assert one.__cause__ is other.__cause__
        assert one.__cause__.__traceback__ is not None

    async def test_who_has_waited_for_long_is_refused(
        self, transactions: Transactions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("comanda.common.batch.PATIENCE_SECONDS", 0.01)
        first, second = await behind(Batch("t", transactions.serve), transactions, 2)
        await asyncio.sleep(0.02)
        transactions.open.set()
        assert await first == 0
        with pytest.raises(ServicioSaturado) as refusal:
            await second
        assert refusal.value.headers == {"Retry-After": "1"}
        assert transactions.committed == [0]


class TestCallersWhoLeave:
    async def test_still_queued_is_dropped(self, transactions: Transactions) -> None:
        batch = Batch("t", transactions.serve)
        first, leaves, stays = await behind(batch, transactions, 2, 4)
        leaves.cancel()
        await asyncio.sleep(0)
        transactions.open.set()
        assert await asyncio.gather(first, stays) == [0, 8]
        assert transactions.committed == [0, 4]

    async def test_already_taken_is_carried_out_before_the_caller_leaves(self, transactions: Transactions) -> None:
        batch = Batch("t", transactions.serve)
        first, follows = await behind(batch, transactions, 2)
        first.cancel()
        for _ in range(3):
            await asyncio.sleep(0)
        assert not first.done()
        transactions.open.set()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert transactions.committed[0] == 0
        assert await follows == 4

    async def test_the_end_of_the_loop_leaves_nobody_waiting(self, transactions: Transactions) -> None:
        batch = Batch("t", transactions.serve)
        tasks = await behind(batch, transactions, 2, 4)
        assert batch._worker is not None
        batch._worker.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 3

    async def test_nor_does_its_end_amid_the_halves(self) -> None:
        alone = asyncio.Event()

        async def stands_still(numbers: Sequence[int]) -> list[int | Problem]:
            if len(numbers) > 1:
                raise Poisoned
            alone.set()
            await asyncio.Event().wait()
            return []

        batch = Batch("t", stands_still)
        tasks = [asyncio.create_task(batch.submit(number)) for number in range(5)]
        await alone.wait()
        assert batch._worker is not None
        batch._worker.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 5

    async def test_nor_does_its_end_before_it_began(self, transactions: Transactions) -> None:
        batch = Batch("t", transactions.serve)
        first = asyncio.create_task(batch.submit(2))
        await asyncio.sleep(0)
        assert batch._worker is not None
        batch._worker.cancel()
        second = asyncio.create_task(batch.submit(4))
        outcomes = await asyncio.gather(first, second, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 2
        assert await batch.submit(6) == 12

    async def test_nor_does_the_end_of_a_group_beside_others_before_it_began(self, transactions: Transactions) -> None:
        batch = Batch("t", transactions.serve, overlap_seconds=10)
        tasks = [asyncio.create_task(batch.submit(number)) for number in (2, 4)]
        while not batch._turns:  # noqa: ASYNC110  # a few turns of the loop
            await asyncio.sleep(0)
        [turn] = batch._turns
        turn.cancel()
        async with asyncio.timeout(1):
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 2
        assert transactions.begun == []

    async def test_a_mistake_of_ours_leaves_nobody_waiting(self) -> None:
        async def forgets_one(numbers: Sequence[int]) -> list[int | Problem]:
            return list(numbers)[1:]

        one, other = await together(Batch("t", forgets_one), 2, 4)
        assert {type(one), type(other)} <= {int, ValueError}
        assert ValueError in (type(one), type(other))
