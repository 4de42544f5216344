"""The oracle of the marts of content on cases worked out by hand, or printed in the literature."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracles.content import Z_95, Z_99, always, newcombe, wilson
from tests.oracles.oracle import marts_of
from tests.oracles.policy import policy_of
from tests.oracles.records import conversion, invite, mail, user

POLICY = policy_of(Path(__file__).parents[2] / "dbt_project.yml") | {"content_min_recipients": 1}
AS_OF = datetime(2026, 4, 1, tzinfo=UTC)
LONG_AGO = AS_OF - timedelta(days=90)
TICK = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
Counts = Any
"""Numbers, or arrays of them."""


def mart(table: str, feeds: dict[str, list], **overrides: Any) -> list[dict[str, Any]]:
    return marts_of(feeds, AS_OF, POLICY | overrides)[table]


def variants(feeds: dict[str, list], **overrides: Any) -> dict[str, dict[str, Any]]:
    return {row["variant_id"]: row for row in mart("content_performance", feeds, **overrides)}


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [
        ((56, 70), (48, 80), "0.0524", "0.3339"),
        ((9, 10), (3, 10), "0.1705", "0.8090"),
        ((6, 7), (2, 7), "0.0582", "0.8062"),
        ((5, 56), (0, 29), "-0.0381", "0.1926"),
        ((0, 10), (0, 20), "-0.1611", "0.2775"),
        ((0, 10), (0, 10), "-0.2775", "0.2775"),
        ((10, 10), (0, 20), "0.6791", "1.0000"),
        ((10, 10), (0, 10), "0.6075", "1.0000"),
    ],
)
def test_intervals_of_differences_are_those_that_newcombe_printed(
    one: tuple[int, int], other: tuple[int, int], low: str, high: str
) -> None:
    """Prevents an interval of another method: Newcombe 1998, table II, method 10, all of its contrasts."""
    assert [str(round(bound, 4)) for bound in newcombe(one, other, Z_95)] == [low, high]


def reach(own: Counts, control: Counts, typical: float) -> Counts:
    """Half the width of an interval for all times of looking, in closed form; own, control: successes, trials."""
    variance = sum(
        (successes + 1) / (trials + 2) * (1 - (successes + 1) / (trials + 2)) / (trials + 2)
        for successes, trials in (own, control)
    )
    wide = variance + typical**2
    return np.sqrt(variance * wide / typical**2 * (2 * np.log(20) + np.log(wide / variance)))


@given(st.integers(0, 900), st.integers(0, 900), st.integers(0, 900), st.sampled_from(["0.01", "0.05", "0.5"]))
def test_an_interval_for_all_times_is_that_of_the_closed_form(own: int, control: int, more: int, typical: str) -> None:
    counts = (own, own + more + 1), (control, control + 7)
    lift, away = own / counts[0][1] - control / counts[1][1], reach(*counts, float(typical))
    ends = [float(end) for end in always(*counts, Decimal(typical))]
    assert ends == pytest.approx([max(lift - away, -1), min(lift + away, 1)], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("rate", [0.05, 0.437])
def test_whoever_looks_every_day_is_wrong_once_in_twenty_at_most(rate: float) -> None:
    """Prevents a variant that is as good as the control from being retired since somebody looked often enough."""
    worlds, looks, recipients = 2000, 60, 200
    draw = np.random.default_rng(1).binomial(recipients, rate, (2, worlds, looks))
    (own, control), trials = draw.cumsum(axis=2), recipients * np.arange(1, looks + 1)
    lift = (own - control) / trials
    assert (abs(lift) > reach((own, trials), (control, trials), 0.05)).any(axis=1).mean() < 0.05
    # What this prevents is real: an interval for one look finds a difference of nothing in a third of them.
    one_look = 1.96 * np.sqrt(2 * rate * (1 - rate) / trials)
    assert (abs(lift) > one_look).any(axis=1).mean() > 0.25


@given(st.integers(0, 1000), st.integers(1, 1000), st.sampled_from([Z_95, Z_99]))
def test_an_end_of_an_interval_is_just_as_surprised_by_what_was_seen_as_promised(
    successes: int, trials: int, z: Decimal
) -> None:
    """Prevents a slip in the quadratic: at both ends what was seen lies exactly z standard deviations off."""
    successes = min(successes, trials)
    for end in wilson(successes, trials, z):
        share = Fraction(end)
        off = (Fraction(successes, trials) - share) ** 2 - Fraction(z) ** 2 * share * (1 - share) / trials
        assert abs(off) < Fraction(1, 10**50)


def test_the_variant_named_first_is_a_recipients_variant() -> None:
    """Prevents recipients who count for two variants, and ties that arrival decides: T comes before e by code point."""
    events = [
        mail("delivered", "ann", LONG_AGO),
        mail("clicked", "ann", LONG_AGO + HOUR, variant_id="later"),
        mail("opened", "ann", LONG_AGO + HOUR - TICK, variant_id="earlier"),
        mail("sent", "ben", LONG_AGO, variant_id="lower", event_id="e"),
        mail("opened", "ben", LONG_AGO, variant_id="upper", event_id="T"),
    ]
    found = variants({"campaign_events": events})
    assert {name: row["delivered"] for name, row in found.items()} == {"control": 0, "earlier": 1, "upper": 0}


@pytest.mark.parametrize(("given", "told"), [(7, "7"), (True, "true"), (1.5, "1.5"), (" v", " v"), ("Control", None)])
def test_a_variant_counts_by_its_text(given: Any, told: str | None) -> None:
    """Prevents a number from being no variant, and a control that only looks like one."""
    found = variants({"campaign_events": [mail("delivered", "ann", LONG_AGO, variant_id=given)]})
    assert found.keys() == {"control", told or given}
    assert found["control"]["delivered"] == 0


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_campaign_without_a_variant_has_no_row(nothing: str | None) -> None:
    """Prevents controls of campaigns in which nothing was tried."""
    assert variants({"campaign_events": [mail("delivered", "ann", LONG_AGO, variant_id=nothing)]}) == {}


def test_the_control_is_who_got_it_as_it_was_from_the_first_delivery_of_a_variant_on() -> None:
    """Prevents a comparison with an earlier season, or with the variants themselves."""
    events = [
        mail("delivered", "ann", LONG_AGO, variant_id="v1"),
        mail("delivered", "ben", LONG_AGO + HOUR, variant_id="v2"),
        mail("delivered", "before", LONG_AGO - TICK),
        mail("delivered", "at once", LONG_AGO),
        mail("delivered", "later", LONG_AGO + HOUR),
        mail("delivered", "elsewhere", LONG_AGO, campaign="other"),
        mail("sent", "never", LONG_AGO + HOUR),
    ]
    found = variants({"campaign_events": events})
    assert {name: row["delivered"] for name, row in found.items()} == {"control": 2, "v1": 1, "v2": 1}
    named = variants({"campaign_events": [*events, mail("opened", "never", LONG_AGO + HOUR, variant_id="control")]})
    assert named["control"]["delivered"] == 0


def test_a_verdict_needs_the_whole_interval_and_enough_of_both() -> None:
    """Prevents winners by chance: all of 4 against none of 4 is a winner, 3 of 4 is not, and nor is either of 3."""
    names = [f"{group}{number}" for group in ("all", "some", "none") for number in range(4)]
    feeds = {
        "users": [user(name, LONG_AGO) for name in names],
        "campaign_events": [
            mail("delivered", name, LONG_AGO, variant_id="control" if name.startswith("none") else name[:-1])
            for name in names
        ],
        "conversions": [
            conversion(name, LONG_AGO + HOUR, user_id=name)
            for name in names
            if name.startswith("all") or name in ("some0", "some1")
        ],
    }
    found = variants(feeds, content_min_recipients=4, content_typical_lift=0.5)
    assert {name: row["verdict"] for name, row in found.items()} == {
        "all": "winner", "some": "undecided", "control": "control",
    }  # fmt: skip
    assert (found["some"]["lift"], found["some"]["extra_conversions"]) == (Decimal("0.5"), 2)
    assert (found["control"]["conversion_rate"], found["control"]["lift"]) == (0, None)
    few = variants(feeds, content_min_recipients=5)
    assert (few["all"]["verdict"], few["all"]["lift"]) == ("no_data", 1)


def campaign(name: str, channel: str = "email", status: str = "active") -> dict[str, Any]:
    return {"campaign_id": name, "name": name.title(), "channel": channel, "status": status}


def test_a_campaign_is_held_against_the_others_of_its_channel() -> None:
    """Prevents a benchmark that holds the campaign itself, another channel, or a campaign that nobody described."""
    converting = {"good": 9, "poor": 0, "sms": 0, "undescribed": 0}
    names = [(name, f"{name}{number}") for name in converting for number in range(10)]
    feeds = {
        "campaigns": [campaign("good", status="completed"), campaign("poor"), campaign("sms", "sms")],
        "users": [user(who, LONG_AGO) for _name, who in names],
        "campaign_events": [mail("delivered", who, LONG_AGO, campaign=name) for name, who in names],
        "conversions": [
            conversion(who, LONG_AGO, user_id=who) for name, who in names if int(who[-1]) < converting[name]
        ],
    }
    (found,) = mart("content_opportunities", feeds)
    assert (found["subject_id"], found["subject_name"], found["channel"]) == ("poor", "Poor", "email")
    assert (found["people"], found["rate"], found["benchmark_people"]) == (10, 0, 10)
    assert (found["benchmark_rate"], found["shortfall"]) == (Decimal("0.9"), Decimal("0.9"))
    assert 0 < found["shortfall_low"] < Decimal("0.9")
    assert mart("content_opportunities", feeds, content_min_recipients=11) == []
    assert mart("content_opportunities", feeds, content_min_shortfall=float(found["shortfall_low"])) == []


def test_invites_that_end_within_the_week_are_one_row_of_enough_people() -> None:
    """Prevents a reminder about invites that are over once it is read, or have time, and an aggregate of one person."""
    lead = timedelta(days=POLICY["content_lead_days"])
    until = lead + timedelta(days=7)
    ends = {"too soon": lead - TICK, "first": lead, "within": until, "beyond": until + TICK}
    window = timedelta(days=POLICY["invite_window_days"])
    sends = [invite(name, "bob", name, AS_OF - window + end) for name, end in ends.items()]
    sends.append(invite("again", "eve", "within", AS_OF - window + lead))
    feeds = {"users": [user("bob", LONG_AGO)], "viral_actions": sends}
    (found,) = mart("content_opportunities", feeds, content_min_people=2)
    assert (found["kind"], found["subject_id"]) == ("expiring_invites", "week-2026-03-30")
    assert (found["people"], found["rate"], found["deadline_on"]) == (
        2,
        None,
        (AS_OF + lead).date() - timedelta(days=1),
    )
    assert mart("content_opportunities", feeds, content_min_people=3) == []
    assert mart("content_opportunities", feeds, content_min_people=2, viral_tracking_enabled=False) == []


def test_new_super_connectors_are_one_row() -> None:
    """Prevents telling of those of long ago, or of what each of them earned."""
    joined = {"old": AS_OF - timedelta(days=7), "new": AS_OF - timedelta(days=7) + TICK}
    feeds = {
        "users": [user("old", LONG_AGO), user("new", LONG_AGO)]
        + [user(f"by {name}", at, invite_id=name) for name, at in joined.items()],
        "viral_actions": [
            invite(f"send {name}", name, f"by {name}", LONG_AGO + HOUR, invite_id=name) for name in joined
        ]
        + [invite("unanswered", "new", "nobody", LONG_AGO)],
    }
    (found,) = mart("content_opportunities", feeds, content_min_people=1, super_connector_threshold=1)
    assert (found["kind"], found["people"], found["rate"]) == ("super_connectors", 1, Decimal("0.5"))
    due = int(POLICY["viral_reward_cents"] * POLICY["viral_incentive_multiplier"])
    assert (found["amount_cents"], found["deadline_on"]) == (due, None)
