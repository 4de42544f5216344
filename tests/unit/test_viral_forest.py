"""Referral forests held against walking up from every user alone, and K as it is often got wrong."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.viral.forest import NOBODY, CycleTime, Refusal, amplification, build_forest, users_within
from tests.oracles import viral_forest as oracle

DRAWN = settings(deadline=None, max_examples=150)
NAMES = st.sampled_from("abcdefgh")
TIMES = st.one_of(st.none(), st.integers(0, 9).map(float))
ROWS = st.lists(st.tuples(NAMES, st.one_of(st.none(), NAMES), TIMES), max_size=12)


def built(rows, *, timed=True):
    times = [math.nan if at is None else at for _, _, at in rows] if timed else None
    return build_forest([child for child, _, _ in rows], [parent for _, parent, _ in rows], times)


def parents_of(forest):
    return {
        user: forest.users[parent]
        for user, parent in zip(forest.users, forest.parent.tolist(), strict=True)
        if parent != NOBODY
    }


def as_told(forest):
    """All that a forest says, comparable."""
    arrays = (forest.parent, forest.root, forest.generation, forest.children, forest.descendants)
    joined = [None if math.isnan(at) else at for at in forest.joined.tolist()]
    return forest.users, [array.tolist() for array in arrays], joined, forest.refused, forest.trees()


def cascade(random, *, seeds, k_of_seeds, k_after):
    """(children, parents) of a spread that has died out; every seed has a row."""
    children, parents = list(range(seeds)), [None] * seeds
    here, mean = range(seeds), k_of_seeds
    while len(here):
        brought = random.negative_binomial(0.5, 0.5 / (0.5 + mean), len(here))
        by = np.repeat(np.array(here), brought).tolist()
        here = range(len(children), len(children) + len(by))
        children.extend(here)
        parents.extend(by)
        mean = k_after
    return children, parents


@DRAWN
@given(ROWS, st.booleans())
def test_every_user_stands_where_walking_up_leads(rows, timed):
    rows = rows if timed else [(child, parent, None) for child, parent, _ in rows]
    forest = built(rows, timed=timed)
    parents, refused = oracle.forest(rows, timed=timed)
    users = oracle.users_of(rows)
    lines = {user: oracle.line(user, parents) for user in users}
    assert list(forest.users) == users
    assert parents_of(forest) == parents
    known = {user: at for user, at in zip(users, forest.joined.tolist(), strict=True) if not math.isnan(at)}
    assert known == oracle.join_times(rows)
    assert [(one.child, one.parent, one.reason) for one in forest.refused] == refused
    assert [forest.users[root] for root in forest.root] == [lines[user][-1] for user in users]
    assert forest.generation.tolist() == [len(lines[user]) - 1 for user in users]
    assert forest.children.tolist() == [list(parents.values()).count(user) for user in users]
    assert forest.descendants.tolist() == [oracle.descendants(user, users, parents) for user in users]


@DRAWN
@given(ROWS)
def test_trees_and_generations_count_everybody_once(rows):
    forest = built(rows)
    parents, _ = oracle.forest(rows, timed=True)
    steps = {user: len(oracle.line(user, parents)) - 1 for user in oracle.users_of(rows)}
    by_root = Counter(oracle.line(user, parents)[-1] for user in steps)
    trees = forest.trees()
    assert {tree.root: tree.size for tree in trees} == by_root
    for tree in trees:
        here = Counter(steps[user] for user in steps if oracle.line(user, parents)[-1] == tree.root)
        assert tree.users_per_generation == tuple(here[number] for number in range(tree.depth + 1))
        assert tree.depth == max(here)
    everybody = Counter(steps.values())
    assert [one.users for one in forest.generations] == [everybody[number] for number in range(len(everybody))]
    assert [one.realised_k for one in forest.generations] == [
        everybody[number + 1] / everybody[number] for number in range(len(everybody))
    ]


@DRAWN
@given(ROWS)
def test_no_row_is_lost_counted_or_refused(rows):
    """An edge that vanishes without a reason is a join that nobody can ask about."""
    forest = built(rows)
    assert forest.referred + len(forest.refused) == sum(parent is not None for _, parent, _ in rows)
    assert forest.seeds + forest.referred == len(forest.users)


@DRAWN
@given(ROWS, st.randoms())
def test_with_times_the_order_of_rows_does_not_matter(rows, random):
    mixed = random.sample(rows, len(rows))
    assert as_told(built(mixed)) == as_told(built(rows))


def test_a_invited_b_invited_a():
    """Whoever joined first cannot have come by the other's invite."""
    forest = build_forest(["a", "b"], ["b", "a"], [2.0, 1.0])
    assert forest.refused == (Refusal("b", "a", "cycle"),)
    assert parents_of(forest) == {"a": "b"}
    assert build_forest(["a", "b"], ["b", "a"]).refused == (Refusal("a", "b", "cycle"),)


