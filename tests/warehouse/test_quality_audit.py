"""The audit before publication: a candidate that cannot be, or has lost what was published, does not pass."""

from datetime import UTC, datetime, timedelta

import pytest
from psycopg import sql

from expectations.candidate import candidate_suites
from orchestration.ingest.loader import load
from orchestration.ingest.open_load import PersonalData
from orchestration.policy import Policy
from orchestration.privacy.pseudonyms import Pseudonyms
from orchestration.privacy.vault import Cipher
from orchestration.quality.audit import audit_candidate
from orchestration.simulate import simulate
from orchestration.warehouse import builds
from tests.arrivals import conversion, send
from tests.engine import KEY, PROJECT_FILE, Engine

AS_OF = datetime(2026, 3, 31, tzinfo=UTC)
POLICY = Policy.load(PROJECT_FILE, {"AUDIT_MIN_HISTORY": "30"})


@pytest.fixture(scope="module")
def business(module_warehouse, tmp_path_factory):
    """A small business, simulated, built and published once; gives its engine."""
    feeds = tmp_path_factory.mktemp("feeds")
    simulate(feeds, people=60, days=60, seed=5, until=AS_OF)
    personal_data = PersonalData(Pseudonyms(KEY), Cipher(KEY, purpose="vault"), Cipher(KEY, purpose="quarantine"))
    load(module_warehouse, [feeds], personal_data=personal_data, now=AS_OF + timedelta(hours=1))
    engine = Engine(module_warehouse)
    engine.build(AS_OF)
    return engine


@pytest.fixture
def candidate(business):
    """The warehouse with candidate tables as published; they may be changed."""
    with business.warehouse.connect() as connection:
        for mart in candidate_suites(POLICY):
            names = {"candidate": sql.Identifier("candidate", mart), "mart": sql.Identifier("marts", mart)}
            connection.execute(sql.SQL("truncate {candidate}").format(**names))
            connection.execute(sql.SQL("insert into {candidate} select * from {mart}").format(**names))
    return business.warehouse


def audit(warehouse, *changes, as_of=AS_OF, policy=POLICY, **build):
    """Outcomes by table of a new build whose candidate was changed by these statements."""
    with warehouse.connect() as connection:
        base = connection.execute(
            "select policy_sha256, code_sha256 from ops.builds where status = 'published' order by build_id desc"
        ).fetchone()
        fingerprints = {"policy_sha256": base[0], "code_sha256": base[1]}
        opened = builds.open_build(
            connection,
            **{**fingerprints, "as_of": as_of, "requested_by": "a test", "run_id": None, "full_reason": None, **build},
        )
        connection.execute("update candidate.scorecard set as_of = %s", [as_of])
        for change in changes:
            assert connection.execute(change).rowcount > 0
    outcomes = audit_candidate(warehouse, opened.build_id, policy)
    return {outcome.suite.removeprefix("candidate."): outcome for outcome in outcomes}


def broken(outcomes):
    """Table and column of each broken expectation, and whether it blocks."""
    return {
        (table, finding.expectation.column): finding.blocks
        for table, outcome in outcomes.items()
        for finding in outcome.broken
    }


def test_what_is_published_passes_its_own_audit(candidate):
    outcomes = audit(candidate)
    assert broken(outcomes) == {}
    unjudged = {
        finding.expectation.column for one in outcomes.values() for finding in one.findings if not finding.judged
    }
    # Of so few people there is neither ground truth enough nor a campaign that surely falls short.
    truth, campaigns = (
        {"accuracy", "drifted_accuracy", "attribution_accuracy"},
        {"lowest_shortfall", "fewest_recipients"},
    )
    assert unjudged == truth | campaigns


