"""Accuracy, its ceiling, its interval and its comparison, held against simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.attribution.accuracy import WORST_AT, Accuracy, bias_of, compare, distance, measure, status
from tests.oracles import accuracy as oracle
from tests.unit.journeys import DRAWN

SHARES = np.array([0.3, 0.2, 0.12, 0.1, 0.08, 0.06, 0.05, 0.04, 0.02, 0.015, 0.01, 0.005])
CHANNELS = len(SHARES)
FEW_CHANNELS, ALL_CHANNELS = "from one channel to another", "a little between all channels"


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def drawn(count: int, right: float, how: str, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Credits, truth and persons of 1 to 4 conversions each; endless truth would give `right`."""
    sizes = random.integers(1, 5, size=count)
    persons = np.repeat(np.arange(count), sizes)[:count]
    tastes = random.dirichlet(SHARES * 8, size=count).cumsum(axis=1)
    met = [(random.random(count)[:, None] > tastes[persons][:, :-1]).sum(axis=1) for _ in range(2)]
    credits = np.zeros((count, CHANNELS))
    for touched in met:
        np.add.at(credits, (np.arange(count), touched), 0.5)
    truth = np.where(random.random(count) < 0.5, *met)
    off = 1 - right
    if how == FEW_CHANNELS:
        truth = np.where((truth == 0) & (random.random(count) < off / SHARES[0]), 1, truth)
    else:
        half = CHANNELS // 2
        moved = (truth < half) & (random.random(count) < off / SHARES[:half].sum())
        truth = np.where(moved, truth + half, truth)
    return credits, truth, persons


@DRAWN
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=30))
def test_the_plain_figure_is_the_definition(rows: list[tuple[int, int, int]]):
    """Prevents a figure that depends on persons, on order, or on channels that nobody met."""
    credits = (np.eye(5)[[one for one, *_ in rows]] + 0.2) / 2
    truth = np.array([true for _, true, _ in rows])
    persons = np.array([person for *_, person in rows])
    found = measure(credits, truth, persons, rng())
    assert found.accuracy == pytest.approx(oracle.plain(credits, truth), abs=1e-12)
    assert found.hit_rate == pytest.approx(np.mean([row[true] for row, true in zip(credits, truth, strict=True)]))
    assert 0 <= found.low <= found.high <= 1
    assert found.conversions == len(rows)


def test_ceiling_and_drift_line_are_those_of_drawing_each_conversion():
    """Prevents a short cut that calls a perfect model wrong, or a wrong one perfect, with few conversions."""
    credits, truth, persons = drawn(500, 1.0, FEW_CHANNELS, rng())
    found = measure(credits, truth, persons, rng(), draws=20_000)
    expected = oracle.drawn_from_itself(credits, rng(2), 4_000)
    assert found.ceiling == pytest.approx(expected.mean(), abs=0.002)
    assert found.drift_line == pytest.approx(np.percentile(expected, 1), abs=0.004)


def covered(count: int, right: float, how: str, times: int, seed: int = 1) -> tuple[float, float]:
    """Share of intervals that hold what is right, and mean error of the corrected figure."""
    random = rng(seed)
    found = [measure(*drawn(count, right, how, random), random) for _ in range(times)]
    return (
        float(np.mean([one.low - 1e-9 <= right <= one.high + 1e-9 for one in found])),
        float(np.mean([one.corrected for one in found]) - right),
    )


@pytest.mark.parametrize(("right", "how"), [(1.0, FEW_CHANNELS), (0.9, FEW_CHANNELS), (0.9, ALL_CHANNELS)])
def test_the_interval_covers_what_endless_truth_would_give(right: float, how: str):
    """Prevents an interval that is narrow and beside the point. 100 draws: three standard errors below 95 % is 88."""
    share, error = covered(1_500, right, how, 100)
    assert share >= 0.88
    assert abs(error) < 0.01


