"""What attribution is fitted from, as the models of a build left it, and the tables that its fits fill."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row, dict_row


@dataclass(frozen=True)
class Period:
    """The days of a build's fits, both ends in; calibration_id: in force for it."""

    build_id: int
    as_of: datetime
    from_on: date
    to_on: date
    calibration_id: int


@dataclass(frozen=True)
class ChannelEffect:
    """A row of fit_channel_effects."""

    method: str
    markov_order: int | None
    channel: str
    removal_effect: float | None
    shapley_value: float | None
    standard_error: float
    conversions: Decimal
    revenue_cents: int
    touch_conversions: Decimal


@dataclass(frozen=True)
class CreditInterval:
    """A row of fit_credit_intervals."""

    attribution_model: str
    channel: str
    conversions: Decimal
    conversions_low: float
    conversions_high: float
    channel_rank: int
    rank_stability: float


@dataclass(frozen=True)
class AccuracyRow:
    """A row of fit_accuracy."""

    truth_method: str
    attribution_model: str
    calibration_id: int
    period_start_on: date
    period_end_on: date
    is_latest: bool
    conversions: int
    conversions_of_none: int
    conversions_without_touch: int
    accuracy: float | None
    accuracy_corrected: float | None
    accuracy_low: float | None
    accuracy_high: float | None
    accuracy_ceiling: float | None
    drift_line: float | None
    hit_rate: float | None
    status: str


TABLES: dict[type, str] = {
    ChannelEffect: "fit_channel_effects",
    CreditInterval: "fit_credit_intervals",
    AccuracyRow: "fit_accuracy",
}


def period(connection: psycopg.Connection) -> Period:
    """The days that the latest build fits."""
    with connection.cursor(row_factory=class_row(Period)) as cursor:
        return cursor.execute(
            """
            select build_id, as_of, fit_from_on as from_on, (as_of - interval '1 microsecond')::date as to_on,
                calibration_id
            from staging.stg_build
            """
        ).fetchone()


def transitions(connection: psycopg.Connection) -> list[tuple[list[str], str, str, int]]:
    """(last channels, kind of step, channel of the step, number of steps) of all paths."""
    return connection.execute(
        "select from_channels, to_kind, to_channel, steps from intermediate.int_path_transitions where steps > 0"
    ).fetchall()


def channel_sets(connection: psycopg.Connection) -> list[tuple[int, list[str], int, int, int]]:
    """(group of persons, distinct channels, paths, conversions, cents), in order."""
    return connection.execute(
        """
        select person_group, channel_set, paths, conversions, revenue_cents
        from intermediate.int_channel_sets
        where paths > 0
        order by person_group, channel_set
        """
    ).fetchall()


def credits_by_group(connection: psycopg.Connection) -> list[dict[str, Any]]:
    """Sums of credit by group of persons and channel: a column <model>_conversions for each model."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("select * from intermediate.int_credits_by_group where touches > 0").fetchall()


def truth_journeys(connection: psycopg.Connection) -> list[dict[str, Any]]:
    """Touches of conversions whose true channel is known, by method of truth and conversion, in order of touch."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            """
            select *
            from intermediate.int_truth_journeys
            order by truth_method, converted_at, conversion_id collate "C", touch_position
            """
        ).fetchall()


def paths(
    connection: psycopg.Connection, start: date, end: date, *, transformed: bool
) -> list[tuple[int, list[str], int, int]]:
    """(group of persons, channels, conversions, non-conversions) of paths that ended from start up to, not including,
    end. transformed: as the policy wants them, or as touched."""
    query = sql.SQL(
        """
        select person_group, {path}, sum(conversions)::integer, sum(non_conversions)::integer
        from intermediate.int_paths
        where ended_on >= %s and ended_on < %s
        group by person_group, {path}
        order by person_group, {path}
        """
    ).format(path=sql.Identifier("path" if transformed else "channels"))
    return connection.execute(query, [start, end]).fetchall()
