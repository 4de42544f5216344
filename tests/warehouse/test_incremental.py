"""Incremental equals full: whatever arrives in whatever order, a chain of builds ends in the same rows."""

from datetime import timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from tests.engine import Engine, assert_same, policy
from tests.oracles.worlds import World, arrivals, together, worlds

DAYS_BETWEEN = (0, 0, 1, 7, 30, 31)
"""Days from one build's as_of to the next: a conversion window or a horizon may close, or nothing."""
DRAWN = settings(
    deadline=None,
    # A build takes seconds: a failing world is told by its seed, not shrunk.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def arrives_in_batches(engine: Engine, drawn: World, luck: Random, batches: int) -> None:
    """A build after each batch, as_of moving forward; each equals the oracle, the last also a full rebuild."""
    note(f"overrides {drawn.overrides}, as of {drawn.as_of}")
    engine.empty()
    as_of = drawn.as_of - timedelta(days=sum(gaps := [luck.choice(DAYS_BETWEEN) for _ in range(batches - 1)]))
    arrived = arrivals(drawn.feeds, luck, batches)
    with policy(drawn.overrides):
        for number, batch in enumerate(arrived):
            as_of += timedelta(days=gaps[number - 1] if number else 0)
            engine.ingest(batch)
            assert engine.build(as_of).is_full == (number == 0)
            expected = engine.expected(together(arrived[: number + 1]), as_of, drawn.overrides)
            assert_same(engine.marts(), expected, f"build {number + 1} of {batches} differs from the oracle")
        incremental = engine.marts()
        assert engine.build(drawn.as_of, full_reason="to compare").is_full
    assert_same(incremental, engine.marts(), "incremental builds differ from a full one")


@settings(DRAWN, max_examples=5, derandomize=True)
@given(worlds(clashes=False), st.randoms(use_true_random=False), st.integers(2, 4))
def test_any_order_of_arrival_ends_in_the_same_rows(
    session_engine: Engine, drawn: World, luck: Random, batches: int
) -> None:
    """Prevents numbers that depend on when a fact arrived."""
    arrives_in_batches(session_engine, drawn, luck, batches)


@pytest.mark.soak
@pytest.mark.timeout(5400)
@settings(DRAWN, max_examples=80)
@given(worlds(clashes=False, largest=60), st.randoms(use_true_random=False), st.integers(2, 6))
def test_any_order_of_arrival_ends_in_the_same_rows_at_length(
    session_engine: Engine, drawn: World, luck: Random, batches: int
) -> None:
    """Prevents what a handful of worlds does not show."""
    arrives_in_batches(session_engine, drawn, luck, batches)
