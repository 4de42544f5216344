"""Marts older than frozen_before are kept as published, by incremental builds and full ones alike."""

from datetime import UTC, date, datetime, timedelta

from tests.engine import Engine, Marts, policy
from tests.oracles.attribution import Row
from tests.oracles.compare import differences
from tests.oracles.records import claim, conversion, invite, opened, rate, refund, spend, touchpoint, user
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

INVITED = {
    "users": [
        user("ann", THEN - DAY),
        user("dee", THEN + DAY / 2),
        user("fay", NOW + 3 * DAY),
        user("gil", NOW + DAY, invite_id="named"),
        user("ivy", NOW + DAY),
    ],
    "viral_actions": [
        invite("old", "ann", "dee", THEN + DAY / 4),
        opened("old opened", "ann", "dee", THEN + DAY / 3),
        invite("old repeated", "ann", "dee", THEN + DAY / 3),
        invite("old to oneself", "ann", "ann", THEN),
        invite("old to a user", "dee", "ann", THEN + DAY),
        invite("old named", "dee", "hal", THEN + DAY, invite_id="named"),
        invite("old found", "dee", "fay", THEN + DAY),
        invite("new", "gil", "eve", NOW + 2 * DAY),
    ],
    "conversions": [
        conversion("old bought", THEN + DAY, user_id="dee", revenue_cents=1_000),
        conversion("bought", NOW, user_id="dee", revenue_cents=500),
        conversion("old without a rate", THEN, user_id="dee", currency="CHF"),
    ],
}
INVITED_LATE = {
    "users": [user("eve", NOW + 3 * DAY)],
    "viral_actions": [
        invite("new repeat of an old one", "dee", "fay", NOW),
        opened("new repeat opened", "dee", "fay", NOW + DAY),
        invite("new of an old name", "gil", "lee", NOW + 2 * DAY, invite_id="named"),
    ],
}
TOO_LATE = {
    "viral_actions": [
        invite("too late", "ann", "ivy", THEN),
        invite("too late a send", "gil", "eve", THEN, invite_id="new"),
    ],
}
"""What the door refuses once the days are frozen, and a load accepted late may still bring."""
OF_ALL_TIME = ("fct_referrals", "viral_trees", "viral_generations", "super_connectors")
"""Marts of credited joins, which stay when the actions that brought them are gone from raw."""


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
        connection.execute("delete from raw.viral_actions where occurred_at < %s", [FROZEN_BEFORE])
    assert engine.build(BUILT, full_reason="to see what it keeps").is_full
    rebuilt = engine.marts()
    assert not told(of_days(rebuilt, frozen=True), published)
    assert not told(of_days(rebuilt, frozen=False), expected)

    engine.ingest({"touchpoints": [touchpoint("later", NOW - DAY / 2, user_id="ann")]})
    assert not engine.build(BUILT).is_full
    assert not told(of_days(engine.marts(), frozen=True), published)


def test_credited_joins_outlive_the_invites_that_brought_them(engine: Engine) -> None:
    """Prevents a rebuild that takes the forest apart once raw holds no more old invites, and an invite of a frozen day
    that is told otherwise because its inviter's record changed or its id came again."""
    with policy({"super_connector_threshold": 1}):
        engine.ingest(INVITED)
        engine.build(BUILT, arguments=())
        published = of_days(engine.marts(), frozen=True)["fct_invites"]
        assert {row["outcome"] for row in published} == {"credited", "rejected"}
        with engine.warehouse.connect() as connection:
            connection.execute("update ops.builds set frozen_before = %s", [FROZEN_BEFORE])
        engine.ingest(INVITED_LATE)
        engine.ingest(TOO_LATE)
        assert not engine.build(BUILT, arguments=()).is_full

        expected = engine.expected(together([INVITED, INVITED_LATE]), BUILT, {"super_connector_threshold": 1})
        assert len(expected["fct_referrals"]) == 4
        assert {row["descendants_revenue_cents"] for row in expected["super_connectors"]} == {1_500, 0}
        of_the_other_days = of_days(expected, frozen=False)["fct_invites"]
        assert [row["rejected_reason"] for row in of_the_other_days].count("duplicate") == 1
        for rebuilt, swept in ((False, False), (True, False), (True, True), (True, True)):
            with engine.warehouse.connect() as connection:
                for table in ("viral_actions", "conversions") if swept else ():
                    connection.execute(f"delete from raw.{table} where occurred_at < %s", [FROZEN_BEFORE])
            if rebuilt:
                assert engine.build(BUILT, full_reason="to see what it keeps", arguments=()).is_full
            assert held_out(engine) == (0 if swept else 1)
            marts = engine.marts()
            assert not differences("fct_invites", of_days(marts, frozen=True)["fct_invites"], published)
            assert not differences("fct_invites", of_days(marts, frozen=False)["fct_invites"], of_the_other_days)
            assert not [found for table in OF_ALL_TIME if (found := differences(table, marts[table], expected[table]))]

        changed = user("ann", THEN - DAY, email="eve@mail.example", updated_at=NOW.isoformat())
        engine.ingest({"users": [changed], "conversions": [conversion("old bought", NOW, user_id="dee")]})
        assert not engine.build(BUILT, arguments=()).is_full
        incremental = engine.marts()
        assert engine.build(BUILT, full_reason="to compare").is_full
        rebuilt = engine.marts()
        assert not differences("fct_invites", of_days(incremental, frozen=True)["fct_invites"], published)
        viral = [table for table in incremental if table.startswith(("viral_", "fct_inv", "fct_ref", "super"))]
        assert not [found for table in viral if (found := differences(table, incremental[table], rebuilt[table]))]
        engine.dbt("test", "--select", "int_invites_counted,test_type:unit", "int_conversions,test_type:unit")


def held_out(engine: Engine) -> int:
    """Conversions of frozen days without a rate."""
    with engine.warehouse.connect() as connection:
        query = "select count(*) from intermediate.int_conversions where revenue_cents is null and converted_on < %s"
        return connection.execute(query, [FROZEN_BEFORE]).fetchone()[0]
