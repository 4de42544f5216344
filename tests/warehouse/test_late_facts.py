"""The nasty cases of lateness by name: what each changes, and that it changes nothing else.

All cases share three builds (full, then with late facts, then with none) under each journey scope; each has
people, channels and campaigns of its own. The last two tests hold the whole history against the oracle.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestration.ingest.open_load import LoadReport
from orchestration.warehouse import ledger
from tests.engine import Engine, Marts, assert_same, policy
from tests.oracles.records import claim, conversion, invite, mail, rate, refund, spend, touchpoint, user
from tests.oracles.worlds import together

DAY = timedelta(days=1)
BUILT = datetime(2026, 3, 10, tzinfo=UTC)
"""as_of of the first build; the others follow a day apart."""
CUT = "since_previous_conversion"
SCOPES = ("lookback", CUT)

Feeds = dict[str, list[dict[str, Any]]]
FIRST: list[Feeds] = []
"""What the first build sees, of every case."""
THEN: list[Feeds] = []
"""What arrives after it."""


def case(first: Feeds, then: Feeds) -> None:
    """Add a case's records to the history that all share."""
    FIRST.append(first)
    THEN.append(then)


@dataclass(frozen=True)
class History:
    """Published marts after each build, under one journey scope."""

    scope: str
    built: Marts
    late: Marts
    later: Marts
    rebuilt: Marts
    expected: list[Marts]
    resent: list[LoadReport] = field(default_factory=list)


@pytest.fixture(scope="module", params=[SCOPES[0], pytest.param(SCOPES[1], marks=pytest.mark.soak)])
def history(request: pytest.FixtureRequest, session_engine: Engine) -> History:
    """Three builds and a full rebuild of all cases."""
    engine, overrides = session_engine, {"attribution_journey_scope": request.param}
    first, then = together(FIRST), together(THEN)
    both = together([first, then])
    engine.empty()
    with policy(overrides):
        engine.ingest(first)
        assert engine.build(BUILT).is_full
        built = engine.marts()
        resent = engine.ingest(first)
        engine.ingest(then)
        assert not engine.build(BUILT + DAY).is_full
        late = engine.marts()
        no_new = engine.build(BUILT + 2 * DAY)
        assert (no_new.is_full, no_new.new_loads) == (False, 0)
        later = engine.marts()
        assert engine.build(BUILT + 2 * DAY, full_reason="to compare").is_full
    arrived = [(first, 0), (both, 1), (both, 2)]
    expected = [engine.expected(feeds, BUILT + days * DAY, overrides) for feeds, days in arrived]
    return History(request.param, built, late, later, engine.marts(), expected, resent)


def journey(marts: Marts, conversion_id: str) -> list[str | None]:
    """Ids of the touches that the conversion credits, first to last; [None] when there are none."""
    rows = [row for row in marts["fct_attribution"] if row["conversion_id"] == conversion_id]
    return [row["touchpoint_id"] for row in sorted(rows, key=lambda row: row["touch_position"] or 0)]


def revenue(marts: Marts, conversion_id: str) -> int | None:
    """Net revenue in cents as the journey's rows tell it; None while the conversion is in no mart."""
    found = {row["revenue_cents"] for row in marts["fct_attribution"] if row["conversion_id"] == conversion_id}
    assert len(found) <= 1
    return next(iter(found), None)


def cost(marts: Marts, channel: str) -> int:
    """Cost of a channel over all days, in cents."""
    rows = [row for row in marts["channel_roi"] if (row["channel"], row["attribution_model"]) == (channel, "linear")]
    return sum(row["cost_cents"] for row in rows)


case(
    {
        "touchpoints": [touchpoint("before-2", BUILT - 3 * DAY, user_id="before")],
        "conversions": [conversion("before-c", BUILT - 2 * DAY, user_id="before")],
    },
    {"touchpoints": [touchpoint("before-1", BUILT - 5 * DAY, user_id="before")]},
)


