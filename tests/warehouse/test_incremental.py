"""Incremental equals full: whatever arrives in whatever order, a chain of builds ends in the same rows."""

from datetime import timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from tests.engine import Engine, assert_same, policy
from tests.oracles.worlds import World, arrivals, referral_world, together, worlds

DAYS_BETWEEN = (0, 0, 1, 7, 30, 31)
"""Days from one build's as_of to the next: a conversion window or a horizon may close, or nothing."""
DRAWN = settings(
    deadline=None,
    # A build takes seconds: a failing world is told by its seed, not shrunk.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def arrives_in_batches(
    engine: Engine, drawn: World, luck: Random, batches: int, *, first: float = 0.8, goes_on: bool = False
) -> None:
    """A build after each batch, as_of moving forward; each equals the oracle, the last also a full rebuild.

    first: share of the first batch. goes_on: as_of begins where the world's own is, after every record: no build then
    has a reason to look at an old load again.
    """
    engine.empty()
    gaps = [luck.choice(DAYS_BETWEEN) for _ in range(batches - 1)]
    as_of = drawn.as_of if goes_on else drawn.as_of - timedelta(days=sum(gaps))
    arrived = arrivals(drawn.feeds, luck, batches, first=first)
    with policy(drawn.overrides):
        for number, batch in enumerate(arrived):
            as_of += timedelta(days=gaps[number - 1] if number else 0)
            engine.ingest(batch)
            assert engine.build(as_of).is_full == (number == 0)
            known = together(arrived[: number + 1])
            expected = engine.expected(known, as_of, drawn.overrides)
            assert_same(engine.marts(), expected, f"build {number + 1} of {batches} differs from the oracle")
            assert engine.lever_counts() == engine.expected_lever_counts(known, as_of, drawn.overrides)
        incremental = engine.marts()
        assert engine.build(as_of, full_reason="to compare").is_full
    assert_same(incremental, engine.marts(), "incremental builds differ from a full one")


@settings(DRAWN, max_examples=1, derandomize=True)
@given(worlds(clashes=False), st.randoms(use_true_random=False), st.integers(2, 4))
def test_any_order_of_arrival_ends_in_the_same_rows(
    session_engine: Engine, drawn: World, luck: Random, batches: int
) -> None:
    """Prevents numbers that depend on when a fact arrived."""
    note(f"overrides {drawn.overrides}, as of {drawn.as_of}")
    arrives_in_batches(session_engine, drawn, luck, batches)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.soak)])
def test_late_referrals_end_in_the_same_rows(session_engine: Engine, seed: int) -> None:
    """Prevents rings, bursts and subtrees that only a full rebuild would put right."""
    late_referrals(session_engine, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 140))
def test_late_referrals_end_in_the_same_rows_in_many_worlds(session_engine: Engine, seed: int) -> None:
    """Prevents what two worlds do not show."""
    late_referrals(session_engine, seed)


def late_referrals(engine: Engine, seed: int) -> None:
    luck = Random(seed)
    arrives_in_batches(engine, referral_world(seed), luck, luck.randint(3, 5), first=0.5, goes_on=True)


@pytest.mark.soak
@pytest.mark.timeout(5400)
@settings(DRAWN, max_examples=80)
@given(worlds(clashes=False, largest=60), st.randoms(use_true_random=False), st.integers(2, 6))
def test_any_order_of_arrival_ends_in_the_same_rows_at_length(
    session_engine: Engine, drawn: World, luck: Random, batches: int
) -> None:
    """Prevents what a handful of worlds does not show."""
    note(f"overrides {drawn.overrides}, as of {drawn.as_of}")
    arrives_in_batches(session_engine, drawn, luck, batches)
