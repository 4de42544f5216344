"""Calibrations: what is promoted credits every conversion, old ones too, exactly as the oracle does, and goes back."""

from collections.abc import Mapping
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from orchestration.warehouse import calibrations as ledger
from tests.engine import Engine, assert_same, policy
from tests.oracles.worlds import arrivals, together, world

DAY = timedelta(days=1)
METHODS: tuple[tuple[str, dict[str, Any], dict[str, int]], ...] = (
    ("markov", {"markov_order": 2}, {"email": 600_000, "paid_search": 399_999, "direct": 1}),
    ("shapley", {}, {"email": 1_000_000, "direct": 0, "social": 0, "référence": 0}),
    ("shapley", {}, {"email": 0, "direct": 0}),
    ("time_decay", {"half_life_days": "0.5"}, {}),
    ("position_based", {"first_weight": "0.6", "last_weight": "0"}, {}),
)


def store(
    engine: Engine, method: str = "markov", parameters: Mapping[str, Any] | None = None, weights: Any = None, **columns
) -> int:
    """A calibration of these parameters, not promoted."""
    with engine.warehouse.connect() as connection:
        return ledger.store(
            connection,
            **{
                "method": method,
                "parameters": dict(parameters or {}),
                "weights": dict(weights or {}),
                "weight_replicates": [],
                "scores": {},
                **dict.fromkeys(("fit_from_on", "fit_to_on", "judged_from_on", "judged_to_on", "build_id")),
                "evidence_load_id": 0,
                "evidence_sha256": None,
                "recommended": False,
                "requested_by": "a test",
                "reason": "to see",
                **columns,
            },
        )


def promote(engine: Engine, calibration_id: int) -> bool:
    """Put it in force."""
    with engine.warehouse.connect() as connection:
        return ledger.promote(connection, calibration_id, requested_by="a test", reason="to see")


def under(calibration_id: int, method: str, parameters: Mapping[str, Any], weights: Mapping[str, int]) -> dict:
    """The overrides by which the oracle knows the calibration in force."""
    in_force = {"calibration_id": calibration_id, "method": method, "parameters": parameters, "weights": weights}
    return {"calibration": in_force}


@pytest.mark.parametrize(
    ("method", "parameters", "weights"),
    [METHODS[0], *(pytest.param(*method, marks=pytest.mark.soak) for method in METHODS[1:])],
)
def test_a_promotion_credits_all_history_anew_and_nothing_else(
    engine: Engine, method: str, parameters: dict[str, Any], weights: dict[str, int]
) -> None:
    """Prevents credit that is half of the old calibration, half of the new; and a rebuild of what did not change."""
    drawn = world(21, clashes=False, policies=False)
    first, second, third = arrivals(drawn.feeds, Random(5), 3, resent=0)
    with policy(drawn.overrides):
        engine.ingest(first)
        engine.build(drawn.as_of)
        calibration_id = store(engine, method, parameters, weights)
        assert promote(engine, calibration_id)
        overrides = drawn.overrides | under(calibration_id, method, parameters, weights)

        engine.ingest(second)
        build = engine.build(drawn.as_of)
        assert (build.is_full, build.recredits, build.calibration_id) == (False, True, calibration_id)
        expected = engine.expected(together([first, second]), drawn.as_of, overrides)
        assert_same(engine.marts(), expected, f"the build that credits by {method} anew differs from the oracle")
        assert touched_by(engine, build.build_id) < counted(engine, "int_touchpoints")

        engine.ingest(third)
        build = engine.build(drawn.as_of + DAY)
        assert (build.is_full, build.recredits) == (False, False)
        expected = engine.expected(drawn.feeds, drawn.as_of + DAY, overrides)
        assert_same(engine.marts(), expected, f"a later incremental build by {method} differs from the oracle")
        assert engine.build(drawn.as_of + DAY, full_reason="to compare").is_full
        assert_same(engine.marts(), expected, f"a full build by {method} differs from the oracle")


def counted(engine: Engine, table: str) -> int:
    """Rows of an intermediate table."""
    with engine.warehouse.connect() as connection:
        return connection.execute(f"select count(*) from intermediate.{table}").fetchone()[0]


def touched_by(engine: Engine, build_id: int) -> int:
    """Touches that a build made or moved."""
    with engine.warehouse.connect() as connection:
        return connection.execute(
            "select count(*) from intermediate.int_touchpoints where build_id = %s", [build_id]
        ).fetchone()[0]