BREACHES = [
    ("fct_attribution", "lowest_credit", "set linear_credit = -0.1 where touch_count > 1", True),
    ("fct_attribution", "highest_credit", "set last_touch_credit = 1.000000000001 where touch_position = 1", True),
    ("fct_attribution", "lowest_cents", "set linear_revenue_cents = -1 where touch_count > 1", True),
    ("attribution_by_channel", "revenue_cents_change", "set revenue_cents = revenue_cents * 2", True),
    ("attribution_by_channel", "conversions_change", "set conversions = conversions * 0.7", True),
    ("attribution_by_campaign", "revenue_cents_change", "set revenue_cents = revenue_cents / 2", True),
    ("campaign_performance", "delivered_fall", "set delivered = delivered / 2", True),
    ("campaign_performance", "sent_fall", "set sent = sent / 2", True),
    ("channel_roi", "lowest_roi_pct", "set roi_pct = -100.1", True),
    ("channel_roi", "lowest_cac_cents", "set cac_cents = -1", True),
    ("channel_roi", "cost_cents_change", "set cost_cents = cost_cents * 100", True),
    ("campaign_roi", "lowest_roas", "set roas = -1", True),
    ("viral_coefficient_daily", "outside_interval", "set low = high + 1 where high is not null", True),
    ("viral_coefficient_weekly", "highest_maturity", "set maturity = 1.1", True),
    ("viral_coefficient_daily_by_user_type", "parts_beyond_whole", "set net_joins = credited_joins + 1", True),
    ("viral_headline", "lowest_k", "set viral_coefficient = -0.1", True),
    ("viral_backtest", "outside_interval", "set k_said = high + 1 where scope = 'headline'", True),
    ("viral_lag_distribution", "falling_shares", "set share = 0 where lag_hours = 720", True),
    ("viral_users_by_hour", "outside_hour", "set past_hour_us = users * 3600000000", True),
    ("viral_generations", "brought_off", "set brought = brought + 1", True),
    ("viral_trees", "uneven_trees", "set depth = depth + 1", True),
    ("fct_referrals", "early_joins", "set joined_at = sent_at", True),
    ("fct_referrals", "wrongly_net", "set is_burst = true where is_net", True),
    ("viral_incentives", "lowest_cents", "set revenue_cents = -1", True),
    ("viral_spread", "highest_share", "set value = 2 where metric = 'extinction_probability'", True),
    ("viral_levers", "reversed_intervals", "set low = high + 1 where high is not null", True),
    ("viral_forecasts", "outside_interval", "set expected_joins = high + 1", True),
    ("viral_coefficient_daily", "credited_joins_change", "set credited_joins = credited_joins * 2", True),
    ("viral_coefficient_daily", "cohort_users_change", "set cohort_users = cohort_users * 2", True),
    ("scorecard", "metric", "set metric = 'roi' where metric = 'marketing_roi_pct'", True),
    ("scorecard", "campaign_conversion_rate", "set value = 1.1 where metric = 'campaign_conversion_rate'", True),
    ("scorecard", "marketing_roi_pct", "set value = -200 where metric = 'marketing_roi_pct'", True),
    ("scorecard", "value_lost", "set value = null where metric = 'attributed_revenue_cents'", False),
]


@pytest.mark.parametrize(("mart", "column", "change", "blocks"), BREACHES)
def test_a_candidate_that_breaks_an_expectation_is_found(candidate, mart, column, change, blocks):
    """Prevents an expectation that nothing can break."""
    assert broken(audit(candidate, f"update candidate.{mart} {change}"))[mart, column] is blocks


OPPORTUNITY = """
    insert into candidate.content_opportunities
        (kind, subject_id, channel, people, rate, rate_low, rate_high, benchmark_people, shortfall_low, as_of)
    values ('{kind}', '1', {channel}, {people}, 0.1, 0.05, {rate_high}, {benchmark_people}, {shortfall_low}, now())
"""
CAMPAIGN = {
    "kind": "underperforming_campaign",
    "channel": "'email'",
    "people": 200,
    "rate_high": 0.2,
    "benchmark_people": 200,
    "shortfall_low": 0.03,
}
GROUP = dict.fromkeys(CAMPAIGN, "null") | {"kind": "super_connectors", "people": 20}


@pytest.mark.parametrize(
    ("opportunity", "column"),
    [
        (CAMPAIGN, None),
        (GROUP, None),
        (CAMPAIGN | {"rate_high": 0.09}, "outside_interval"),
        (CAMPAIGN | {"shortfall_low": 0.01}, "lowest_shortfall"),
        (CAMPAIGN | {"people": 199}, "fewest_recipients"),
        (CAMPAIGN | {"benchmark_people": 199}, "fewest_recipients"),
        (GROUP | {"people": 19}, "fewest_people"),
    ],
)
def test_an_opportunity_that_rests_on_too_little_blocks(candidate, opportunity, column):
    """Prevents briefs about chance, and about persons."""
    found = broken(audit(candidate, OPPORTUNITY.format(**opportunity)))
    assert found == ({("content_opportunities", column): True} if column else {})


VARIANT = """
    insert into candidate.content_performance
        (campaign_id, variant_id, is_control, delivered, matured_delivered, converted, lift, lift_low, lift_high,
        verdict, as_of)
    values
        ('c', 'control', {is_control}, 9, 9, 9, null, null, null, 'control', now()),
        ('c', 'v', false, 9, {matured}, {converted}, -0.5, {lift_low}, 0, 'undecided', now())
"""
GOOD_VARIANT = {"is_control": True, "matured": 9, "converted": 9, "lift_low": -1}


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({}, None),
        ({"is_control": False}, "without_control"),
        ({"matured": 10}, "parts_beyond_whole"),
        ({"converted": 10}, "parts_beyond_whole"),
        ({"lift_low": -0.4}, "outside_interval"),
    ],
)
def test_a_variant_that_cannot_be_blocks(candidate, change, column):
    """Prevents a verdict on counts that contradict each other, or against nothing."""
    found = broken(audit(candidate, VARIANT.format(**GOOD_VARIANT | change)))
    assert found == ({("content_performance", column): True} if column else {})


