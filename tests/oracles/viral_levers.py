"""Levers by moving them: a list of invites counted twice, before and after one percent; slopes by search; jackknife.

An invite is (segment, opened, joined, lag): lag in days, None where nobody joined within the horizon and its window.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from math import exp, lgamma, log, sqrt
from typing import TypeVar

from tests.oracles.policy import Policy, number, span
from tests.oracles.viral import Referrals, User

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


Segment = tuple[str, str]
"""Kind and name."""


def lever_counts(referrals: Referrals, as_of: datetime, policy: Policy) -> dict[tuple[str, str, int], tuple[int, ...]]:
    """(segment_kind, segment, counted invites that a user sent in it) -> (users, their opened invites, net joins by
    opened ones, net joins by others, net joins near the horizon).

    Of users who are older than the horizon H and the half width w around it, by at most viral_lag_fit_days. Invites and
    joins are of the user's first H days; near it: a lag in [H - w, H + w], w a week or half of H. Channels beyond the
    viral_lever_channels with the most invites are `other`. `users`: all of them.
    """
    horizon = span(policy, "viral_horizon_days")
    width = min(timedelta(days=7), horizon / 2)
    latest = as_of - horizon - width
    users = [
        user
        for user in referrals.users.values()
        if latest - span(policy, "viral_lag_fit_days") < user.joined_at <= latest
    ]
    facts = {user.user_id: list(_facts(referrals, user, horizon, width)) for user in users}
    sent = Counter(channel for found in facts.values() for channel, kind in found if kind == "invite")
    known = {channel for found in facts.values() for channel, _kind in found}
    ranked = sorted(known, key=lambda channel: (-sent[channel], channel))
    named = set(ranked[: int(number(policy, "viral_lever_channels"))])

    counts: dict[tuple[str, str, int], list[int]] = {}
    for user in users:
        by_segment: dict[Segment, Counter[str]] = {}
        for channel, kind in facts[user.user_id]:
            for segment in (
                ("all", "all"),
                ("user_type", user.user_type),
                ("channel", channel if channel in named else "other"),
            ):
                by_segment.setdefault(segment, Counter())[kind] += 1
        for segment, kinds in [*by_segment.items(), (("users", "users"), Counter())]:
            row = counts.setdefault((*segment, kinds["invite"]), [0] * 5)
            told = 1, kinds["opened"], kinds["join by an opened invite"], kinds["join by another"], kinds["near"]
            row[:] = [one + other for one, other in zip(row, told, strict=True)]
    return {key: tuple(row) for key, row in counts.items()}


def _facts(referrals: Referrals, user: User, horizon: timedelta, width: timedelta) -> Iterator[tuple[str, str]]:
    """(channel, what happened), once for each time."""
    for invite in referrals.counted():
        if invite.actor_id == user.user_id and user.joined_at <= invite.sent_at <= user.joined_at + horizon:
            yield invite.channel, "invite"
            if invite.invite_key in referrals.opened:
                yield invite.channel, "opened"
    for join in referrals.joins.values():
        if not join.is_net or join.inviter is None or join.inviter.user_id != user.user_id:
            continue
        lag = join.user.joined_at - user.joined_at
        is_opened = join.invite.invite_key in referrals.opened
        if timedelta() <= lag <= horizon:
            yield join.invite.channel, "join by an opened invite" if is_opened else "join by another"
        if horizon - width <= lag <= horizon + width:
            yield join.invite.channel, "near"
