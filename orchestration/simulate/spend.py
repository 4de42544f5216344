"""What marketing costs: by day, channel and campaign, first reported low and restated for a week."""

from dataclasses import dataclass

import numpy as np

from orchestration.simulate.calendar import Span
from orchestration.simulate.campaigns import Mails
from orchestration.simulate.columns import NEVER
from orchestration.simulate.journeys import NOBODY
from orchestration.simulate.rows import Rows
from orchestration.simulate.streams import Streams
from orchestration.simulate.visits import Visits
from orchestration.simulate.world import DAY, EMAIL, REFERRAL, World

# Days after the day itself at which platforms report it, and the share of its cost that they know by then.
REPORTS = ((1, 0.90), (3, 0.985), (7, 1.0))
# Euro accounts: every platform campaign whose number leaves no remainder here is billed in EUR.
EURO_EVERY = 9


@dataclass(frozen=True)
class Spend(Rows):
    """Parallel arrays, one entry per report: day, channel, campaign (NOBODY: none), cents in its currency
    (code in World.user_currencies), impressions and clicks, updated_at (NEVER: not said)."""

    day: np.ndarray
    channel: np.ndarray
    campaign: np.ndarray
    cents: np.ndarray
    currency: np.ndarray
    impressions: np.ndarray
    clicks: np.ndarray
    updated_at: np.ndarray
    arrives_at: np.ndarray


def draw_spend(
    world: World,
    streams: Streams,
    span: Span,
    visits: Visits,
    mails: Mails,
    rewards_at: np.ndarray,
    reward_cents: np.ndarray,
) -> Spend:
    """Bill each day's touches at the channel's cost, its mails per send, and the rewards granted in it."""
    rng = streams("spend")
    price = np.array([one.cost_cents for one in world.channels])
    billed = np.flatnonzero(price[visits.channel] > 0)
    key = np.stack([visits.time[billed] // DAY, visits.channel[billed], visits.campaign[billed]])
    rows, counts = np.unique(key, axis=1, return_counts=True)
    day, channel, campaign = rows
    noise = np.exp(rng.normal(-(world.cost_noise**2) / 2, world.cost_noise, len(day)))
    cents = counts * price[channel] * noise

    mail_day, mail_count = np.unique(mails.sent // DAY, return_counts=True)
    reward_day, place = np.unique(rewards_at // DAY, return_inverse=True)
    reward_sum = np.bincount(place, reward_cents, minlength=len(reward_day))
    fees = [
        (mail_day, world.code(EMAIL), mail_count * world.email_cost_cents, mail_count),
        (reward_day, world.code(REFERRAL), reward_sum, np.bincount(place, minlength=len(reward_day))),
    ]
    for days, code, cost, number in fees:
        day = np.concatenate([day, days])
        channel = np.concatenate([channel, np.full(len(days), code)])
        campaign = np.concatenate([campaign, np.full(len(days), NOBODY)])
        cents, counts = np.concatenate([cents, cost]), np.concatenate([counts, number])
    return _reports(world, rng, span, day, channel, campaign, cents, counts)


def _reports(
    world: World,
    rng: np.random.Generator,
    span: Span,
    day: np.ndarray,
    channel: np.ndarray,
    campaign: np.ndarray,
    cents: np.ndarray,
    clicks: np.ndarray,
) -> Spend:
    codes = [one.code for one in world.user_currencies]
    euro = codes.index("EUR") if "EUR" in codes else 0
    rate = np.array([one.rate for one in world.user_currencies])
    currency = np.where((campaign >= 0) & (campaign % EURO_EVERY == 0), euro, 0)
    cents = cents / rate[currency]
    shown = clicks * 20 + (rng.random(len(day)) * 40 * clicks).astype(np.int64)
    parts = []
    for after, known in REPORTS:
        said = (day + after) * DAY + 6 * 3_600_000 + (rng.random(len(day)) * 3_600_000).astype(np.int64)
        # Some platforms put no time on a first report; a missing one is older than all.
        unstamped = (rng.random(len(day)) < 0.1) & (after == REPORTS[0][0])
        parts.append(
            Spend(
                day=day,
                channel=channel,
                campaign=campaign,
                cents=np.round(cents * known).astype(np.int64),
                currency=currency,
                impressions=np.round(shown * known).astype(np.int64),
                clicks=clicks,
                updated_at=np.where(unstamped, NEVER, said),
                arrives_at=said,
            )
        )
    reports = Spend.join(parts)
    return reports.take(reports.arrives_at <= span.until)