def test_the_plain_bootstrap_would_not():
    """The reason for all this: of a perfect model it is nearly always sure that it is not."""
    random, hits = rng(), 0
    for _ in range(10):
        credits, truth, persons = drawn(500, 1.0, FEW_CHANNELS, random)
        low, high = oracle.percentile_bootstrap(credits, truth, persons, random, 60)
        hits += low <= 1.0 <= high
    assert hits < 5


@pytest.mark.soak
@pytest.mark.timeout(5400)
@pytest.mark.parametrize("count", [500, 1_500, 5_000])
@pytest.mark.parametrize("right", [1.0, 0.95, 0.9, 0.85, 0.75])
@pytest.mark.parametrize("how", [FEW_CHANNELS, ALL_CHANNELS])
def test_the_interval_covers_at_every_size_and_distance(count: int, right: float, how: str):
    share, error = covered(count, right, how, 400, seed=count)
    print(f"{count} conversions, {right}, {how}: covered {share:.3f}, corrected off by {error:+.4f}")
    assert share >= 0.92
    assert abs(error) < 0.015


def test_a_candidate_is_compared_on_the_same_conversions():
    """Prevents a promotion by luck: what is no better must not look better, what is better must."""
    credits, truth, persons = drawn(1_500, 1.0, FEW_CHANNELS, rng())
    worse = np.roll(credits, 1, axis=1)
    same = compare(credits, credits, truth, persons, rng())
    assert (same.difference, same.low, same.high) == (0.0, 0.0, 0.0)
    better = compare(credits, worse, truth, persons, rng())
    assert better.low > 0
    back = compare(worse, credits, truth, persons, rng())
    assert back.high < 0
    assert back.difference == pytest.approx(-better.difference)


def test_what_only_rounding_tells_apart_is_equal():
    """Prevents a promotion of the same credit, computed in another way."""
    credits, truth, persons = drawn(1_500, 0.9, FEW_CHANNELS, rng())
    rounded = credits * (1 + 1e-15)
    assert (rounded != credits).any()
    found = compare(rounded, credits, truth, persons, rng())
    assert found.difference == 0.0
    assert found.low <= 0.0


def test_of_two_that_are_equally_right_one_is_rarely_promoted():
    """Prevents needless promotions: at 99 % two-sided, one in 200 is due to chance; none in 60 is what to expect."""
    random, promoted = rng(3), 0
    for _ in range(60):
        credits, truth, persons = drawn(800, 1.0, FEW_CHANNELS, random)
        # Another credit that is right too: it leans to what the person met first, at random.
        lean = random.random(len(credits))[:, None]
        other = np.where(lean < 0.5, credits, np.eye(CHANNELS)[credits.argmax(axis=1)] * 0.2 + credits * 0.8)
        promoted += compare(other, credits, truth, persons, random).low > 0
    assert promoted <= 2


def test_status_needs_both_enough_conversions_and_both_lines():
    def found(**changed: float) -> Accuracy:
        values = {"conversions": 500, "accuracy": 0.8, "corrected": 0.8, "low": 0.7, "high": 0.9, "ceiling": 0.95}
        return Accuracy(**(values | {"drift_line": 0.9, "hit_rate": 0.5} | changed))

    lines = {"min_conversions": 500, "drift_below": 0.85}
    assert status(None, **lines) == "no_data"
    assert status(found(conversions=499), **lines) == "no_data"
    assert status(found(), **lines) == "drift"
    assert status(found(accuracy=0.85), **lines) == "ok"
    assert status(found(drift_line=0.8), **lines) == "ok"


def test_no_conversions_are_refused():
    nothing = np.zeros((0, 3)), np.zeros(0, dtype=int), np.zeros(0, dtype=int)
    with pytest.raises(ValueError, match="no conversions"):
        measure(*nothing, rng())
    with pytest.raises(ValueError, match="no conversions"):
        compare(nothing[0], *nothing, rng())


@pytest.mark.parametrize("gap", [0.0, 0.3, WORST_AT, 2.0, 4.0])
def test_the_bias_of_a_gap_is_what_its_formula_says(gap: float):
    """Prevents intervals that allow for another bias than the estimate has."""
    seen = np.linspace(gap - 9, gap + 9, 20_001)
    chance = np.exp(-((seen - gap) ** 2) / 2)
    found = [distance(np.array([one, 0.0]), np.array([1.0, 0.0])) * 2 for one in seen]
    assert np.average(found, weights=chance) - gap == pytest.approx(bias_of(gap), abs=1e-6)


