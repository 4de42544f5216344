"""What users do after sign-up: trial, subscription, renewals, and the touches and mails around them."""

from dataclasses import dataclass, replace

import numpy as np

from orchestration.simulate.calendar import Span
from orchestration.simulate.campaigns import (
    NEWSLETTER,
    NURTURE,
    PROMPT,
    RENEWAL,
    WELCOME,
    Catalogue,
    Mails,
    Readers,
    newsletter_times,
    send,
)
from orchestration.simulate.columns import NEVER
from orchestration.simulate.journeys import (
    HOUR,
    NOBODY,
    OWN_ACCORD,
    Outcome,
    Touches,
    ambient_touches,
    days,
    own_accord,
    resolve,
    returning_visits,
    seen,
    with_persuasion,
)
from orchestration.simulate.prospects import Prospects
from orchestration.simulate.referrals import Users, programme_start
from orchestration.simulate.revenue import choose_plans, plan_table
from orchestration.simulate.rows import Rows
from orchestration.simulate.streams import Streams
from orchestration.simulate.world import EMAIL, REFERRAL, World

SIGNUP, TRIAL, SUBSCRIPTION, RENEWED = range(4)
CONVERSION_TYPES = ("signup", "trial", "subscription", "renewal")
WELCOME_AFTER_DAYS = (0.007, 4.0)
PROMPT_AFTER_DAYS = 7.0
NURTURE_AFTER_DAYS = (1.0, 7.0)
REMINDER_BEFORE_DAYS = 4.0
RENEWAL_WINDOW_DAYS = 20.0


@dataclass(frozen=True)
class Conversions(Rows):
    """One row per conversion; the first len(users) are the sign-ups, in user order.

    trigger, sole: as in journeys.Outcome. before: row of the conversion that had to come first
    (sign-ups: NOBODY). plan: number of the plan paid for, NOBODY for sign-ups and trials.
    """

    user: np.ndarray
    time: np.ndarray
    kind: np.ndarray
    trigger: np.ndarray
    sole: np.ndarray
    before: np.ndarray
    plan: np.ndarray


@dataclass(frozen=True)
class Life:
    """Conversions, touches after sign-up (owner: user) and mails (reader: user) of all users."""

    conversions: Conversions
    touches: Touches
    mails: Mails
    readers: Readers


def live(world: World, streams: Streams, span: Span, catalogue: Catalogue, prospects: Prospects, users: Users) -> Life:
    """Draw every user's life from sign-up to the end of the span. Fake users only sign up."""
    lives = _Lives(world, streams, span, catalogue, users)
    lives.sign_up(prospects)
    lives.write_to_all()
    everyone = np.flatnonzero(~users.fake)
    trials = lives.decide(
        "trial",
        TRIAL,
        before=everyone,
        start=users.joined[everyone],
        window_days=world.trial_window_days,
        chances=world.trial_own_accord,
        mean_touches=world.trial_touches,
    )
    lives.nurture(trials)
    subscriptions = lives.decide(
        "subscription",
        SUBSCRIPTION,
        before=trials,
        start=lives.times(trials),
        window_days=world.subscription_window_days,
        chances=world.subscription_own_accord,
        mean_touches=world.subscription_touches,
    )
    lives.renew(subscriptions)
    return lives.told()


