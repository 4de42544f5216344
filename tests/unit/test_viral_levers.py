"""Levers: held against counts before and after one percent, a slope by search, and worlds of set elasticities."""

import math
from dataclasses import fields, replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import expon, gamma

from orchestration.viral.levers import Lever, LeverCounts, levers, marginal_elasticity
from tests.oracles import viral_levers as oracle

DRAWN = settings(deadline=None, max_examples=80)
GROUPS = 64
MORE = Fraction(101, 100)


def counted(**given):
    """Counts of one segment in one group, nothing of anything, and what is given instead."""
    shape = np.shape(np.atleast_2d(given.get("invites", [[0]])))
    sent = given.pop("sent", [1.0])
    nothing = {
        each.name: np.zeros((*shape, len(sent)) if each.name.endswith("by_sent") else shape)
        for each in fields(LeverCounts)
    }
    nothing |= {"users": np.ones(shape[1]), "sent": sent}
    return LeverCounts(**(nothing | given))


def by_segment(invites, segments, groups=1):
    """Counts of invites (segment, opened, joined, lag), dealt to the groups in turn."""
    tables = {name: np.zeros((segments, groups)) for name in ("invites", "opened", "joins_opened", "joins_unopened")}
    for place, (segment, opened, joined, _) in enumerate(invites):
        cell = segment, place % groups
        tables["invites"][cell] += 1
        tables["opened"][cell] += opened
        tables["joins_opened" if opened else "joins_unopened"][cell] += joined
    return counted(**tables)


def rows_of(counts, lever, **more):
    return [row for row in levers(counts, **more) if row.lever is lever]


INVITES = st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.booleans(), st.none()), min_size=1, max_size=40)


@DRAWN
@given(INVITES)
def test_opens_and_conversion_are_what_one_percent_more_does(invites):
    """Exactly, in fractions: all segments but one stay as they are."""
    joins = sum(one[2] for one in invites)
    assume(joins > 0)
    counts = by_segment(invites, 3)
    for segment in range(3):
        own = [one for one in invites if one[0] == segment]
        converted = oracle.joins_with_more_conversion(invites, segment, MORE)
        row = rows_of(counts, Lever.CONVERSION_PER_INVITE)[segment]
        assert row.elasticity == pytest.approx(float((converted / joins - 1) * 100), abs=1e-12)
        row = rows_of(counts, Lever.OPEN_RATE)[segment]
        if {one[1] for one in own} == {True, False}:
            opened = oracle.joins_with_more_opens(invites, segment, MORE)
            assert row.elasticity == pytest.approx(float((opened / joins - 1) * 100), abs=1e-12)
        else:
            assert row.elasticity is None
            assert row.k_after is None
        assert row.k_share == pytest.approx(sum(one[2] for one in own) / joins)


@pytest.mark.parametrize("segment", [0, 1])
def test_cycle_time_is_what_one_percent_longer_lags_do(segment):
    """The density next to H comes from a window: a bend of it there makes up to 6 % here."""
    quantiles = (np.arange(20_000) + 0.5) / 20_000
    lags = [(each, lag) for each, law in enumerate((gamma(2, scale=8), expon(scale=40))) for lag in law.ppf(quantiles)]
    within = [sum(each == s and lag <= 30 for each, lag in lags) for s in (0, 1)]
    near = [sum(each == s and 23 <= lag <= 37 for each, lag in lags) for s in (0, 1)]
    counts = counted(
        invites=[[20_000.0], [20_000.0]],
        joins_unopened=np.array(within)[:, None],
        joins_near_horizon=np.array(near)[:, None],
    )
    longer, shorter = (oracle.joins_with_longer_lags(lags, segment, each, 30) for each in (1.01, 0.99))
    row = rows_of(counts, Lever.CYCLE_TIME)[segment]
    assert row.elasticity == pytest.approx((longer - shorter) / 0.02 / sum(within), rel=0.06)
    assert row.elasticity < 0


SENDERS = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 4)), min_size=2, max_size=25)


