"""Marts older than frozen_before are kept as published, by incremental builds and full ones alike."""

from datetime import UTC, date, datetime, timedelta

from tests.engine import Engine, Marts
from tests.oracles.attribution import Row
from tests.oracles.compare import differences
from tests.oracles.records import claim, conversion, invite, rate, refund, spend, touchpoint, user
from tests.oracles.worlds import together

DAY = timedelta(days=1)
BUILT = datetime(2026, 3, 10, tzinfo=UTC)
FROZEN_BEFORE = date(2026, 3, 1)
THEN = datetime(2026, 2, 27, tzinfo=UTC)
"""A frozen day's beginning."""
NOW = datetime(2026, 3, 5, tzinfo=UTC)
"""One that is not."""
DAY_OF = {
    "fct_attribution": "converted_on",
    "attribution_by_channel": "date",
    "attribution_by_campaign": "date",
    "channel_roi": "date",
    "marketing_roi_summary": "date",
    "viral_coefficient_daily": "cohort_on",
    "viral_coefficient_daily_by_user_type": "cohort_on",
    "viral_incentives": "date",
    "fct_invites": "sent_at",
}
"""Marts by day, and the column that says which."""

FIRST = {
    "touchpoints": [
        touchpoint("old", THEN - DAY, user_id="ann"),
        touchpoint("old, anonymous", THEN - DAY, user_id=None, anonymous_id="phone"),
        touchpoint("new", NOW - DAY, user_id="ann"),
    ],
    "conversions": [
        conversion("old-c", THEN, currency="EUR", revenue_cents=1_000),
        conversion("new-c", NOW, currency="EUR", revenue_cents=1_000),
    ],
    "exchange_rates": [rate("2026-02-27", 1), rate("2026-03-04", 1)],
    "ad_spend": [spend("2026-02-27", "email", 100), spend("2026-03-04", "email", 100)],
    "users": [user("ann", THEN), user("ben", NOW), user("dee", THEN + DAY / 2)],
    "viral_actions": [invite("old i", "ann", "dee", THEN + DAY / 4)],
}
LATE = {
    "touchpoints": [touchpoint("late", THEN + 3 * DAY, user_id="ann")],
    "identities": [claim("link", THEN, "ann")],
    "refunds": [
        refund("old-r", NOW, 400, conversion_id="old-c"),
        refund("new-r", NOW, 400, conversion_id="new-c"),
    ],
    "exchange_rates": [rate("2026-02-27", 2, updated_at=NOW.isoformat()), rate("2026-03-05", 3)],
    "viral_actions": [invite("i", "ann", "ben", NOW - DAY), invite("old j", "ann", "eve", THEN)],
    "users": [user("cid", THEN)],
}
"""What would change the frozen days and does change the others."""


def of_days(marts: Marts, *, frozen: bool) -> dict[str, list[Row]]:
    return {
        table: [row for row in marts[table] if (_day(row[column]) < FROZEN_BEFORE) == frozen]
        for table, column in DAY_OF.items()
    }


def _day(value: date) -> date:
    return value.date() if isinstance(value, datetime) else value


def told(found: dict[str, list[Row]], expected: dict[str, list[Row]]) -> str:
    return "\n".join(filter(None, (differences(table, found[table], expected[table]) for table in DAY_OF)))


def test_frozen_days_stay_as_published_and_the_others_go_on(engine: Engine) -> None:
    """Prevents a rebuild from raw that holds no more events of those days, and late facts that rewrite history."""
    engine.ingest(FIRST)
    engine.build(BUILT)
    published = of_days(engine.marts(), frozen=True)
    assert all(published[table] for table in DAY_OF)
    with engine.warehouse.connect() as connection:
        connection.execute("update ops.builds set frozen_before = %s", [FROZEN_BEFORE])

    engine.ingest(LATE)
    assert not engine.build(BUILT).is_full
    incremental = engine.marts()
    expected = of_days(engine.expected(together([FIRST, LATE]), BUILT), frozen=False)
    assert not told(of_days(incremental, frozen=True), published)
    assert not told(of_days(incremental, frozen=False), expected)

    with engine.warehouse.connect() as connection:
        connection.execute("delete from raw.conversions where occurred_at < %s", [FROZEN_BEFORE])
        connection.execute("delete from raw.touchpoints where occurred_at < %s", [FROZEN_BEFORE - timedelta(days=30)])
    assert engine.build(BUILT, full_reason="to see what it keeps").is_full
    rebuilt = engine.marts()
    assert not told(of_days(rebuilt, frozen=True), published)
    assert not told(of_days(rebuilt, frozen=False), expected)

    engine.ingest({"touchpoints": [touchpoint("later", NOW - DAY / 2, user_id="ann")]})
    assert not engine.build(BUILT).is_full
    assert not told(of_days(engine.marts(), frozen=True), published)