def test_a_touch_that_arrives_late_joins_the_conversions_after_it(history: History) -> None:
    """Prevents a delta that looks only at conversions newer than the last build."""
    assert journey(history.built, "before-c") == ["before-2"]
    assert journey(history.late, "before-c") == ["before-1", "before-2"]


case(
    {
        "touchpoints": [
            touchpoint("taken-1", BUILT - 6 * DAY, user_id="taken"),
            touchpoint("taken-2", BUILT - 4 * DAY, user_id="taken"),
        ],
        "conversions": [conversion("taken-next", BUILT - 2 * DAY, user_id="taken")],
    },
    {"conversions": [conversion("taken-late", BUILT - 5 * DAY, user_id="taken")]},
)


def test_a_conversion_that_arrives_late_takes_touches_from_the_next_one(history: History) -> None:
    """Prevents one touch credited twice when an earlier conversion cuts the journey after the fact."""
    assert journey(history.built, "taken-next") == ["taken-1", "taken-2"]
    assert journey(history.late, "taken-late") == ["taken-1"]
    assert journey(history.late, "taken-next") == (["taken-2"] if history.scope == CUT else ["taken-1", "taken-2"])


case(
    {
        "touchpoints": [
            touchpoint("merged-1", BUILT - 6 * DAY, user_id=None, anonymous_id="merged phone"),
            touchpoint("merged-2", BUILT - 5 * DAY, user_id="merged"),
            touchpoint("merged-3", BUILT - 4 * DAY, user_id=None, anonymous_id="merged laptop"),
        ],
        "conversions": [conversion("merged-c", BUILT - 2 * DAY, user_id="merged")],
    },
    {
        "identities": [
            claim("merged-k1", BUILT - DAY, "merged", anonymous_id="merged phone"),
            claim("merged-k2", BUILT, "merged", anonymous_id="merged laptop"),
        ]
    },
)


def test_a_link_merges_two_histories(history: History) -> None:
    """Prevents touches that stay anonymous after their person is known."""
    assert journey(history.built, "merged-c") == ["merged-2"]
    assert journey(history.late, "merged-c") == ["merged-1", "merged-2", "merged-3"]


case(
    {
        "touchpoints": [
            touchpoint("hands-1", BUILT - 9 * DAY, user_id=None, anonymous_id="hands"),
            touchpoint("hands-2", BUILT - 4 * DAY, user_id=None, anonymous_id="hands"),
        ],
        "identities": [claim("hands-k1", BUILT - 20 * DAY, "hands-a", anonymous_id="hands")],
        "conversions": [
            conversion("hands-ca", BUILT - 2 * DAY, user_id="hands-a"),
            conversion("hands-cb", BUILT - 2 * DAY, user_id="hands-b"),
        ],
    },
    {"identities": [claim("hands-k2", BUILT - 6 * DAY, "hands-b", anonymous_id="hands")]},
)


def test_an_anonymous_id_that_changes_hands_takes_only_the_later_touches_along(history: History) -> None:
    """Prevents a re-link that forgets to credit again the person whom a touch left."""
    assert journey(history.built, "hands-ca") == ["hands-1", "hands-2"]
    assert journey(history.built, "hands-cb") == [None]
    assert journey(history.late, "hands-ca") == ["hands-1"]
    assert journey(history.late, "hands-cb") == ["hands-2"]


case(
    {
        "touchpoints": [touchpoint("empty-1", BUILT - 5 * DAY, user_id=None, anonymous_id="empty")],
        "identities": [claim("empty-k1", BUILT - 20 * DAY, "empty-a", anonymous_id="empty")],
        "conversions": [conversion("empty-c", BUILT - 3 * DAY, user_id="empty-a")],
    },
    {"identities": [claim("empty-k2", BUILT - 6 * DAY, "empty-b", anonymous_id="empty")]},
)


def test_a_journey_that_becomes_empty_is_unattributed(history: History) -> None:
    """Prevents rows that stay because no new row has their key."""
    assert journey(history.built, "empty-c") == ["empty-1"]
    assert journey(history.late, "empty-c") == [None]


