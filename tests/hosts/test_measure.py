"""The arithmetic of the table that `make hosts` prints."""

from hosts.measure import HEAD, Cost, Ending, Record, Span, costs, longest_silence, table

SPAN = Span("a host dies", 100, 110)


def accepted(*moments: float) -> list[Ending]:
    return [Ending(moment, accepted=True) for moment in moments]


class TestLongestSilence:
    def test_between_two_orders(self) -> None:
        assert longest_silence(SPAN, accepted(101, 102, 106, 108)) == 4

    def test_from_the_fault_to_the_first_order_and_from_the_last_to_the_end(self) -> None:
        assert longest_silence(SPAN, accepted(99, 105.5, 111)) == 5.5
        assert longest_silence(SPAN, accepted(101, 102)) == 8

    def test_a_refusal_breaks_no_silence(self) -> None:
        assert longest_silence(SPAN, [Ending(105, accepted=False)]) == 10


class TestTable:
    def test_counts_what_ended_within_the_fault(self) -> None:
        endings = [*accepted(99, 102, 108), Ending(103, accepted=False), Ending(200, accepted=False)]
        assert costs(Record(endings, [SPAN])) == [Cost("a host dies", 6, 2, 1, 0)]

    def test_a_row_for_each_fault_over_all_rounds(self) -> None:
        rounds = [
            Record(accepted(101, 104, 109), [SPAN]),
            Record(accepted(101, 109), [SPAN], lost=1),
            Record(accepted(102, 104, 106), [SPAN]),
        ]
        assert table(rounds) == [*HEAD, "| a host dies | 3 | 5.0 (8.0) | 8 | 0 | 1 |"]

    def test_no_round(self) -> None:
        assert table([]) == list(HEAD)
