"""Fits of a build: intervals of K, the back-test, how unevenly users bring others, levers, forecasts."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from math import isfinite, isnan
from typing import Any

import numpy as np
import pyarrow as pa

from orchestration.policy import Policy
from orchestration.warehouse import Warehouse
from orchestration.warehouse import viral_statistics as statistics
from orchestration.warehouse.fit_tables import replace_fits
from orchestration.warehouse.viral_statistics import (
    BacktestRow,
    ForecastRow,
    Interval,
    LeverRow,
    Present,
    SpreadMeasure,
)

from .forecast import (
    HORIZONS,
    LARGEST_SAME_DAY,
    LEVEL_DAYS,
    Origin,
    Spread,
    backtest,
    day_masses,
    doubling_days,
    growth_rate,
)
from .forest import amplification
from .history import History
from .intervals import cohort_intervals, dispersion, exposure_noise, pooled_interval
from .levers import LeverCounts, levers
from .offspring import extinction_probability, fit_offspring, k_without_top, measured_share_of_inviters
from .replay import AGES, ROUNDING, Cohorts, Parameters, Replay, Said, replays
from .replay import cohorts as cohorts_at

SEED = 1976
"""Of everything that is drawn in a fit: the same statistics give the same figures."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_US = 86_400_000_000
TOP = 0.01
SHARE = 0.8
ALL = "all"
"""The kind of segment that is everybody."""
EVERYBODY = "users"
"""The rows of lever counts that hold all users, of whatever segment."""
SEGMENT_KINDS = (ALL, "user_type", "channel")

FitRow = Interval | BacktestRow | SpreadMeasure | LeverRow | ForecastRow


@dataclass(frozen=True)
class Fits:
    """What was fitted for a build."""

    rows: Sequence[FitRow]

    def of(self, kind: type) -> list[Any]:
        """The rows of one table."""
        return [row for row in self.rows if isinstance(row, kind)]


def fit_build(warehouse: Warehouse, policy: Policy) -> Fits:
    """Fit what the latest build's models keep, and store it for the models that show it."""
    with warehouse.connect("marketing viral coefficient") as connection:
        present = statistics.present(connection)
        looked_back = policy.viral_backtest_days + max(HORIZONS) + policy.viral_lag_fit_days + policy.viral_window_days
        since = present.as_of.astimezone(UTC).date() - timedelta(days=looked_back)
        known = history_of(statistics.users(connection, since), statistics.joins(connection, since), policy)
        offspring = statistics.offspring(connection)
        now = cohorts_at(known, _days_since_1970(present.as_of), parameters_of(policy))
        intervals = list(intervals_of(statistics.cohorts(connection), now, present, policy))
        replayed = replays_of(known, present.as_of, policy)
        headline = next((one for one in intervals if one.grain == "headline"), None)
        rows: list[FitRow] = [
            *intervals,
            *map(_backtest_row, (one for one in replayed if one.said.k is not None)),
            *spread_of(offspring, now, present, headline),
            *levers_of(statistics.lever_counts(connection), policy),
            *forecasts_of(statistics.days(connection), known, present, policy),
        ]
        replace_fits(connection, statistics.TABLES, present.build_id, rows)
    return Fits(rows)


def parameters_of(policy: Policy) -> Parameters:
    """What the policy says of K."""
    return Parameters(
        horizon_days=policy.viral_horizon_days,
        window_days=policy.viral_window_days,
        lag_fit_days=policy.viral_lag_fit_days,
        min_maturity=policy.viral_min_maturity,
    )


def history_of(users: pa.Table, joins: pa.Table, policy: Policy) -> History:
    """Rows of viral_statistics as a history."""

    def column(table: pa.Table, name: str) -> np.ndarray:
        return table[name].to_numpy() if name in table.column_names else np.zeros(0, dtype=np.int64)

    return History.of(
        joined=column(users, "joined_us") / DAY_US,
        group=column(users, "tree_group"),
        inviter_joined=column(joins, "inviter_joined_us") / DAY_US,
        lag=column(joins, "lag_us") / DAY_US,
        join_group=column(joins, "tree_group"),
        is_net=column(joins, "is_net").astype(bool),
        groups=policy.viral_tree_groups,
    )