def table(users):
    """Distinct numbers of invites, users with so many, joins that they brought."""
    sent = sorted({invites for invites, _ in users})
    having = [sum(invites == each for invites, _ in users) for each in sent]
    return sent, having, [sum(joins for invites, joins in users if invites == each) for each in sent]


@DRAWN
@given(SENDERS)
def test_the_slope_of_invites_is_that_of_greatest_likelihood(users):
    found = float(marginal_elasticity(*table(users)))
    bringing = {invites for invites, joins in users if joins}
    sending = {invites for invites, _ in users}
    if not bringing or len(sending) == 1 or bringing in ({min(sending)}, {max(sending)}):
        assert math.isnan(found)
    else:
        assert found == pytest.approx(oracle.slope(users), abs=1e-5)


@DRAWN
@given(SENDERS, SENDERS)
def test_invites_are_what_one_percent_more_does_along_the_slope(first, second):
    """In the first segment only; what the second brings stays."""
    sent = list(range(1, 10))
    columns = [[dict(zip(*table(users)[:2], strict=True)).get(each, 0) for each in sent] for users in (first, second)]
    brought = [[dict(zip(*table(users)[::2], strict=True)).get(each, 0) for each in sent] for users in (first, second)]
    joins = np.array(brought).sum(axis=1)
    assume(joins.sum() > 0)
    counts = counted(
        invites=np.ones((2, 1)),
        joins_opened=joins[:, None],
        sent=sent,
        users_by_sent=np.array(columns)[:, None, :],
        joins_by_sent=np.array(brought)[:, None, :],
    )
    row = rows_of(counts, Lever.INVITES_PER_USER)[0]
    slope = float(marginal_elasticity(*table(first)))
    if math.isnan(slope):
        assert row.elasticity is None
    else:
        after = oracle.joins_with_more_invites(first, slope, 1 + 1e-6) + joins[1]
        assert row.elasticity == pytest.approx((after / joins.sum() - 1) * 1e6, rel=1e-3, abs=1e-3)


def test_golden_numbers_by_hand():
    """100 users in 2 groups; segment 0 has 30 joins of 40, of 100 invites 60 opened: 24 joins of those, 6 of others."""
    counts = counted(
        users=[50, 50],
        invites=[[50, 50], [20, 30]],
        opened=[[30, 30], [10, 10]],
        joins_opened=[[12, 12], [3, 3]],
        joins_unopened=[[3, 3], [2, 2]],
        joins_near_horizon=[[3, 4], [0, 0]],
        sent=[1, 4],
        users_by_sent=[[[10, 5], [10, 5]], [[5, 5], [5, 5]]],
        joins_by_sent=[[[5, 5], [5, 5]], [[1, 4], [1, 4]]],
    )
    rows = {(row.segment, row.lever): row for row in levers(counts)}
    assert list(rows) == [(segment, lever) for segment in (0, 1) for lever in Lever]
    assert all(row.k == 0.4 for row in rows.values())
    assert [rows[segment, Lever.OPEN_RATE].k_share for segment in (0, 1)] == [0.75, 0.25]
    # o = 0.6, c = 0.3, opened 0.4, unopened 0.15: 0.6 * 0.25 / 0.3 = 0.5, of three quarters of the joins.
    assert rows[0, Lever.OPEN_RATE].elasticity == pytest.approx(0.375)
    assert rows[0, Lever.OPEN_RATE].k_after == pytest.approx(0.4 * 1.0375)
    assert rows[0, Lever.CONVERSION_PER_INVITE].elasticity == 0.75
    assert rows[0, Lever.CONVERSION_PER_INVITE].k_after == pytest.approx(0.4 * 1.075)
    # 7 joins in 14 days of lag: half a join per day, 30 days, 40 joins.
    assert rows[0, Lever.CYCLE_TIME].elasticity == pytest.approx(-0.375)
    assert rows[0, Lever.CYCLE_TIME].k_after == pytest.approx(0.4 * 1.0375)
    assert rows[1, Lever.CYCLE_TIME].elasticity == 0
    # Four times the invites, twice the joins per user: half; and in segment 1 four times as many: 1.
    assert rows[0, Lever.INVITES_PER_USER].elasticity == pytest.approx(0.375)
    assert rows[1, Lever.INVITES_PER_USER].elasticity == pytest.approx(0.25)
    # Both groups are alike, so that leaving one out changes nothing that is a ratio.
    assert rows[0, Lever.CONVERSION_PER_INVITE].low == pytest.approx(0.75)


