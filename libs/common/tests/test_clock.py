from datetime import UTC, datetime, timedelta
from uuid import uuid4

from comanda.common.clock import SystemClock, uuid7_time


class TestSystemClock:
    async def test_tells_the_time(self) -> None:
        clock = SystemClock()
        before = clock.monotonic()
        await clock.sleep(0)
        assert clock.monotonic() >= before
        assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)

    def test_ids_are_ordered_and_carry_their_time(self) -> None:
        clock = SystemClock()
        ids = [clock.new_id() for _ in range(1000)]
        assert ids == sorted(set(ids))
        made = uuid7_time(ids[0])
        assert made is not None
        assert abs(clock.now() - made) < timedelta(seconds=5)

    def test_other_ids_carry_none(self) -> None:
        assert uuid7_time(uuid4()) is None
