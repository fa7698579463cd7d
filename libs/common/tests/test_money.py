from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from comanda.common.money import MAX_CENTS, Money, MoneyInput, TotalInput, to_cents, to_text


class TestToText:
    @pytest.mark.parametrize(("cents", "text"), [(0, "0.00"), (5, "0.05"), (1990, "19.90"), (MAX_CENTS, "1000000.00")])
    def test_two_digits(self, cents: int, text: str) -> None:
        assert to_text(cents) == text

    @given(st.integers(0, 10**16))
    def test_reads_back(self, cents: int) -> None:
        assert to_cents(to_text(cents)) == cents
        assert to_cents(Decimal(to_text(cents))) == cents


class TestMoneyInput:
    @pytest.mark.parametrize("value", ["1000000.01", 1_000_001, Decimal("19.999"), 19.9, True, None, "", b"1", -1])
    def test_refused(self, value: Any) -> None:
        with pytest.raises(ValidationError):
            TypeAdapter(MoneyInput).validate_python(value)

    @pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), Decimal("1E+999999"), Decimal("1E-999999")])
    def test_decimals_that_are_no_amount(self, value: Decimal) -> None:
        with pytest.raises(ValidationError):
            TypeAdapter(TotalInput).validate_python(value)

    def test_more_digits_than_the_decimal_context_holds(self) -> None:
        with pytest.raises(ValidationError):
            TypeAdapter(MoneyInput).validate_python(Decimal("19.90000000000000000000000000000001"))


class TestTotalInput:
    def test_may_exceed_a_single_amount(self) -> None:
        assert TypeAdapter(TotalInput).validate_python("100000000.00") == 10_000_000_000


class TestMoney:
    def test_on_the_wire(self) -> None:
        assert TypeAdapter(Money).dump_json(1990) == b'"19.90"'