case(
    {
        "touchpoints": [touchpoint("back-1", BUILT - 5 * DAY, user_id="back")],
        "conversions": [conversion("back-c", BUILT - 3 * DAY, user_id="back", revenue_cents=1_000)],
    },
    {"refunds": [refund("back-r", BUILT, 300, conversion_id="back-c")]},
)


def test_a_refund_after_the_build_reduces_what_was_attributed(history: History) -> None:
    """Prevents revenue that was given back and still earns credit."""
    assert revenue(history.built, "back-c") == 1_000
    assert revenue(history.late, "back-c") == 700


case(
    {"ad_spend": [spend("2026-03-01", "restated", 500)]},
    {"ad_spend": [spend("2026-03-01", "restated", 800, updated_at=BUILT.isoformat())]},
)


def test_spend_that_is_restated_replaces_what_it_restates(history: History) -> None:
    """Prevents cost that adds up over its versions."""
    assert cost(history.built, "restated") == 500
    assert cost(history.late, "restated") == 800


case(
    {
        "touchpoints": [touchpoint("again-1", BUILT - 5 * DAY, user_id="again")],
        "conversions": [conversion("again-c", BUILT - 3 * DAY, user_id="again")],
    },
    {
        "touchpoints": [
            touchpoint("again-1", BUILT - 5 * DAY, user_id="again"),
            touchpoint("again-1", BUILT - 4 * DAY, user_id="again"),
        ],
    },
)


def test_a_file_sent_again_changes_nothing(history: History) -> None:
    """Prevents double counting: of a whole file, of a record in a new file, of an event with another time."""
    assert {report.inserted for report in history.resent} == {0}
    assert journey(history.late, "again-c") == ["again-1"]
    touched = [row["touched_at"] for row in history.late["fct_attribution"] if row["conversion_id"] == "again-c"]
    assert touched == [BUILT - 5 * DAY]


case(
    {
        "exchange_rates": [rate("2026-03-05", 1, currency="CHF")],
        "conversions": [
            conversion("rate-c", BUILT - 3 * DAY, user_id="rate", currency="CHF"),
            conversion("rate-old", BUILT - 10 * DAY, user_id="rate", currency="CHF"),
        ],
    },
    {
        "exchange_rates": [
            rate("2026-03-05", 2, currency="CHF", updated_at=BUILT.isoformat()),
            rate("2026-02-25", 3, currency="CHF"),
        ]
    },
)


def test_a_rate_restated_or_late_moves_the_conversions_of_its_days(history: History) -> None:
    """Prevents revenue at a rate that no longer holds, and conversions held out for ever."""
    assert (revenue(history.built, "rate-c"), revenue(history.built, "rate-old")) == (100, None)
    assert (revenue(history.late, "rate-c"), revenue(history.late, "rate-old")) == (200, 300)


case(
    {
        "users": [user("moving", BUILT - 60 * DAY)],
        "campaign_events": [mail("delivered", "moving", BUILT - 50 * DAY, campaign="moving")],
        "conversions": [conversion("moving-c", BUILT - 45 * DAY, user_id="moving")],
    },
    {"users": [user("moving", BUILT - 60 * DAY, updated_at=BUILT.isoformat()) | {"email": "moved@mail.example"}]},
)


def test_a_user_with_a_new_address_leaves_the_campaigns_of_the_old_one(history: History) -> None:
    """Prevents a user counted under every address ever held."""

    def converted(marts: Marts) -> list[int]:
        return [row["converted"] for row in marts["campaign_performance"] if row["campaign_id"] == "moving"]

    assert (converted(history.built), converted(history.late)) == ([1], [0])


case(
    {
        "users": [user("host", BUILT - 40 * DAY), user("guest", BUILT - 20 * DAY)],
    },
    {"viral_actions": [invite("host-i", "host", "guest", BUILT - 25 * DAY)]},
)


