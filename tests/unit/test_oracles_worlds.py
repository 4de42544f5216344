"""Laws that the oracle obeys in every drawn world, what the worlds must contain, and what a difference looks like."""

from collections import Counter, defaultdict
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.compare import differences
from tests.oracles.feeds import EVENT_KEYS, instant, json_fingerprint, visible_events
from tests.oracles.journeys import touches_of
from tests.oracles.money import Rates, conversions_of
from tests.oracles.oracle import GRAINS, held_out, marts_of, trimmed_lower
from tests.oracles.policy import MODELS, policy_of
from tests.oracles.viral import Referrals, referrals_of
from tests.oracles.viral_marts import generations_of
from tests.oracles.worlds import (
    World,
    arrivals,
    content_world,
    referral_world,
    together,
    world,
    worlds,
    write_feeds,
)

POLICY = policy_of(Path(__file__).parents[2] / "dbt_project.yml")
LAWS = settings(max_examples=60, deadline=None)


def marts(drawn: World, **overrides: object) -> dict[str, list[dict]]:
    return marts_of(drawn.feeds, drawn.as_of, POLICY | drawn.overrides | overrides)


@LAWS
@given(worlds())
def test_credit_is_one_and_cents_are_the_revenue_for_every_conversion_and_model(drawn: World) -> None:
    """Prevents a model that gives away more or less than a conversion is worth."""
    rows = marts(drawn)["fct_attribution"]
    by_conversion = defaultdict(list)
    for row in rows:
        by_conversion[row["conversion_id"]].append(row)
    for journey in by_conversion.values():
        for model in MODELS:
            assert sum(row[f"{model}_credit"] for row in journey) == 1
            assert all(0 <= row[f"{model}_credit"] <= 1 and row[f"{model}_revenue_cents"] >= 0 for row in journey)
            assert sum(row[f"{model}_revenue_cents"] for row in journey) == journey[0]["revenue_cents"]


@LAWS
@given(worlds())
def test_each_day_attributes_the_net_revenue_of_its_conversions(drawn: World) -> None:
    """Prevents a rollup that loses or doubles revenue: by channel and by campaign, under every model."""
    rates = Rates(drawn.feeds, drawn.as_of, POLICY | drawn.overrides, json_fingerprint)
    net: Counter = Counter()
    for conversion in conversions_of(drawn.feeds, drawn.as_of, rates):
        if conversion.revenue_cents is not None:
            for model in MODELS:
                net[conversion.occurred_at.date(), model] += conversion.revenue_cents
    found = marts(drawn)
    for table in ("attribution_by_channel", "attribution_by_campaign", "channel_roi"):
        attributed: Counter = Counter()
        for row in found[table]:
            attributed[row["date"], row["attribution_model"]] += row["revenue_cents"]
        assert +attributed == +net


@LAWS
@given(worlds(clashes=False), st.randoms(use_true_random=False))
def test_no_mart_depends_on_the_order_of_arrival(drawn: World, random: Random) -> None:
    """Prevents ties that are broken by who came first, and re-sent records that count twice."""
    batches = arrivals(drawn.feeds, random, 3)
    assert marts(World(together(batches), drawn.as_of, drawn.overrides)) == marts(drawn)


@LAWS
@given(worlds())
def test_what_happens_after_as_of_changes_nothing(drawn: World) -> None:
    """Prevents a number that already knows tomorrow: dropping later events and versions leaves every mart as it was."""

    def is_known(feed: str, record: dict) -> bool:
        stamp = record.get("occurred_at") if feed in EVENT_KEYS else record.get("updated_at")
        return stamp is None or instant(stamp) <= drawn.as_of

    seen = {
        feed: visible_events(drawn.feeds, feed, drawn.as_of)
        if feed in EVENT_KEYS
        else [record for record in records if is_known(feed, record)]
        for feed, records in drawn.feeds.items()
    }
    assert marts(World(seen, drawn.as_of, drawn.overrides)) == marts(drawn)


@LAWS
@given(worlds())
def test_the_rows_of_a_mart_differ_in_their_grain(drawn: World) -> None:
    """Prevents a mart with two rows for one thing, and rows that come in another order each time."""
    for table, rows in marts(drawn).items():
        keys = [tuple((row[column] is not None, row[column]) for column in GRAINS[table]) for row in rows]
        assert keys == sorted(set(keys))


@LAWS
@given(worlds())
def test_a_touch_earns_only_within_its_own_persons_window(drawn: World) -> None:
    """Prevents credit for touches of someone else, from the future, or older than the lookback."""
    policy = POLICY | drawn.overrides
    lookback = timedelta(days=policy["attribution_lookback_days"])
    persons = {touch.touchpoint_id: touch.person_id for touch in touches_of(drawn.feeds, drawn.as_of)}
    for row in marts(drawn)["fct_attribution"]:
        if row["touchpoint_id"] is not None:
            assert persons[row["touchpoint_id"]] == row["person_id"]
            assert row["converted_at"] - lookback <= row["touched_at"] <= row["converted_at"]


