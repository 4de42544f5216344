"""Who is told what, and when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orchestration.alerts.evaluation import Sample, State
from orchestration.alerts.messages import dedup_key, message_of
from orchestration.alerts.routing import (
    Contact,
    Incident,
    Kind,
    Reason,
    Silence,
    channels_of,
    explained_by,
    firing_rules,
    told_now,
)
from orchestration.alerts.rules import Action, Rule, Severity

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
RULE = Rule.model_validate(
    {
        "name": "rate_low",
        "summary": "Fewer convert",
        "metric": "conversion_rate",
        "below": 0.35,
        "clear_at": 0.4,
        "severity": "critical",
        "channels": ["slack", "pagerduty"],
        "owner": "Marketing",
        "runbook": "docs/operations.md",
        "repeat_every": "1h",
        "escalate_after": "15m",
        "inhibited_by": ["feeds_late"],
    }
)
CONTACTS = {
    "Marketing": Contact(channels=("mail", "slack"), escalation=("phone",)),
    "On-Call": Contact(channels=("pager",)),
}
OPEN = Incident(7, "rate_low", Kind.THRESHOLD, NOW - MINUTE, severity=Severity.CRITICAL)
LOST = replace(OPEN, kind=Kind.DATA, severity=Severity.WARNING)
TOLD = replace(OPEN, told_at=NOW - MINUTE, first_told_at=NOW - MINUTE)


def reason(incident: Incident, *, is_muted: bool = False, rule: Rule = RULE, now: datetime = NOW) -> str | None:
    told = told_now(incident, rule, CONTACTS, is_muted=is_muted, now=now)
    return told and told.reason.value


def test_an_incident_is_told_once_through_every_channel_of_rule_and_owner():
    told = told_now(OPEN, RULE, CONTACTS, is_muted=False, now=NOW)
    assert (told.reason, told.channels) == (Reason.FIRED, ("slack", "pagerduty", "mail"))
    assert reason(TOLD) is None
    assert reason(replace(OPEN, kind=Kind.DATA)) == "data_lost"


def test_what_is_muted_is_told_once_it_is_not():
    """Prevents an incident that began under a silence and is never heard of."""
    assert reason(OPEN, is_muted=True) is None
    assert reason(OPEN) == "fired"


def test_the_end_is_told_to_those_who_heard_of_the_beginning():
    over = replace(TOLD, closed_at=NOW)
    assert reason(over) == "resolved"
    assert reason(over, is_muted=True) == "resolved"
    assert reason(replace(over, kind=Kind.DATA)) == "data_back"


def test_what_was_over_before_anybody_looked_is_told_from_its_beginning():
    """Prevents an outage of the watch that swallows an incident."""
    assert reason(replace(OPEN, closed_at=NOW)) == "fired"
    assert reason(replace(OPEN, closed_at=NOW), is_muted=True) is None


def test_a_rule_whose_action_is_to_tell_a_team_tells_it_too():
    paging = RULE.model_copy(update={"action": Action.PAGE_ON_CALL})
    assert channels_of(paging, Kind.THRESHOLD, CONTACTS) == ("slack", "pagerduty", "mail", "pager")
    recalibrating = RULE.model_copy(update={"action": Action.TRIGGER_RECALIBRATION})
    assert channels_of(recalibrating, Kind.THRESHOLD, {}) == RULE.channels


def test_that_a_rule_cannot_be_judged_gets_nobody_up():
    """Prevents a page, and its escalation, for a company that has sent no campaign for a while."""
    paging = RULE.model_copy(update={"action": Action.PAGE_ON_CALL, "no_data_channels": ("slack",)})
    assert channels_of(paging, Kind.DATA, CONTACTS) == ("slack", "mail")
    told = replace(LOST, told_at=NOW, first_told_at=NOW)
    assert reason(told, rule=paging, now=NOW + 59 * MINUTE) is None
    assert reason(replace(told, severity=Severity.CRITICAL), rule=paging, now=NOW + 59 * MINUTE) == "escalation"
    title = message_of(paging, told, Reason.REMINDER, sample=None, data=State.NO_DATA, link=None).title
    assert title == "still warning: rate_low cannot be judged (no_data)"


def test_it_goes_to_the_next_contact_when_nobody_acknowledges():
    late = TOLD.first_told_at + 15 * MINUTE
    assert reason(TOLD, now=late - MINUTE) is None
    told = told_now(TOLD, RULE, CONTACTS, is_muted=False, now=late)
    assert (told.reason, told.channels) == (Reason.ESCALATION, ("phone",))
    assert reason(replace(TOLD, acknowledged_at=NOW), now=late) is None
    assert reason(replace(TOLD, escalated_at=late), now=late + MINUTE) is None
    assert told_now(TOLD, RULE, {}, is_muted=False, now=late) is None


def test_it_is_told_again_while_it_goes_on():
    later = NOW + 59 * MINUTE
    escalated = replace(TOLD, escalated_at=NOW)
    assert reason(escalated, now=later - MINUTE) is None
    assert reason(escalated, now=later) == "reminder"
    assert reason(escalated, now=later, is_muted=True) is None
    assert reason(escalated, now=later, rule=RULE.model_copy(update={"repeat_every": None})) is None


@pytest.mark.parametrize(("rule", "holds"), [("rate_low", True), (None, True), ("another", False)])
def test_a_silence_holds_for_its_rule_and_its_time(rule: str | None, holds: bool):
    silence = Silence(rule, NOW, NOW + MINUTE)
    assert silence.holds("rate_low", NOW) is holds
    assert not silence.holds("rate_low", NOW - MINUTE)
    assert not silence.holds("rate_low", NOW + MINUTE)


def test_a_stale_source_keeps_quiet_what_is_computed_from_it():
    """Prevents ten pages for one feed that has stopped."""
    late = replace(OPEN, rule="feeds_late")
    assert explained_by(RULE, firing_rules([OPEN])) == ()
    assert explained_by(RULE, firing_rules([OPEN, late])) == ("feeds_late",)
    assert explained_by(RULE, firing_rules([replace(late, closed_at=NOW)])) == ()
    # Of what cannot be judged nobody knows whether it explains anything.
    assert explained_by(RULE, firing_rules([replace(late, kind=Kind.DATA)])) == ()


def test_a_message_says_all_that_one_needs():
    sample = Sample(NOW, 0.31, low=0.29, high=0.33, size=12_345, maturity=0.625, label="of late")
    told = message_of(RULE, OPEN, Reason.FIRED, sample=sample, data=None, link="http://127.0.0.1:3000/runs/1")
    assert told.title == "critical: Fewer convert"
    assert told.body.splitlines() == [
        "rule: rate_low",
        "since: 2026-03-01 11:59 UTC",
        "conversion_rate: 0.31 (of late) (95 % interval 0.29 to 0.33) at 2026-03-01 12:00 UTC",
        "sample: 12,345",
        "maturity: 62%",
        "fires: below 0.35, over at 0.4",
        "owner: Marketing",
        "runbook: docs/operations.md",
        "more: http://127.0.0.1:3000/runs/1",
    ]
    assert told.fields["value"] == 0.31
    over = message_of(RULE, replace(OPEN, closed_at=NOW), Reason.RESOLVED, sample=Sample(NOW), data=None, link=None)
    assert over.title == "over: Fewer convert"
    assert "conversion_rate: no value at 2026-03-01 12:00 UTC" in over.body
    lost = message_of(
        RULE,
        LOST,
        Reason.DATA_LOST,
        sample=Sample(NOW, error="gone"),
        data=State.ERROR,
        link=None,
    )
    assert lost.title == "warning: rate_low cannot be judged (error)"
    assert "could not be measured at 2026-03-01 12:00 UTC: gone" in lost.body


def test_messages_of_one_incident_share_a_key_and_others_do_not():
    assert dedup_key(OPEN, "here") == dedup_key(replace(OPEN, closed_at=NOW), "here")
    others = (
        replace(OPEN, incident_id=8),
        replace(OPEN, kind=Kind.DATA),
        # Numbered alike after a backup was restored.
        replace(OPEN, opened_at=NOW + MINUTE),
    )
    assert len({dedup_key(OPEN, "here"), dedup_key(OPEN, "there"), *(dedup_key(one, "here") for one in others)}) == 5
