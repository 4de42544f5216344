"""The oracle on referrals worked out by hand: what becomes of an invite, who earns a join, the coefficient."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
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
        "opened_invites": 0,
        "credited_joins": 1,
        "net_joins": 1,
        "invites_per_user": Decimal("0.666666666667"),
        "conversion_per_invite": Decimal("0.5"),
        "k_observed": Decimal("0.333333333333"),
        "k_gross": Decimal("0.333333333333"),
        "k_net": Decimal("0.333333333333"),
        "maturity": Decimal(1),
        "k_adjusted": Decimal("0.333333333333"),
        "is_mature": True,
    }


def k_world() -> dict[str, list[dict]]:
    """Four users of full age of whom two bring a friend, after 4 and 16 days; ten who joined 10 days ago, of whom one
    has brought a friend by now, 5 days ago."""
    old, young = days_ago(60), days_ago(10)
    users = [user(f"old{n}", old) for n in range(4)] + [user(f"young{n}", young) for n in range(10)]
    users += [user("fast", old + timedelta(days=4), invite_id="i0"), user("slow", days_ago(44), invite_id="i1")]
    users += [user("new", days_ago(5), invite_id="i2")]
    invites = [
        invite("e0", "old0", "fast", old + timedelta(hours=1), invite_id="i0"),
        invite("e1", "old1", "slow", old + timedelta(hours=1), invite_id="i1"),
        invite("e2", "young0", "new", young + timedelta(hours=1), invite_id="i2"),
        *(invite(f"vain{n}", "old0", f"nobody{n}", old + timedelta(hours=2)) for n in range(4)),
    ]
    return {"users": users, "viral_actions": invites}


def test_a_young_cohort_is_weighted_by_what_shows_of_it() -> None:
    """Prevents a K that is low because invitees have not had time to join.

    Lags of 4, 5 and 16 days: 17 users in the fit are old enough for the first two, less those who joined later (fast,
    slow are; new is 5 days old, and counts up to there), 6 for the last. So F(10 d) = (1/17 + 1/17) / (2/17 + 1/6).
    """
    day = {row["cohort_on"]: row for row in marts_of(k_world(), AS_OF, POLICY)["viral_coefficient_daily"]}
    row = day[days_ago(10).date()]
    share = (Fraction(2, 17)) / (Fraction(2, 17) + Fraction(1, 6))
    assert abs(row["maturity"] - Decimal(share.numerator) / Decimal(share.denominator)) < Decimal("1e-11")
    assert abs(row["k_adjusted"] - Decimal(1) / (10 * row["maturity"])) < Decimal("1e-9")
    assert row["k_observed"] == Decimal("0.1")


def test_invites_times_conversion_is_k_and_other_formulas_are_not() -> None:
    """Prevents K as invites x (conversions / invites), which is a count, and invite rate / conversion rate."""
    (row,) = [row for row in marts_of(k_world(), AS_OF, POLICY)["viral_coefficient_daily"] if row["cohort_users"] == 4]
    per_user, per_invite = row["invites_per_user"], row["conversion_per_invite"]
    assert row["k_observed"] == row["k_adjusted"] == Decimal("0.5")
    assert abs(per_user * per_invite - row["k_observed"]) < Decimal("1e-12")
    assert abs(row["invites"] * per_invite - row["k_observed"]) > 1
    assert abs(per_user / per_invite - row["k_observed"]) > 1


@pytest.mark.parametrize(("least", "last_on", "users"), [(0.2, days_ago(5).date(), 11), (0.5, None, 0)])
def test_the_headline_takes_the_trailing_cohorts_of_which_enough_shows(
    least: float, last_on: date | None, users: int
) -> None:
    """Prevents a headline that is carried by days of which next to nothing can be seen yet."""
    policy = POLICY | {"viral_min_users": 1, "viral_min_maturity": least}
    (headline,) = marts_of(k_world(), AS_OF, policy)["viral_headline"]
    assert headline["period_start_on"] == date(2026, 3, 4)
    assert headline["period_end_on"] == (last_on or date(2026, 3, 31))
    assert headline["cohort_users"] == users
    assert (headline["viral_coefficient"] is None) == (users == 0)


def test_the_headline_k_needs_enough_users() -> None:
    """Prevents a headline from the luck of a handful of users."""
    for least, status in ((12, "no_data"), (11, "missed")):
        rows = {
            row["metric"]: row for row in marts_of(k_world(), AS_OF, POLICY | {"viral_min_users": least})["scorecard"]
        }
        assert rows["viral_coefficient"]["status"] == status


def test_invites_within_one_mailbox_and_rings_are_rejected_with_their_reason() -> None:
    """Prevents accounts of one person from lifting K, and a circle of inviters from being walked for ever."""
    users = [
        user("ann", days_ago(60)) | {"email": "ann@gmail.com"},
        user("alias", days_ago(50), invite_id="to a friend") | {"email": "a.nn+2@gmail.com"},
        user("bob", days_ago(40), invite_id="i1"),
        user("ann again", days_ago(30), invite_id="i2") | {"email": "ann+3@gmail.com"},
        user("cid", days_ago(20), invite_id="i3"),
    ]
    invites = [
        invite("e0", "ann", "x", days_ago(55)) | {"recipient_email": "An.n@gmail.com"},
        invite("e1", "ann", "friend", days_ago(55), invite_id="to a friend"),
        invite("e2", "ann", "bob", days_ago(45), invite_id="i1"),
        invite("e3", "bob", "friend", days_ago(35), invite_id="i2"),
        invite("e4", "bob", "cid", days_ago(25), invite_id="i3"),
    ]
    found = judged(users, invites)
    assert found.outcomes == {"e0": "self", "to a friend": "self", "i1": "ring", "i2": "ring", "i3": "credited"}
    assert found.inviters == {"cid": "bob"}


def test_flags_leave_a_join_in_gross_and_out_of_net() -> None:
    """Prevents bursts and throw-away addresses from counting, and from disappearing without a trace."""
    start = days_ago(40)
    users = [user("ann", days_ago(50))]
    users += [user(f"bot{n}", start + timedelta(minutes=n), invite_id=f"i{n}") for n in range(3)]
    users += [user("later", start + timedelta(minutes=63), invite_id="i3")]
    users += [user("thrown", days_ago(35), invite_id="i4") | {"email": "x@sub.mailinator.com"}]
    invites = [invite(f"e{n}", "ann", f"f{n}", days_ago(45), invite_id=f"i{n}") for n in range(5)]
    joins = judged(users, invites, viral_burst_joins=2, viral_burst_hours=1).joins
    flags = {name: (join.is_burst, join.user.is_disposable, join.is_net) for name, join in joins.items()}
    assert flags["bot0"] == flags["bot2"] == (True, False, False)
    assert flags["later"] == (False, False, True)
    assert flags["thrown"] == (False, True, False)
