"""What was asked in the last minute, and that it is forgotten."""

import pytest

from comanda.common.window import BOUNDS, MOST_ROUTES, OTHERS, SECONDS, Figures, Window
from comanda.testing import FakeClock

NOTHING = Figures(0.0, 0.0, 0.0, None, None, None)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def window(clock: FakeClock) -> Window:
    return Window(clock)


def ask(window: Window, clock: FakeClock, *seconds: float, status: int = 200, route: str = "/cosas") -> None:
    for one in seconds:
        window.record("GET", route, status, one, clock.monotonic())


class TestRates:
    def test_nothing_was_asked(self, window: Window) -> None:
        assert window.figures() == (NOTHING, {})

    def test_since_the_start_as_long_as_that_is_less_than_the_window(self, window: Window, clock: FakeClock) -> None:
        clock.advance(10)
        ask(window, clock, *[0.01] * 30)
        assert window.figures()[0].per_second == 3

    def test_in_the_first_second(self, window: Window, clock: FakeClock) -> None:
        ask(window, clock, 0.01, 0.01)
        assert window.figures()[0].per_second == 2

    def test_of_a_whole_window(self, window: Window, clock: FakeClock) -> None:
        for _ in range(200):
            clock.advance(1)
            ask(window, clock, 0.01, 0.01)
        clock.advance(0.999)
        assert window.figures()[0].per_second == pytest.approx(2, abs=0.001)

    def test_what_failed_and_what_was_done(self, window: Window, clock: FakeClock) -> None:
        for status in (200, 201, 304, 404, 429, 499, 500, 503):
            ask(window, clock, 0.01, status=status)
        figures, _ = window.figures()
        assert (figures.per_second, figures.done_per_second, figures.errors_per_second) == (8, 3, 2)

    def test_the_window_empties(self, window: Window, clock: FakeClock) -> None:
        clock.advance(100)
        ask(window, clock, 0.01)
        clock.advance(SECONDS - 1)
        assert window.figures()[1].keys() == {("GET", "/cosas")}
        clock.advance(1)
        assert window.figures() == (NOTHING, {})


class TestTimes:
    @pytest.mark.parametrize("seconds", [0.0003, 0.001, 0.0042, 0.03, 0.5, 2.9, 30])
    def test_are_right_to_a_bucket(self, window: Window, clock: FakeClock, seconds: float) -> None:
        ask(window, clock, *[seconds] * 100)
        figures, _ = window.figures()
        for percentile in (figures.p50, figures.p95, figures.p99):
            assert percentile == pytest.approx(seconds * 1000, rel=0.3)

    def test_by_their_share(self, window: Window, clock: FakeClock) -> None:
        ask(window, clock, *[0.002] * 94, *[0.2] * 4, *[3.0] * 2)
        figures, _ = window.figures()
        assert (figures.p50, figures.p95, figures.p99) == (
            pytest.approx(2, rel=0.3),
            pytest.approx(200, rel=0.3),
            pytest.approx(3000, rel=0.3),
        )

    @pytest.mark.parametrize(("seconds", "expected"), [(0, 0.125), (3600, BOUNDS[-1] * 1000)])
    def test_beyond_all_buckets(self, window: Window, clock: FakeClock, seconds: float, expected: float) -> None:
        ask(window, clock, seconds)
        assert window.figures()[0].p50 == pytest.approx(expected, abs=0.01)


class TestRoutes:
    def test_each_has_its_own_the_busiest_first(self, window: Window, clock: FakeClock) -> None:
        ask(window, clock, 0.01, route="/a")
        clock.advance(1)
        ask(window, clock, 0.02, 0.02, route="/b", status=500)
        _, routes = window.figures()
        assert list(routes) == [("GET", "/b"), ("GET", "/a")]
        assert (routes["GET", "/b"].errors_per_second, routes["GET", "/a"].errors_per_second) == (2, 0)

    def test_nobody_fills_the_memory(self, window: Window, clock: FakeClock) -> None:
        for second in range(200):
            clock.advance(1)
            for n in range(MOST_ROUTES + 50):
                window.record(f"M{second}-{n}", "-", 405, 0.01, clock.monotonic())
        kept = [key for routes in window._seconds.values() for key in routes]
        assert len(window._seconds) == SECONDS
        assert len(kept) == SECONDS * (MOST_ROUTES + 1)
        everything, routes = window.figures()
        assert len(routes) == MOST_ROUTES
        assert next(iter(routes)) == OTHERS
        assert everything.per_second == pytest.approx(150, rel=0.02)