def test_the_bias_of_a_gap_is_nowhere_larger_than_is_allowed_for():
    """Prevents a bound that some gap breaks: it is met at 0 and at WORST_AT, in both directions, and falls after."""
    biases = bias_of(np.linspace(0, 12, 12_001))
    assert bias_of(0.0) == pytest.approx(-bias_of(WORST_AT), abs=1e-4)
    assert np.abs(biases).max() == pytest.approx(bias_of(0.0), abs=1e-4)
    assert (np.diff(np.abs(biases[int(WORST_AT * 1000) + 1 :])) <= 0).all()


def test_the_order_of_conversions_does_not_move_a_bit():
    credits, truth, persons = drawn(700, 0.9, ALL_CHANNELS, rng())
    other = np.roll(credits, 1, axis=1)
    mixed = rng(2).permutation(len(truth))
    assert measure(credits[mixed], truth[mixed], persons[mixed], rng()) == measure(credits, truth, persons, rng())
    assert compare(credits[mixed], other[mixed], truth[mixed], persons[mixed], rng()) == compare(
        credits, other, truth, persons, rng()
    )


def test_of_one_person_nothing_is_known():
    """Prevents certainty where no noise can be seen because nothing varies between persons."""
    credits, truth = np.eye(3)[[0, 1, 1]], np.array([0, 1, 2])
    alone = np.zeros(3, dtype=int)
    found = measure(credits, truth, alone, rng())
    assert (found.low, found.high) == (0.0, 1.0)
    assert compare(credits, np.roll(credits, 1, axis=1), truth, alone, rng()).low == -1.0


def test_persons_whose_conversions_go_together_widen_the_interval():
    """Prevents counting the same evidence four times."""
    credits, truth, _ = drawn(500, 0.9, ALL_CHANNELS, rng())
    once = measure(credits, truth, np.arange(500), rng())
    again = measure(*(np.repeat(rows, 4, axis=0) for rows in (credits, truth, np.arange(500))), rng())
    assert again.high - again.low == pytest.approx(once.high - once.low, rel=0.03)


def moved(credits: np.ndarray, pairs: list[tuple[int, int]], off: float) -> np.ndarray:
    """Credits that err by `off`: of what the first channel of each pair is due, a share goes to the second."""
    found = credits.copy()
    share = off / sum(SHARES[one] for one, _ in pairs)
    for one, other in pairs:
        found[:, other] += share * credits[:, one]
        found[:, one] -= share * credits[:, one]
    return found


IN_TWO, IN_ALL = [(0, 1)], [(one, one + CHANNELS // 2) for one in range(CHANNELS // 2)]


def promoted(candidate: float, present: float, times: int, count: int) -> tuple[float, float]:
    """How often a candidate off in all channels displaces one off in two; how often the plain figures would have it."""
    random, found = rng(7), []
    for _ in range(times):
        credits, truth, persons = drawn(count, 1.0, FEW_CHANNELS, random)
        one, other = moved(credits, IN_ALL, candidate), moved(credits, IN_TWO, present)
        shares = np.bincount(truth, minlength=CHANNELS) / count
        plain = np.abs(other.mean(axis=0) - shares).sum() > np.abs(one.mean(axis=0) - shares).sum()
        found.append((compare(one, other, truth, persons, random).low > 0, plain))
    return tuple(np.mean(found, axis=0).tolist())


def test_a_candidate_that_errs_in_all_channels_is_not_promoted_for_it():
    """Prevents noise from deciding: it lifts distances in few channels more than those in all, always to one side."""
    needless, plain = promoted(0.05, 0.05, 200, 2_000)
    assert needless <= 0.02
    assert plain > 0.8


def test_a_better_candidate_is_promoted_wherever_either_errs():
    assert promoted(0.05, 0.15, 30, 1_500)[0] > 0.9
