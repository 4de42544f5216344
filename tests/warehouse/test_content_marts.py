"""The marts of content beside the oracle, in worlds in which campaigns and variants differ; and what they cost."""

from datetime import UTC, datetime, timedelta
from random import Random
from secrets import token_hex

import pytest

from tests.engine import Engine, assert_same, policy
from tests.oracles.records import conversion, mail, user
from tests.oracles.worlds import arrivals, content_world, referral_world, together

AS_OF = datetime(2026, 3, 16, tzinfo=UTC)


@pytest.mark.parametrize("seed", [0, pytest.param(6, marks=pytest.mark.soak)])
def test_late_events_end_in_the_same_verdicts(engine: Engine, seed: int) -> None:
    """Prevents a recipient who stays with the variant that happened to arrive first, and briefs about yesterday."""
    drawn = content_world(seed)
    batches = arrivals(drawn.feeds, Random(seed), 3, first=0.5)
    with policy(drawn.overrides):
        for number, batch in enumerate(batches):
            engine.ingest(batch)
            as_of = drawn.as_of + timedelta(days=number)
            engine.build(as_of, arguments=("--exclude-resource-type", "unit_test"))
            expected = engine.expected(together(batches[: number + 1]), as_of, drawn.overrides)
            assert_same(engine.marts(), expected, f"build {number + 1} differs from the oracle")
    assert {row["verdict"] for row in expected["content_performance"]} >= {"control", "undecided", "loser"}
    assert expected["content_opportunities"]


def test_while_viral_tracking_is_off_its_opportunities_rest(engine: Engine) -> None:
    """Prevents a brief about people of whom nothing new is known."""
    drawn = next(
        drawn
        for drawn in map(referral_world, range(60))
        if len(engine.expected(drawn.feeds, drawn.as_of, drawn.overrides)["content_opportunities"]) == 2
    )
    engine.ingest(drawn.feeds)
    with policy(drawn.overrides):
        engine.build(drawn.as_of)
    assert {row["kind"] for row in engine.marts()["content_opportunities"]} == {"super_connectors", "expiring_invites"}
    with policy(drawn.overrides | {"viral_tracking_enabled": "false"}):
        engine.build(drawn.as_of)
    assert engine.marts()["content_opportunities"] == []


def test_a_variant_of_any_length_is_told(engine: Engine) -> None:
    """Prevents one sender's slip from stopping every build: no contract bounds what an extra field holds."""
    events = [mail("delivered", name, AS_OF, variant_id=token_hex(4900)) for name in ("ann", "ben")]
    engine.ingest({"campaign_events": events})
    as_of = AS_OF + timedelta(days=1)
    engine.build(as_of)
    assert_same(engine.marts(), engine.expected({"campaign_events": events}, as_of), "long variants")


def test_events_that_name_no_variant_are_not_read(engine: Engine) -> None:
    """Prevents a build that looks through every event for the few that name a variant: the index must be found."""
    events = [mail("delivered", f"p{number}", AS_OF) for number in range(3000)]
    events += [mail("opened", f"p{number}", AS_OF, variant_id="v1") for number in range(3)]
    engine.ingest({"campaign_events": events})
    engine.build(AS_OF + timedelta(days=1))
    with engine.warehouse.connect(autocommit=True) as connection:
        connection.execute("analyze raw.campaign_events")
        plan = connection.execute(
            "explain select campaign_id, recipient_key from staging.stg_campaign_events where variant_id is not null"
        ).fetchall()
    assert "campaign_events_of_variants" in "\n".join(line for (line,) in plan)


def test_a_variant_is_told_with_what_its_words_cost(engine: Engine) -> None:
    """Prevents a winner that costs more than it brings and does not show it."""
    at = AS_OF - timedelta(days=40)
    variants = {"ai-1-1-1": range(6), "control": range(6, 12)}
    converts = (0, 1, 2, 6)
    feeds = {
        "users": [user(f"p{number}", at - timedelta(days=1)) for number in range(12)],
        "campaign_events": [
            mail("delivered", f"p{number}", at, variant_id=name) for name, group in variants.items() for number in group
        ],
        "conversions": [conversion(f"v{number}", at + timedelta(days=1), user_id=f"p{number}") for number in converts],
    }
    engine.ingest(feeds)
    with engine.warehouse.connect() as connection:
        connection.execute(
            """
            truncate ops.content_briefs restart identity cascade;
            insert into ops.content_briefs (brief_key, kind, subject_id, brief, as_of)
            values ('k', 'underperforming_campaign', 'spring', '{}', now());
            insert into ops.content_jobs (brief_id, prompt_version, model, parameters, parameters_sha256)
            values (1, 'v1', 'm', '{}', 'p');
            insert into ops.content_calls (job_id, attempt, price_version, reserved_usd_micros, cost_usd_micros)
            values (1, 1, 'p', 900, 501);
            insert into ops.content_drafts
                (brief_id, job_id, number, variant_id, origin, subject, preview, body, status)
            values
                (1, 1, 1, 'ai-1-1-1', 'ai', '', '', '', 'published'),
                (1, 1, 2, 'ai-1-1-2', 'ai', '', '', '', 'rejected');
            """
        )
    engine.build(AS_OF)
    told = {row["variant_id"]: row for row in engine.marts()["content_performance"]}
    # 3 of 6 instead of 1 of 6: two more, for the job's 501, since its other draft was rejected.
    assert told["ai-1-1-1"]["extra_conversions"] == 2
    assert told["ai-1-1-1"]["cost_usd_micros"] == 501
    # Rounded half away from zero, as money is.
    assert told["ai-1-1-1"]["cost_usd_micros_per_extra_conversion"] == 251
    assert told["control"]["cost_usd_micros"] is None