def test_a_rate_goes_up_to_one_at_most():
    """95 % opened cannot become 104.5 %."""
    counts = counted(invites=[[100]], opened=[[95]], joins_opened=[[95]], joins_unopened=[[1]])
    opens, conversion = (rows_of(counts, each)[0] for each in (Lever.OPEN_RATE, Lever.CONVERSION_PER_INVITE))
    assert opens.k_after == pytest.approx(opens.k * (1 + opens.elasticity * 5 / 95))
    # All 100 opened, and opened invites always convert: 100 joins.
    assert opens.k_after == pytest.approx(100)
    assert conversion.k_after == pytest.approx(100)


def test_channels_share_all_users():
    """A channel has no users of its own: K is that of everybody, and the shares of the channels add up to 1."""
    counts = counted(users=[200], invites=[[60], [40]], joins_opened=[[0], [0]], joins_unopened=[[30], [10]])
    rows = rows_of(counts, Lever.CONVERSION_PER_INVITE)
    assert [row.k for row in rows] == [0.2, 0.2]
    assert [row.elasticity for row in rows] == [0.75, 0.25]


def drawn_counts(seed, groups=GROUPS, segments=2):
    random = np.random.default_rng(seed)
    shape = segments, groups
    invites = random.integers(5, 60, shape)
    opened = random.binomial(invites, 0.5)
    users_by_sent = random.integers(1, 6, (*shape, 4))
    sent = np.array([1, 2, 5, 10])
    return LeverCounts(
        users=random.integers(20, 60, groups),
        invites=invites,
        opened=opened,
        joins_opened=random.binomial(opened, 0.3),
        joins_unopened=random.binomial(invites - opened, 0.1),
        joins_near_horizon=random.integers(0, 3, shape),
        sent=sent,
        users_by_sent=users_by_sent,
        joins_by_sent=random.poisson(users_by_sent * 0.1 * sent**0.6),
    )


def kept(counts, groups):
    """The counts of these groups alone."""
    columns = {each.name: getattr(counts, each.name) for each in fields(LeverCounts)}
    return LeverCounts(
        **{
            name: values if name == "sent" else values[groups] if name == "users" else values[:, groups]
            for name, values in columns.items()
        }
    )


@pytest.mark.parametrize("groups", [2, 5, GROUPS])
def test_intervals_are_those_of_leaving_out_one_group_after_the_other(groups):
    counts = drawn_counts(1, groups)
    quantile = {2: 12.7062047, 5: 2.7764451, GROUPS: 1.9983405}[groups]
    for place, row in enumerate(levers(counts)):
        error = oracle.jackknife_error(
            list(range(groups)), lambda left, place=place: levers(kept(counts, left))[place].elasticity
        )
        least, most = {
            Lever.INVITES_PER_USER: (-math.inf, math.inf),
            Lever.OPEN_RATE: (-math.inf, 1),
            Lever.CONVERSION_PER_INVITE: (0, 1),
            Lever.CYCLE_TIME: (-math.inf, 0),
        }[row.lever]
        assert row.low == pytest.approx(max(row.elasticity - quantile * error, least), abs=1e-6)
        assert row.high == pytest.approx(min(row.elasticity + quantile * error, most), abs=1e-6)


