"""Money that comes in and goes back: plans, prices, currencies, exchange rates, refunds."""

from dataclasses import dataclass

import numpy as np

from orchestration.simulate.calendar import Span
from orchestration.simulate.rows import Rows
from orchestration.simulate.streams import Streams, pick
from orchestration.simulate.world import DAY, SUPPLIER, World


@dataclass(frozen=True)
class Plans:
    """All plans, suppliers' first: US cents, whether each renews, and the weights for each user type."""

    price_cents: np.ndarray
    renews: np.ndarray
    weights: np.ndarray


def plan_table(world: World) -> Plans:
    """The plans of both types in one numbering."""
    plans = world.supplier_plans + world.couple_plans
    split = len(world.supplier_plans)
    share = np.array([plan.share for plan in plans])
    mine = np.arange(len(plans)) < split
    return Plans(
        np.array([plan.price_cents for plan in plans]),
        np.array([plan.renews for plan in plans]),
        np.stack([np.where(mine, share, 0.0), np.where(mine, 0.0, share)]),
    )


def choose_plans(world: World, rng: np.random.Generator, user_type: np.ndarray) -> np.ndarray:
    """A plan number for each buyer, by type."""
    weights = plan_table(world).weights
    supplier, couple = (pick(rng, weights[kind], len(user_type)) for kind in range(len(weights)))
    return np.where(user_type == SUPPLIER, supplier, couple)


def user_currencies(world: World, rng: np.random.Generator, count: int) -> np.ndarray:
    """The currency (index) that each user pays in."""
    return pick(rng, np.array([one.share for one in world.user_currencies]), count)


def revenue_cents(world: World, rng: np.random.Generator, plan: np.ndarray, currency: np.ndarray) -> np.ndarray:
    """What each conversion pays, in cents of its currency: the list price there (whole units), some discounted."""
    table = plan_table(world).price_cents
    rate = np.array([one.rate for one in world.user_currencies])
    price = np.round(table[plan] / rate[currency] / 100) * 100
    discounted = rng.random(len(plan)) < world.discount_share
    price = np.where(discounted, np.round(price * (1 - world.discount)), price)
    return np.where(plan >= 0, price, 0).astype(np.int64)


@dataclass(frozen=True)
class Refunds(Rows):
    """Parallel arrays: the conversion refunded, when, and cents of its currency."""

    conversion: np.ndarray
    time: np.ndarray
    cents: np.ndarray


def draw_refunds(world: World, rng: np.random.Generator, paid_at: np.ndarray, cents: np.ndarray, until: int) -> Refunds:
    """Refund some paid conversions, in full or in part, a few of them twice (and then for more than was paid)."""
    chosen = np.flatnonzero((rng.random(len(cents)) < world.refund_share) & (cents > 0))
    chosen = np.concatenate([chosen, chosen[rng.random(len(chosen)) < 0.03]])
    time = paid_at[chosen] + (rng.exponential(world.refund_days, len(chosen)) * DAY).astype(np.int64) + 60_000
    full = rng.random(len(chosen)) < world.refund_full_share
    share = np.where(full, 1.0, rng.uniform(0.1, 0.7, len(chosen)))
    amount = np.maximum(np.round(cents[chosen] * share), 1).astype(np.int64)
    return Refunds(chosen, time, amount).take(time <= until)


@dataclass(frozen=True)
class Rates(Rows):
    """Rates of the currencies other than the dollar, by day: dollars for one, and when each was said.

    day, currency (index), rate, updated_at (milliseconds): parallel; a corrected rate is a later entry.
    """

    day: np.ndarray
    currency: np.ndarray
    rate: np.ndarray
    updated_at: np.ndarray


def draw_rates(world: World, streams: Streams, span: Span) -> Rates:
    """A random walk per currency, said on weekdays at 16:00 UTC; a few are corrected the next morning."""
    day = np.arange(span.start // DAY - 7, span.until // DAY + 1)
    open_days = day[(day + 3) % 7 < 5]
    parts = []
    for index, currency in enumerate(world.user_currencies):
        if currency.code == "USD":
            continue
        rng = streams(f"rates/{currency.code}")
        steps = rng.normal(0.0, currency.volatility, len(open_days))
        rate = np.round(currency.rate * np.exp(np.cumsum(steps)), 6)
        said = open_days * DAY + 16 * 3_600_000
        wrong = np.flatnonzero(rng.random(len(open_days)) < 0.02)
        first = rate.copy()
        first[wrong] = np.round(rate[wrong] * 1.01, 6)
        code = np.full(len(open_days), index)
        parts += [
            Rates(open_days, code, first, said),
            Rates(open_days[wrong], code[wrong], rate[wrong], said[wrong] + 15 * 3_600_000),
        ]
    none = np.zeros(0, dtype=np.int64)
    rates = Rates.join([Rates(none, none, np.zeros(0), none), *parts])
    return rates.take(rates.updated_at <= span.until)
