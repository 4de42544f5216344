"""Every mart equals the oracle, row for row and column for column, in nasty little worlds."""

from dataclasses import replace

import pytest

from tests.engine import Engine, assert_same, policy
from tests.oracles.oracle import NOT_WORKED_OUT
from tests.oracles.worlds import POLICIES, World, world

MANY = 60


def built_and_expected(engine: Engine, drawn: World) -> None:
    with policy(drawn.overrides):
        engine.ingest(drawn.feeds)
        engine.build(drawn.as_of)
    found, expected = engine.marts(), engine.expected(drawn.feeds, drawn.as_of, drawn.overrides)
    assert_same(found, expected, f"marts differ from the oracle under {drawn.overrides}")
    for table, rows in expected.items():
        if rows:
            unknown = set(found[table][0]) - set(rows[0]) - NOT_WORKED_OUT.get(table, set())
            assert not unknown, f"{table} has columns that nobody has worked out: {unknown}"


@pytest.mark.parametrize(
    "number",
    # A few: the rest in the long proofs, for want of time.
    [pytest.param(one, marks=[pytest.mark.soak] if one % 4 else []) for one in range(len(POLICIES))],
)
def test_marts_equal_the_oracle_under_each_policy(engine: Engine, number: int) -> None:
    """Prevents a model that is right for tidy data, or under the default policy, only."""
    drawn = world(number, policies=False)
    built_and_expected(engine, replace(drawn, overrides=drawn.overrides | POLICIES[number]))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 100 + MANY))
def test_marts_equal_the_oracle_in_many_worlds(engine: Engine, seed: int) -> None:
    """Prevents what a few drawn worlds do not show."""
    built_and_expected(engine, world(seed, people=4 + seed % 5))
