"""How often the rules on rates tell without a cause, and how late they tell of a real fall, beside a bare threshold.

    python -m benchmarks.alerts [--days 1000]

K: users join each day and bring others, unevenly (negative binomial of dispersion 0.5); the headline is K over the
trailing 28 days with the interval that the engine computes. Conversion: campaigns come at random days, of sizes that
differ by a factor of ten, each with a rate of its own (beta, standard deviation 0.08); the headline pools those of 90
days whose 30 days of converting are over. Both are looked at four times a day. Delays count from the day on which
users begin to bring fewer, or campaigns to convert fewer: the headlines still hold those before. All joins show at once
here; in an installation the youngest cohorts count by their maturity.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import sqrt
from pathlib import Path
from statistics import median

import numpy as np

from orchestration.alerts.alerting import Addresses, alerting
from orchestration.alerts.evaluation import Change, Sample, Standing, evaluate
from orchestration.alerts.rules import Rule
from orchestration.policy import Policy
from orchestration.viral.intervals import pooled_interval

START = datetime(2026, 1, 1, tzinfo=UTC)
LOOKS = 4
"""A day."""
DISPERSION = 0.5
RATE_SPREAD = 0.08
"""Standard deviation of campaigns' conversion rates."""
RECIPIENTS = (500, 5000)
"""Of a campaign."""
WORLDS = 40
NORMAL_95 = 1.959963984540054

Days = Callable[[np.ndarray, int, Policy, np.random.Generator], Iterator[Sample]]


@dataclass(frozen=True)
class Study:
    """A rule and the worlds that it is tried in.

    days: a headline for each day after `window`, the truth of each day, the size and luck being given. sizes: of what
    `unit` says. before: the truth before a fall to each of `falls`; its alert is waited for wait_days.
    """

    rule: str
    unit: str
    levels: Sequence[float]
    falls: Sequence[float]
    before: float
    sizes: Sequence[int]
    days: Days
    window: Callable[[Policy], int]
    wait_days: int


def k_headlines(k: np.ndarray, users: int, policy: Policy, luck: np.random.Generator) -> Iterator[Sample]:
    """k: of those who join on each day. users: a day."""
    groups, window = policy.viral_tree_groups, policy.viral_window_days
    joined = luck.poisson(users / groups, (len(k), groups))
    size = np.maximum(DISPERSION * joined, 1e-9)
    brought = luck.negative_binomial(size, size / (size + k[:, None] * joined + 1e-12)) * (joined > 0)
    for day in range(window, len(k)):
        exposure = joined[day - window : day].sum(axis=0).astype(float)
        joins = brought[day - window : day].sum(axis=0).astype(float)
        interval = pooled_interval(joins, exposure, np.zeros(groups))
        yield Sample(
            START + timedelta(days=day - window),
            float(joins.sum() / exposure.sum()),
            interval.low,
            interval.high,
            int(exposure.sum()),
            1.0,
        )


def rate_headlines(rate: np.ndarray, campaigns: int, policy: Policy, luck: np.random.Generator) -> Iterator[Sample]:
    """rate: mean of the campaigns sent on each day. campaigns: a week."""
    sent_on = np.sort(luck.integers(0, len(rate), round(campaigns * len(rate) / 7)))
    concentration = rate[sent_on] * (1 - rate[sent_on]) / RATE_SPREAD**2 - 1
    own = luck.beta(rate[sent_on] * concentration, (1 - rate[sent_on]) * concentration)
    recipients = np.exp(luck.uniform(*np.log(RECIPIENTS), len(sent_on))).astype(int)
    converted = luck.binomial(recipients, own)
    matures, window = policy.campaign_conversion_window_days, rate_window(policy)
    for day in range(window, len(rate)):
        pooled = (sent_on < day - matures) & (sent_on >= day - window)
        sizes, wins = recipients[pooled].astype(float), converted[pooled].astype(float)
        if not len(sizes):
            continue
        value, many = wins.sum() / sizes.sum(), len(sizes)
        half = None
        if many >= policy.campaign_interval_min_campaigns:
            squares = ((wins - value * sizes) ** 2).sum()
            half = NORMAL_95 * sqrt(squares * many / (many - 1)) / sizes.sum()
        yield Sample(
            START + timedelta(days=day - window),
            float(value),
            None if half is None else max(value - half, 0.0),
            None if half is None else min(value + half, 1.0),
            int(sizes.sum()),
        )


