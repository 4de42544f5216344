"""How often the rules on rates tell without a cause, and how late they tell of a real fall, beside a bare threshold.

    python -m benchmarks.alerts [--days 1000]

K: users join each day and bring others, unevenly (negative binomial of dispersion 0.5); the headline is K over the
trailing 28 days with the interval that the engine computes. All joins show at once here; in an installation the
youngest cohorts count by their maturity. Conversion: campaigns come at random days, of sizes that differ by a factor of
ten, each with a rate of its own (beta, standard deviation 0.08); recipients convert after 8 days in the mean, within
30; the rate of now is that of the latest 14 days. Both are looked at four times a day. Delays count from the day on
which users begin to bring fewer, or campaigns to convert fewer: the numbers still hold those before.
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
from scipy import stats

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
LAG_DAYS = 8
"""Mean time from a delivery to its conversion, before it is cut at the window."""
WORLDS = 40

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
    """rate: mean of the campaigns sent on each day. campaigns: a week.

    As int_campaign_conversion_rates has it: conversions so far over what shows by now at each age.
    """
    sent_on = np.sort(luck.integers(0, len(rate), round(campaigns * len(rate) / 7)))
    concentration = rate[sent_on] * (1 - rate[sent_on]) / RATE_SPREAD**2 - 1
    own = luck.beta(rate[sent_on] * concentration, (1 - rate[sent_on]) * concentration)
    recipients = np.exp(luck.uniform(*np.log(RECIPIENTS), len(sent_on))).astype(int)
    by_age = _conversions_by_age(luck.binomial(recipients, own), policy.campaign_conversion_window_days, luck)
    first = rate_window(policy)
    for day in range(first, len(rate)):
        age = day - sent_on
        old = (age > policy.campaign_conversion_window_days) & (age <= first)
        young = (age > 0) & (age <= policy.campaign_recent_days)
        known = _recent_rate(recipients[old], by_age[old], recipients[young], by_age[young], age[young], policy)
        if known is not None:
            value, half = known
            yield Sample(
                START + timedelta(days=day - first),
                value,
                None if half is None else max(value - half, 0.0),
                None if half is None else max(value, min(value + half, 1.0)),
                int(recipients[young].sum()),
            )


def _conversions_by_age(converted: np.ndarray, window: int, luck: np.random.Generator) -> np.ndarray:
    """Of each campaign those who have converted by each age in days, shape (campaigns, window + 1)."""
    share = (1 - np.exp(-np.arange(window + 1) / LAG_DAYS)) / (1 - np.exp(-window / LAG_DAYS))
    daily = np.array([luck.multinomial(many, np.diff(share)) for many in converted])
    return np.concatenate([np.zeros((len(converted), 1), int), daily.cumsum(axis=1)], axis=1)


def _recent_rate(
    old: np.ndarray,
    old_by_age: np.ndarray,
    young: np.ndarray,
    young_by_age: np.ndarray,
    ages: np.ndarray,
    policy: Policy,
) -> tuple[float, float | None] | None:
    """(rate, half of its interval) of young campaigns of these ages, by how old ones went; None for too few."""
    if not len(old) or not len(young):
        return None
    many, lags = len(old), old_by_age[:, -1].astype(float)
    shown = old_by_age.sum(axis=0) / lags.sum()
    exposures = young * shown[ages]
    exposure = exposures.sum()
    if exposure < policy.campaign_recent_min_recipients:
        return None
    rate = young_by_age[np.arange(len(young)), ages].sum() / exposure
    if many < policy.campaign_interval_min_campaigns:
        return rate, None
    correction = many / (many - 1)
    usual = lags.sum() / old.sum()
    apart = ((lags - usual * old) ** 2).sum() * correction
    between = max((apart - usual * (1 - usual) * old.sum()) / (old.astype(float) ** 2).sum(), 0)
    chance = max(rate * exposure - rate**2 * (young * shown[ages] ** 2).sum(), 0)
    noise = (((old_by_age[:, ages] * young).sum(axis=1) - exposure * lags) ** 2).sum() * correction / lags.sum() ** 2
    variance = (between * (exposures**2).sum() + chance + rate**2 * noise) / exposure**2
    # As many campaigns of like sizes as would tell as much.
    freedom = max(old.sum() ** 2 / (old.astype(float) ** 2).sum() - 1, 3)
    return rate, float(stats.t.ppf(0.975, freedom)) * sqrt(variance)


def rate_window(policy: Policy) -> int:
    """Days of deliveries that the rate of now looks back on: the old ones tell how long the young ones take."""
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
        wait_days=90,
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
