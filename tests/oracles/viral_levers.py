"""Levers by moving them: a list of invites counted twice, before and after one percent; slopes by search; jackknife.

An invite is (segment, opened, joined, lag): lag in days, None where nobody joined within the horizon and its window.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import exp, lgamma, log, sqrt
from typing import TypeVar

Group = TypeVar("Group")

Invite = tuple[int, bool, bool, float | None]


def joins_with_more_opens(invites: Sequence[Invite], segment: int, more: Fraction) -> Fraction:
    """Joins if the opened invites of a segment are that many times as many, each kind converting as before."""
    total = Fraction(0)
    for each in {one[0] for one in invites}:
        own = [one for one in invites if one[0] == each]
        opened = [one for one in own if one[1]]
        shut = [one for one in own if not one[1]]
        if each != segment:
            total += sum(one[2] for one in own)
            continue
        now = len(opened) * more
        total += now * Fraction(sum(one[2] for one in opened), len(opened))
        total += (len(own) - now) * Fraction(sum(one[2] for one in shut), len(shut))
    return total


def joins_with_more_conversion(invites: Sequence[Invite], segment: int, more: Fraction) -> Fraction:
    return sum((one[2] * (more if one[0] == segment else 1) for one in invites), Fraction(0))


def joins_with_longer_lags(lags: Sequence[tuple[int, float]], segment: int, stretch: float, horizon: float) -> int:
    """Joins within the horizon if the lags (segment, lag) of one segment are that many times as long."""
    return sum(lag * (stretch if each == segment else 1) <= horizon for each, lag in lags)


def joins_with_more_invites(users: Sequence[tuple[int, int]], slope: float, more: float) -> float:
    """Joins if users (invites, joins) send that many times as many, on the line of that slope through what they did."""
    return sum(joins * more**slope for _, joins in users)


def slope(users: Sequence[tuple[int, int]]) -> float:
    """Of log expected joins on log invites: the greatest Poisson likelihood of users (invites, joins), by search."""

    def likelihood(beta: float) -> float:
        weights = [exp(beta * log(invites)) for invites, _ in users]
        level = sum(joins for _, joins in users) / sum(weights)
        return sum(
            joins * log(level * weight) - level * weight - lgamma(joins + 1)
            for (_, joins), weight in zip(users, weights, strict=True)
        )

    low, high = -40.0, 40.0
    for _ in range(200):
        first, second = low + (high - low) / 3, high - (high - low) / 3
        if likelihood(first) < likelihood(second):
            low = first
        else:
            high = second
    return (low + high) / 2


def jackknife_error(groups: Sequence[Group], statistic: Callable[[Sequence[Group]], float]) -> float:
    """Standard error of a statistic by leaving out one group after the other."""
    without = [statistic([*groups[:place], *groups[place + 1 :]]) for place in range(len(groups))]
    mean = sum(without) / len(without)
    return sqrt((len(groups) - 1) / len(groups) * sum((one - mean) ** 2 for one in without))
