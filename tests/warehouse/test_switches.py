"""VIRAL_TRACKING_ENABLED=false: viral models rest, what they published stays, and the scorecard says no_data."""

from datetime import UTC, datetime, timedelta

from tests.engine import Engine, assert_same, policy
from tests.oracles.oracle import FITTED_GRAINS, GRAINS
from tests.oracles.records import invite, user

DAY = timedelta(days=1)
BUILT = datetime(2026, 3, 10, tzinfo=UTC)
VIRAL = sorted(
    {table for table in GRAINS | FITTED_GRAINS if table.startswith(("viral_", "fct_invites", "fct_referrals"))}
)
OFF = {"viral_tracking_enabled": "false", "viral_min_users": 1}
ON = {"viral_tracking_enabled": "true", "viral_min_users": 1}

FIRST = {
    "users": [user("ann", BUILT - 50 * DAY), user("ben", BUILT - 25 * DAY)],
    "viral_actions": [invite("i", "ann", "ben", BUILT - 28 * DAY)],
}
MORE = {"users": [user("cid", BUILT - 24 * DAY)], "viral_actions": [invite("j", "ann", "cid", BUILT - 27 * DAY)]}


def test_viral_models_rest_while_tracking_is_off(engine: Engine) -> None:
    """Prevents a switch that stops nothing, or one that empties what was published."""
    with policy(OFF):
        engine.ingest(FIRST)
        engine.build(BUILT)
        nothing = engine.marts()
        assert all(nothing[table] == [] for table in VIRAL)
        assert _status(nothing) == "no_data"
    with policy(ON):
        engine.build(BUILT)
        tracked = engine.marts()
        assert_same(tracked, engine.expected(FIRST, BUILT, {"viral_min_users": 1}), "tracking is on")
        assert _status(tracked) == "missed"
    with policy(OFF):
        engine.ingest(MORE)
        engine.build(BUILT)
        assert not engine.build(BUILT).is_full
        rested = engine.marts()
        assert {table: rested[table] for table in VIRAL} == {table: tracked[table] for table in VIRAL}
        assert _status(rested) == "no_data"


def _status(marts: dict[str, list[dict]]) -> str:
    return next(row["status"] for row in marts["scorecard"] if row["metric"] == "viral_coefficient")