def test_the_worlds_hold_every_kind_of_trouble() -> None:
    """Prevents a generator that never draws a case, and so proves nothing about it."""
    seen: Counter = Counter()
    for seed in range(60):
        drawn = world(seed)
        policy = POLICY | drawn.overrides
        found = marts(drawn)
        rows = [row for row in found["fct_attribution"] if row["touchpoint_id"] is not None]
        lookback = timedelta(days=policy["attribution_lookback_days"])
        events = drawn.feeds["touchpoints"]
        claims = Counter(
            (record["anonymous_id"], instant(record["occurred_at"])) for record in drawn.feeds["identities"]
        )
        owners = defaultdict(set)
        for record in drawn.feeds["identities"]:
            owners[record["anonymous_id"]].add(record["user_id"])
        waiting, costs = held_out(drawn.feeds, drawn.as_of, policy)
        referrals = referrals_of(drawn.feeds, drawn.as_of, policy, json_fingerprint, trimmed_lower)
        channels = defaultdict(set)
        for row in rows:
            channels[row["conversion_id"]].add(row["channel"])
        seen.update(
            {
                "touch at the conversion": sum(row["touched_at"] == row["converted_at"] for row in rows),
                "touch at the lookback": sum(row["touched_at"] == row["converted_at"] - lookback for row in rows),
                "touches at one instant": len(rows) - len({(row["conversion_id"], row["touched_at"]) for row in rows}),
                "all direct": sum(names == {"direct"} for names in channels.values()),
                "unattributed": len(found["fct_attribution"]) - len(rows),
                "no revenue": sum(row["revenue_cents"] == 0 for row in rows),
                "long journey": sum(row["touch_count"] > 5 for row in rows),
                "key sent twice": len(events) - len({record["event_id"] for record in events}),
                "after as_of": sum(instant(record["occurred_at"]) > drawn.as_of for record in events),
                "claims at one instant": sum(count > 1 for count in claims.values()),
                "device with two owners": sum(len(users) > 1 for users in owners.values()),
                "conversion without a rate": len(waiting),
                "cost without a rate": costs,
                "cost without revenue": sum(row["conversions"] == 0 for row in found["channel_roi"]),
                "both cost and signups": sum(row["cac_cents"] is not None for row in found["channel_roi"]),
                "converted recipient": sum(row["converted"] for row in found["campaign_performance"]),
                "join within the horizon": sum(row["credited_joins"] for row in found["viral_coefficient_daily"]),
                **Counter(referrals.outcomes.values()),
                **Counter(f"{row['metric']} {row['status']}" for row in found["scorecard"]),
            }
        )
    assert not [trouble for trouble, count in seen.items() if count == 0]
    outcomes = {"self", "already_a_user", "duplicate", "credited", "other_inviter_credited", "pending", "expired"}
    assert outcomes <= seen.keys()
    assert {"campaign_conversion_rate met", "campaign_conversion_rate missed"} <= seen.keys()


def test_the_worlds_hold_every_opportunity_and_every_verdict() -> None:
    """Prevents marts of content that nothing is ever told in."""
    seen: Counter = Counter()
    for seed in range(60):
        for drawn in (world(seed), referral_world(seed), content_world(seed)):
            found = marts(drawn)
            seen.update(row["kind"] for row in found["content_opportunities"])
            seen.update(row["verdict"] for row in found["content_performance"])
            named = {
                record["campaign_id"]
                for record in drawn.feeds.get("campaign_events", ())
                if record.get("variant_id") == "control"
            }
            seen.update(
                "control by name" if row["campaign_id"] in named else "control by absence"
                for row in found["content_performance"]
                if row["is_control"] and row["delivered"]
            )
    verdicts = {"control", "no_data", "winner", "loser", "undecided"}
    controls = {"control by name", "control by absence"}
    assert seen.keys() == {"underperforming_campaign", "super_connectors", "expiring_invites"} | verdicts | controls
    assert min(seen.values()) >= 5


def told(referrals: Referrals) -> dict[str, dict[str, object]]:
    """What a late record can change, each by user or invite."""
    joins = referrals.joins
    return {
        "inviter": {user_id: join.invite.actor_id for user_id, join in joins.items()},
        "ring": {user_id: join.rejected == "ring" for user_id, join in joins.items()},
        "self": {user_id: join.rejected == "self" for user_id, join in joins.items()},
        "burst": {user_id: join.is_burst for user_id, join in joins.items()},
        "inviter is a user": {user_id: join.inviter is not None for user_id, join in joins.items()},
        "root": {user_id: root for user_id, (root, _steps) in generations_of(referrals).items()},
        "mailbox": {user_id: user.mailbox for user_id, user in referrals.users.items()},
        "pair": {key: (invite.actor_id, invite.recipient) for key, invite in referrals.invites.items()},
        "opening": {key: referrals.opened.get(key) for key in referrals.invites},
        "outcome": dict(referrals.outcomes),
    }


