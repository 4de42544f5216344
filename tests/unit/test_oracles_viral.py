"""The oracle on referrals worked out by hand: what becomes of an invite, who earns a join, the coefficient."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.oracles.feeds import json_fingerprint
from tests.oracles.oracle import marts_of, trimmed_lower
from tests.oracles.policy import policy_of
from tests.oracles.records import invite, user
from tests.oracles.viral import Referrals, referrals_of

POLICY = policy_of(Path(__file__).parents[2] / "dbt_project.yml")
AS_OF = datetime(2026, 4, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def days_ago(days: float) -> datetime:
    return AS_OF - timedelta(days=days)


def judged(users: list[dict], invites: list[dict], **overrides: Any) -> Referrals:
    feeds = {"users": users, "viral_actions": invites}
    return referrals_of(feeds, AS_OF, POLICY | overrides, json_fingerprint, trimmed_lower)


def test_every_invite_ends_in_exactly_one_way() -> None:
    """Prevents invites that are counted twice or fall between the outcomes."""
    users = [user("ann", days_ago(90)), user("bob", days_ago(50)), user("joe", days_ago(20)), user("eve", days_ago(5))]
    referrals = judged(
        users,
        [
            invite("self", "ann", "ann", days_ago(60)),
            invite("user already", "joe", "bob", days_ago(50)),
            invite("first", "ann", "joe", days_ago(40)),
            invite("again", "ann", "joe", days_ago(10) - timedelta(days=12)),
            invite("rival", "bob", "joe", days_ago(21)),
            invite("waiting", "ann", "kim", days_ago(30)),
            invite("over", "bob", "kim", days_ago(30) - TICK),
            invite("ghost", "nobody", "eve", days_ago(6)),
            invite("opened", "ann", "lee", days_ago(3), action_type="invite_opened"),
        ],
    )
    assert referrals.outcomes == {
        "self": "self",
        "user already": "already_a_user",
        "first": "other_inviter_credited",
        "again": "duplicate",
        "rival": "credited",
        "waiting": "pending",
        "over": "expired",
        "ghost": "credited",
    }
    assert referrals.inviters == {"joe": "bob", "eve": "nobody"}
    assert judged(users, [invite("first", "ann", "joe", days_ago(40))]).inviters == {"joe": "ann"}


def test_a_repeat_is_measured_from_the_last_counted_invite() -> None:
    """Prevents a chain of reminders, each near the one before, from never counting again."""
    sends = [invite(f"day {day}", "ann", "kim", days_ago(90 - day)) for day in (0, 20, 30, 40, 60, 71)]
    outcomes = judged([user("ann", days_ago(90))], sends).outcomes
    assert [send for send, outcome in outcomes.items() if outcome == "duplicate"] == ["day 20", "day 30", "day 60"]


@pytest.mark.parametrize(("credit", "inviter"), [("last", "bob"), ("first", "ann")])
def test_the_policy_says_whether_the_first_or_last_invite_earns_the_join(credit: str, inviter: str) -> None:
    """Prevents crediting one join to two inviters."""
    invites = [invite("b", "bob", "kim", days_ago(5)), invite("a", "ann", "kim", days_ago(5))]
    invites[1]["occurred_at"] = days_ago(6).isoformat()
    assert judged([user("kim", days_ago(4))], invites, invite_credit=credit).inviters == {"kim": inviter}


@pytest.mark.parametrize(
    ("named", "inviter", "outcome"),
    [
        ("old", "ann", "credited"),
        ("reminder", "ann", "credited"),
        ("never sent", "bob", "other_inviter_credited"),
        ("own", "bob", "other_inviter_credited"),
        ("too late", "bob", "other_inviter_credited"),
        ("to a user", "bob", "other_inviter_credited"),
    ],
)
def test_the_invite_that_a_user_names_wins_when_it_can_be_meant(named: str, inviter: str, outcome: str) -> None:
    """Prevents losing a named inviter to the window or the address, and crediting impossible ones."""
    invites = [
        invite("e1", "ann", "other", days_ago(80), invite_id="old"),
        invite("e2", "ann", "other", days_ago(70), invite_id="reminder"),
        invite("e3", "bob", "kim", days_ago(10)),
        invite("e4", "kim", "friend", days_ago(9), invite_id="own"),
        invite("e5", "ann", "friend", days_ago(4), invite_id="too late"),
        invite("e6", "ann", "bob", days_ago(9), invite_id="to a user"),
        invite("e7", "joe", "kim", days_ago(11)),
    ]
    referrals = judged([user("bob", days_ago(50)), user("kim", days_ago(4), invite_id=named)], invites)
    assert referrals.inviters == {"kim": inviter}
    assert referrals.outcomes["old"] == ("credited" if inviter == "ann" else "expired")
    assert referrals.outcomes["reminder"] == "duplicate"
    assert referrals.outcomes["e7"] == "other_inviter_credited"


def test_several_sends_of_one_invite_are_the_earliest() -> None:
    """Prevents counting a mail provider's retries as invites."""
    invites = [
        invite("e2", "bob", "kim", days_ago(5), invite_id="i"),
        invite("e1", "ann", "kim", days_ago(5), invite_id="i"),
    ]
    assert judged([user("kim", days_ago(4))], invites).inviters == {"kim": "ann"}