def test_an_invite_that_arrives_after_the_join_is_credited(history: History) -> None:
    """Prevents a cohort that is closed before its invites are in."""

    def joins(marts: Marts) -> list[int]:
        on = (BUILT - 40 * DAY).date()
        return [row["credited_joins"] for row in marts["viral_coefficient_daily"] if row["cohort_on"] == on]

    assert (joins(history.built), joins(history.late)) == ([0], [1])


DUE = BUILT + DAY + DAY / 2
"""After the second build's as_of, before the third's, which brings no load."""
case(
    {
        "touchpoints": [touchpoint("due-1", DUE, user_id="due"), touchpoint("due-0", BUILT - DAY, user_id="due")],
        "conversions": [
            conversion("due-c", DUE, user_id="due"),
            conversion("due-old", BUILT - 2 * DAY, user_id="due back"),
        ],
        "refunds": [refund("due-r", DUE, 40, conversion_id="due-old")],
        "ad_spend": [spend("2026-03-12", "due", 700)],
        "exchange_rates": [rate("2026-03-08", 1, currency="NOK", updated_at=DUE.isoformat())],
        "identities": [claim("due-k", DUE, "due", anonymous_id="due phone")],
    },
    {"touchpoints": [touchpoint("due-2", DUE, user_id=None, anonymous_id="due phone")]},
)


def test_a_record_of_the_future_counts_once_its_time_has_come(history: History) -> None:
    """Prevents records dated after as_of from being lost: their load was published before they were due."""
    for early in (history.built, history.late):
        assert (journey(early, "due-c"), revenue(early, "due-old"), cost(early, "due")) == ([], 100, 0)
    assert journey(history.later, "due-c") == ["due-0", "due-1", "due-2"]
    assert (revenue(history.later, "due-old"), cost(history.later, "due")) == (60, 700)


def test_every_build_of_the_history_equals_the_oracle(history: History) -> None:
    """Prevents a late fact that also moves what it must not."""
    for found, expected in zip((history.built, history.late, history.later), history.expected, strict=True):
        assert_same(found, expected, "a build differs from the oracle")


def test_the_history_ends_as_a_full_rebuild_does(history: History) -> None:
    """Prevents a drift that only --full-refresh would cure."""
    assert_same(history.later, history.rebuilt, "incremental builds differ from a full one")


def test_a_build_after_a_failed_one_starts_afresh(engine: Engine) -> None:
    """Prevents half of a failed build in the next one: candidate holds what was never published."""
    first, failed, last = together(FIRST), together(THEN), {"touchpoints": [touchpoint("x", BUILT, user_id="before")]}
    engine.ingest(first)
    engine.build(BUILT)
    engine.ingest(failed)
    with pytest.raises(KeyboardInterrupt):
        engine.build(BUILT + DAY, before_publication=_interrupt)
    published = engine.marts()
    engine.ingest(last)
    assert engine.build(BUILT).is_full
    assert_same(published, engine.expected(first, BUILT), "a build that failed has published")
    expected = engine.expected(together([first, failed, last]), BUILT)
    assert_same(engine.marts(), expected, "something is left over from a failed build")


def test_a_held_load_is_seen_by_no_build_until_it_is_accepted(engine: Engine) -> None:
    """Prevents a load that was found implausible from reaching the marts, or from being forgotten."""
    first, held = together(FIRST), together(THEN)
    engine.ingest(first)
    engine.build(BUILT)
    loads = [report.load_id for report in engine.ingest(held)]
    with engine.warehouse.connect() as connection:
        ledger.hold(connection, loads, "looks odd")
    assert not engine.build(BUILT).is_full
    assert_same(engine.marts(), engine.expected(first, BUILT), "a held load was built")
    with engine.warehouse.connect() as connection:
        for load_id in loads:
            ledger.accept(connection, load_id)
    assert not engine.build(BUILT).is_full
    assert_same(engine.marts(), engine.expected(together([first, held]), BUILT), "an accepted load was not built")


def _interrupt() -> None:
    raise KeyboardInterrupt
