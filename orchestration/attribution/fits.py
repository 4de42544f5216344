"""Fits of a build: from the statistics that its models keep to what its marts show. A build never fits the weights that
credit is given by: these come from the calibration in force."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

import numpy as np

from orchestration.policy import Policy
from orchestration.warehouse import Warehouse
from orchestration.warehouse import path_statistics as statistics
from orchestration.warehouse.calibrations import Calibration, calibrations
from orchestration.warehouse.fit_tables import replace_fits
from orchestration.warehouse.path_statistics import AccuracyRow, ChannelEffect, CreditInterval, Period

from .accuracy import measure, status
from .credit import Parameters, credited
from .intervals import ChannelInterval, bootstrap, bootstrap_weighted, times_drawn
from .markov import End, Step, at_order, fit_markov
from .reconcile import credited as credited_within
from .shapley import SubsetCount, Subsets, fit_shapley, shapley_simple
from .totals import DECIMALS, credited_cents, credited_conversions
from .truth import Truth

SEED = 1953
"""Of everything that is drawn in a fit: the same statistics give the same figures."""
WEEK = timedelta(days=7)
NEWEST = 10
"""Calibrations that are judged although they were never promoted: the newest so many."""
DATA_DRIVEN, UNATTRIBUTED = "data_driven", "unattributed"
RULES = ("first_touch", "last_touch", "last_non_direct", "linear", "time_decay", "position_based")
UNIT = Decimal(1).scaleb(-DECIMALS)

Row = Mapping[str, Any]
FitRow = ChannelEffect | CreditInterval | AccuracyRow


@dataclass(frozen=True)
class Fits:
    """What was fitted for a build. calibration_id: the one that it credits by."""

    calibration_id: int
    rows: Sequence[FitRow]

    def of(self, kind: type) -> list[Any]:
        """The rows of one table."""
        return [row for row in self.rows if isinstance(row, kind)]


def fit_build(warehouse: Warehouse, policy: Policy) -> Fits:
    """Fit what the latest build's models keep, and store it for the models that show it."""
    with warehouse.connect("marketing attribution") as connection:
        period = statistics.period(connection)
        known = calibrations(connection)
        in_force = next(one for one in known if one.calibration_id == period.calibration_id)
        sets = statistics.channel_sets(connection)
        rows = [
            *channel_effects(statistics.transitions(connection), sets, policy),
            *credit_intervals(statistics.credits_by_group(connection), sets, in_force, policy),
            *accuracy_rows(statistics.truth_journeys(connection), period, known, policy),
        ]
        replace_fits(connection, statistics.TABLES, period.build_id, rows)
    return Fits(period.calibration_id, rows)


def channel_effects(
    transitions: Sequence[tuple[list[str], str, str, int]],
    sets: Sequence[tuple[int, list[str], int, int, int]],
    policy: Policy,
) -> Iterator[ChannelEffect]:
    """Markov chains of orders 1, 2 and the configured one, Shapley values, and the even split beside them."""
    subsets = subsets_of(sets)
    conversions = {members: count.conversions for members, count in subsets.items()}
    total = sum(conversions.values())
    cents = sum(count.revenue_cents for count in subsets.values())
    counts = transition_counts(transitions)
    for order in sorted({1, 2, policy.attribution_markov_order}):
        effects = fit_markov(at_order(counts, order), order).removal_effects
        within = credited_within(conversions, effects)
        shared, revenue = credited_conversions(effects, total), credited_cents(effects, cents)
        for channel, effect in effects.items():
            yield ChannelEffect(
                "markov",
                order,
                channel,
                effect,
                None,
                0.0,
                shared[channel],
                revenue[channel],
                _decimal(within[channel]),
            )
    shapley = fit_shapley(subsets, np.random.default_rng(SEED))
    within = credited_within(conversions, shapley.weights)
    shared, revenue = shapley.conversions(total), shapley.revenue_cents(cents)
    for channel, value in shapley.values.items():
        error = shapley.standard_errors[channel]
        yield ChannelEffect(
            "shapley", None, channel, None, value, error, shared[channel], revenue[channel], _decimal(within[channel])
        )
    simple = shapley_simple(subsets)
    shared = credited_conversions(simple, total)
    # The even split of each conversion is its own touch-level credit; so is that of its revenue.
    revenue = credited_cents(shapley_simple(subsets, "revenue_cents"), cents)
    for channel, value in simple.items():
        yield ChannelEffect(
            "shapley_simple", None, channel, None, float(value), 0.0, shared[channel], revenue[channel], shared[channel]
        )