def rate_window(policy: Policy) -> int:
    """Days of deliveries that a headline of the conversion rate looks back on."""
    return policy.campaign_headline_days + policy.campaign_conversion_window_days


STUDIES = (
    Study(
        rule="viral_coefficient_low",
        unit="users a day",
        levels=(1.5, 1.34, 1.25, 1.2, 1.1, 1.0),
        falls=(1.1, 1.0, 0.8),
        before=1.34,
        sizes=(20, 100, 500),
        days=k_headlines,
        window=lambda policy: policy.viral_window_days,
        wait_days=90,
    ),
    Study(
        rule="conversion_rate_drop",
        unit="campaigns a week",
        levels=(0.437, 0.40, 0.37, 0.35, 0.33, 0.30),
        falls=(0.30, 0.25, 0.15),
        before=0.437,
        sizes=(1, 3, 10),
        days=rate_headlines,
        window=rate_window,
        wait_days=240,
    ),
)


def fired(rule: Rule, days: Iterator[Sample]) -> list[datetime]:
    """When it fired, looked at with each sample, as in an installation."""
    samples = [
        Sample(day.at + timedelta(hours=24 / LOOKS * look), day.value, day.low, day.high, day.size, day.maturity)
        for day in days
        for look in range(LOOKS)
    ]
    standing, found = Standing(), []
    for place, sample in enumerate(samples):
        told = evaluate(rule, samples[max(0, place - 40) : place + 1], standing, sample.at)
        standing = told.standing
        found += [transition.at for transition in told.transitions if transition.change is Change.FIRED]
    return found


def false_alerts(study: Study, rule: Rule, policy: Policy, days: int) -> None:
    """Alerts of worlds that do not change: of the rule, and of its threshold alone."""
    bare = rule.model_copy(update={"by_interval": False, "for_": timedelta(), "keep_firing": timedelta()})
    print(f"\n{study.rule}: alerts in {days:,} days without a change; fires {rule.comparison} {rule.threshold:g}")
    print("the rule, its threshold alone".ljust(10) + "".join(f"{size:>8} {study.unit}" for size in study.sizes))
    for level in study.levels:
        cells = []
        for size in study.sizes:
            truth = np.full(study.window(policy) + days, level)
            counts = [
                len(fired(one, study.days(truth, size, policy, np.random.default_rng([int(level * 1000), size]))))
                for one in (rule, bare)
            ]
            cells.append(f"{counts[0]:>8}, {counts[1]:>4}")
        print(f"{level:<6g}" + "  ".join(cells), flush=True)


def delays(study: Study, rule: Rule, policy: Policy) -> None:
    """Days from a fall to its alert."""
    print(
        f"\n{study.rule}: days from a fall from {study.before:g} to the alert, median and latest of {WORLDS} worlds; "
        f"told within {study.wait_days}"
    )
    window = study.window(policy)
    for after in study.falls:
        cells = []
        for size in study.sizes:
            found = []
            for world in range(WORLDS):
                luck = np.random.default_rng([int(after * 1000), size, world])
                truth = np.concatenate([np.full(2 * window, study.before), np.full(study.wait_days, after)])
                fall = START + timedelta(days=window)
                times = [at for at in fired(rule, study.days(truth, size, policy, luck)) if at >= fall]
                found += [(times[0] - fall).days] if times else []
            found.sort()
            told = f"{median(found):g}, {found[-1]}" if found else "never"
            cells.append(f"{told:>10}; {len(found)}/{WORLDS}")
        print(f"{after:<6g}" + "   ".join(cells), flush=True)


def main() -> None:
    """Print the tables of every study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=1000)
    options = parser.parse_args()
    policy = Policy.load(Path("dbt_project.yml"), os.environ)
    rules = alerting(policy, Addresses(Path(), Path("none"))).by_name
    for study in STUDIES:
        false_alerts(study, rules[study.rule], policy, options.days)
        delays(study, rules[study.rule], policy)


if __name__ == "__main__":
    main()
