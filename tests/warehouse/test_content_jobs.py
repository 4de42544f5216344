"""Content from brief to draft: asked of a server that speaks the true protocol, by the true client."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestration.content.asking import ask, ask_again
from orchestration.content.desk import Desk
from orchestration.content.draining import Drained, drain
from orchestration.warehouse import DatabaseError, Warehouse, content_calls
from orchestration.warehouse import content as stored
from orchestration.warehouse.switches import AI_CONTENT, is_on, turn
from tests.content_desk import NOW, POLICY, calls, campaigns, desk, drafts, due_now, jobs, rows
from tests.openai_server import Reply, Served, openai_server


@pytest.fixture
def served() -> Iterator[Served]:
    with openai_server() as one:
        yield one


def written(warehouse: Warehouse, made: Desk, many: int = 1, *, times: int = 1) -> Drained:
    """Ask for content about so many campaigns, and drain; `times` more often, all that waits being made due."""
    campaigns(warehouse, many)
    ask(warehouse, made, NOW)
    drained = drain(warehouse, made)
    for _time in range(times - 1):
        due_now(warehouse)
        drained = drain(warehouse, made)
    return drained


def test_a_brief_is_answered_judged_moderated_and_waits_for_a_person(warehouse: Warehouse, served: Served):
    assert written(warehouse, desk(served), 3) == Drained(done=3)
    assert served.faults == []
    assert {job["status"] for job in jobs(warehouse)} == {"done"}
    found = drafts(warehouse)
    assert len(found) == 3 * POLICY.content_variants
    assert {(draft["origin"], draft["status"]) for draft in found} == {("ai", "pending_review")}
    assert len({draft["variant_id"] for draft in found}) == len(found)
    assert len(served.moderated) == 3
    # 700 tokens in at 0.15, 300 out at 0.60 US dollars a million: 285 millionths.
    assert [call["cost_usd_micros"] for call in calls(warehouse)] == [285] * 3
    assert all(call["reserved_usd_micros"] >= 1200 for call in calls(warehouse))
    with warehouse.connect() as connection:
        measured = dict(
            connection.execute("select metric, count(*) from ops.metric_samples group by metric").fetchall()
        )
    assert measured == {"ai_queue_seconds": 3, "ai_job_ms": 3, "ai_model_ms": 3, "ai_overhead_ms": 3}


def test_what_was_asked_is_not_asked_again(warehouse: Warehouse, served: Served):
    """Prevents a bill for each build that finds the same campaign."""
    written(warehouse, desk(served), 2)
    for _build in range(3):
        campaigns(warehouse, 2)
        assert ask(warehouse, desk(served), NOW) == 0
        assert drain(warehouse, desk(served)) == Drained()
    assert len(served.requests) == 2
    assert ask_again(warehouse, desk(served), 1) is None
    assert ask_again(warehouse, desk(served, model="gpt-4o"), 1) is not None
    with pytest.raises(KeyError):
        ask_again(warehouse, desk(served), 99)


BAD = {
    "429": (Reply(status=429, headers={"Retry-After": "7"}), "waiting", "answered 429"),
    "500": (Reply(status=500), "waiting", "answered 500"),
    # A gateway that has waited for long enough; the model behind it may write on, and bill.
    "504": (Reply(status=504), "manual", "answered 504, while the model may go on"),
    "no money": (Reply(status=429, code="insufficient_quota"), "manual", "answered 429 (insufficient_quota)"),
    "bad request": (Reply(status=400), "manual", "answered 400"),
    "content filter": (Reply(status=400, code="content_filter"), "rejected", "stopped by the content filter"),
    "filtered": (Reply(finish_reason="content_filter"), "rejected", "stopped by the content filter"),
    "truncated": (Reply(content='{"variants": [', finish_reason="length"), "rejected", "longer than AI_MAX_TOKENS"),
    "refused": (Reply(content="", refusal="I cannot"), "rejected", "the model refused"),
    "empty": (Reply(content=""), "rejected", "empty"),
    "no JSON": (Reply(content="Dear reader"), "rejected", "not the form that was asked for: json_invalid"),
    "schema": (Reply(content='{"variants": [{"subject": 1}]}'), "rejected", "not the form that was asked for"),
    "too few": (Reply(content='{"variants": []}'), "rejected", "0 variants, asked for were 2"),
    "no completion": (Reply(raw="<html>"), "manual", "answered with something that is no completion"),
    "dropped": (Reply(drops=True), "manual", "no answer"),
    "cut": (Reply(cut=True), "manual", "no whole answer: "),
    "time-out": (Reply(seconds=4), "manual", "no whole answer within 3 s"),
    # Each byte is in time, the whole never is.
    "drips": (Reply(drips=0.2), "manual", "no whole answer within 3 s"),
}


@pytest.mark.parametrize("what", BAD)
def test_whatever_a_server_does_nothing_is_lost_and_nothing_paid_twice(warehouse: Warehouse, served: Served, what: str):
    reply, status, reason = BAD[what]
    served.replies.append(reply)
    written(warehouse, desk(served))
    (job,) = jobs(warehouse)
    assert (job["status"], job["reason"][: len(reason)]) == (status, reason)
    # What a server says of its error may quote what it was sent.
    assert "messages" not in job["reason"]
    if status == "waiting":
        wait = (job["due_at"] - datetime.now(UTC)).total_seconds()
        assert wait > (5 if what == "429" else 0)
        due_now(warehouse)
        assert drain(warehouse, desk(served)) == Drained(done=1)
        assert [call["cost_usd_micros"] for call in calls(warehouse)] == [0, 285]
        return
    # People get a template; nothing pretends to be AI.
    assert [(draft["origin"], draft["status"]) for draft in drafts(warehouse)] == [("template", "pending_review")]
    due_now(warehouse)
    assert drain(warehouse, desk(served)) == Drained()
    assert len(served.requests) == 1
    assert all(billed == 1 for billed in served.billed.values())
    (call,) = calls(warehouse)
    if call["outcome"] == "unknown":
        assert call["cost_usd_micros"] == call["reserved_usd_micros"]


def test_a_job_that_keeps_failing_is_left_to_people(warehouse: Warehouse, served: Served):
    served.usual = lambda _request: Reply(status=503)
    written(warehouse, desk(served), times=POLICY.content_max_calls + 2)
    (job,) = jobs(warehouse)
    assert (job["status"], job["reason"]) == ("manual", "5 calls failed, the last one: answered 503")
    assert len(served.requests) == POLICY.content_max_calls
    assert served.billed.total() == 0


def test_an_answer_that_was_lost_is_asked_for_again_only_where_that_costs_nothing(warehouse: Warehouse, served: Served):
    served.replies.append(Reply(drops=True))
    known = desk(served, is_idempotent=True)
    written(warehouse, known, times=2)
    assert [job["status"] for job in jobs(warehouse)] == ["done"]
    # Under one key: for a server that knows such keys, one request.
    assert list(served.billed.values()) == [2]


def test_a_call_that_our_own_end_cut_off_says_nothing_of_the_model(warehouse: Warehouse, served: Served):
    """Prevents a machine that is restarted often from turning AI off."""
    campaigns(warehouse, 1)
    ask(warehouse, desk(served), NOW)
    with warehouse.connect(autocommit=True) as connection:
        (job,) = stored.claim(connection, 1, timedelta(milliseconds=300))
        content_calls.begin_call(
            connection,
            job,
            price_version="p",
            reserve=5,
            day=NOW,
            since=NOW,
            tried_since=None,
            refusal=lambda _spent: None,
        )
        time.sleep(0.4)
        # Whoever was stopped for longer than its claim lasts does not call: somebody else may be calling.
        late = content_calls.begin_call(
            connection, job, price_version="p", reserve=5, day=NOW, since=NOW, tried_since=None,
            refusal=lambda _spent: None,
        )  # fmt: skip
        assert late is None
    assert drain(warehouse, desk(served)) == Drained(manual=1)
    assert [(call["outcome"], call["cost_usd_micros"]) for call in calls(warehouse)] == [("abandoned", 5)]
    with warehouse.connect() as connection:
        assert content_calls.outcomes(connection, NOW) == []
    assert served.requests == []


def test_a_person_may_have_a_lost_answer_asked_for_again(warehouse: Warehouse, served: Served):
    served.replies.append(Reply(drops=True))
    written(warehouse, desk(served))
    with warehouse.connect() as connection:
        assert stored.retry(connection, 1)
        assert not stored.retry(connection, 1)
    assert drain(warehouse, desk(served)) == Drained(done=1)
    # One brief has one answer that waits for review.
    assert [(draft["origin"], draft["status"]) for draft in drafts(warehouse)] == [
        ("template", "superseded"),
        ("ai", "pending_review"),
        ("ai", "pending_review"),
    ]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda text: text.replace("{{unsubscribe_url}}", "{{ unsubscribe_url"), "unsubscribe_missing"),
        (lambda text: text.replace("See for yourself", "Write to ann@mail.example"), "personal_data"),
        (lambda text: text.replace("See for yourself", "We won 97 prizes. See"), "number_unknown"),
        (lambda text: text.replace("See for yourself", "Go to https://evil.example/x"), "link_host"),
        (lambda text: text.replace("Hello", "Hello {{last_name}}"), "placeholder_unknown"),
    ],
)
def test_a_draft_that_is_not_fit_keeps_its_reasons_and_people_get_a_template(
    warehouse: Warehouse, served: Served, change: Any, code: str
):
    draft = served.draft({"variants": 2, "required_placeholders": ["action_url", "unsubscribe_url"]})
    served.replies.append(Reply(content=change(draft)))
    assert written(warehouse, desk(served)) == Drained(rejected=1)
    first, second, template = drafts(warehouse)
    assert code in {fault["code"] for fault in first["faults"]}
    assert first["status"] == second["status"] == "rejected"
    assert (template["origin"], template["status"]) == ("template", "pending_review")
    assert served.moderated == []


def test_a_brief_that_is_written_to_anew_gets_other_words(warehouse: Warehouse, served: Served):
    """Prevents a second opinion that is the first one once more."""
    text = served.draft({"variants": 2, "required_placeholders": ["action_url", "unsubscribe_url"]})
    served.replies += [Reply(content=text), Reply(content=text)]
    assert written(warehouse, desk(served)) == Drained(done=1)
    other = desk(served, model="gpt-4o")
    assert ask_again(warehouse, other, 1) is not None
    assert drain(warehouse, other) == Drained(rejected=1)
    assert {fault["code"] for draft in drafts(warehouse)[2:] for fault in draft["faults"]} == {"near_copy"}


def test_what_moderation_objects_to_is_not_shown_as_fit(warehouse: Warehouse, served: Served):
    served.flags = lambda _text: True
    assert written(warehouse, desk(served)) == Drained(rejected=1)
    assert {fault["code"] for draft in drafts(warehouse) for fault in draft["faults"]} == {"moderation"}


def test_a_server_without_moderation_will_do(warehouse: Warehouse, served: Served):
    served.flags = None
    assert written(warehouse, desk(served)) == Drained(done=1)


def test_a_server_may_be_said_to_have_no_moderation(warehouse: Warehouse, served: Served):
    served.moderation_status = 422
    assert written(warehouse, desk(served, moderates=False)) == Drained(done=1)
    assert served.moderated == []


def test_a_hiccup_of_moderation_throws_no_paid_draft_away(warehouse: Warehouse, served: Served):
    """However often the job was tried before it was written."""
    served.replies += [Reply(status=503)] * (POLICY.content_max_calls - 1)
    written(warehouse, desk(served), times=POLICY.content_max_calls - 1)
    served.moderation_status = 429
    due_now(warehouse)
    assert drain(warehouse, desk(served)) == Drained(later=1)
    served.moderation_status = 200
    due_now(warehouse)
    assert drain(warehouse, desk(served)) == Drained(done=1)
    assert served.billed.total() == 1


def test_what_nobody_moderated_is_not_fit_when_ai_was_switched_off(warehouse: Warehouse, served: Served):
    served.moderation_status = 403
    assert written(warehouse, desk(served)) == Drained(later=1)
    due_now(warehouse)
    assert drain(warehouse, desk(None)) == Drained(rejected=1)
    assert {(draft["origin"], draft["status"]) for draft in drafts(warehouse)} == {
        ("ai", "rejected"),
        ("template", "pending_review"),
    }


def test_a_prompt_that_changes_and_changes_back_loses_no_brief(warehouse: Warehouse, served: Served):
    campaigns(warehouse, 1)
    made = desk(served)
    ask(warehouse, made, NOW)
    kind = "underperforming_campaign"
    changed = replace(made, prompts={**made.prompts, kind: replace(made.prompts[kind], version="v9")})
    assert drain(warehouse, changed, most=1) == Drained()
    assert drain(warehouse, made, most=1) == Drained()
    assert drain(warehouse, made) == Drained(done=1)
    assert sorted(job["status"] for job in jobs(warehouse)) == ["done", "superseded"]


def test_a_brief_that_nothing_can_be_made_of_keeps_no_other_back(warehouse: Warehouse, served: Served):
    """Prevents one job of an earlier version from ending every run."""
    campaigns(warehouse, 2)
    ask(warehouse, desk(served), NOW)
    with warehouse.connect() as connection:
        connection.execute("update ops.content_briefs set brief = brief - 'goal' where subject_id = 'c1'")
    assert drain(warehouse, desk(served)) == Drained(done=1, rejected=1)
    assert drain(warehouse, desk(served)) == Drained()


def test_a_model_that_knows_no_schema_is_told_in_words(warehouse: Warehouse, served: Served):
    assert written(warehouse, desk(served, model="gpt-4-turbo")) == Drained(done=1)
    assert served.requests[0]["response_format"] == {"type": "json_object"}


def test_a_model_that_reasons_is_asked_in_its_own_terms(warehouse: Warehouse, served: Served, tmp_path: Path):
    prices = tmp_path / "prices.yml"
    prices.write_text(
        "prices: [{model: thinker, from: 2026-01-01, input: 1, output: 2, source: a list, "
        "limit: max_completion_tokens, temperature: false}]"
    )
    assert written(warehouse, desk(served, model="thinker", prices=prices)) == Drained(done=1)
    assert served.requests[0]["max_completion_tokens"] == 2000


def test_a_model_without_a_price_is_not_called(warehouse: Warehouse, served: Served):
    written(warehouse, desk(served, model="gpt-9"))
    assert [(job["status"], job["reason"]) for job in jobs(warehouse)] == [
        ("manual", "no price is known of gpt-9: docs/ai-content.md")
    ]
    assert served.requests == []


def test_a_budget_is_never_passed_and_what_it_has_no_room_for_waits_until_tomorrow(
    warehouse: Warehouse, served: Served
):
    """Prevents a night of jobs that costs a month: calls under way count with all that they may cost."""
    tight = POLICY.model_copy(update={"content_daily_budget_cents": 1})
    drained = written(warehouse, desk(served, tight), 30)
    assert drained.done + drained.later == 30
    spent = sum(call["reserved_usd_micros"] for call in calls(warehouse) if call["finished_at"] is None)
    spent += sum(call["cost_usd_micros"] for call in calls(warehouse))
    assert 0 < spent <= 10_000
    waiting = [job for job in jobs(warehouse) if job["status"] == "waiting"]
    assert waiting
    assert all(job["reason"].startswith("budget of the day") for job in waiting)
    assert all(job["due_at"].astimezone(UTC).hour == 0 for job in waiting)
    none = POLICY.model_copy(update={"content_subject_budget_cents": 0})
    due_now(warehouse)
    drain(warehouse, desk(served, none))
    assert {job["reason"][:22] for job in jobs(warehouse) if job["status"] == "manual"} == {"budget of the campaign"}


@pytest.mark.parametrize(
    ("made", "why"),
    [
        ({"is_on": False}, "AI_CONTENT_GENERATION_ENABLED is false"),
        ({"api_key": None}, "OPENAI_API_KEY is not set"),
    ],
)
def test_without_ai_people_get_templates_and_nothing_is_asked(
    warehouse: Warehouse, served: Served, made: dict[str, Any], why: str
):
    assert written(warehouse, desk(served, **made), 2) == Drained(manual=2)
    assert {job["reason"] for job in jobs(warehouse)} == {why}
    assert {draft["origin"] for draft in drafts(warehouse)} == {"template"}
    assert bytes(served.bytes) == b""


def test_a_switch_that_a_person_turned_off_is_obeyed_until_a_person_turns_it_on(warehouse: Warehouse, served: Served):
    with warehouse.connect() as connection:
        turn(connection, AI_CONTENT, on=False, author="ann", reason="wrong tone")
    assert written(warehouse, desk(served)) == Drained(manual=1)
    assert jobs(warehouse)[0]["reason"] == "switch ai_content is off: wrong tone"
    assert served.requests == []


def test_ai_that_fails_is_given_a_rest_tried_again_and_trusted_again(warehouse: Warehouse, served: Served):
    """Prevents a night of bills for texts that nobody can send; a restart forgets none of it."""
    served.usual = lambda _request: Reply(content="Dear reader")
    assert written(warehouse, desk(served), 26).rejected >= POLICY.content_breaker_min_jobs
    asked = len(served.requests)
    assert asked < 26
    with warehouse.connect() as connection:
        assert content_calls.breaker(connection)["state"] == "open"
        # As the alert does, which the same numbers set going.
        turn(connection, AI_CONTENT, on=False, author="alert ai_generation_failure", reason="incident 1")
        connection.execute("update ops.switch_changes set changed_at = changed_at - interval '31 minutes'")
        connection.execute("update ops.content_jobs set finished_at = finished_at - interval '31 minutes'")
        connection.execute("update ops.content_breaker set since = since - interval '31 minutes'")
    assert {job["status"] for job in jobs(warehouse)[asked:]} == {"manual"}
    served.usual = lambda _request: Reply()
    campaigns(warehouse, 31, "Summer")
    ask(warehouse, desk(served), NOW)
    drained = drain(warehouse, desk(served))
    assert drained.done >= POLICY.content_breaker_probes
    due_now(warehouse)
    drain(warehouse, desk(served))
    with warehouse.connect() as connection:
        assert [row["state"] for row in rows(warehouse, "content_breaker", "change_id")] == [
            "open",
            "half_open",
            "closed",
        ]
        assert is_on(connection, AI_CONTENT)
    assert {job["status"] for job in jobs(warehouse)[26:]} == {"done"}


def test_a_changed_prompt_asks_anew_before_anybody_is_paid(warehouse: Warehouse, served: Served):
    old = desk(served)
    campaigns(warehouse, 1)
    ask(warehouse, old, NOW)
    kind = "underperforming_campaign"
    newer = replace(old.prompts[kind], version="underperforming_campaign.v2+0")
    drain(warehouse, replace(old, prompts={**old.prompts, kind: newer}))
    drain(warehouse, replace(old, prompts={**old.prompts, kind: newer}))
    assert [(job["status"], job["prompt_version"] == newer.version) for job in jobs(warehouse)] == [
        ("superseded", False),
        ("done", True),
    ]
    assert len(served.requests) == 1


def test_many_jobs_are_asked_at_once_and_no_more_than_allowed(warehouse: Warehouse, served: Served):
    served.seconds = 0.2
    assert written(warehouse, desk(served), 20) == Drained(done=20)
    assert served.most == POLICY.content_concurrency


def test_several_processes_share_the_jobs(warehouse: Warehouse, served: Served):
    """Prevents a job that two processes pay for."""
    served.seconds = 0.05
    campaigns(warehouse, 24)
    ask(warehouse, desk(served), NOW)
    threads = [threading.Thread(target=drain, args=(warehouse, desk(served))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {job["status"] for job in jobs(warehouse)} == {"done"}
    assert len(served.requests) == 24
    assert set(served.billed.values()) == {1}


def test_a_burst_of_failures_opens_the_breaker_though_no_job_asks_after_it(warehouse: Warehouse, served: Served):
    """Prevents AI that an alert turned off for ever: without an open breaker nothing would ever be tried again."""
    served.usual = lambda _request: Reply(content="Dear reader")
    wide = POLICY.model_copy(update={"content_concurrency": 20})
    assert written(warehouse, desk(served, wide), 20) == Drained(rejected=20)
    with warehouse.connect() as connection:
        assert content_calls.breaker(connection)["state"] == "open"


def test_what_an_alert_turned_off_is_tried_again_though_the_breaker_never_opened(warehouse: Warehouse, served: Served):
    with warehouse.connect() as connection:
        turn(connection, AI_CONTENT, on=False, author="alert ai_generation_failure", reason="incident 1")
        connection.execute("update ops.switch_changes set changed_at = changed_at - interval '29 minutes'")
    assert written(warehouse, desk(served)) == Drained(manual=1)
    with warehouse.connect() as connection:
        connection.execute("update ops.switch_changes set changed_at = changed_at - interval '2 minutes'")
    campaigns(warehouse, 8)
    ask(warehouse, desk(served), NOW)
    drain(warehouse, desk(served))
    due_now(warehouse)
    drain(warehouse, desk(served))
    with warehouse.connect() as connection:
        assert is_on(connection, AI_CONTENT)
    assert [job["status"] for job in jobs(warehouse)] == ["manual", *["done"] * 7]


def test_a_try_is_no_more_jobs_than_it_says(warehouse: Warehouse, served: Served):
    """Prevents a try that floods a service which is down with every job that waits."""
    with warehouse.connect() as connection:
        content_calls.save_breaker(connection, "half_open", datetime.now(UTC), "a try", 30)
    served.usual = lambda _request: Reply(status=503, seconds=0.5)
    campaigns(warehouse, 12)
    ask(warehouse, desk(served), NOW)
    processes = [threading.Thread(target=drain, args=(warehouse, desk(served))) for _process in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert len(served.requests) == POLICY.content_breaker_probes
    # A try that failed is over: nobody waits for what its server asked for.
    with warehouse.connect() as connection:
        assert content_calls.breaker(connection)["state"] == "open"
        assert content_calls.breaker(connection)["pause_minutes"] == 60


def test_a_person_who_turns_ai_on_has_it_tried_at_once(warehouse: Warehouse, served: Served):
    """Prevents eight hours of waiting after a key was renewed."""
    with warehouse.connect() as connection:
        content_calls.save_breaker(connection, "open", datetime.now(UTC), "all failed", 480)
    assert written(warehouse, desk(served)) == Drained(manual=1)
    with warehouse.connect() as connection:
        turn(connection, AI_CONTENT, on=False, author="ann", reason="renewing the key")
        turn(connection, AI_CONTENT, on=True, author="ann", reason="key renewed")
    campaigns(warehouse, 5)
    ask(warehouse, desk(served), NOW)
    assert drain(warehouse, desk(served)).done >= POLICY.content_breaker_probes
    with warehouse.connect() as connection:
        reasons = [row["reason"] for row in rows(warehouse, "content_breaker", "change_id")]
        assert reasons[1] == "ann turned ai_content on: key renewed"
        assert content_calls.breaker(connection)["state"] == "closed"


@pytest.mark.parametrize("odd", ["\\u0000", "\\u202e"])
def test_one_odd_answer_keeps_no_other_job_back(warehouse: Warehouse, served: Served, odd: str):
    """Prevents one text that no table takes from stopping all content for good."""
    draft = served.draft({"variants": 2, "required_placeholders": ["action_url", "unsubscribe_url"]})
    served.replies.append(Reply(content=draft.replace("Hello", f"Hello{odd}")))
    drained = written(warehouse, desk(served), 3)
    assert (drained.done, drained.rejected) == (2, 1)
    assert {job["status"] for job in jobs(warehouse)} == {"done", "rejected"}
    assert drain(warehouse, desk(served)) == Drained()


def test_a_server_that_answers_any_path_has_no_moderation(warehouse: Warehouse, served: Served):
    served.moderation_body = '{"error": "unexpected endpoint"}'
    assert written(warehouse, desk(served), 2) == Drained(done=2)


def test_moderation_that_refuses_to_answer_lets_nothing_through(warehouse: Warehouse, served: Served):
    served.moderation_status = 403
    assert written(warehouse, desk(served)).later == 1
    assert drafts(warehouse) == []
    served.moderation_status = 200
    due_now(warehouse)
    assert drain(warehouse, desk(served)) == Drained(done=1)
    # What is written is not asked for, and paid for, again.
    assert len(served.requests) == 1


def test_a_text_that_came_twice_in_one_round_is_a_near_copy(warehouse: Warehouse, served: Served):
    draft = served.draft({"variants": 2, "required_placeholders": ["action_url", "unsubscribe_url"]})
    served.usual = lambda _request: Reply(content=draft)
    drained = written(warehouse, desk(served), 3)
    assert (drained.done, drained.rejected) == (1, 2)


def test_answers_that_were_paid_for_are_stored_though_the_session_is_gone(warehouse: Warehouse, served: Served):
    """Prevents a restart of the database that throws away all that was written meanwhile."""
    served.seconds = 0.6
    campaigns(warehouse, 4)
    ask(warehouse, desk(served), NOW)
    ended: list[BaseException] = []

    def work() -> None:
        try:
            drain(warehouse, desk(served))
        except DatabaseError as error:
            ended.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    with warehouse.connect(autocommit=True) as connection:
        while len(served.requests) < 4:
            pass
        connection.execute(
            """
            select pg_terminate_backend(pid) from pg_stat_activity
            where application_name = 'marketing content' and datname = current_database()
            """
        )
    worker.join()
    assert len(ended) == 1
    assert {call["outcome"] for call in calls(warehouse)} == {"answered"}
    with warehouse.connect() as connection:
        connection.execute("update ops.content_jobs set claimed_until = clock_timestamp()")
    assert drain(warehouse, desk(served)) == Drained(done=4)
    assert len(served.requests) == 4


def test_the_same_figures_a_month_later_are_a_brief_of_their_own(warehouse: Warehouse, served: Served):
    """Prevents a campaign that gets one brief in its life, and a sensor that asks each minute for the next."""
    written(warehouse, desk(served))
    with warehouse.connect() as connection:
        connection.execute("update ops.content_briefs set created_at = created_at - interval '31 days'")
        connection.execute("update marts.content_opportunities set as_of = as_of + interval '31 days'")
    assert ask(warehouse, desk(served), datetime.now(UTC)) == 1


def test_a_campaigns_name_is_told_to_no_model_unless_somebody_said_so(warehouse: Warehouse, served: Served):
    """Prevents a person's name that stands in a campaign's."""
    campaigns(warehouse, 1, "For Maria Huber")
    ask(warehouse, desk(served), NOW)
    drain(warehouse, desk(served))
    assert b"Maria" not in bytes(served.bytes)
    told = desk(served, POLICY.model_copy(update={"content_tells_campaign_names": True}))
    campaigns(warehouse, 2, "For Maria Huber")
    ask(warehouse, told, NOW)
    drain(warehouse, told)
    assert b"Maria" in bytes(served.bytes)
