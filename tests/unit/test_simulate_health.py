"""The default world is a healthy business of the size it is meant to have, measured from its files alone.

A plain second reading of the definitions of the marts, apart from the engine and the simulation. Two seeds
together, at a fifth of the default people: ratios stay, money scales; bands are 3 standard deviations or more.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from orchestration.simulate import DEFAULT_DAYS, DEFAULT_PEOPLE, simulate
from tests.unit.simulated import good, newest, time_of

UNTIL = datetime(2026, 3, 31, tzinfo=UTC)
SEEDS = (1, 2)
PEOPLE = DEFAULT_PEOPLE // 5
MONTH = timedelta(days=30)
PERIOD = timedelta(days=91)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folders = [tmp_path_factory.mktemp(f"seed{seed}") for seed in SEEDS]
    for seed, folder in zip(SEEDS, folders, strict=True):
        simulate(folder, people=PEOPLE, days=DEFAULT_DAYS, seed=seed, until=UNTIL)
    return folders


def dollars(out: Path) -> dict[tuple[str, date], float]:
    """(currency, day) -> rate on that day: the last one said of the week before."""
    said = {
        (str(one["currency"]), date.fromisoformat(str(one["rate_on"]))): float(str(one["rate"]))
        for one in newest(out, "exchange_rates")
    }
    found = {}
    for back in range(DEFAULT_DAYS + 60):
        day = UNTIL.date() - timedelta(days=back)
        found["USD", day] = 1.0
        for currency in ("GBP", "EUR", "AUD"):
            rates = (said.get((currency, day - timedelta(days=age))) for age in range(8))
            found[currency, day] = next(rate for rate in rates if rate is not None)
    return found


def touch_times(out: Path) -> dict[object, list[datetime]]:
    """user_id -> times of their touches; a device's touch belongs to the claim before it, else to the first."""
    claims: dict[object, list[tuple[datetime, object]]] = defaultdict(list)
    for one in good(out, "identities"):
        claims[one["anonymous_id"]].append((time_of(one["occurred_at"]), one["user_id"]))
    for found in claims.values():
        found.sort(key=lambda claim: claim[0])
    times: dict[object, list[datetime]] = defaultdict(list)
    for one in good(out, "touchpoints"):
        moment, owner = time_of(one["occurred_at"]), one.get("user_id")
        if owner is None and one["anonymous_id"] in claims:
            held = claims[one["anonymous_id"]]
            owner = held[max(bisect_right(held, moment, key=lambda claim: claim[0]) - 1, 0)][1]
        times[owner].append(moment)
    for found in times.values():
        found.sort()
    return times


def attributed_revenue(out: Path) -> float:
    """Net revenue in dollars, of the last 91 days, of conversions with a touch in the 30 days before."""
    rates, touches = dollars(out), touch_times(out)
    refunded: dict[object, int] = defaultdict(int)
    for one in good(out, "refunds"):
        refunded[one["conversion_id"]] += int(str(one["refund_cents"]))
    total = 0.0
    for one in good(out, "conversions"):
        at, seen = time_of(one["occurred_at"]), touches[one["user_id"]]
        touched = bisect_left(seen, at - MONTH) < bisect_right(seen, at)
        if touched and at >= UNTIL - PERIOD:
            net = max(int(str(one["revenue_cents"])) - refunded[one["conversion_id"]], 0)
            total += net / 100 * rates[str(one.get("currency", "USD")), at.date()]
    return total


def cost(out: Path) -> float:
    rates = dollars(out)
    return sum(
        int(str(one["cost_cents"])) / 100 * rates[str(one.get("currency", "USD")), day]
        for one in newest(out, "ad_spend")
        if (day := date.fromisoformat(str(one["spend_on"]))) >= (UNTIL - PERIOD).date()
    )


def converted_in_time(out: Path) -> tuple[int, int]:
    """(converted, all) of recipients and campaigns first delivered 30 to 120 days before the end."""
    address = {one["user_id"]: str(one["email"]) for one in newest(out, "users")}
    converted: dict[str, list[datetime]] = defaultdict(list)
    for one in good(out, "conversions"):
        converted[address[one["user_id"]]].append(time_of(one["occurred_at"]))
    first: dict[tuple, datetime] = {}
    for one in good(out, "campaign_events"):
        if one["event_type"] == "delivered":
            recipient = one["campaign_id"], str(one["recipient_email"]).strip().lower()
            first[recipient] = min(first.get(recipient, UNTIL), time_of(one["occurred_at"]))
    matured = {who: at for who, at in first.items() if UNTIL - 4 * MONTH < at <= UNTIL - MONTH}
    won = sum(any(at <= moment <= at + MONTH for moment in converted[who[1]]) for who, at in matured.items())
    return won, len(matured)


def joins_within_a_month(out: Path) -> tuple[int, int]:
    """(joins, users) of the users who joined 30 to 58 days before the end: by named invite, else by address."""
    users = newest(out, "users")
    joined = {one["user_id"]: time_of(one["signed_up_at"]) for one in users}
    sends = [one for one in good(out, "viral_actions") if one["action_type"] == "invite_sent"]
    actor = {one["invite_id"]: one["actor_id"] for one in sends if "invite_id" in one}
    sent_to = {str(one["recipient_email"]).strip().lower(): one["actor_id"] for one in sends}
    cohort = {who for who, at in joined.items() if UNTIL - MONTH - timedelta(days=28) <= at < UNTIL - MONTH}
    joins = 0
    for one in users:
        inviter = actor.get(one.get("invite_id"), sent_to.get(str(one["email"])))
        joins += inviter in cohort and joined[one["user_id"]] - joined[inviter] <= MONTH
    return joins, len(cohort)


def test_revenue_and_return_on_marketing_are_those_of_a_healthy_business(worlds):
    revenue, spent = sum(map(attributed_revenue, worlds)), sum(map(cost, worlds))
    assert revenue / len(worlds) * DEFAULT_PEOPLE / PEOPLE == pytest.approx(5.2e6, rel=0.25)
    assert (revenue - spent) / spent * 100 == pytest.approx(347, abs=60)


def test_campaigns_convert_as_those_of_a_healthy_business(worlds):
    won, matured = map(sum, zip(*map(converted_in_time, worlds), strict=True))
    assert matured > 10_000
    assert won / matured == pytest.approx(0.437, abs=0.02)


def test_users_bring_users_as_those_of_a_healthy_business(worlds):
    joins, users = map(sum, zip(*map(joins_within_a_month, worlds), strict=True))
    assert users > 1_500
    assert joins / users == pytest.approx(1.34, abs=0.17)
