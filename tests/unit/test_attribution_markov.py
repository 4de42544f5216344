"""Removal effects held against a chain that is solved in fractions."""

from fractions import Fraction
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.attribution import markov
from orchestration.attribution.markov import (
    MAX_ORDER,
    START,
    End,
    at_order,
    count_transitions,
    fit_markov,
)
from orchestration.attribution.paths import exposure, transformed
from tests.oracles import markov as oracle
from tests.unit.journeys import CHANNELS, DRAWN, JOURNEYS, counted

ORDERS = st.integers(1, MAX_ORDER)
EVERY_ORDER = pytest.mark.parametrize("order", range(1, MAX_ORDER + 1))


def fitted(journeys, order):
    return fit_markov(count_transitions(counted(journeys), order), order)


@DRAWN
@given(JOURNEYS, ORDERS)
def test_effects_are_those_of_the_chain_solved_in_fractions(journeys, order):
    fit = fitted(journeys, order)
    expected = oracle.removal_effects(journeys, order)
    assert list(fit.removal_effects) == sorted(expected)
    assert fit.removal_effects == pytest.approx({name: float(effect) for name, effect in expected.items()}, abs=1e-12)


@DRAWN
@given(JOURNEYS, ORDERS)
def test_the_chain_converts_as_often_as_the_paths_did(journeys, order):
    """A chain that loses flow on the way would still give plausible shares."""
    converted = sum(count for _, count, _ in journeys)
    walked = converted + sum(count for _, _, count in journeys)
    rate = Fraction(converted, walked) if walked else Fraction(0)
    assert oracle.conversion_probability(journeys, order) == rate
    assert fitted(journeys, order).conversion_probability == pytest.approx(float(rate), abs=1e-12)


@DRAWN
@given(JOURNEYS, ORDERS, st.integers(0, 10**6), st.integers(0, 10**10))
def test_credits_are_never_negative_and_add_up_exactly(journeys, order, conversions, cents):
    fit = fitted(journeys, order)
    if fit.removal_effects:
        for parts, total in ((fit.conversions(conversions), conversions), (fit.revenue_cents(cents), cents)):
            assert set(parts) == set(fit.removal_effects)
            assert min(parts.values()) >= 0
            assert sum(parts.values()) == total


@DRAWN
@given(JOURNEYS)
def test_repeats_in_a_row_do_not_move_credits_of_order_one(journeys):
    repeated = fit_markov(count_transitions(counted(journeys), 1), 1)
    collapsed = fit_markov(count_transitions(transformed(counted(journeys), exposure), 1), 1)
    assert collapsed == repeated


@DRAWN
@given(JOURNEYS, ORDERS, st.randoms())
def test_the_order_of_the_counts_does_not_move_a_bit(journeys, order, random):
    """A warehouse returns rows in any order; credits that change from one fit to the next look like news."""
    transitions = list(count_transitions(counted(journeys), order).items())
    fit = fit_markov(dict(transitions), order)
    random.shuffle(transitions)
    assert fit_markov(dict(transitions), order) == fit


@DRAWN
@given(JOURNEYS, ORDERS, st.permutations(CHANNELS))
def test_the_names_of_channels_do_not_matter(journeys, order, names):
    renamed = dict(zip(CHANNELS, names, strict=True))
    other = fitted([(tuple(map(renamed.get, path)), yes, no) for path, yes, no in journeys], order).removal_effects
    effects = fitted(journeys, order).removal_effects
    assert other == pytest.approx({renamed[channel]: effect for channel, effect in effects.items()}, abs=1e-12)


@DRAWN
@given(JOURNEYS, ORDERS, ORDERS)
def test_counts_of_a_higher_order_hold_those_of_a_lower_one(journeys, one, other):
    """A warehouse keeps the highest order only."""
    low, high = sorted((one, other))
    paths = counted(journeys)
    assert at_order(count_transitions(paths, high), low) == count_transitions(paths, low)