@dataclass(frozen=True, eq=False)
class _Table:
    """Cohorts as the models sum them: keys, and by cohort and group joins (net), users, and exposure; shift as in
    replay.Cohorts."""

    keys: Sequence[tuple[date, str]]
    joins: np.ndarray
    users: np.ndarray
    exposure: np.ndarray
    shift: np.ndarray

    def summed(self, key: Any) -> "_Table":
        """The rows put together that have the same key of (day, user_type)."""
        keys = [key(on, user_type) for on, user_type in self.keys]
        distinct = sorted(set(keys))
        place = np.array([distinct.index(one) for one in keys], dtype=np.int64)

        def sums(values: np.ndarray) -> np.ndarray:
            out = np.zeros((len(distinct), values.shape[1]))
            np.add.at(out, place, values)
            return out

        return _Table(distinct, *map(sums, (self.joins, self.users, self.exposure, self.shift)))

    def where(self, chosen: np.ndarray) -> "_Table":
        """Some of the rows."""
        keys = [key for key, is_chosen in zip(self.keys, chosen.tolist(), strict=True) if is_chosen]
        return _Table(keys, self.joins[chosen], self.users[chosen], self.exposure[chosen], self.shift[chosen])


def intervals_of(
    rows: Sequence[tuple[date, str, int, int, int, float | None]], now: Cohorts, present: Present, policy: Policy
) -> Iterator[Interval]:
    """Of each day's cohort, apart by user_type, of each week, and of the headline; none where it cannot be told."""
    table = _table_of(rows, now, policy)
    for grain, key in (
        ("day", lambda on, _type: (on, "")),
        ("day_by_user_type", lambda on, user_type: (on, user_type)),
        ("week", lambda on, _type: (on - timedelta(days=on.weekday()), "")),
    ):
        summed = table.summed(key)
        uneven = dispersion(summed.joins, summed.exposure, summed.users.sum(axis=1)) if len(summed.keys) else None
        if uneven is None:
            continue
        exposure = summed.exposure.sum(axis=1)
        noise = exposure_noise(summed.shift, exposure, now.fitted)
        bounds = cohort_intervals(summed.joins.sum(axis=1), exposure, summed.users.sum(axis=1), uneven, noise)
        for (on, user_type), low, high in zip(summed.keys, *(bound.tolist() for bound in bounds), strict=True):
            if not isnan(high):
                yield Interval(grain, on, user_type or None, low, high)
    days = table.summed(lambda on, _type: (on, ""))
    exposure, users = days.exposure.sum(axis=1), days.users.sum(axis=1)
    in_window = np.array(
        [present.period_start_on <= on <= present.period_end_on for on, _type in days.keys], dtype=bool
    )
    chosen = days.where(in_window & (exposure >= policy.viral_min_maturity * users * (1 - ROUNDING)))
    if present.k is not None and chosen.keys:
        pooled = pooled_interval(*(part.sum(axis=0) for part in (chosen.joins, chosen.exposure, chosen.shift)))
        if pooled.low is not None:
            yield Interval("headline", None, None, pooled.low, pooled.high)


def _table_of(rows: Sequence[tuple[date, str, int, int, int, float | None]], now: Cohorts, policy: Policy) -> _Table:
    """A cohort of which it is not known how much shows is left out."""
    known = [row for row in rows if row[5] is not None]
    keys = sorted({(on, user_type) for on, user_type, *_rest in known})
    place = {key: number for number, key in enumerate(keys)}
    shape = len(keys), policy.viral_tree_groups
    joins, users, maturity = np.zeros(shape), np.zeros(shape), np.zeros(len(keys))
    for on, user_type, group, counted, brought, part in known:
        row = place[on, user_type]
        users[row, group], joins[row, group], maturity[row] = counted, brought, part
    exposure = users * maturity[:, None]
    shift = np.zeros(shape)
    if now.shift is not None:
        # How the groups bend the lag distribution depends on age alone: each type of a day bears its part of it.
        whole = now.exposure.sum(axis=1)
        for row, (on, _type) in enumerate(keys):
            at = (on - EPOCH.date()).days - now.first_day
            if 0 <= at < len(whole) and whole[at] > 0:
                shift[row] = now.shift[at] * (exposure[row].sum() / whole[at])
    return _Table(keys, joins, users, exposure, shift)