def test_late_records_change_referrals_in_every_way() -> None:
    """Prevents worlds in which an incremental build has nothing to do but add: what was known changes as well, also
    where nothing of the user's own has changed."""
    seen: Counter = Counter()
    for seed in range(60):
        drawn, before = referral_world(seed), None
        batches = arrivals(drawn.feeds, Random(seed), 4, first=0.5)
        for number in range(len(batches)):
            feeds, policy = together(batches[: number + 1]), POLICY | drawn.overrides
            now = told(referrals_of(feeds, drawn.as_of, policy, json_fingerprint, trimmed_lower))
            for name in now if before else ():
                for key in before[name].keys() & now[name].keys():
                    if before[name][key] != now[name][key]:
                        own = before["inviter"].get(key) == now["inviter"].get(key)
                        seen[name, now[name][key] if isinstance(now[name][key], bool) else None, own] += 1
                seen[name, "gone"] += len(before[name].keys() - now[name].keys())
            before = now
    for name in ("ring", "burst", "self", "inviter is a user"):
        assert seen[name, True, True] >= 5, name
        assert seen[name, False, True] >= 5, name
    assert seen["root", None, True] >= 20
    assert min(seen[name, "gone"] for name in ("mailbox", "inviter")) >= 5
    assert min(sum(seen[name, None, own] for own in (True, False)) for name in ("mailbox", "pair", "opening")) >= 20


def test_a_world_with_fewer_records_keeps_the_others() -> None:
    """Prevents a failing example from turning into another one while it is made smaller."""
    whole = world(7, clashes=False)
    part = world(7, counts={"touchpoints": 5, "conversions": 3}, clashes=False)
    assert part.feeds["touchpoints"] == whole.feeds["touchpoints"][:5]
    assert part.feeds["conversions"] == whole.feeds["conversions"][:3]
    assert (part.as_of, part.overrides) == (whole.as_of, whole.overrides)


@LAWS
@given(worlds(settled=True))
def test_nothing_of_a_settled_world_lies_after_its_as_of(drawn: World) -> None:
    """Prevents builds that look at every load again, and so never show what they would have left out."""
    times = ("occurred_at", "updated_at", "signed_up_at")
    for records in drawn.feeds.values():
        assert all(instant(record[name]) < drawn.as_of for record in records for name in times if record.get(name))


def test_batches_hold_every_record_and_send_some_again() -> None:
    """Prevents a split that loses records, or never tries a re-send."""
    feeds = world(3).feeds
    batches = arrivals(feeds, Random(1), 4, resent=0.5)
    for feed, records in together(batches).items():
        sent, known = Counter(map(repr, records)), Counter(map(repr, feeds[feed]))
        assert sent.keys() == known.keys()
        assert all(known[record] <= count <= 2 * known[record] for record, count in sent.items())
    assert sum(len(records) for records in together(batches).values()) > sum(map(len, feeds.values()))


def test_feeds_are_written_where_ingest_looks_for_them(tmp_path: Path) -> None:
    """Prevents files that a feed folder does not hold, and empty ones."""
    files = write_feeds({"touchpoints": [{"event_id": "é"}], "refunds": []}, tmp_path, "first")
    assert files == [tmp_path / "touchpoints" / "first.jsonl"]
    assert files[0].read_text(encoding="utf-8") == '{"event_id": "é"}\n'


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"cost_cents": 4}, "different (1):\n    linear / a cost_cents = 4, expected 3"),
        ({"cost_cents": Decimal(3)}, "cost_cents = Decimal('3'), expected 3"),
        ({"campaign_id": "b"}, "missing (1):\n    linear / a cost_cents=3"),
        ({"campaign_id": "b"}, "not expected (1):\n    linear / b cost_cents=3"),
    ],
)
def test_a_difference_names_the_row_and_the_column(change: dict, told: str) -> None:
    """Prevents a failure that says only that two lists of a thousand rows differ."""
    expected = [{"attribution_model": "linear", "campaign_id": "a", "cost_cents": 3}]
    assert told in differences("campaign_roi", [expected[0] | change], expected)


def test_equal_rows_have_no_difference_whatever_else_the_table_holds() -> None:
    """Prevents a comparison that breaks when a mart gains a column, or that misses one it lost."""
    expected = [{"attribution_model": "linear", "campaign_id": "a", "cost_cents": 3}]
    assert differences("campaign_roi", [expected[0] | {"extra": 1}], expected) == ""
    without = [{"attribution_model": "linear", "campaign_id": "a"}]
    assert "cost_cents is no column" in differences("campaign_roi", without, expected)


def test_rows_that_repeat_a_grain_are_told_apart_from_equal_ones() -> None:
    """Prevents a duplicated row from hiding behind its twin when rows are matched by grain."""
    row = {"attribution_model": "linear", "campaign_id": "a", "cost_cents": 3}
    with pytest.raises(AssertionError, match="1 rows repeat the grain"):
        differences("campaign_roi", [row, row], [row])