def test_a_day_that_has_gone_blocks(candidate):
    gone = "delete from candidate.marketing_roi_summary where date = '2026-02-15'"
    assert broken(audit(candidate, gone)) == {("marketing_roi_summary", "days_lost"): True}


def test_history_that_has_gone_from_the_largest_table_blocks(candidate):
    gone = "delete from candidate.fct_attribution where touch_position > 1"
    assert broken(audit(candidate, gone)) == {("fct_attribution", "rows_change"): True}


def test_a_scorecard_of_another_present_or_none_blocks(candidate):
    late = audit(candidate, "update candidate.scorecard set as_of = as_of - interval '1 hour'")
    assert broken(late) == {("scorecard", "as_of_off_by_seconds"): True}
    empty = audit(candidate, "delete from candidate.scorecard")
    assert broken(empty) == {("scorecard", "metric"): True}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (
            "update candidate.attribution_by_channel set channel = 'unattributed' where date >= '2026-03-24'",
            ("attribution_by_channel", "unattributed_rise"),
        ),
        (
            "update candidate.attribution_by_campaign set campaign_id = '(none)' where date >= '2026-03-24'",
            ("attribution_by_campaign", "without_campaign_rise"),
        ),
    ],
)
def test_touches_that_are_no_longer_found_warn(candidate, change, found):
    """Broken tracking is no reason to hide right numbers, but somebody should look."""
    assert broken(audit(candidate, change)) == {found: False}


HALVED = "update candidate.attribution_by_channel set revenue_cents = revenue_cents / 2"
REVENUE = ("attribution_by_channel", "revenue_cents_change")


@pytest.mark.parametrize(
    ("build", "blocks"),
    [
        ({"full_reason": "asked for"}, False),
        ({"policy_sha256": "moved"}, False),
        ({"full_reason": "the last build failed"}, True),
        ({"code_sha256": "moved"}, True),
    ],
)
def test_a_change_that_a_person_asked_for_only_warns(candidate, build, blocks):
    """Otherwise a moved policy, or a wanted rebuild, could never be published."""
    assert broken(audit(candidate, HALVED, **build)) == {REVENUE: blocks}


def test_a_change_that_an_accepted_load_brings_only_warns(candidate):
    accepted = send(candidate, "conversions", conversion, 1)
    accept = f"update raw.loads set status = 'accepted' where load_id = {accepted}"
    assert broken(audit(candidate, HALVED, accept)) == {REVENUE: False}
    with candidate.connect() as connection:
        connection.execute("update raw.loads set status = 'withdrawn' where load_id = %s", [accepted])


def test_broken_bounds_block_whoever_asked(candidate):
    wrong = "update candidate.campaign_roi set roas = -1"
    assert broken(audit(candidate, wrong, full_reason="asked for")) == {("campaign_roi", "lowest_roas"): True}


def test_nothing_is_compared_before_the_first_publication(candidate):
    first = "update ops.builds set base_build_id = null where build_id = (select max(build_id) from ops.builds)"
    outcomes = audit(candidate, first, HALVED, full_reason="first build")
    assert broken(outcomes) == {}
    judged = {one.expectation.column for outcome in outcomes.values() for one in outcome.findings if one.judged}
    assert not any(column.endswith(("_change", "_fall", "days_lost")) for column in judged)


def test_a_small_history_is_not_compared(candidate):
    """One late conversion of three is a third of the revenue, and no reason to stop."""
    assert broken(audit(candidate, HALVED, policy=Policy.load(PROJECT_FILE, {}))) == {}


def test_days_that_an_earlier_present_does_not_see_are_not_missed(candidate):
    """MARKETING_AS_OF may go back: the days after it are gone from the candidate by right."""
    as_of = AS_OF - timedelta(days=20)
    gone = [
        f"delete from candidate.{mart} where {day} >= '{as_of:%Y-%m-%d}'"
        for mart, day in (
            ("fct_attribution", "converted_on"),
            ("attribution_by_channel", "date"),
            ("attribution_by_campaign", "date"),
            ("marketing_roi_summary", "date"),
            ("channel_roi", "date"),
            ("viral_coefficient_daily", "cohort_on"),
        )
    ]
    fewer = "update candidate.campaign_performance set sent = sent / 2, delivered = delivered / 2"
    assert not any(broken(audit(candidate, *gone, fewer, as_of=as_of)).values())