def transition_counts(rows: Sequence[tuple[list[str], str, str, int]]) -> Counter[tuple[tuple[str, ...], Step]]:
    """Rows of int_path_transitions as counts of steps between states."""
    ends = {"conversion": End.CONVERSION, "null": End.NULL}
    return Counter({(tuple(state), ends.get(kind, channel)): steps for state, kind, channel, steps in rows})


def subsets_of(sets: Sequence[tuple[int, list[str], int, int, int]]) -> Subsets:
    """Rows of int_channel_sets, summed over groups of persons."""
    sums: dict[frozenset[str], np.ndarray] = {}
    for _group, channels, *numbers in sets:
        members = frozenset(channels)
        sums[members] = sums.get(members, np.zeros(3, dtype=np.int64)) + numbers
    return {members: SubsetCount(*map(int, numbers)) for members, numbers in sums.items()}


def credit_intervals(
    credits: Sequence[Row], sets: Sequence[tuple[int, list[str], int, int, int]], in_force: Calibration, policy: Policy
) -> Iterator[CreditInterval]:
    """Intervals over persons, of all rule-based models, and of data_driven once a calibration was promoted."""
    channels = sorted({row["channel"] for row in credits})
    models = [*RULES, DATA_DRIVEN] if in_force.calibration_id else RULES
    place = {channel: number for number, channel in enumerate(channels)}
    for model in models:
        sums = np.zeros((policy.attribution_person_groups, len(channels)))
        for row in credits:
            sums[row["person_group"], place[row["channel"]]] = row[f"{model}_conversions"]
        if not channels:
            continue
        exact = sum_exactly(credits, f"{model}_conversions")
        found = bootstrap(channels, sums, np.random.default_rng(SEED))
        if model == DATA_DRIVEN and in_force.weight_replicates and sets_are_as_touched(policy):
            # Weights were fitted too: their noise is part of what the credit does not know.
            weighted = {one.channel: one for one in _with_noise_of_weights(sets, credits, in_force, policy)}
            found = [weighted.get(one.channel, one) for one in found]
        for one in found:
            yield CreditInterval(
                model, one.channel, exact[one.channel], one.low, one.high, one.rank, one.rank_stability
            )


def _with_noise_of_weights(
    sets: Sequence[tuple[int, list[str], int, int, int]], credits: Sequence[Row], in_force: Calibration, policy: Policy
) -> list[ChannelInterval]:
    # What has no channel has a rank among the others, too.
    alone = [
        (row["person_group"], [UNATTRIBUTED], row["data_driven_conversions"])
        for row in credits
        if row["channel"] == UNATTRIBUTED
    ]
    counted = [*alone, *((group, channels, converted) for group, channels, _paths, converted, _cents in sets)]
    members = sorted({tuple(channels) for _group, channels, _converted in counted})
    channels = sorted({channel for one in members for channel in one})
    number = {one: place for place, one in enumerate(members)}
    present = np.array([[channel in one for channel in channels] for one in members])
    conversions = np.zeros((policy.attribution_person_groups, len(members)))
    for group, one, converted in counted:
        conversions[group, number[tuple(one)]] = converted
    weights, *replicates = (
        [one.get(channel, min(one.values())) for channel in channels]
        for one in (in_force.weights, *in_force.weight_replicates)
    )
    return bootstrap_weighted(
        channels,
        present,
        conversions,
        np.array(replicates, dtype=float),
        np.array(weights, dtype=float),
        np.random.default_rng(SEED),
        # The draws of persons that the replicates were fitted to.
        draws=times_drawn(policy.attribution_person_groups, len(replicates), np.random.default_rng(SEED)),
    )


