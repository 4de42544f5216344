"""What is said of K at an instant, from its definition: in fractions, one user after the other, all times in hours."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

DAY = 24


@dataclass(frozen=True)
class User:
    """joined, in hours. inviter: place in the list of users, or None. group: of the tree. net: not fraud."""

    joined: Fraction
    inviter: int | None
    group: int
    net: bool = True


@dataclass(frozen=True)
class Rules:
    horizon_days: int
    window_days: int
    lag_fit_days: int
    min_maturity: Fraction


@dataclass(frozen=True)
class Said:
    users: int
    joins: int
    maturity: Fraction | None
    k: Fraction | None


def headline(users: Sequence[User], as_of: Fraction, rules: Rules) -> tuple[Said, list[int]]:
    """Of the trailing window, and the days in it that count."""
    last = math.ceil(as_of / DAY) - 1
    days = [last - back for back in range(rules.window_days)]
    mature = [day for day in days if _is_mature(users, as_of, rules, day)]
    return said(users, as_of, rules, mature), mature


def said(
    users: Sequence[User], as_of: Fraction, rules: Rules, days: Sequence[int], weights: Sequence[Fraction] | None = None
) -> Said:
    """Of the cohorts of these days together. weights: how often each group counts, once each unless given."""
    weights = weights or [Fraction(1)] * (1 + max((user.group for user in users), default=0))
    members = [place for place, user in enumerate(users) if user.joined <= as_of and user.joined // DAY in days]
    brought = [user for user in _brought_by(users, members, rules) if user.joined <= as_of]
    joins = sum(weights[user.group] for user in brought)
    seen = [share(users, as_of, rules, as_of - users[place].joined, weights) for place in members]
    if None in seen:
        return Said(len(members), len(brought), None, None)
    exposure = sum(weights[users[place].group] * part for place, part in zip(members, seen, strict=True))
    return Said(
        len(members),
        len(brought),
        Fraction(exposure) / len(members) if members else None,
        Fraction(joins) / exposure if exposure else None,
    )


def turned_out(users: Sequence[User], now: Fraction, rules: Rules, days: Sequence[int]) -> Fraction | None:
    """Joins within the horizon per user of these days, once all of them are of that age."""
    members = [place for place, user in enumerate(users) if user.joined <= now and user.joined // DAY in days]
    if not members or any(now - users[place].joined < rules.horizon_days * DAY for place in members):
        return None
    return Fraction(len(_brought_by(users, members, rules)), len(members))


def share(
    users: Sequence[User], as_of: Fraction, rules: Rules, age: Fraction, weights: Sequence[Fraction]
) -> Fraction | None:
    """F at this age: the definition at whole hours, a straight line in between."""
    horizon = rules.horizon_days * DAY
    fitted = [user for user in users if 0 <= as_of - user.joined <= rules.lag_fit_days * DAY]
    lags = [
        (_lag(users, user), weights[user.group])
        for user in users
        if user.inviter is not None and users[user.inviter] in fitted and user.joined <= as_of
    ]
    lags = [(lag, weight) for lag, weight in lags if lag <= horizon]
    if not lags or not any(as_of - user.joined >= horizon for user in fitted):
        return None

    def cumulated(upto: int) -> Fraction:
        total = Fraction(0)
        for lag, weight in lags:
            if lag <= upto:
                total += weight / sum(weights[user.group] for user in fitted if as_of - user.joined >= lag)
        return total

    below = min(age, Fraction(horizon)) // 1
    part = min(age, Fraction(horizon)) - below
    low, high = cumulated(below), cumulated(min(below + 1, horizon))
    return (low + (high - low) * part) / cumulated(horizon)


def _is_mature(users: Sequence[User], as_of: Fraction, rules: Rules, day: int) -> bool:
    one = said(users, as_of, rules, [day])
    return one.maturity is not None and one.maturity >= rules.min_maturity


def _brought_by(users: Sequence[User], members: Sequence[int], rules: Rules) -> list[User]:
    """Credited within the horizon, net, ever."""
    horizon = rules.horizon_days * DAY
    return [user for user in users if user.inviter in members and user.net and _lag(users, user) <= horizon]


def _lag(users: Sequence[User], user: User) -> Fraction:
    return user.joined - users[user.inviter].joined