def test_a_published_example():
    """Three paths, worked out by hand in the field's best known introduction (Bryl, 2016)."""
    fit = fitted([(("C1", "C2", "C3"), 1, 0), (("C1",), 0, 1), (("C2", "C3"), 0, 1)], order=1)
    assert fit.conversion_probability == pytest.approx(1 / 3, abs=1e-15)
    assert fit.removal_effects == pytest.approx({"C1": 0.5, "C2": 1.0, "C3": 1.0}, abs=1e-15)
    assert {name: float(part) for name, part in fit.conversions(1).items()} == pytest.approx(
        {"C1": 0.2, "C2": 0.4, "C3": 0.4}, abs=1e-12
    )


def test_a_higher_order_sees_what_came_before():
    """Video converts only after email: order 1 mixes it with video after search, order 2 does not."""
    journeys = [(("email", "video"), 10, 0), (("search", "video"), 0, 10)]
    assert fitted(journeys, 1).removal_effects == pytest.approx({"email": 0.5, "search": 0.5, "video": 1.0})
    assert fitted(journeys, 2).removal_effects == pytest.approx({"email": 1.0, "search": 0.0, "video": 1.0})


@EVERY_ORDER
def test_no_paths_at_all(order):
    fit = fit_markov({}, order)
    assert (fit.conversion_probability, fit.removal_effects) == (0.0, {})
    assert fit.conversions(0) == fit.revenue_cents(0) == {}
    with pytest.raises(ValueError, match="among 0 channels"):
        fit.conversions(1)


@EVERY_ORDER
def test_no_conversions_at_all(order):
    """0 / 0 would be not a number, and would spread."""
    fit = fitted([(("email", "video"), 0, 3), (("video",), 0, 1)], order)
    assert (fit.conversion_probability, fit.removal_effects) == (0.0, {"email": 0.0, "video": 0.0})
    assert fit.conversions(0) == {"email": 0, "video": 0}


@EVERY_ORDER
def test_one_channel_only(order):
    fit = fitted([(("email",) * 9, 2, 1), (("email",), 1, 4)], order)
    assert fit.removal_effects == {"email": 1.0}
    assert (fit.conversions(3), fit.revenue_cents(101)) == ({"email": 3}, {"email": 101})


@EVERY_ORDER
def test_a_channel_of_paths_that_never_convert_gets_nothing(order):
    fit = fitted([(("email",), 5, 1), (("video", "video"), 0, 9)], order)
    assert fit.removal_effects == {"email": 1.0, "video": 0.0}
    assert fit.revenue_cents(7) == {"email": 7, "video": 0}


@EVERY_ORDER
def test_conversions_without_any_touch_leave_all_effects_zero(order):
    """Nothing that is removed is missed: what there is to share is shared evenly."""
    fit = fitted([((), 5, 5), (("email", "video"), 0, 2), (("video",), 0, 0)], order)
    assert fit.conversion_probability == pytest.approx(5 / 12)
    assert fit.removal_effects == {"email": 0.0, "video": 0.0}
    assert fit.revenue_cents(5) == {"email": 3, "video": 2}


def test_states_that_cannot_be_reached_count_for_nothing():
    """Also where they form a loop of their own, whose equations have no single solution."""
    sound = {(START, "email"): 4, (("email",), End.CONVERSION): 1, (("email",), End.NULL): 3}
    island = {(("video",), "search"): 2, (("search",), "video"): 2, (("social",), End.CONVERSION): 5}
    fit = fit_markov(sound | island, 1)
    assert fit.conversion_probability == pytest.approx(0.25, abs=1e-15)
    assert fit.removal_effects == {"email": 1.0, "search": 0.0, "social": 0.0, "video": 0.0}


def test_a_start_that_never_converts_stays_so_whatever_others_do():
    counts = {(START, "email"): 1, (("email",), End.NULL): 1, (("video",), End.CONVERSION): 9}
    fit = fit_markov(counts, 1)
    assert (fit.conversion_probability, fit.removal_effects) == (0.0, {"email": 0.0, "video": 0.0})


def test_a_loop_without_exit_does_not_convert():
    """Its equations are singular: half the paths walk into it and never come to an end."""
    counts = {
        (START, "email"): 1,
        (START, "video"): 1,
        (("email",), End.CONVERSION): 1,
        (("video",), "search"): 3,
        (("search",), "video"): 3,
    }
    fit = fit_markov(counts, 1)
    assert fit.conversion_probability == 0.5
    assert fit.removal_effects == {"email": 1.0, "search": 0.0, "video": 0.0}