def test_each_cycle_loses_one_edge_and_what_hangs_on_it_stays():
    rows = [("b", "c"), ("c", "a"), ("a", "b"), ("d", "b"), ("y", "x"), ("x", "y"), ("z", "z")]
    forest = build_forest(*zip(*rows, strict=True))
    assert forest.refused == (
        Refusal("a", "b", "cycle"),
        Refusal("x", "y", "cycle"),
        Refusal("z", "z", "self"),
    )
    assert {tree.root: tree.size for tree in forest.trees()} == {"a": 4, "x": 2, "z": 1}


def test_of_two_parents_the_first_counts_and_the_other_is_told():
    forest = build_forest(["c", "c", "c"], ["b", "a", "b"])
    assert parents_of(forest) == {"c": "b"}
    assert forest.refused == (Refusal("c", "a", "second_parent"), Refusal("c", "b", "repeated"))
    assert parents_of(build_forest(["c", "c"], ["b", "a"], [2.0, 1.0])) == {"c": "a"}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("closed", [False, True])
def test_a_chain_of_two_hundred_thousand_is_no_harder_than_any_other_forest(closed):
    """Recursion ends at 1,000; a walk up from each user would take hours; a closed one would never end."""
    size = 200_000
    forest = build_forest(range(size), [size - 1 if closed else None, *range(size - 1)], np.arange(size))
    assert [tree.depth for tree in forest.trees()] == [size - 1]
    assert forest.descendants.max() == size - 1
    assert forest.refused == ((Refusal(0, size - 1, "cycle"),) if closed else ())


def test_no_edges_at_all():
    forest = build_forest([], [])
    assert (forest.users, forest.generations, forest.trees(), forest.seeds) == ((), [], [], 0)
    assert (forest.k_of_seeds, forest.k_after_seeds, forest.k_pooled, forest.mean_tree_size) == (None,) * 4
    assert forest.cycle_time() == CycleTime(None, None, 0, 0, 0)


def test_seeds_who_brought_nobody_count_among_the_seeds():
    """Without a row of their own they are missed, and K from seeds is 2, not 1."""
    assert build_forest(["a", "b", "c", "d"], [None, None, "a", "a"]).k_of_seeds == 1
    assert build_forest(["c", "d"], ["a", "a"]).k_of_seeds == 2
    assert build_forest(["c", "d"], ["a", "a"]).k_after_seeds == 0
    assert build_forest(["a"], [None]).k_after_seeds is None


def test_seeds_are_kept_apart_from_those_whom_they_brought():
    """Founders who invite everybody they know make a dying spread look like growth."""
    forest = build_forest(*cascade(np.random.default_rng(2), seeds=20_000, k_of_seeds=2.4, k_after=0.43))
    assert forest.k_of_seeds == pytest.approx(2.4, rel=0.03)
    assert forest.k_after_seeds == pytest.approx(0.43, rel=0.03)
    assert forest.mean_tree_size == pytest.approx(1 + forest.k_of_seeds / (1 - forest.k_after_seeds), rel=1e-12)
    for one in forest.generations[1:4]:
        assert one.realised_k == pytest.approx(0.43, rel=0.15)