def test_a_cohort_counts_invites_and_joins_up_to_the_horizon() -> None:
    """Prevents joins after the horizon, or before the inviter's own, from raising a cohort's K."""
    joined = datetime(2026, 1, 10, 8, tzinfo=UTC)
    feeds = {
        "users": [
            user("ann", joined),
            user("bob", joined.replace(hour=23)),
            user("in time", joined + timedelta(days=30), invite_id="i1"),
            user("too late", joined + timedelta(days=30) + TICK, invite_id="i1"),
            user("before", joined - TICK, invite_id="early"),
        ],
        "viral_actions": [
            invite("e0", "ann", "friend", joined - timedelta(days=1), invite_id="early"),
            invite("e1", "ann", "in time", joined, invite_id="i1"),
            invite("e2", "bob", "kim", joined.replace(hour=23) + timedelta(days=30)),
            invite("e3", "bob", "lee", joined.replace(hour=23) + timedelta(days=30) + TICK),
        ],
    }
    cohort = {row["cohort_on"]: row for row in marts_of(feeds, AS_OF, POLICY)["viral_coefficient_daily"]}[joined.date()]
    assert cohort == {
        "cohort_on": date(2026, 1, 10),
        "cohort_users": 3,
        "invites": 2,
        "credited_joins": 1,
        "invites_per_user": Decimal("0.666666666667"),
        "conversion_per_invite": Decimal("0.5"),
        "k_observed": Decimal("0.333333333333"),
        "is_mature": True,
    }


@pytest.mark.parametrize(
    ("joined_days_ago", "value"), [(30, None), (31, Decimal("0.5")), (58, Decimal("0.5")), (58.01, None)]
)
def test_the_headline_k_takes_28_days_of_whole_mature_cohorts(joined_days_ago: float, value: Decimal | None) -> None:
    """Prevents a cohort whose last member is younger than the horizon from pulling K down."""
    joined = days_ago(joined_days_ago)
    feeds = {
        "users": [user("ann", joined), user("kim", joined + 2 * TICK, invite_id="i")],
        "viral_actions": [invite("e", "ann", "kim", joined + TICK, invite_id="i")],
    }
    (row,) = [
        row
        for row in marts_of(feeds, AS_OF, POLICY | {"viral_min_users": 2})["scorecard"]
        if row["metric"] == "viral_coefficient"
    ]
    assert (row["period_start_on"], row["period_end_on"]) == (date(2026, 2, 2), date(2026, 3, 1))
    assert (row["value"], row["status"]) == (value, "no_data" if value is None else "missed")


def test_the_headline_k_needs_enough_users() -> None:
    """Prevents a headline from the luck of a handful of users."""
    feeds = {"users": [user(f"u{n}", days_ago(40)) for n in range(99)]}
    statuses = []
    for _ in range(2):
        rows = {row["metric"]: row for row in marts_of(feeds, AS_OF, POLICY)["scorecard"]}
        statuses.append(rows["viral_coefficient"]["status"])
        feeds["users"].append(user("the hundredth", days_ago(40)))
    assert statuses == ["no_data", "missed"]
