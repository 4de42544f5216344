"""Works through the jobs that are due, many at once: claim, ask, store, judge, hand over.

Everything is stored before the next step, so that whoever is killed leaves behind what was spent and what was written.
A call that may have been paid for is not made again unless a person says so, or the server knows idempotency keys.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from secrets import token_hex
from typing import Any

from pydantic import ValidationError

from orchestration.warehouse import Connection, Warehouse, content_calls
from orchestration.warehouse import content as stored
from orchestration.warehouse.content import ClaimedJob, NewDraft
from orchestration.warehouse.content_calls import Call, Spent
from orchestration.warehouse.metric_samples import add_samples
from orchestration.warehouse.switches import AI_CONTENT, switches
from orchestration.webhooks import wait_before

from .asking import APPLICATION
from .breaker import NEVER_OPENED, Breaker, Rules, State, may_call
from .briefs import Brief
from .costs import Budget, Price
from .desk import Desk
from .drafts import Draft, Variant
from .earlier import EarlierTexts
from .prompts import Prompt
from .resting import breaker_now
from .templates import TemplatesError, filled, template_for
from .validation import Limits, faults_of
from .writer import Answer, Moderation, longest

CENT = 10_000
"""Millionths of a US dollar."""
# A claim outlives its call by as much as storing and judging may take.
LEASE_MARGIN = timedelta(seconds=60)
TRY_SOON = timedelta(minutes=1)
BEING_TRIED = "AI is being tried"
# Times the first wait that a wait may be.
LONGEST_TIMES = 2**12
SAMPLES_AT_ONCE = 100


@dataclass
class Drained:
    """How many jobs ended how. later: given back, to be tried again."""

    done: int = 0
    rejected: int = 0
    manual: int = 0
    later: int = 0


@dataclass(frozen=True)
class _Judged:
    """A draft that only moderation has not seen."""

    variants: tuple[Variant, ...]
    faults: tuple[tuple[dict[str, str], ...], ...]

    def with_fault(self, found: str) -> "_Judged":
        """The same with what moderation says of it."""
        fault = {"code": "moderation", "found": found, "expected": "nothing to object to"}
        return _Judged(self.variants, tuple((*faults, fault) for faults in self.faults))


@dataclass
class _Round:
    """One process at work. begun: what each future is for, a call, or the moderation of what came of one. breaker: as
    it was when jobs were last claimed."""

    connection: Connection
    desk: Desk
    pool: ThreadPoolExecutor
    tell: Callable[[str], None]
    earlier: EarlierTexts
    breaker: Breaker = NEVER_OPENED
    drained: Drained = field(default_factory=Drained)
    begun: dict[Future[Any], tuple[ClaimedJob, _Judged | None]] = field(default_factory=dict)
    model_ms: dict[int, float] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)
    luck: Random = field(default_factory=Random)

    def guarded(self, job: ClaimedJob, step: Callable[[], None]) -> None:
        """Do a step of a job; what goes wrong in it ends this job, and keeps no other back."""
        try:
            step()
        except Exception as error:
            if self.connection.closed or self.connection.broken:
                raise
            self.begun = {future: own for future, own in self.begun.items() if own[0].job_id != job.job_id}
            # Not its text, which may quote what was written.
            self._reject(job, f"could not be dealt with: {type(error).__name__}", ())

    def take(self, job: ClaimedJob) -> None:
        """Begin a claimed job: judge what is written, ask a model, or leave it to people."""
        if job.answer is not None:
            self._go_on(job, job.answer["text"], job.answer["error"])
            return
        if (prompt := self.desk.prompts[job.kind]).version != job.prompt_version and not job.calls:
            self._ask_anew(job, prompt)
            return
        if (why := self._why_not(job)) is not None:
            self._leave(job, why)
        else:
            self._ask(job)

    def _ask_anew(self, job: ClaimedJob, prompt: Prompt) -> None:
        """A prompt that changed before anybody read it makes another job."""
        stored.replace_job(self.connection, job, prompt.version)
        self.tell(f"job {job.job_id}: asked for anew with prompt {prompt.version}")

    def _why_not(self, job: ClaimedJob) -> str | None:
        desk = self.desk
        if desk.writer is None:
            return desk.off
        turned = switches(self.connection).get(AI_CONTENT)
        is_a_try = self.breaker.state is State.HALF_OPEN and turned is not None and turned.is_off_by_alert
        if turned is not None and not turned.is_on and not is_a_try:
            return f"switch {AI_CONTENT} is off: {turned.reason}"
        if job.is_uncertain and not desk.is_idempotent:
            return "a call for it may have been paid for, and nobody heard the answer: marketing content retry"
        if desk.prompts[job.kind].version != job.prompt_version:
            return f"its prompt, {job.prompt_version}, is not in force any more"
        if desk.prices.of(job.model, job.claimed_at.date()) is None:
            return f"no price is known of {job.model}: docs/ai-content.md"
        if Brief.model_validate(job.brief).is_over(job.claimed_at.astimezone(UTC).date()):
            return "its deadline has passed"
        if self.breaker.state is State.OPEN:
            return f"AI is given a rest: {self.breaker.reason}"
        return None

    def _ask(self, job: ClaimedJob) -> None:
        policy, price = self.desk.policy, self._price(job)
        messages = self.desk.prompts[job.kind].messages(Brief.model_validate(job.brief))
        # A token is a byte at least.
        reserve = price.most(sum(len(one["content"].encode()) for one in messages), longest(job.parameters))
        daily, subject = policy.content_daily_budget_cents * CENT, policy.content_subject_budget_cents * CENT
        today = job.claimed_at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        breaker = self.breaker

        def refusal(spent: Spent) -> str | None:
            if not may_call(breaker, spent.under_way):
                return BEING_TRIED
            return Budget.refusal(
                spent_today=spent.day, spent_campaign=spent.subject, most=reserve, daily=daily, campaign=subject
            )

        begun = content_calls.begin_call(
            self.connection,
            job,
            price_version=price.version,
            reserve=reserve,
            day=today,
            since=job.claimed_at - timedelta(days=policy.content_brief_days),
            tried_since=breaker.since if breaker.state is State.HALF_OPEN else None,
            refusal=refusal,
        )
        if begun is None:
            self.tell(f"job {job.job_id}: its claim ran out before it was begun")
            return
        spent, refused = begun
        if refused == BEING_TRIED:
            self._give_back(job, TRY_SOON, refused)
        elif refused is None:
            # Numbers begin again elsewhere, and after a backup was restored; who asks again wants another text.
            key = f"content-{job.job_id}-{job.created_at:%Y%m%dT%H%M%S%f}-{job.retried_after}"
            call = self.pool.submit(self.desk.writer.write, job.model, messages, job.parameters, key)
            self.begun[call] = (job, None)
        elif spent.subject + reserve <= subject and reserve <= daily:
            self._give_back(job, today + timedelta(days=1) - datetime.now(UTC), refused)
        else:
            self._leave(job, refused)

    def _price(self, job: ClaimedJob) -> Price:
        return self.desk.prices.of(job.model, job.claimed_at.date())

    def ended(self, future: Future[Any]) -> None:
        """Store what came of a call, and go on from there."""
        job, judged = self.begun[future]
        if judged is not None:
            del self.begun[future]
            self._moderated(job, judged, future.result())
            return
        answer: Answer = future.result()
        self.model_ms[job.job_id] = answer.model_ms
        is_ours = content_calls.end_call(self.connection, job, self._call(job, answer))
        # Not before: what was not stored is rescued.
        del self.begun[future]
        if not is_ours:
            self.tell(f"job {job.job_id}: its claim ran out before the answer came")
        elif answer.outcome in ("answered", "refused"):
            self._go_on(job, answer.text, answer.error)
        elif answer.is_final or (answer.outcome == "unknown" and not self.desk.is_idempotent):
            self._leave(job, answer.error)
        elif self.breaker.state is State.HALF_OPEN:
            # A try that waits keeps all others waiting.
            self._leave(job, f"the try of AI failed: {answer.error}")
        elif job.calls + 1 >= self.desk.policy.content_max_calls:
            self._leave(job, f"{job.calls + 1} calls failed, the last one: {answer.error}")
        else:
            self._give_back(job, self._patience(job.calls, answer.retry_after), answer.error)

    def _go_on(self, job: ClaimedJob, text: str | None, error: str | None) -> None:
        if text is None:
            self._reject(job, error, ())
        else:
            self._judge(job, text)

    def rescue(self, warehouse: Warehouse) -> None:
        """Store the answers of calls that are under way, when nothing else can be done: they were paid for."""
        asked = {future: job for future, (job, judged) in self.begun.items() if judged is None}
        if not asked:
            return
        wait(asked)
        with warehouse.connect(APPLICATION, autocommit=True) as connection:
            for future, job in asked.items():
                if future.exception() is None:
                    content_calls.end_call(connection, job, self._call(job, future.result()))

    def _call(self, job: ClaimedJob, answer: Answer) -> Call:
        if answer.outcome == "failed":
            cost = 0
        elif answer.input_tokens is None or answer.output_tokens is None:
            cost = None
        else:
            cost = self._price(job).cost_usd_micros(answer.input_tokens, answer.output_tokens)
        return Call(
            answer.outcome,
            answer.error,
            cost,
            answer.input_tokens,
            answer.output_tokens,
            answer.model_ms,
            {"text": answer.text, "error": answer.error} if answer.outcome in ("answered", "refused") else None,
        )

    def _patience(self, earlier: int, asked_for: timedelta | None) -> timedelta:
        first = timedelta(seconds=self.desk.policy.content_retry_first_seconds)
        return wait_before(earlier, first, first * LONGEST_TIMES, asked_for, self.luck)

    def _judge(self, job: ClaimedJob, text: str) -> None:
        brief = Brief.model_validate(job.brief)
        try:
            draft = Draft.model_validate_json(text)
        except ValidationError as error:
            self._reject(job, f"not the form that was asked for: {error.errors()[0]['type']}", ())
            return
        if len(draft.variants) != brief.variants:
            self._reject(job, f"{len(draft.variants)} variants, asked for were {brief.variants}", ())
            return
        earlier = self.earlier.beside(job)
        limits, instructions = Limits.of(self.desk.policy), self.desk.prompts[job.kind].system
        faults = []
        for number, variant in enumerate(draft.variants):
            others = [*earlier, *(one.text for one in draft.variants[:number])]
            found = faults_of(variant, brief, earlier=others, limits=limits, instructions=instructions)
            faults.append(tuple({"code": str(one.code), "found": one.found, "expected": one.expected} for one in found))
        judged = _Judged(tuple(draft.variants), tuple(faults))
        self.earlier.begin(job, (variant.text for variant in draft.variants))
        fit = [variant.text for variant, found in zip(draft.variants, faults, strict=True) if not found]
        if fit and self.desk.writer is not None:
            asked = self.pool.submit(self.desk.writer.moderate, "\n\n".join(fit))
            self.begun[asked] = (job, judged)
        elif fit:
            # It was written while AI was on, and nobody can ask whether it is decent.
            self._reject(job, f"not moderated: {self.desk.off}", self._drafts(job, judged.with_fault(self.desk.off)))
        else:
            self._hand_over(job, judged)

    def _moderated(self, job: ClaimedJob, judged: _Judged, told: Moderation) -> None:
        self.model_ms[job.job_id] = self.model_ms.get(job.job_id, 0.0) + told.model_ms
        if told.error is not None:
            # What is written stays written, and is judged again.
            earlier = job.attempts - (job.answered_at_attempt or job.attempts)
            if self.breaker.state is State.HALF_OPEN or earlier + 1 >= self.desk.policy.content_max_calls:
                self._reject(job, f"not moderated: {told.error}", self._drafts(job, judged.with_fault(told.error)))
            else:
                self._give_back(job, self._patience(earlier, None), told.error)
            return
        if told.flagged:
            judged = judged.with_fault(", ".join(told.flagged))
        self._hand_over(job, judged)

    def _hand_over(self, job: ClaimedJob, judged: _Judged) -> None:
        drafts = self._drafts(job, judged)
        if all(draft.faults for draft in drafts):
            self._reject(job, "no variant is fit to send", drafts)
        else:
            self._finish(job, "done", None, drafts)

    @staticmethod
    def _drafts(job: ClaimedJob, judged: _Judged) -> list[NewDraft]:
        return [
            NewDraft(number, _variant_id("ai", job, number), "ai", *variant.model_dump().values(), found)
            for number, (variant, found) in enumerate(zip(judged.variants, judged.faults, strict=True), start=1)
        ]

    def _reject(self, job: ClaimedJob, why: str | None, drafts: Sequence[NewDraft]) -> None:
        """What was written is kept, and why it is no good; people get the template instead."""
        self._finish(job, "rejected", why, [*drafts, *self._template(job)])

    def _leave(self, job: ClaimedJob, why: str | None) -> None:
        self._finish(job, "manual", why, self._template(job))

    def _template(self, job: ClaimedJob) -> list[NewDraft]:
        try:
            brief = Brief.model_validate(job.brief)
            variant = filled(template_for(brief, self.desk.templates), brief)
        except (TemplatesError, ValidationError) as error:
            # A brief of an earlier version: its job has to end all the same, or it keeps all others back.
            self.tell(f"job {job.job_id}: no template can be filled in for it: {type(error).__name__}")
            return []
        return [NewDraft(1, _variant_id("template", job, 1), "template", *variant.model_dump().values(), ())]

    def _finish(self, job: ClaimedJob, status: str, why: str | None, drafts: Sequence[NewDraft]) -> None:
        self.earlier.end(job)
        if not stored.finish(self.connection, job, status, why, drafts):
            self.tell(f"job {job.job_id}: its claim ran out before it was done")
            return
        setattr(self.drained, status, getattr(self.drained, status) + 1)
        self.tell(f"job {job.job_id} ({job.kind} {job.subject_id}): {status}" + (f": {why}" if why else ""))
        self._measure(job)

    def _measure(self, job: ClaimedJob) -> None:
        now, model_ms = datetime.now(UTC), self.model_ms.pop(job.job_id, None)
        taken = (now - job.claimed_at).total_seconds() * 1000
        figures = {"ai_queue_seconds": max((job.claimed_at - job.due_at).total_seconds(), 0.0)}
        if model_ms is not None:
            figures |= {"ai_job_ms": taken, "ai_model_ms": model_ms, "ai_overhead_ms": max(taken - model_ms, 0.0)}
        self.samples += [{"metric": metric, "sampled_at": now, "value": value} for metric, value in figures.items()]

    def store_samples(self) -> None:
        """Those of jobs that ended since, in one go."""
        if self.samples:
            add_samples(self.connection, self.samples)
            self.samples.clear()

    def _give_back(self, job: ClaimedJob, wait_for: timedelta, why: str | None) -> None:
        self.earlier.end(job)
        # Its clock begins anew with the next claim.
        self.model_ms.pop(job.job_id, None)
        stored.put_back(self.connection, job, datetime.now(UTC) + wait_for, why or "")
        self.drained.later += 1
        self.tell(f"job {job.job_id} ({job.kind} {job.subject_id}): again in {wait_for.total_seconds():.0f} s: {why}")


def _variant_id(origin: str, job: ClaimedJob, number: int) -> str:
    """One of no other installation, nor of this one before a backup was restored."""
    return f"{origin}-{job.job_id}-{number}-{token_hex(4)}"


def drain(
    warehouse: Warehouse, desk: Desk, *, most: int | None = None, tell: Callable[[str], None] = lambda _line: None
) -> Drained:
    """Work until no job is due, or `most` were taken. Several processes may do so at once."""
    concurrency, rules = desk.policy.content_concurrency, Rules.of(desk.policy)
    lease = timedelta(seconds=2 * desk.policy.content_call_seconds) + LEASE_MARGIN
    taken = 0
    with warehouse.connect(APPLICATION, autocommit=True) as connection, ThreadPoolExecutor(concurrency) as pool:
        at_work = _Round(connection, desk, pool, tell, EarlierTexts(connection, desk.policy.content_earlier_drafts))
        stored.free_lapsed(connection)
        try:
            while True:
                free = concurrency - len(at_work.begun)
                if most is not None:
                    free = min(free, most - taken)
                jobs = stored.claim(connection, free, lease) if free > 0 else []
                taken += len(jobs)
                if jobs:
                    # Before the switch is read, since a try that succeeded turns it on.
                    at_work.breaker = breaker_now(connection, rules, tell)
                for job in jobs:
                    at_work.guarded(job, partial(at_work.take, job))
                if at_work.begun:
                    done, _others = wait(at_work.begun, return_when=FIRST_COMPLETED)
                    for future in done:
                        at_work.guarded(at_work.begun[future][0], partial(at_work.ended, future))
                    if len(at_work.samples) >= SAMPLES_AT_ONCE:
                        at_work.store_samples()
                elif not jobs:
                    at_work.store_samples()
                    # What failed last has its say, though no job asks any more.
                    breaker_now(connection, rules, tell)
                    return at_work.drained
        except BaseException:
            at_work.rescue(warehouse)
            raise