def covered(seeds, groups=GROUPS):
    """How often the intervals of the first of two segments hold the truth, by lever.

    Each tree has its own liveliness, which moves invites, opens and joins together; so trees differ far more than
    independent invites would. Joins per user go by sent ** 0.6; 1 % of the joins, per day, have a lag next to 30.
    """
    opens, apart = (0.3, 0.7), np.array([[0.30, 0.10], [0.20, 0.10]])
    sent = np.array([1.0, 2, 4, 8, 16])
    having = np.array([8.0, 6, 4, 2, 1])
    level = 0.05
    joins_per_segment, truth = [], {}
    hits = dict.fromkeys(Lever, 0)
    for segment in (0, 1):
        invites = having @ sent
        rate = opens[segment] * apart[segment][0] + (1 - opens[segment]) * apart[segment][1]
        joins_per_segment.append(invites * rate)
    share = joins_per_segment[0] / sum(joins_per_segment)
    first = joins_per_segment[0] / (having @ sent)
    truth = {
        Lever.INVITES_PER_USER: share * 0.6,
        Lever.OPEN_RATE: share * opens[0] * (apart[0][0] - apart[0][1]) / first,
        Lever.CONVERSION_PER_INVITE: share,
        Lever.CYCLE_TIME: -share * 30 * 0.01,
    }
    for seed in range(seeds):
        random = np.random.default_rng(seed)
        lively = random.gamma(1.0, 1.0, (2, groups))
        invites = random.poisson(5 * lively[:, :, None] * (having * sent)).sum(axis=2)
        opened = random.binomial(invites, np.array(opens)[:, None])
        joins_opened = random.binomial(opened, apart[:, :1])
        joins_unopened = random.binomial(invites - opened, apart[:, 1:])
        users_by_sent = random.poisson(20 * lively[:, :, None] * having)
        joins_by_sent = random.poisson(
            users_by_sent * level * sent**0.6 * random.gamma(2.0, 0.5, (2, groups))[:, :, None]
        )
        counts = LeverCounts(
            users=np.full(groups, 50.0),
            invites=invites,
            opened=opened,
            joins_opened=joins_opened,
            joins_unopened=joins_unopened,
            joins_near_horizon=random.binomial(joins_opened + joins_unopened, 0.14),
            sent=sent,
            users_by_sent=users_by_sent,
            joins_by_sent=joins_by_sent,
        )
        for row in levers(counts)[: len(Lever)]:
            hits[row.lever] += row.low <= truth[row.lever] <= row.high
    return {lever: number / seeds for lever, number in hits.items()}


def test_intervals_hold_the_truth_of_lively_and_of_lazy_trees():
    """Invites taken as independent, or a jackknife without its (G - 1), would miss it most of the time."""
    assert min(covered(60).values()) >= 0.85


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_intervals_hold_the_truth_as_often_as_they_say():
    found = covered(2_000)
    assert min(found.values()) >= 0.92
    assert max(found.values()) <= 0.975


def test_senders_of_many_invites_do_not_make_the_marginal_one_as_good_as_the_average():
    """100 invites instead of 10 that bring twice as many: 0.3 per percent, not 1."""
    assert float(marginal_elasticity([10, 100], [50, 50], [50, 100])) == pytest.approx(math.log10(2), rel=1e-12)
    assert float(marginal_elasticity([10, 100], [50, 50], [50, 500])) == pytest.approx(1, rel=1e-12)
    assert float(marginal_elasticity([10, 100], [50, 50], [50, 25])) == pytest.approx(-math.log10(2), rel=1e-12)


def test_a_slope_that_one_cannot_tell_is_none():
    for sent, users, joins in [
        ([1, 2], [5, 5], [0, 0]),
        ([1, 2], [5, 0], [3, 0]),
        ([1, 2], [5, 5], [3, 0]),
        ([1, 2], [5, 5], [0, 3]),
        ([], [], []),
    ]:
        assert math.isnan(marginal_elasticity(np.array(sent), np.array(users), np.array(joins)))
    # Counts of no users, as a table with gaps has them, change nothing.
    gap = marginal_elasticity([1, 2, 1000], [5, 5, 0], [3, 4, 0])
    assert float(gap) == pytest.approx(float(marginal_elasticity([1, 2], [5, 5], [3, 4])), rel=1e-12)
    steep = float(marginal_elasticity([1, 2, 3], [10**6, 10**6, 10], [1, 1, 10**6]))
    assert steep > 10


