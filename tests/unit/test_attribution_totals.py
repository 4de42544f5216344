"""How a total is shared among channels without losing or inventing a unit."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.attribution.totals import apportion, credited_cents, credited_conversions
from tests.oracles.rounding import half_away
from tests.unit.journeys import DRAWN

WEIGHTS = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=3), st.one_of(st.just(0.0), st.floats(0, 1e6)), min_size=1, max_size=12
)


@DRAWN
@given(WEIGHTS, st.integers(0, 10**15))
def test_the_parts_add_up_and_each_lies_next_to_its_share(weights, total):
    parts = apportion(weights, total)
    assert list(parts) == sorted(weights)
    assert sum(parts.values()) == total
    whole = sum(map(Fraction, weights.values()))
    for channel, part in parts.items():
        share = Fraction(weights[channel]) / whole * total if whole else Fraction(total, len(weights))
        assert part >= 0
        assert abs(part - share) <= 1
        assert part == 0 or share > 0


@DRAWN
@given(WEIGHTS, st.integers(0, 10**9), st.randoms())
def test_the_order_of_the_weights_does_not_move_a_cent(weights, total, random):
    shuffled = list(weights.items())
    random.shuffle(shuffled)
    assert list(apportion(dict(shuffled), total).items()) == list(apportion(weights, total).items())


def test_cents_are_rounded_as_in_the_marts():
    """Cumulated, half away from zero: 10 cents by thirds are 3, 4, 3, and a half goes up."""
    thirds = {"a": Fraction(1, 3), "b": Fraction(1, 3), "c": Fraction(1, 3)}
    assert credited_cents(thirds, 10) == {"a": 3, "b": 4, "c": 3}
    due = [half_away(Fraction(10 * place, 3)) for place in range(4)]
    assert list(credited_cents(thirds, 10).values()) == [due[1], due[2] - due[1], due[3] - due[2]]
    assert credited_cents({"a": 1.0, "b": 1.0}, 1) == {"a": 1, "b": 0}


def test_conversions_have_twelve_decimals_and_add_up():
    parts = credited_conversions({"a": 1.0, "b": 1.0, "c": 1.0}, 10)
    assert parts == {"a": Decimal("3.333333333333"), "b": Decimal("3.333333333334"), "c": Decimal("3.333333333333")}
    assert sum(parts.values()) == 10


def test_without_any_weight_all_get_the_same():
    assert credited_cents({"a": 0.0, "b": 0.0}, 100) == {"a": 50, "b": 50}


def test_nothing_is_shared_among_nobody():
    assert apportion({}, 0) == {}
    with pytest.raises(ValueError, match="among 0 channels"):
        apportion({}, 1)


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_weights_that_are_none_are_refused(weight):
    with pytest.raises(ValueError, match="finite"):
        apportion({"a": weight, "b": 1.0}, 1)


def test_a_negative_total_is_refused():
    with pytest.raises(ValueError, match="cannot share -1"):
        apportion({"a": 1.0}, -1)
