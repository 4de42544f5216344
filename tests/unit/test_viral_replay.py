"""What is said of K, and was said of it on past days, held against the definition in fractions; nothing looks ahead."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.viral.history import DAY, GROUPS, History
from orchestration.viral.lags import fit_lags
from orchestration.viral.replay import Parameters, cohorts, replays, say
from tests.oracles import viral_replay as oracle
from tests.unit.simulated_referrals import Spread, history_of_world

DRAWN = settings(deadline=None, max_examples=100)
RULES = oracle.Rules(horizon_days=2, window_days=3, lag_fit_days=4, min_maturity=Fraction(1, 5))
SMALL = Parameters(horizon_days=2, window_days=3, lag_fit_days=4, min_maturity=0.2)
LAST = 6


def hours(per_day, first=0):
    """Instants of a few days, that often a day."""
    return st.integers(first * per_day, LAST * per_day).map(lambda number: Fraction(24 * number, per_day))


# Quarters of an hour, and whole hours and days often: at the borders of all that is asked.
HOURS = st.one_of(hours(1), hours(24), hours(96))
LATE_HOURS = st.one_of(hours(1, 3), hours(24, 3), hours(96, 3))


@st.composite
def forests(draw, hours=HOURS):
    """A few users, most brought by one who joined before, in their inviter's group."""
    users = []
    for joined in sorted(draw(st.lists(hours, max_size=12))):
        inviter = draw(st.integers(-1, len(users) - 1)) if users else -1
        group = draw(st.integers(0, 3)) if inviter < 0 else users[inviter].group
        users.append(oracle.User(joined, None if inviter < 0 else inviter, group, draw(st.integers(0, 4)) > 0))
    return users


def history_of(users, order=None):
    """order: of the users' rows; joins go the other way round."""
    users_at = [users[place] for place in order] if order is not None else users
    brought = [user for user in reversed(users_at) if user.inviter is not None]
    by = [users[user.inviter].joined for user in brought]
    return History.of(
        joined=days(user.joined for user in users_at),
        group=np.array([user.group for user in users_at], dtype=int),
        inviter_joined=days(by),
        lag=days(user.joined - before for user, before in zip(brought, by, strict=True)),
        join_group=np.array([user.group for user in brought], dtype=int),
        is_net=np.array([user.net for user in brought], dtype=bool),
    )


def days(hours):
    return np.array([float(at / 24) for at in hours], dtype=float)


def assert_said(found, expected):
    assert (found.users, found.joins) == (expected.users, expected.joins)
    for number, exact in ((found.maturity, expected.maturity), (found.k, expected.k)):
        assert number == (None if exact is None else pytest.approx(float(exact), abs=1e-9))


@DRAWN
@given(forests(), LATE_HOURS)
def test_the_headline_is_that_of_the_definition(users, as_of):
    found = say(history_of(users), float(as_of / 24), SMALL)
    expected, mature = oracle.headline(users, as_of, RULES)
    assert_said(found, expected if mature else oracle.Said(*_unless_unknown(users, as_of), None, None))


def _unless_unknown(users, as_of):
    """Users and joins that are told where no cohort counts: none, or where nothing is known of lags all of them."""
    if oracle.share(users, as_of, RULES, Fraction(0), [Fraction(1)] * 4) is not None:
        return 0, 0
    last = math.ceil(as_of / 24) - 1
    whole = oracle.said(users, as_of, RULES, [last - back for back in range(RULES.window_days)])
    return whole.users, whole.joins


@DRAWN
@given(forests(), st.integers(2, LAST), st.integers(LAST, LAST + 2))
def test_each_day_is_replayed_as_it_was_and_as_it_turned_out(users, today, last):
    history, now = history_of(users), Fraction(24 * last)
    found = replays(history, [today], last, SMALL, ages=(1, 2))
    assert [(one.day, one.age) for one in found] == [(today, None), (today, 1), (today, 2)]
    assert found[0].said == say(history, today, SMALL)
    for one in found:
        which = [today - one.age] if one.age else range(one.said.first_day, one.said.last_day + 1)
        if one.age:
            assert_said(one.said, oracle.said(users, Fraction(24 * today), RULES, which))
        expected = oracle.turned_out(users, now, RULES, which) if one.said.users else None
        assert one.turned_out == (None if expected is None else pytest.approx(float(expected)))
        if one.error is not None:
            assert one.error == one.said.k - one.turned_out
        if one.is_within is not None:
            assert one.is_within == (one.said.low <= one.turned_out <= one.said.high)