def test_a_loop_whose_only_exit_is_removed_does_not_convert():
    counts = {
        (START, "video"): 2,
        (("video",), "search"): 5,
        (("search",), "video"): 4,
        (("search",), "email"): 1,
        (("email",), End.CONVERSION): 1,
    }
    assert fit_markov(counts, 1).conversion_probability == pytest.approx(1.0, abs=1e-12)
    assert fit_markov(counts, 1).removal_effects == {"email": 1.0, "search": 1.0, "video": 1.0}


def test_a_state_that_nothing_leaves_does_not_convert():
    counts = {(START, "email"): 1, (START, "video"): 3, (("email",), End.CONVERSION): 1}
    assert fit_markov(counts, 1).conversion_probability == 0.25


def test_a_channel_that_nearly_always_follows_itself_keeps_its_digits():
    """The chance of leaving it, as 1 less that of staying, would be off in the sixth digit here."""
    counts = {
        (START, "email"): 4,
        (("email",), "email"): 10**12,
        (("email",), End.CONVERSION): 1,
        (("email",), End.NULL): 3,
    }
    assert fit_markov(counts, 1).conversion_probability == 0.25


def test_channels_that_take_turns_nearly_for_ever_are_solved_all_the_same():
    """Followed step by step, this flow would go round a million million times."""
    counts = {
        (START, "email"): 4,
        (("email",), "video"): 10**12,
        (("video",), "email"): 10**12 - 4,
        (("video",), "search"): 3,
        (("video",), End.CONVERSION): 1,
        (("search",), End.CONVERSION): 1,
        (("search",), End.NULL): 2,
    }
    fit = fit_markov(counts, 1)
    assert fit.conversion_probability == pytest.approx(0.5, rel=1e-3)
    assert fit.removal_effects == pytest.approx({"email": 1.0, "search": 0.5, "video": 1.0}, rel=1e-3)


@DRAWN
@given(JOURNEYS, ORDERS)
def test_both_ways_to_solve_a_chain_agree(journeys, order):
    transitions = count_transitions(counted(journeys), order)
    followed = fit_markov(transitions, order)
    with patch.object(markov, "FLOW_STEPS", 0):
        factorised = fit_markov(transitions, order)
    assert factorised.conversion_probability == pytest.approx(followed.conversion_probability, abs=1e-12)
    assert factorised.removal_effects == pytest.approx(followed.removal_effects, abs=1e-12)


def test_counts_of_zero_are_as_good_as_none():
    counts = {(START, "email"): 2, (("email",), End.CONVERSION): 2, (("email",), "video"): 0, (("video",), End.NULL): 0}
    assert fit_markov(counts, 1).removal_effects == {"email": 1.0, "video": 0.0}


def test_a_channel_may_be_called_like_an_end():
    fit = fitted([(("conversion", "null"), 1, 1), (("null",), 1, 0)], order=1)
    assert fit.conversion_probability == pytest.approx(2 / 3)
    assert fit.removal_effects == pytest.approx({"conversion": 2 / 3, "null": 1.0})


@pytest.mark.parametrize("order", [0, 5, -1])
def test_other_orders_are_refused(order):
    for call in (lambda: fit_markov({}, order), lambda: count_transitions([], order), lambda: at_order({}, order)):
        with pytest.raises(ValueError, match="expected 1 to 4"):
            call()


@pytest.mark.parametrize(
    "transitions", [{(("email", "video"), End.NULL): 1}, {(START, "email"): -1}], ids=["longer state", "negative count"]
)
def test_counts_that_cannot_be_are_refused(transitions):
    with pytest.raises(ValueError, match="transitions from"):
        fit_markov(transitions, 1)


def test_hundreds_of_channels_are_removed_block_by_block():
    """Prevents a block that forgets the chain it compares with; and a misspelt feed that eats all memory."""
    journeys = [((f"c{number}", f"c{number // 2}"), 1 + number % 3, 2) for number in range(2 * markov.REMOVALS_AT_ONCE)]
    expected = oracle.removal_effects(journeys, 1)
    assert fitted(journeys, 1).removal_effects == pytest.approx(
        {name: float(effect) for name, effect in expected.items()}, abs=1e-12
    )