def test_cycle_time_leaves_out_what_cannot_be_a_time():
    rows = [("a", None, 0.0), ("b", "a", 10.0), ("c", "a", 2.0), ("d", "c", 6.0), ("e", "d", 5.0), ("f", "x", 7.0)]
    found = built(rows).cycle_time()
    assert found == CycleTime(4.0, pytest.approx(8.8), measured=3, out_of_order=1, untimed=1)
    assert built(rows, timed=False).cycle_time() == CycleTime(None, None, 0, 0, 5)


@pytest.mark.parametrize("k", [0.3, 0.6, 0.9])
def test_amplification_is_the_mean_tree_size(k):
    """Exactly, with pooled K, on any finite forest; and about that of the K that drew it."""
    forest = build_forest(*cascade(np.random.default_rng(1), seeds=20_000, k_of_seeds=k, k_after=k))
    sizes = [tree.size for tree in forest.trees()]
    assert amplification(forest.k_pooled) == pytest.approx(sum(sizes) / len(sizes), rel=1e-12)
    assert forest.mean_tree_size == sum(sizes) / len(sizes)
    assert amplification(k) == pytest.approx(forest.mean_tree_size, rel=0.1)


def test_growth_is_a_sum_of_generations_not_compound_interest():
    """(1 + K)^n lets everybody invite again in each generation: 10 generations of K 0.5 would make 58 users of 1."""
    forest = build_forest(*cascade(np.random.default_rng(4), seeds=20_000, k_of_seeds=0.5, k_after=0.5))
    realised = sum(one.users for one in forest.generations[:11]) / forest.seeds
    assert users_within(0.5, 10) == pytest.approx(realised, rel=0.03)
    assert realised < (1 + 0.5) ** 10 / 25
    assert users_within(1, 10) == 11
    assert users_within(0.5, 200) == amplification(0.5) == 2


def seeds_and_whom_they_brought(users, joins):
    """The forest of so many seeds, of whom some brought one user each."""
    return build_forest([*range(users + joins)], [None] * users + list(range(joins)))


def test_k_is_not_invites_times_conversions_over_invites():
    """That is just conversions: with twice the users who all do the same it doubles."""
    invites_each, share = 5, 0.12
    for users in (1_000, 2_000):
        invites, joins = users * invites_each, round(users * invites_each * share)
        right, wrong = seeds_and_whom_they_brought(users, joins).k_of_seeds, invites * (joins / invites)
        assert right == pytest.approx(invites / users * (joins / invites), abs=1e-12)
        assert right == 0.6
        assert wrong == pytest.approx(users * right)


def test_k_is_not_invite_rate_divided_by_conversion_rate():
    """That falls when more of the invited join."""
    users, invites = 1_000, 5_000
    right = [seeds_and_whom_they_brought(users, joins).k_of_seeds for joins in (300, 600)]
    wrong = [(invites / users) / (joins / invites) for joins in (300, 600)]
    assert right == [0.3, 0.6]
    assert wrong[1] < wrong[0]
    assert min(wrong) > 50 * max(right)


def test_no_k_bounds_a_spread_at_or_above_one():
    assert amplification(1) is None
    assert amplification(1.3) is None


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="equal lengths"):
        build_forest(["a"], [])
    with pytest.raises(ValueError, match="equal lengths"):
        build_forest(["a"], ["b"], [1.0, 2.0])
    with pytest.raises(ValueError, match="infinite"):
        build_forest(["a"], ["b"], [math.inf])
    for k in (-0.1, math.inf, math.nan):
        with pytest.raises(ValueError, match="finite"):
            amplification(k)
        with pytest.raises(ValueError, match="finite"):
            users_within(k, 1)
    with pytest.raises(ValueError, match="generations"):
        users_within(0.5, -1)