def test_nothing_at_all_is_none_and_no_warning():
    """Zero joins, invites, users: a NaN or an infinity would get into the mart."""
    for counts in (
        counted(users=[0]),
        counted(users=[5]),
        counted(users=[5], invites=[[3]]),
        counted(users=[5, 5], invites=[[3, 0], [0, 0]], opened=[[1, 0], [0, 0]]),
    ):
        for row in levers(counts):
            assert (row.elasticity, row.low, row.high, row.k_share, row.k_after) == (None,) * 5
            assert row.k == (0 if counts.users.sum() else None)


@DRAWN
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 3), st.sampled_from([0.02, 0.3, 1.0]))
def test_every_number_is_finite_and_the_estimate_in_its_interval(seed, groups, segments, kept_share):
    """Sparse tables: groups and segments with nothing in them, leave-one-outs that lose the last join."""
    full, random = drawn_counts(seed, groups, segments), np.random.default_rng(seed)
    mask = random.random((segments, groups)) < kept_share
    columns = {
        each.name: getattr(full, each.name)
        * (1 if each.name in ("users", "sent") else mask[..., None] if each.name.endswith("by_sent") else mask)
        for each in fields(LeverCounts)
    }
    for row in levers(LeverCounts(**columns)):
        for value in (row.elasticity, row.low, row.high, row.k_share, row.k, row.k_after):
            assert value is None or math.isfinite(value)
        if row.low is not None:
            assert row.low <= row.elasticity <= row.high
        else:
            assert row.high is None


def test_one_group_gives_no_interval():
    assert all(row.low is None and row.elasticity is not None for row in levers(drawn_counts(3, 1)))


@pytest.mark.parametrize("filled", [1, 2, 3])
def test_empty_groups_make_nothing_surer(filled):
    """A young programme has a few trees in 64 groups; 63 degrees of freedom would narrow its interval."""
    some = drawn_counts(3, filled)
    padded = kept(some, np.arange(GROUPS) % filled)
    for each in fields(LeverCounts):
        if each.name != "sent":
            by_group = np.moveaxis(getattr(padded, each.name), 0 if each.name == "users" else 1, 0)
            by_group[filled:] = 0
    assert levers(padded) == levers(some)


def test_a_segment_in_which_nobody_joined_has_no_interval():
    """No group differs, and yet nothing is sure: it would be told as exactly 0."""
    counts = drawn_counts(4)
    silent = np.array([[1], [0]])
    counts = replace(
        counts,
        joins_opened=counts.joins_opened * silent,
        joins_unopened=counts.joins_unopened * silent,
        joins_near_horizon=counts.joins_near_horizon * silent,
    )
    for row in levers(counts)[len(Lever) :]:
        assert row.lever is Lever.INVITES_PER_USER or (row.elasticity, row.low, row.high) == (0, None, None)


def test_the_order_of_groups_does_not_move_a_bit():
    counts = drawn_counts(5)
    order = np.random.default_rng(6).permutation(GROUPS)
    weighted = replace(counts, users=counts.users * 0.1, joins_opened=counts.joins_opened * 0.3)
    assert levers(kept(weighted, order)) == levers(weighted)


@pytest.mark.parametrize(
    ("broken", "match"),
    [
        ({"invites": [1.0]}, "segments by groups"),
        ({"users": [1.0, 1.0]}, "users"),
        ({"users_by_sent": [[1.0]]}, "users_by_sent"),
        ({"joins_opened": [[-1.0]]}, "below 0"),
        ({"joins_opened": [[math.nan]]}, "below 0 or not finite"),
        ({"users": [math.inf]}, "below 0 or not finite"),
        ({"opened": [[1.0]]}, "more invites opened"),
        ({"sent": [0.0]}, "from 1 up"),
        ({"sent": [2.0, 2.0]}, "distinct"),
    ],
)
def test_broken_counts_are_refused(broken, match):
    with pytest.raises(ValueError, match=match):
        counted(**broken)


@pytest.mark.parametrize(("horizon", "half_width"), [(30, 0), (30, 30), (math.inf, 7), (math.nan, 7), (30, -1)])
def test_a_window_outside_is_refused(horizon, half_width):
    with pytest.raises(ValueError, match="half width"):
        levers(counted(), horizon, half_width)
