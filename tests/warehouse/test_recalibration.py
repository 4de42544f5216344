"""A recalibration from what the warehouse holds: stored whole, promoted when better, repeated for new evidence only."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestration.attribution import recalibration
from orchestration.attribution.recalibration import (
    NothingNewError,
    RecalibrationError,
    TooLittleTruthError,
    recalibrate,
)
from orchestration.policy import Policy
from orchestration.simulate import World, simulate
from orchestration.warehouse import calibrations as ledger
from orchestration.warehouse.explanation import AFTER, OTHERS, OUTSIDE, explain, why_unknown
from tests.engine import PROJECT_FILE, Engine

AS_OF = datetime(2026, 3, 31, tzinfo=UTC)
POLICY = Policy.load(PROJECT_FILE, {"ATTRIBUTION_ACCURACY_MIN_CONVERSIONS": "40"})


@pytest.fixture
def asked(engine: Engine, tmp_path: Path) -> Engine:
    """A small business that asks most people what brought them, built."""
    simulate(tmp_path, people=250, days=91, seed=5, until=AS_OF, world=replace(World(), surveyed=0.7))
    engine.load([tmp_path])
    engine.build(AS_OF)
    return engine


def known(engine: Engine) -> list[ledger.Calibration]:
    with engine.warehouse.connect() as connection:
        return ledger.calibrations(connection)


def test_what_is_better_is_stored_with_all_that_repeats_it_and_comes_into_force_once(asked: Engine) -> None:
    """Prevents a number of unknown origin, and a second calibration out of the same evidence."""
    seen = recalibrate(asked.warehouse, POLICY, requested_by="a test", dry_run=True)
    assert (seen.calibration_id, seen.promoted, seen.choice.is_better) == (None, False, True)
    assert [one.calibration_id for one in known(asked)] == [0]

    done = recalibrate(asked.warehouse, POLICY, requested_by="a test")
    assert (done.calibration_id, done.promoted, done.choice) == (1, True, seen.choice)
    stored = known(asked)[0]
    assert (stored.in_force, stored.requested_by, stored.recommended) == (True, "a test", True)
    assert stored.parameters["policy"]["attribution_fit_days"] == POLICY.attribution_fit_days
    assert {"seed", "versions", "policy"} <= set(stored.parameters)
    assert stored.evidence_load_id > 0
    judged = stored.scores["judged_on"]
    assert judged["in_force"]["calibration_id"] == 0
    assert judged["candidate"]["accuracy"] > judged["in_force"]["accuracy"]
    assert stored.scores["prediction"]["auc"] > 0.5
    assert stored.fit_to_on < stored.judged_from_on <= stored.judged_to_on == (AS_OF - timedelta(days=1)).date()
    json.dumps(stored.scores, allow_nan=False)

    with pytest.raises(NothingNewError, match="since calibration 1"):
        recalibrate(asked.warehouse, POLICY, requested_by="a test")
    assert [one.calibration_id for one in known(asked)] == [1, 0]
    assert asked.build(AS_OF).recredits


def test_one_that_dies_leaves_nothing(asked: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents a calibration that was stored and not promoted, or promoted without its weights."""

    class Killed(Exception):
        pass

    def die(*_arguments: object, **_named: object) -> bool:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(recalibration, "promote", die)
        with pytest.raises(Killed):
            recalibrate(asked.warehouse, POLICY, requested_by="a test")
    assert [(one.calibration_id, one.in_force) for one in known(asked)] == [(0, True)]
    assert recalibrate(asked.warehouse, POLICY, requested_by="a test").promoted


def test_what_is_missing_is_said(engine: Engine) -> None:
    """Prevents fits to tables that a failed build has left, and a calibration out of a handful of answers."""
    with pytest.raises(RecalibrationError, match="run marketing build first"):
        recalibrate(engine.warehouse, POLICY, requested_by="a test")
    engine.build(AS_OF)
    with pytest.raises(TooLittleTruthError, match="at least 40 are needed"):
        recalibrate(engine.warehouse, POLICY, requested_by="a test")


def test_a_conversion_is_explained_to_the_touch(engine: Engine) -> None:
    """Prevents an answer to "why did email get nothing?" that leaves out the touch of which it is asked."""

    def touch(name: str, days_before: float, **who: str) -> dict[str, str]:
        at = AS_OF - timedelta(days=10 + days_before)
        return {"event_id": name, "occurred_at": at.isoformat(), "channel": "email", **who}

    conversion = {
        "conversion_id": "c",
        "user_id": "ann",
        "occurred_at": (AS_OF - timedelta(days=10)).isoformat(),
        "conversion_type": "signup",
        "revenue_cents": 100,
        "currency": "USD",
    }
    engine.ingest(
        {
            "conversions": [conversion, {**conversion, "conversion_id": "held out", "currency": "CHF"}],
            "touchpoints": [
                touch("counts", 1, user_id="ann"),
                touch("on a device", 2, anonymous_id="tablet"),
                touch("too old", 31, user_id="ann"),
                touch("too late", -1, user_id="ann"),
                touch("of ben", 0.5, anonymous_id="tablet"),
                touch("of cid", 1, user_id="cid"),
            ],
            "identities": [
                {"event_id": "1", "anonymous_id": "tablet", "user_id": "ann", "occurred_at": "2026-01-01T00:00:00Z"},
                {
                    "event_id": "2",
                    "anonymous_id": "tablet",
                    "user_id": "ben",
                    "occurred_at": (AS_OF - timedelta(days=11)).isoformat(),
                },
            ],
        }
    )
    engine.build(AS_OF)
    with engine.warehouse.connect() as connection:
        found = explain(connection, "c", lookback=timedelta(days=30), is_cut=False)
        assert [row["touchpoint_id"] for row in found.credited] == ["on a device", "counts"]
        assert {row["touchpoint_id"]: row["reason"] for row in found.left_out} == {
            "too old": OUTSIDE,
            "too late": AFTER,
            "of ben": OTHERS,
        }
        assert explain(connection, "nobody's", lookback=timedelta(days=30), is_cut=False) is None
        assert "no load has brought it" in why_unknown(connection, "nobody's")
        assert explain(connection, "held out", lookback=timedelta(days=30), is_cut=False) is None
        assert "no rate of CHF" in why_unknown(connection, "held out")
    engine.ingest({"conversions": [{**conversion, "conversion_id": "new"}]})
    with engine.warehouse.connect() as connection:
        assert "is not built yet" in why_unknown(connection, "new")
