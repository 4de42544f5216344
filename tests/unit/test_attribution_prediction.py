"""Whether chains foretell conversions, and whether that is judged rightly."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.attribution.markov import count_transitions
from orchestration.attribution.paths import PathCount
from orchestration.attribution.prediction import LEAST_ENDINGS, judge, predicted
from tests.oracles import prediction as oracle
from tests.unit.journeys import DRAWN

ROWS = st.lists(
    st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.9]), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12
)


@DRAWN
@given(ROWS.filter(lambda rows: any(yes + no for _, yes, no in rows)))
def test_the_area_is_that_over_all_pairs(rows: list[tuple[float, int, int]]):
    scores, conversions, nulls = (np.array(column) for column in zip(*rows, strict=True))
    found, expected = judge(scores, conversions, nulls), oracle.area(rows)
    if expected is None:
        assert found.auc is None
    else:
        assert found.auc == pytest.approx(float(expected), abs=1e-12)
        if found.low is not None:
            assert 0 <= found.low <= found.auc <= found.high <= 1
    assert (found.journeys, found.conversions) == (conversions.sum() + nulls.sum(), conversions.sum())


def test_the_interval_holds_what_endless_journeys_would_say():
    """Prevents an interval that is too wide where scores tell well and few convert: that of Hanley and McNeil held the
    truth in 99 of 100 draws here."""
    random, scores = np.random.default_rng(3), np.linspace(0.1, 0.9, 30)
    if_yes, if_no = (np.exp(-((np.arange(30) - middle) ** 2) / 30) for middle in (18, 12))
    if_yes, if_no = if_yes / if_yes.sum(), if_no / if_no.sum()
    true = if_yes @ (np.cumsum(if_no) - if_no / 2)
    hits, times = 0, 1_000
    for _ in range(times):
        found = judge(scores, random.multinomial(100, if_yes), random.multinomial(2_000, if_no))
        hits += found.low <= true <= found.high
    assert 0.925 <= hits / times <= 0.97


@pytest.mark.parametrize(
    ("conversions", "nulls", "auc"), [([0, 1], [4, 4], 0.75), ([0, 5], [5, 0], 1.0), ([5, 0], [0, 5], 0.0)]
)
def test_what_the_journeys_cannot_say_is_not_said(conversions: list[int], nulls: list[int], auc: float):
    """Prevents an interval of no width around an area of 1, from a handful of journeys."""
    found = judge(np.array([0.1, 0.2]), np.array(conversions), np.array(nulls))
    assert (found.auc, found.low, found.high) == (auc, None, None)


def test_log_loss_is_that_of_the_chances():
    found = judge(np.array([0.8, 0.25]), np.array([3, 1]), np.array([1, 3]))
    told = 3 * math.log(0.8) + math.log(0.2) + math.log(0.25) + 3 * math.log(0.75)
    assert found.log_loss == pytest.approx(-told / 8)
    assert found.base_log_loss == pytest.approx(math.log(2))


def test_a_state_of_many_endings_is_believed_and_a_rare_one_forgets_its_oldest():
    many, few = LEAST_ENDINGS, LEAST_ENDINGS - 1
    paths = [
        PathCount(("email", "video"), conversions=many, nulls=many),
        PathCount(("search", "video"), conversions=few, nulls=0),
        PathCount(("social",), conversions=0, nulls=few),
    ]
    transitions = count_transitions(paths, 2)
    scores = predicted(transitions, 2, [*paths, PathCount(("never", "seen"))])
    ended, converted = 2 * many + 2 * few, many + few
    assert scores == pytest.approx(
        [
            (many + 1) / (2 * many + 2),
            (converted + 1) / (2 * many + few + 2),
            (converted + 1) / (ended + 2),
            (converted + 1) / (ended + 2),
        ]
    )


def test_a_chain_that_knows_more_tells_better():
    """Prevents scores that ignore what the chain has learnt: the base rate alone scores a half."""
    paths = [PathCount(("email", "video"), 90, 10), PathCount(("search", "video"), 10, 90)]
    areas = []
    for order in (1, 2):
        scores = np.array(predicted(count_transitions(paths, 2), order, paths))
        areas.append(judge(scores, np.array([90, 10]), np.array([10, 90])).auc)
    assert areas == pytest.approx([0.5, 0.9])


def test_no_journeys_are_refused():
    with pytest.raises(ValueError, match="no journeys"):
        judge(np.zeros(0), np.zeros(0), np.zeros(0))