def sets_are_as_touched(policy: Policy) -> bool:
    """Whether the policy's paths hold the same channels as the journeys that credit is shared in."""
    return (
        policy.attribution_direct_touches == "keep"
        and policy.attribution_path_max_steps == 0
        and policy.attribution_path_transform != "frequency"
    )


def sum_exactly(rows: Sequence[Row], column: str) -> dict[str, Decimal]:
    """A column of decimals summed by channel."""
    sums: dict[str, Decimal] = {}
    for row in rows:
        sums[row["channel"]] = sums.get(row["channel"], Decimal(0)) + row[column]
    return sums


def accuracy_rows(
    touches: Sequence[Row], period: Period, known: Sequence[Calibration], policy: Policy
) -> Iterator[AccuracyRow]:
    """Accuracy of each model by period, one ending each week back; in the latest, of the newest calibrations too, and
    of those that were promoted before."""
    models = [*RULES, DATA_DRIVEN]
    for truth_method, rows in groupby(touches, key=lambda row: row["truth_method"]):
        judged = Truth.of(list(rows))
        for end_on in period_ends(period, policy):
            start_on = end_on - timedelta(days=policy.attribution_accuracy_days - 1)
            part = judged.between(start_on, end_on)
            is_latest = end_on == period.to_on
            credits = {(model, period.calibration_id): part.given(model) for model in models}
            if is_latest:
                credits |= {
                    (DATA_DRIVEN, one.calibration_id): credited(parameters_of(one, policy), part.journeys)
                    for place, one in enumerate(known)
                    if one.calibration_id != period.calibration_id
                    and (place < NEWEST or one.promoted_at or not one.calibration_id)
                }
            for (model, calibration_id), shares in credits.items():
                yield AccuracyRow(
                    truth_method,
                    model,
                    calibration_id,
                    start_on,
                    end_on,
                    is_latest,
                    len(part),
                    part.of_none,
                    part.without_touch,
                    **_measured(part, shares, policy),
                )


def _measured(part: Truth, shares: np.ndarray, policy: Policy) -> dict[str, Any]:
    names = ("accuracy", "corrected", "low", "high", "ceiling", "drift_line", "hit_rate")
    found = measure(shares, part.channel, part.person, np.random.default_rng(SEED)) if len(part) else None
    columns = ("accuracy", "accuracy_corrected", "accuracy_low", "accuracy_high", "accuracy_ceiling", *names[5:])
    values = {
        column: None if found is None else min(max(float(getattr(found, name)), 0.0), 1.0)
        for column, name in zip(columns, names, strict=True)
    }
    return values | {
        "status": status(
            found,
            min_conversions=policy.attribution_accuracy_min_conversions,
            drift_below=policy.attribution_accuracy_floor,
        )
    }


def period_ends(period: Period, policy: Policy) -> Iterator[date]:
    """Last days of the periods, the latest first, one each week while whole periods lie within the fitted days."""
    end_on = period.to_on
    while end_on - timedelta(days=policy.attribution_accuracy_days - 1) >= period.from_on:
        yield end_on
        end_on -= WEEK


def parameters_of(calibration: Calibration, policy: Policy) -> Parameters:
    """What a stored calibration gives credit by; the policy's own weights for calibration 0."""
    stored = calibration.parameters
    numbers = {
        name: float(stored[name]) for name in ("half_life_days", "first_weight", "last_weight") if name in stored
    }
    if calibration.method == "policy":
        numbers = {"first_weight": policy.attribution_first_weight, "last_weight": policy.attribution_last_weight}
    return Parameters(calibration.method, calibration.weights, stored.get("markov_order"), **numbers)


def _decimal(value: float) -> Decimal:
    return Decimal(value).quantize(UNIT)