def test_what_is_reverted_is_credited_as_before(engine: Engine) -> None:
    """Prevents a way back that is none: after a revert the marts say what they said."""
    drawn = world(22, policies=False)
    with policy(drawn.overrides):
        engine.ingest(drawn.feeds)
        engine.build(drawn.as_of)
        before = engine.marts()
        promote(engine, store(engine, "time_decay", {"half_life_days": "1"}))
        engine.build(drawn.as_of)
        assert {row["attribution_model"] for row in engine.marts()["attribution_by_channel"]} >= {"data_driven"}
        with engine.warehouse.connect() as connection:
            assert ledger.revert(connection, requested_by="a test", reason="to see") == 0
        assert engine.build(drawn.as_of).recredits
        assert_same(engine.marts(), before, "after a revert")


def test_reverts_go_back_step_by_step(engine: Engine) -> None:
    """Prevents a second revert that leads forward again."""
    numbers = [store(engine) for _ in range(3)]
    for number in numbers:
        assert promote(engine, number)
    assert not promote(engine, numbers[-1])
    with engine.warehouse.connect() as connection:
        back = [ledger.revert(connection, requested_by="a test", reason="to see") for _ in range(3)]
        assert back == [2, 1, 0]
        with pytest.raises(ledger.CalibrationError, match="none before it"):
            ledger.revert(connection, requested_by="a test", reason="to see")
        with pytest.raises(ledger.CalibrationError, match="no calibration 9"):
            ledger.promote(connection, 9, requested_by="a test", reason="to see")
        assert [(one.calibration_id, one.in_force) for one in ledger.calibrations(connection)] == [
            (3, False),
            (2, False),
            (1, False),
            (0, True),
        ]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ((1, 2, "revert", 2, "revert", "revert"), (1, 1, 0)),
        ((1, 2, 1, "revert", "revert", "revert"), (2, 1, 0)),
        ((1, 2, "revert", 3, "revert"), (1, 1)),
        ((1, 0, "revert"), (1,)),
    ],
)
def test_a_revert_undoes_the_last_promotion_that_stands(engine: Engine, asked: tuple, expected: tuple) -> None:
    """Prevents reverts that go in circles, or back to what was reverted already."""
    for _ in range(3):
        store(engine)
    back = []
    for step in asked:
        if step == "revert":
            with engine.warehouse.connect() as connection:
                back.append(ledger.revert(connection, requested_by="a test", reason="to see"))
                assert ledger.in_force(connection).calibration_id == back[-1]
        else:
            promote(engine, step)
    assert tuple(back) == expected


def test_a_kill_after_a_promotion_loses_nothing(engine: Engine) -> None:
    """Prevents a promotion that no build takes up because the first one that should have died."""
    drawn = world(23, clashes=False, policies=False)
    with policy(drawn.overrides):
        engine.ingest(drawn.feeds)
        engine.build(drawn.as_of)
        method, parameters, weights = METHODS[0]
        calibration_id = store(engine, method, parameters, weights)
        promote(engine, calibration_id)

        class Killed(Exception):
            pass

        def die() -> None:
            raise Killed

        with pytest.raises(Killed):
            engine.build(drawn.as_of, before_publication=die)
        engine.build(drawn.as_of)
        overrides = drawn.overrides | under(calibration_id, method, parameters, weights)
        assert_same(engine.marts(), engine.expected(drawn.feeds, drawn.as_of, overrides), "after a build that died")


def test_a_person_who_promotes_meanwhile_has_the_last_word(engine: Engine) -> None:
    """Prevents a recalibration that takes minutes from undoing what somebody decided in these minutes."""
    by_person, by_job = store(engine), store(engine)
    promote(engine, by_person)
    with engine.warehouse.connect() as connection:
        assert not ledger.promote(connection, by_job, requested_by="a job", reason="better than 0", instead_of=0)
        assert ledger.in_force(connection).calibration_id == by_person
        assert ledger.promote(connection, by_job, requested_by="a job", reason="better", instead_of=by_person)


def test_long_names_and_long_journeys_are_no_longer_than_an_index_takes(engine: Engine) -> None:
    """Prevents one misspelt feed from stopping every build: keys of lists of channels are hashes."""
    drawn = world(24, clashes=False, policies=False)
    luck = Random(1)
    names = ["".join(luck.choices("abcdefghijklmnop", k=190)) for _ in range(100)]
    drawn.feeds["touchpoints"] += [
        {
            "event_id": f"long-{number}",
            "user_id": "u1",
            "occurred_at": (drawn.as_of - timedelta(hours=number)).isoformat(),
            "channel": name,
        }
        for number, name in enumerate(names)
    ]
    with policy(drawn.overrides):
        engine.ingest(drawn.feeds)
        engine.build(drawn.as_of)
        assert_same(engine.marts(), engine.expected(drawn.feeds, drawn.as_of, drawn.overrides), "with long names")