def replays_of(known: History, as_of: datetime, policy: Policy) -> list[Replay]:
    """The headline, and cohorts of some ages, as they would have been said at the end of each of the past days."""
    last = int(_days_since_1970(as_of))
    days = range(max(last - policy.viral_backtest_days + 1, 0), last + 1)
    return replays(known, days, _days_since_1970(as_of), parameters_of(policy), AGES)


def _backtest_row(one: Replay) -> BacktestRow:
    said = one.said
    return BacktestRow(
        _date(one.day - 1),
        "headline" if one.age is None else f"cohort_{one.age}_days",
        said.users,
        said.joins,
        said.k_observed,
        said.maturity,
        said.k,
        said.low,
        said.high,
        one.turned_out,
    )


def spread_of(
    rows: Sequence[tuple[int, bool, int, int]], now: Cohorts, present: Present, headline: Interval | None
) -> Iterator[SpreadMeasure]:
    """How unevenly users of full age have brought others, and where K leads. rows: see viral_statistics.offspring."""
    counts: Counter[int] = Counter()
    for joins, _is_seed, _group, users in rows:
        counts[joins] += users
    measured = sum(counts.values())
    if measured:
        fit = fit_offspring(counts)
        for metric, part in (
            ("r", rows),
            ("r_of_seeds", [row for row in rows if row[1]]),
            ("r_after_seeds", [row for row in rows if not row[1]]),
        ):
            yield _mean_joins(metric, part)
        finite = [at if at is not None and isfinite(at) else None for at in (fit.k, fit.k_low, fit.k_high)]
        yield SpreadMeasure("dispersion_k", *finite, measured)
        for metric, value in (
            # Where nobody brought anybody there is no dispersion, and no doubt.
            ("extinction_probability", 1.0 if fit.k is None else extinction_probability(fit.r, fit.k)),
            ("share_of_inviters_for_80_pct", measured_share_of_inviters(counts, SHARE)),
            ("k_without_top_1_pct", k_without_top(counts, TOP)),
        ):
            yield SpreadMeasure(metric, value, None, None, measured)
    if present.k is not None:
        k = float(present.k)
        ends = (None, None) if headline is None else (headline.k_low, headline.k_high)
        bounds = (None if end is None else amplification(end) for end in ends)
        yield SpreadMeasure("amplification", amplification(k), *bounds, present.cohort_users)
        masses = None if now.lags is None else day_masses(now.lags.maturity(np.arange(len(now.lags.share) // 24 + 1.0)))
        if masses is not None and k * masses[0] < 1:
            rate = growth_rate(k, masses)
            yield SpreadMeasure("growth_per_day", rate, None, None, present.cohort_users)
            yield SpreadMeasure("doubling_days", doubling_days(rate), None, None, present.cohort_users)


def _mean_joins(metric: str, rows: Sequence[tuple[int, bool, int, int]]) -> SpreadMeasure:
    """Joins per user, with its interval over trees."""
    groups = 1 + max((row[2] for row in rows), default=0)
    joins, users = np.zeros(groups), np.zeros(groups)
    for brought, _is_seed, group, counted in rows:
        joins[group] += brought * counted
        users[group] += counted
    if not users.any():
        return SpreadMeasure(metric, None, None, None, 0)
    pooled = pooled_interval(joins, users, np.zeros(groups))
    return SpreadMeasure(metric, float(joins.sum() / users.sum()), pooled.low, pooled.high, int(users.sum()))


def levers_of(rows: Sequence[tuple[str, str, int, int, int, int, int, int, int]], policy: Policy) -> Iterator[LeverRow]:
    """Of all, of each user_type, of each channel of the invite. rows: see viral_statistics.lever_counts."""
    by_kind = {kind: list(found) for kind, found in groupby(rows, key=lambda row: row[0])}
    users = np.zeros(policy.viral_tree_groups)
    for _kind, _segment, group, _sent, counted, *_rest in by_kind.get(EVERYBODY, ()):
        users[group] += counted
    for kind in SEGMENT_KINDS:
        if kind not in by_kind:
            continue
        segments = sorted({row[1] for row in by_kind[kind]})
        counts = _lever_counts(by_kind[kind], segments, users)
        for row in levers(counts, horizon=policy.viral_horizon_days, half_width=lag_density_width(policy)):
            yield LeverRow(
                kind,
                segments[row.segment],
                row.lever.value,
                row.elasticity,
                row.low,
                row.high,
                row.k_share,
                row.k,
                row.k_after,
            )


def lag_density_width(policy: Policy) -> float:
    """Days on either side of the horizon over which the density of lags is measured, as in the model of the counts."""
    return min(7.0, policy.viral_horizon_days / 2)


def _lever_counts(
    rows: Sequence[tuple[str, str, int, int, int, int, int, int, int]], segments: Sequence[str], users: np.ndarray
) -> LeverCounts:
    sent = sorted({row[3] for row in rows if row[3] > 0})
    place = {segment: number for number, segment in enumerate(segments)}
    at = {number: column for column, number in enumerate(sent)}
    shape = len(segments), len(users)
    invites, opened, by_opened, by_unopened, near = (np.zeros(shape) for _ in range(5))
    users_by_sent, joins_by_sent = np.zeros((*shape, len(sent))), np.zeros((*shape, len(sent)))
    for _kind, segment, group, count, who, open_invites, joins_opened, joins_unopened, near_horizon in rows:
        cell = place[segment], group
        invites[cell] += count * who
        opened[cell] += open_invites
        by_opened[cell] += joins_opened
        by_unopened[cell] += joins_unopened
        near[cell] += near_horizon
        if count:
            users_by_sent[(*cell, at[count])] += who
            joins_by_sent[(*cell, at[count])] += joins_opened + joins_unopened
    return LeverCounts(
        users=users,
        invites=invites,
        opened=opened,
        joins_opened=by_opened,
        joins_unopened=by_unopened,
        joins_near_horizon=near,
        sent=np.array(sent, dtype=float),
        users_by_sent=users_by_sent,
        joins_by_sent=joins_by_sent,
    )


def forecasts_of(
    rows: Sequence[tuple[date, int, int]], known: History, present: Present, policy: Policy
) -> Iterator[ForecastRow]:
    """Joins of the next days: from the last whole day, and from past ones, a week apart, beside what came."""
    if not rows:
        return
    last_on = present.as_of.astimezone(UTC).date() - timedelta(days=1)
    first_on = max(rows[0][0], last_on - timedelta(days=policy.viral_backtest_days + max(HORIZONS) + 12 * 7))
    users, referred = ({on: row[place] for on, *row in rows} for place in (0, 1))
    days = [first_on + timedelta(days=number) for number in range((last_on - first_on).days + 1)]
    joined = np.array([users.get(on, 0) for on in days], dtype=np.int64)
    arrived = joined - np.array([referred.get(on, 0) for on in days], dtype=np.int64)
    origins, told = [], {}
    for back in range(0, policy.viral_backtest_days + max(HORIZONS) + 1, 7):
        day = len(days) - 1 - back
        if day + 1 < LEVEL_DAYS:
            break
        said = _spread_at(known, days[day], policy)
        if said is not None:
            told[day] = said.k
            origins.append(Origin(day, said, np.random.default_rng([SEED, (days[day] - EPOCH.date()).days])))
    for one in backtest(arrived, joined, origins):
        outlook = one.outlook
        yield ForecastRow(
            days[one.day],
            outlook.days,
            outlook.expected,
            outlook.referred,
            outlook.low,
            outlook.high,
            told[one.day],
            one.came,
        )


def _spread_at(known: History, on: date, policy: Policy) -> Spread | None:
    """K, lags and dispersion as known at the end of a day; None while they are not."""
    parameters = parameters_of(policy)
    table = cohorts_at(known, float((on - EPOCH.date()).days + 1), parameters)
    said: Said = table.headline(parameters.window_days, parameters.min_maturity)
    if said.k is None or said.low is None or table.lags is None or said.users < policy.viral_min_users:
        return None
    maturity = table.lags.maturity(np.arange(policy.viral_horizon_days + 1.0))
    if said.k * day_masses(maturity)[0] >= LARGEST_SAME_DAY:
        # Invitees who bring others within the hour: by this model no day would ever end.
        return None
    uneven = table.dispersion
    return Spread(said.k, said.low, said.high, maturity, 1 / uneven if uneven else np.inf)


def _days_since_1970(moment: datetime) -> float:
    return (moment - EPOCH) / timedelta(days=1)


def _date(day: int) -> date:
    return EPOCH.date() + timedelta(days=day)
