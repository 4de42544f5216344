"""The laws that block a publication: each one finds what is wrong in a warehouse that was right."""

import pytest

from tests.engine import Engine, policy
from tests.oracles.worlds import referral_world, world

# A law, what goes wrong, and how.
BREACHES = (
    (
        "assert_every_invite_ends_once",
        "a credited invite is told to have expired",
        "update candidate.fct_invites set outcome = 'expired' where outcome = 'credited'",
    ),
    (
        "assert_every_invite_ends_once",
        "a rejected invite has no reason",
        "update candidate.fct_invites set rejected_reason = null where outcome = 'rejected'",
    ),
    (
        "assert_every_invite_ends_once",
        "an invite is lost on its way from raw",
        """
        with lost as (select min(invite_id) as invite_id from candidate.fct_invites),
        sent as (delete from intermediate.int_invites_sent where invite_id = (select invite_id from lost)),
        counted as (delete from intermediate.int_invites_counted where invite_id = (select invite_id from lost))
        delete from candidate.fct_invites where invite_id = (select invite_id from lost)
        """,
    ),
    (
        "assert_referral_forest_holds_every_user",
        "a tree is missing",
        "delete from candidate.viral_trees where root_id = (select min(root_id) from candidate.viral_trees)",
    ),
    (
        "assert_referral_forest_holds_every_user",
        "everybody is a root",
        "update intermediate.int_referrals set root_id = user_id",
    ),
    (
        "assert_referral_forest_holds_every_user",
        "a generation is left out",
        "update intermediate.int_referrals set generation = generation + 1 where generation > 0",
    ),
    (
        "assert_cohorts_hold_every_credited_join",
        "a cohort is missing",
        """
        delete from candidate.viral_coefficient_daily
        where cohort_on = (select min(cohort_on) from candidate.viral_coefficient_daily)
        """,
    ),
    (
        "assert_cohorts_hold_every_credited_join",
        "a join counts twice",
        "update candidate.viral_coefficient_daily set net_joins = 2 * net_joins, credited_joins = 2 * credited_joins",
    ),
    (
        "assert_attributed_revenue_equals_net_revenue",
        "a channel is missing",
        "delete from candidate.attribution_by_channel where revenue_cents > 0 and attribution_model = 'linear'",
    ),
    (
        "assert_cost_equals_ad_spend",
        "what was spent is told twice",
        "update candidate.channel_roi set cost_cents = 2 * cost_cents",
    ),
    (
        "assert_credits_of_a_conversion_sum_to_one",
        "a touch is missing",
        "delete from candidate.fct_attribution where touch_position = 1",
    ),
    (
        "assert_variants_hold_every_recipient",
        "a variant is missing",
        "delete from candidate.content_performance where not is_control and delivered > 0",
    ),
    (
        "assert_variants_hold_every_recipient",
        "a control counts who was never reached",
        "update candidate.content_performance set delivered = delivered + 1000 where is_control",
    ),
    (
        "assert_variants_hold_every_recipient",
        "a campaign has no control",
        "update candidate.content_performance set is_control = false where variant_id = 'control'",
    ),
    (
        "assert_variants_hold_every_recipient",
        "a recipient is lost on the way from raw",
        """
        with lost as (select min(recipient_key) as recipient_key from intermediate.int_campaign_recipients_assigned),
        shown as (delete from candidate.content_performance where not is_control)
        delete from intermediate.int_campaign_recipients_assigned
        where recipient_key = (select recipient_key from lost)
        """,
    ),
    (
        "assert_paths_hold_every_conversion",
        "a path is missing",
        "delete from candidate.path_summary where conversions > 0",
    ),
)


@pytest.fixture(scope="module")
def laws(session_engine: Engine) -> dict[str, str]:
    """The SQL of each law, compiled for a world in which everything happens, and kept there."""
    drawn, invited = world(12, settled=True), referral_world(5, counts={"users": 60, "viral_actions": 200}, people=20)
    session_engine.empty()
    session_engine.ingest(drawn.feeds | {feed: invited.feeds[feed] for feed in ("users", "viral_actions")})
    with policy(invited.overrides):
        session_engine.build(max(drawn.as_of, invited.as_of))
        session_engine.dbt("test", "--select", "test_type:singular")
    compiled = session_engine.project.target / "compiled" / "marketing_automation" / "dbt_project" / "tests"
    return {path.stem: path.read_text() for path in compiled.rglob("assert_*.sql")}


@pytest.mark.parametrize(("law", "breach", "statement"), BREACHES, ids=[f"{law}: {what}" for law, what, _ in BREACHES])
def test_a_breach_is_found(session_engine: Engine, laws: dict[str, str], law: str, breach: str, statement: str) -> None:
    """Prevents a law that holds whatever the tables say."""
    with session_engine.warehouse.connect() as connection:
        assert not connection.execute(laws[law]).fetchall()
        assert connection.execute(statement).rowcount > 0, f"{breach}: nothing to break"
        assert connection.execute(laws[law]).fetchall()
        connection.rollback()


def test_every_law_is_broken_here(laws: dict[str, str]) -> None:
    """Prevents a new law that nobody saw fail; that of missing rates is no law of the models: it warns."""
    assert set(laws) - {law for law, _what, _statement in BREACHES} == {"assert_every_amount_has_a_rate"}