@DRAWN
@given(forests(), st.integers(2, LAST), st.randoms(use_true_random=False))
def test_what_happens_later_and_the_order_of_rows_move_no_bit(users, today, random):
    """A back-test that looks ahead finds every method good."""
    order = random.sample(range(len(users)), len(users))
    until_then = [user for user in users if user.joined <= 24 * today]
    said = [one.said for one in replays(history_of(users, order), [today], LAST + 2, SMALL, ages=(1, 3))]
    assert said == [one.said for one in replays(history_of(until_then), [today], today, SMALL, ages=(1, 3))]


@DRAWN
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 2), st.booleans())), st.randoms())
def test_rows_of_one_instant_have_one_order(rows, random):
    """Sums of doubles would differ in their last digit from one read of the tables to the next."""

    def history(rows):
        joined, group, lag, is_net = np.array(rows).reshape(-1, 4).T
        by_join = {"inviter_joined": joined, "lag": lag, "join_group": group, "is_net": is_net}
        return vars(History.of(joined=joined, group=group, **by_join))

    first, second = history(rows), history(random.sample(rows, len(rows)))
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_the_lags_are_those_of_the_fit_by_whole_hours():
    """Another fit beside the one that lags.py proves would be proved by nothing."""
    history = history_of_world(Spread(0.8, 3), np.random.default_rng(1))
    seen = history.known(20_120 * DAY)
    fitted = seen.joined >= 20_030 * DAY
    lags = seen.lag[seen.inviter_joined >= 20_030 * DAY] / DAY
    distribution = fit_lags(lags, (20_120 * DAY - seen.joined[fitted]) / DAY, 30).by_hour()
    table = cohorts(history, 20_120, Parameters())
    for row, day in enumerate(range(20_030, 20_120)):
        ages = 20_120 - seen.joined[seen.joined // DAY == day] / DAY
        assert table.exposure[row].sum() == pytest.approx(distribution.maturity(ages).sum(), rel=1e-9)


def test_hours_are_joined_by_straight_lines():
    hourly = fit_lags([2 / 24, 1, 3], [4.0, 4.0, 0.5], 3).by_hour()
    assert len(hourly.share) == 73
    assert hourly.share[[1, 2, 23, 24, 72]].tolist() == pytest.approx([0, 0.25, 0.25, 0.625, 1])
    found = hourly.maturity([-1, 1.5 / 24, 2 / 24, 23.5 / 24, 3, 99, math.nan])
    assert found.tolist() == pytest.approx([0, 0.125, 0.25, 0.4375, 1, 1, math.nan], nan_ok=True)
    assert hourly.maturity([[1.0], [2.0]]).shape == (2, 1)
    at_once = fit_lags([0, 1], [4.0, 4.0], 3).by_hour()
    assert at_once.maturity([-0.01, 0, 0.5, 1]).tolist() == [0, 0.5, 0.5, 1]
    with pytest.raises(ValueError, match="whole hours"):
        fit_lags([1], [4], 1.01).by_hour()


def test_an_instant_and_a_horizon_count_to_the_microsecond():
    """A day is no binary fraction of itself: 30 days after 0.1 is not 30.1 in doubles."""
    microsecond = 1 / DAY
    whole, late = (
        History.of(
            joined=[20_000.1, 20_000.1 + 30 + more],
            group=[3, 3],
            inviter_joined=[20_000.1],
            lag=[(20_000.1 + 30 + more) - 20_000.1],
            join_group=[3],
            is_net=[True],
        )
        for more in (0, microsecond)
    )
    assert whole.lag.tolist() == [30 * DAY]
    assert late.lag.tolist() == [30 * DAY + 1]
    for history, joins in ((whole, 1), (late, 0)):
        assert cohorts(history, 20_031, Parameters(), oldest=40).joins.sum() == joins
    assert [len(whole.known(at).lag) for at in (whole.came[0] - 1, whole.came[0])] == [0, 1]


def test_a_cohort_just_mature_enough_counts():
    """Ten times 0.1 is less than 1 in doubles: a whole day would come and go with the order of its users."""
    old, young = np.full(5, 1.0), np.full(10, 4 - 5 / 24)
    history = History.of(
        joined=np.concatenate((old, young)),
        group=np.zeros(15),
        inviter_joined=old[:4],
        lag=np.array([1, 30, 30, 30]) / 24,
        join_group=np.zeros(4),
        is_net=np.ones(4, dtype=bool),
    )
    table = cohorts(history, 4, SMALL)
    assert table.exposure[-1, 0] / 10 == pytest.approx(0.1)
    for least, users in ((0.1 + 1e-6, 5), (table.exposure[-1, 0] / 10 * (1 + 1e-12), 15), (0.1 - 1e-6, 15)):
        assert table.headline(3, least).users == users


def test_flagged_fraud_leaves_k_but_not_the_lags():
    """Lags are of all credited joins: fewer flags must not change how mature a cohort is."""
    users = [oracle.User(Fraction(0), None, 0), oracle.User(Fraction(30), 0, 0), oracle.User(Fraction(40), 0, 0, False)]
    flagged = history_of(users)
    clean = history_of([replace(user, net=True) for user in users])
    with_flag, without = (cohorts(history, 3, SMALL) for history in (flagged, clean))
    assert np.array_equal(with_flag.exposure, without.exposure)
    assert (with_flag.joins.sum(), without.joins.sum()) == (1, 2)


def test_nothing_is_said_before_anything_can_be_known():
    """Before somebody is of the horizon's age every cohort would look either mature or empty."""
    said = say(history_of([oracle.User(Fraction(0), None, 0), oracle.User(Fraction(5), 0, 0)]), 1, SMALL)
    assert (said.users, said.joins, said.k_observed) == (2, 1, 0.5)
    assert (said.maturity, said.k, said.low, said.high) == (None, None, None, None)
    nothing = say(history_of([]), 5, SMALL)
    assert (nothing.users, nothing.k, nothing.k_observed) == (0, None, None)


def test_what_cannot_be_is_refused():
    columns = {
        "joined": [1.0],
        "group": [0],
        "inviter_joined": [1.0],
        "lag": [0.5],
        "join_group": [0],
        "is_net": [True],
    }
    assert len(History.of(**columns).lag) == 1
    for name, value, message in [
        ("joined", [math.nan], "joined is below 0 or not finite"),
        ("lag", [-0.5], "lag is below 0"),
        ("group", [GROUPS], "a group is outside"),
        ("join_group", [0.5], "a group is outside"),
        ("is_net", [True, True], "columns of one length"),
        ("inviter_joined", [2.0], "whose join"),
    ]:
        with pytest.raises(ValueError, match=message):
            History.of(**(columns | {name: value}))
    with pytest.raises(ValueError, match="days of 1 or more"):
        Parameters(window_days=0)
    with pytest.raises(ValueError, match="as old as the horizon"):
        Parameters(lag_fit_days=29)
    history = History.of(**columns)
    with pytest.raises(ValueError, match="as_of is below 0"):
        say(history, -1)
    for days_, ages in (([9], (1,)), ([1], (0,))):
        with pytest.raises(ValueError, match="ages of 1 day or more"):
            replays(history, days_, 8, ages=ages)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_two_months_of_a_great_programme_are_replayed_in_seconds():
    """At 400,000 users and 300,000 joins; a fit that sorts its lags anew for each day takes minutes."""
    history = history_of_world(Spread(0.8, 750, most_users=10**6), np.random.default_rng(1))
    assert len(history.joined) > 400_000
    assert len(replays(history, range(20_090, 20_150), 20_150)) == 240
