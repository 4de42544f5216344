"""How often the rule on K tells without a cause, and how late it tells of a real fall, beside a bare threshold.

    python -m benchmarks.alerts [--days 1000]

Users join each day and bring others, unevenly (negative binomial of dispersion 0.5); the headline is K over the
trailing 28 days with the interval that the engine computes, looked at four times a day. Delays count from the day on
which users begin to bring fewer: the 28 days still hold those who brought more. All joins show at once here; in an
installation the youngest cohorts count by their maturity.
"""

import argparse
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import numpy as np

from orchestration.alerts.alerting import Addresses, alerting
from orchestration.alerts.evaluation import Change, Sample, Standing, evaluate
from orchestration.alerts.rules import Rule
from orchestration.policy import Policy
from orchestration.viral.intervals import pooled_interval

START = datetime(2026, 1, 1, tzinfo=UTC)
DISPERSION = 0.5
LOOKS = 4
"""A day."""
LEVELS = (1.5, 1.34, 1.25, 1.2, 1.1, 1.0)
FALLS = (1.1, 1.0, 0.8)
BEFORE = 1.34
"""K before a fall: the deployment guide's."""
USERS = (20, 100, 500)
"""Who join, a day."""
WORLDS = 40


def headlines(k: np.ndarray, users: int, policy: Policy, luck: np.random.Generator) -> Iterator[Sample]:
    """A sample for each look of each day. k: of those who join on each day, the first window's included."""
    groups, window = policy.viral_tree_groups, policy.viral_window_days
    joined = luck.poisson(users / groups, (len(k), groups))
    size = np.maximum(DISPERSION * joined, 1e-9)
    brought = luck.negative_binomial(size, size / (size + k[:, None] * joined + 1e-12)) * (joined > 0)
    for day in range(window, len(k)):
        exposure = joined[day - window : day].sum(axis=0).astype(float)
        joins = brought[day - window : day].sum(axis=0).astype(float)
        interval = pooled_interval(joins, exposure, np.zeros(groups))
        for look in range(LOOKS):
            yield Sample(
                START + timedelta(days=day - window, hours=24 / LOOKS * look),
                float(joins.sum() / exposure.sum()),
                interval.low,
                interval.high,
                int(exposure.sum()),
                1.0,
            )


def fired(rule: Rule, samples: list[Sample]) -> list[datetime]:
    """When it fired, looked at with each sample, as in an installation."""
    standing, found = Standing(), []
    for place, sample in enumerate(samples):
        told = evaluate(rule, samples[max(0, place - 40) : place + 1], standing, sample.at)
        standing = told.standing
        found += [transition.at for transition in told.transitions if transition.change is Change.FIRED]
    return found


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=1000)
    options = parser.parse_args()
    policy = Policy.load(Path("dbt_project.yml"), os.environ)
    ours = alerting(policy, Addresses(Path(), Path("none"))).by_name["viral_coefficient_low"]
    bare = ours.model_copy(update={"by_interval": False, "for_": timedelta(), "keep_firing": timedelta()})
    window = policy.viral_window_days
    print(f"alerts in {options.days:,} days without a change (target {ours.threshold:g}): the rule, a bare threshold")
    print("K     " + "".join(f"{users:>10} a day" for users in USERS))
    for k in LEVELS:
        cells = []
        for users in USERS:
            luck = np.random.default_rng([int(k * 100), users])
            samples = list(headlines(np.full(window + options.days, k), users, policy, luck))
            cells.append(f"{len(fired(ours, samples)):>8}, {len(fired(bare, samples)):>4}")
        print(f"{k:<6g}" + "  ".join(cells), flush=True)
    print(f"\ndays from a fall of K from {BEFORE:g} to the alert, median and latest of {WORLDS} worlds; told within 90")
    print("to    " + "".join(f"{users:>18} a day" for users in USERS))
    for after in FALLS:
        cells = []
        for users in USERS:
            delays = []
            for world in range(WORLDS):
                luck = np.random.default_rng([int(after * 100), users, world])
                k = np.concatenate([np.full(2 * window, BEFORE), np.full(90, after)])
                fall = START + timedelta(days=window)
                times = [at for at in fired(ours, list(headlines(k, users, policy, luck))) if at >= fall]
                delays.append((times[0] - fall).days if times else None)
            told = sorted(delay for delay in delays if delay is not None)
            cells.append(f"{median(told):>8g}, {told[-1]:>3}; {len(told)}/{WORLDS}" if told else f"{'never':>14}")
        print(f"{after:<6g}" + "   ".join(cells), flush=True)


if __name__ == "__main__":
    main()
