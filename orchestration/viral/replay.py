"""[pure] What is said of K at an instant from what was known then, and of past days: what turned out.

Nothing that happened after the instant is looked at. But a flag of fraud counts from the join on, though it may have
been set later: a history holds the flags of today.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from orchestration.viral.history import DAY, HOUR, History, microseconds
from orchestration.viral.intervals import cohort_intervals, dispersion, exposure_noise, influence, pooled_interval
from orchestration.viral.lags import HourlyLags

AGES = (5, 10, 20)
ROUNDING = 1e-9
"""Relative: a sum of doubles may fall short of the number that it is equal to."""


@dataclass(frozen=True)
class Parameters:
    """horizon_days: H. window_days: cohorts of the headline. lag_fit_days: joined at most so long ago, the users that
    lags are fitted on, and whose cohorts tell how uneven joins are. min_maturity: of cohorts in the headline.

    Raises ValueError for days below 1, a fit shorter than the horizon, a maturity outside 0..1.
    """

    horizon_days: int = 30
    window_days: int = 28
    lag_fit_days: int = 90
    min_maturity: float = 0.2

    def __post_init__(self) -> None:
        if min(self.horizon_days, self.window_days) < 1 or not 0 <= self.min_maturity <= 1:
            raise ValueError(f"{self}: expected days of 1 or more, a maturity from 0 to 1")
        if self.lag_fit_days < self.horizon_days:
            raise ValueError(f"{self}: nobody in the fit is as old as the horizon")


@dataclass(frozen=True)
class Said:
    """K of some cohorts at an instant. first_day, last_day: theirs, days since 1970 UTC.

    users: members so far. joins: credited to them within the horizon, net, so far. maturity: exposure / users. k:
    joins / exposure; None where nothing is known of lags, and without exposure. low, high: of k, None where it cannot
    be told. effective_groups: of referral trees, of the headline only; few mean that a few trees carry it.
    """

    first_day: int
    last_day: int
    users: int
    joins: int
    maturity: float | None
    k: float | None
    low: float | None
    high: float | None
    effective_groups: float | None = None

    @property
    def k_observed(self) -> float | None:
        """Joins so far per user; None without users."""
        return self.joins / self.users if self.users else None


@dataclass(frozen=True)
class Replay:
    """What was said at the start of a UTC day, and what turned out for the same users.

    age: days of the one cohort, None for the headline. turned_out: joins within the horizon per user; None while one
    of the users is younger than that, and without users.
    """

    day: int
    age: int | None
    said: Said
    turned_out: float | None

    @property
    def error(self) -> float | None:
        """Said - turned out."""
        if self.said.k is None or self.turned_out is None:
            return None
        return self.said.k - self.turned_out

    @property
    def is_within(self) -> bool | None:
        """Whether what turned out lies in the interval: more often than 95 % of the time, as the interval is of K, and
        what turned out shares with what was said all joins that had come by then."""
        if self.said.low is None or self.said.high is None or self.turned_out is None:
            return None
        return self.said.low <= self.turned_out <= self.said.high


@dataclass(frozen=True, eq=False)
class Cohorts:
    """UTC days of joining, from first_day on, one row each, as known at an instant.

    users: by cohort. joins (net), exposure, shift: by cohort and group; shift is how far the group bends the exposure
    of the whole cohort through the lag distribution. fitted: users that this one was fitted on, by group. Exposure,
    shift and lags are None where nothing is known of lags.
    """

    first_day: int
    users: np.ndarray
    joins: np.ndarray
    exposure: np.ndarray | None
    shift: np.ndarray | None
    fitted: np.ndarray
    lags: HourlyLags | None

    @cached_property
    def dispersion(self) -> float | None:
        """How uneven joins are, pooled over these cohorts (intervals.dispersion)."""
        return None if self.exposure is None else dispersion(self.joins, self.exposure, self.users)

    def said(self) -> list[Said]:
        """Of each cohort by itself, in their order."""
        joins = self.joins.sum(axis=1)
        size = len(self.users)
        exposure = np.zeros(size) if self.exposure is None else self.exposure.sum(axis=1)
        low = high = np.full(size, np.nan)
        if self.dispersion is not None:
            noise = exposure_noise(self.shift, exposure, self.fitted)
            low, high = cohort_intervals(joins, exposure, self.users, self.dispersion, noise)
        known = self.exposure is not None
        columns = (column.tolist() for column in (self.users, joins, exposure, low, high))
        return [
            Said(self.first_day + row, self.first_day + row, users, brought, *_ratios(users, brought, seen, known),
                 *((None, None) if np.isnan(most) else (least, most)))
            for row, (users, brought, seen, least, most) in enumerate(zip(*columns, strict=True))
        ]  # fmt: skip

    def headline(self, days: int, min_maturity: float) -> Said:
        """Of the last so many cohorts together, but for those that are not mature enough."""
        first = max(len(self.users) - days, 0)
        last_day = self.first_day + len(self.users) - 1
        if self.exposure is None:
            users, joins = int(self.users[first:].sum()), int(self.joins[first:].sum())
            return Said(self.first_day + first, last_day, users, joins, None, None, None, None)
        exposure = self.exposure.sum(axis=1)
        mature = np.flatnonzero((self.users > 0) & (exposure >= min_maturity * self.users * (1 - ROUNDING)))
        mature = mature[mature >= first]
        if len(mature) == 0:
            return Said(self.first_day + first, last_day, 0, 0, None, None, None, None)
        users, joins = int(self.users[mature].sum()), int(self.joins[mature].sum())
        by_group = (column[mature].sum(axis=0) for column in (self.joins, self.exposure, self.shift))
        interval = pooled_interval(*by_group)
        ratios = _ratios(users, joins, float(exposure[mature].sum()), True)
        bounds = (interval.low, interval.high, interval.effective_groups)
        return Said(self.first_day + int(mature[0]), self.first_day + int(mature[-1]), users, joins, *ratios, *bounds)


def cohorts(history: History, as_of: float, parameters: Parameters, *, oldest: int | None = None) -> Cohorts:
    """Cohorts of joining from `oldest` days before as_of's to the day before it, or its own if it has begun.

    as_of: days since 1970 UTC. oldest: lag_fit_days unless given; dispersion is then pooled over other cohorts too.
    Raises ValueError for an oldest below 1 and a time that is below 0 or not finite.
    """
    oldest = parameters.lag_fit_days if oldest is None else oldest
    if oldest < 1:
        raise ValueError(f"oldest {oldest}: expected 1 day or more")
    at = int(microseconds("as_of", as_of))
    last_day = (at - 1) // DAY
    first_day = at // DAY - oldest
    size = last_day - first_day + 1
    known = history.known(at)
    users = slice(int(np.searchsorted(known.joined, first_day * DAY)), len(known.joined))
    row = known.joined[users] // DAY - first_day
    # A user of the very midnight belongs to a day that has not begun.
    row, users = row[row < size], slice(users.start, users.start + int((row < size).sum()))
    joins = _joins(known, first_day, size, parameters)
    counted = np.bincount(row, minlength=size)
    fit = _fitted(known, at, parameters)
    if fit is None:
        return Cohorts(first_day, counted, joins, None, None, np.zeros(known.groups, dtype=np.int64), None)
    lags, bends, fitted = fit
    hour, part = lags.places((at - known.joined[users]) / DAY)
    maturity = lags.share[hour] * (1 - part) + lags.share[hour + 1] * part
    exposure = _table(row, known.group[users], maturity, (size, known.groups))
    by_hour = (size, len(lags.share))
    members = _table(row, hour, 1 - part, by_hour) + _table(row, hour + 1, part, by_hour)
    return Cohorts(first_day, counted, joins, exposure, members @ bends.T, fitted, lags)


def say(history: History, as_of: float, parameters: Parameters = Parameters()) -> Said:
    """The headline: cohorts of the trailing window that are mature enough, as known at as_of (days since 1970 UTC)."""
    oldest = max(parameters.lag_fit_days, parameters.window_days)
    return cohorts(history, as_of, parameters, oldest=oldest).headline(parameters.window_days, parameters.min_maturity)


def replays(
    history: History,
    days: Iterable[int],
    as_of: float,
    parameters: Parameters = Parameters(),
    ages: Sequence[int] = AGES,
) -> list[Replay]:
    """For each day, in order: the headline at its first instant, then the cohorts that joined so many days before.

    days: since 1970 UTC, none after as_of. as_of: what turned out is what is known then. ages: days between the
    cohort's day and the day, 1 or more. Raises ValueError for others.
    """
    days = [int(day) for day in days]
    if any(not 0 <= day <= as_of for day in days) or any(age < 1 for age in ages):
        raise ValueError("expected days from 0 to as_of, and ages of 1 day or more")
    oldest = max(parameters.lag_fit_days, parameters.window_days, *ages)
    outcome = _Outcome(history, int(microseconds("as_of", as_of)), parameters)
    found = []
    for day in days:
        table = cohorts(history, day, parameters, oldest=oldest)
        headline, single = table.headline(parameters.window_days, parameters.min_maturity), table.said()
        found.append(Replay(day, None, headline, outcome.of(headline)))
        for age in ages:
            said = single[oldest - age]
            found.append(Replay(day, age, said, outcome.of(said)))
    return found


class _Outcome:
    """What turned out by now, from sums over the users ordered by when they joined."""

    def __init__(self, history: History, as_of: int, parameters: Parameters) -> None:
        known = history.known(as_of)
        self._horizon, self._as_of, self._joined = parameters.horizon_days * DAY, as_of, known.joined
        self._brought_by = np.sort(known.inviter_joined[known.is_net & (known.lag <= self._horizon)])

    def of(self, said: Said) -> float | None:
        """Said at a midnight, so its cohorts are whole."""
        span = (said.first_day * DAY, (said.last_day + 1) * DAY)
        first, after = np.searchsorted(self._joined, span)
        if said.users == 0 or self._as_of - self._joined[after - 1] < self._horizon:
            return None
        low, high = np.searchsorted(self._brought_by, span)
        return float((high - low) / (after - first))


def _joins(known: History, first_day: int, size: int, parameters: Parameters) -> np.ndarray:
    """Net joins within the horizon, by cohort of the inviter and group."""
    since = int(np.searchsorted(known.came, first_day * DAY))
    row = known.inviter_joined[since:] // DAY - first_day
    counts = (row >= 0) & (row < size) & known.is_net[since:] & (known.lag[since:] <= parameters.horizon_days * DAY)
    return _table(row[counts], known.join_group[since:][counts], None, (size, known.groups))


def _fitted(known: History, at: int, parameters: Parameters) -> tuple[HourlyLags, np.ndarray, np.ndarray] | None:
    """(lag distribution, its influence by group and hour, users that it was fitted on by group)."""
    oldest, hours = at - parameters.lag_fit_days * DAY, 24 * parameters.horizon_days
    young = int(np.searchsorted(known.joined, oldest))
    joined, group = known.joined[young:], known.group[young:]
    since = int(np.searchsorted(known.came, oldest))
    lag = known.lag[since:]
    seen = (known.inviter_joined[since:] >= oldest) & (lag <= hours * HOUR)
    lag, join_group = lag[seen], known.join_group[since:][seen]
    if len(lag) == 0 or at - joined[0] < hours * HOUR:
        return None
    at_risk = np.searchsorted(joined, at - lag, "right")
    shape = (known.groups, hours + 1)
    hazards = _table(join_group, -(-lag // HOUR), 1 / at_risk, shape)
    cumulated = hazards.sum(axis=0).cumsum()
    by_age = _table(group, np.minimum((at - joined) // HOUR, hours), None, shape)
    old_enough = by_age[:, ::-1].cumsum(axis=1)[:, ::-1]
    return HourlyLags(cumulated / cumulated[-1]), influence(hazards, old_enough), old_enough[:, 0]


def _table(row: np.ndarray, column: np.ndarray, weight: np.ndarray | None, shape: tuple[int, int]) -> np.ndarray:
    """Sums of weights (None: counts) by row and column."""
    return np.bincount(row * shape[1] + column, weight, shape[0] * shape[1]).reshape(shape)


def _ratios(users: int, joins: int, exposure: float, known: bool) -> tuple[float | None, float | None]:
    """(maturity, k)."""
    maturity = exposure / users if known and users else None
    return maturity, joins / exposure if known and exposure else None