class _Lives:
    """Conversions, touches and mails as they accumulate while users go from decision to decision."""

    def __init__(self, world: World, streams: Streams, span: Span, catalogue: Catalogue, users: Users) -> None:
        self.world, self.streams, self.span = world, streams, span
        self.catalogue, self.users = catalogue, users
        self.readers = Readers.draw(world, streams("readers"), users.joined)
        self._conversions: list[Conversions] = []
        self._touches: list[Touches] = []
        self._clicks: list[Touches] = []
        self._mails: list[Mails] = []

    def told(self) -> Life:
        """All that happened."""
        touches = Touches.join([*self._touches, *self._clicks])
        return Life(self._all_conversions(), touches, Mails.join(self._mails), self.readers)

    def times(self, rows: np.ndarray) -> np.ndarray:
        """When the conversions at rows happened."""
        return self._all_conversions().time[rows]

    def sign_up(self, prospects: Prospects) -> None:
        """Sign-ups of seeds as their journeys decided; of the invited by the invite (some would have joined anyway)."""
        users = self.users
        seeds = users.inviter == NOBODY
        person = np.where(seeds, users.person, 0)
        referral = self.world.code(REFERRAL)
        trigger = np.where(seeds, prospects.outcome.trigger[person], referral)
        sole = np.where(seeds, prospects.outcome.sole[person], np.where(users.anyway, NOBODY, referral))
        trigger = np.where(users.fake, OWN_ACCORD, trigger)
        sole = np.where(users.fake, NOBODY, sole)
        nobody = np.full(len(users), NOBODY)
        everyone, kind = np.arange(len(users)), np.full(len(users), SIGNUP)
        self._conversions.append(Conversions(everyone, users.joined, kind, trigger, sole, nobody, nobody))

    def write_to_all(self) -> None:
        """Welcome mails, newsletters and prompts to invite: what depends on the sign-up alone."""
        users, everyone = self.users, np.arange(len(self.users))
        for number, after in enumerate(WELCOME_AFTER_DAYS):
            self._send(f"welcome/{number}", WELCOME, everyone, users.joined + days(after))
        invites_from = programme_start(self.world, self.span)
        prompted = np.flatnonzero(users.joined + days(PROMPT_AFTER_DAYS) >= invites_from)
        self._send("prompt", PROMPT, prompted, users.joined[prompted] + days(PROMPT_AFTER_DAYS))
        for number, moment in enumerate(newsletter_times(self.world, self.span).tolist()):
            readers = np.flatnonzero(users.joined < moment)
            self._send(f"newsletter/{number}", NEWSLETTER, readers, np.full(len(readers), moment))

    def nurture(self, trials: np.ndarray) -> None:
        """Mails to those on trial."""
        user = self._all_conversions().user[trials]
        for number, after in enumerate(NURTURE_AFTER_DAYS):
            self._send(f"nurture/{number}", NURTURE, user, self.times(trials) + days(after))

    def decide(
        self,
        name: str,
        kind: int,
        *,
        before: np.ndarray,
        start: np.ndarray,
        window_days: float,
        chances: tuple[float, ...],
        mean_touches: float,
        at: np.ndarray | None = None,
        plan: np.ndarray | None = None,
    ) -> np.ndarray:
        """One decision for each conversion at rows `before`, within a window of start; returns the rows of those
        that ended in a conversion by the end of the span.

        chances: of converting by own accord, by class of intent. at: when it happens if it does (renewals).
        """
        rng = self.streams(name)
        user, window = self._all_conversions().user[before], days(window_days)
        intent = self.users.intent[user]
        counts = rng.poisson(mean_touches, len(user))
        ambient = ambient_touches(self.world, rng, counts, start, window, intent, after_signup=True)
        own_time = own_accord(rng, np.array(chances)[intent], start, window)
        candidates = Touches.join([ambient, self._heard(user, start, window)])
        outcome = resolve(self.world, candidates, own_time, self.span.until, at=at)
        shown = [seen(ambient, outcome.time, self.span.until)]
        happened = np.flatnonzero(outcome.time <= self.span.until)
        if at is None:
            times = np.where(outcome.time <= self.span.until, outcome.time, NEVER)
            shown.append(returning_visits(self.world, rng, times, start))
        shown = Touches.join(shown)
        self._touches.append(replace(shown, owner=user[shown.owner]))
        if kind == SUBSCRIPTION:
            plan = choose_plans(self.world, self.streams("plans"), self.users.user_type[user])
        return self._append(kind, user, before, outcome, plan, happened)

    def renew(self, latest: np.ndarray) -> None:
        """Renew monthly plans, period by period, until nobody is due."""
        renews = plan_table(self.world).renews
        period = 0
        while len(latest):
            period += 1
            conversions = self._all_conversions()
            latest = latest[renews[conversions.plan[latest]]]
            due = conversions.time[latest] + days(self.world.renewal_days)
            latest, due = latest[due <= self.span.until], due[due <= self.span.until]
            self._send(f"renewal/{period}", RENEWAL, conversions.user[latest], due - days(REMINDER_BEFORE_DAYS))
            jitter = self.streams(f"renewal/{period}/time").random(len(latest)) * HOUR
            latest = self.decide(
                f"renewal/{period}",
                RENEWED,
                before=latest,
                start=due - days(RENEWAL_WINDOW_DAYS),
                window_days=RENEWAL_WINDOW_DAYS,
                chances=self.world.renewal_own_accord,
                mean_touches=self.world.renewal_touches,
                at=due + jitter.astype(np.int64),
                plan=conversions.plan[latest],
            )

    def _all_conversions(self) -> Conversions:
        if len(self._conversions) > 1:
            self._conversions = [Conversions.join(self._conversions)]
        return self._conversions[0]

    def _append(
        self,
        kind: int,
        user: np.ndarray,
        before: np.ndarray,
        outcome: Outcome,
        plan: np.ndarray | None,
        happened: np.ndarray,
    ) -> np.ndarray:
        count = len(user)
        decided = Conversions(
            user,
            outcome.time,
            np.full(count, kind),
            outcome.trigger,
            outcome.sole,
            before,
            np.full(count, NOBODY) if plan is None else plan,
        )
        first = len(self._all_conversions())
        self._conversions.append(decided.take(happened))
        return first + np.arange(len(happened))

    def _send(self, name: str, kind: int, reader: np.ndarray, moment: np.ndarray) -> None:
        """Send a campaign's mails within the hour after each moment, and note the clicks as touches."""
        rng = self.streams(f"mail/{name}")
        sent = moment + (rng.random(len(reader)) * HOUR).astype(np.int64)
        campaign = self.catalogue.mail(kind, sent)
        mails = send(self.world, rng, self.readers, reader, campaign, sent, self.span.until)
        clicked = mails.take(mails.clicked != NEVER)
        email = np.full(len(clicked), self.world.code(EMAIL))
        rng = self.streams(f"mail/{name}/persuasion")
        self._mails.append(mails)
        self._clicks.append(with_persuasion(self.world, rng, clicked.reader, clicked.clicked, email, clicked.campaign))

    def _heard(self, user: np.ndarray, start: np.ndarray, window: int) -> Touches:
        """The clicks of these users within a window of start; owner: index into user."""
        clicks = Touches.join(self._clicks)
        place = np.full(len(self.users), NOBODY)
        place[user] = np.arange(len(user))
        clicks = clicks.take(place[clicks.owner] != NOBODY)
        clicks = replace(clicks, owner=place[clicks.owner])
        since = clicks.time - start[clicks.owner]
        return clicks.take((since >= 0) & (since < window))
