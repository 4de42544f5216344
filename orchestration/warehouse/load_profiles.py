"""Figures of loads, for judging whether they are plausible: what the ledger says, and aggregates of their rows.

Amounts are taken in the reporting currency at the newest rate known, since cents of one currency say nothing about
cents of another. A currency without a rate counts as it is.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from .bulk import RawTable

# Categories kept of a mix; a load with more has the rest counted as one.
MAX_CATEGORIES = 50
REST = "(rest)"

# In which currency a feed's amounts are; of those not named here, the reporting currency.
OWN_CURRENCY = {
    "ad_spend": sql.SQL("rows.currency"),
    "conversions": sql.SQL("rows.currency"),
    "refunds": sql.SQL(
        "(select paid.currency from raw.conversions as paid where paid.conversion_id = rows.conversion_id)"
    ),
}


def new_loads(connection: psycopg.Connection, build_id: int) -> list[dict[str, Any]]:
    """Loads that the build claimed and that await judgement, as those that someone accepted do not; oldest first.

    Columns: load_id, feed, records_read, inserted, conflicting, quarantined, earliest_at.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            """
            select load_id, feed, records_read, inserted, conflicting, quarantined, earliest_at
            from raw.loads
            where claimed_build_id = %s and published_build_id is null and status = 'loaded'
            order by load_id
            """,
            [build_id],
        ).fetchall()


def earlier_loads(connection: psycopg.Connection, feed: str, limit: int) -> list[dict[str, Any]]:
    """The newest published loads of a feed that brought records, newest first: load_id, inserted, profile.

    profile: None for a load that was published without having been judged.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            """
            select load_id, inserted, profile
            from raw.loads
            where feed = %s and published_build_id is not null and status <> 'withdrawn' and inserted > 0
            order by load_id desc
            limit %s
            """,
            [feed, limit],
        ).fetchall()


def oldest_record_at(connection: psycopg.Connection, feed: str) -> datetime | None:
    """The own time of a feed's oldest published record."""
    return connection.execute(
        "select min(earliest_at) from raw.loads where feed = %s and published_build_id is not null", [feed]
    ).fetchone()[0]


def store_profiles(connection: psycopg.Connection, profiles: Mapping[int, Mapping[str, Any]]) -> None:
    """Keep what was measured, by load_id."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "update raw.loads set profile = %s where load_id = %s",
            [(Jsonb(profile), load_id) for load_id, profile in profiles.items()],
        )


class FeedMeter:
    """Measures the rows of some loads of one feed: each method is one aggregate, answered per load_id."""

    def __init__(self, connection: psycopg.Connection, feed: str, load_ids: Sequence[int]) -> None:
        self._connection = connection
        self._feed = feed
        self._loads = {"loads": list(load_ids)}

    def after_arrival(self, column: str) -> dict[int, int]:
        """Rows whose time lies after the load's end."""
        return dict(
            self._rows(
                """
                select load_id, count(*) filter (where {column} > loads.finished_at)
                from {raw} inner join raw.loads using (load_id)
                where load_id = any(%(loads)s)
                group by load_id
                """,
                column,
            )
        )

    def mix(self, column: str) -> dict[int, dict[str, int]]:
        """Rows by value of a column; of more than MAX_CATEGORIES values the rarest are summed as one."""
        found: dict[int, dict[str, int]] = {}
        rows = self._rows(
            """
            select load_id, coalesce({column}, '(none)'), count(*) as records
            from {raw}
            where load_id = any(%(loads)s)
            group by load_id, {column}
            order by load_id, records desc, {column}
            """,
            column,
        )
        for load_id, value, records in rows:
            mix = found.setdefault(load_id, {})
            value = value if len(mix) < MAX_CATEGORIES else REST
            mix[value] = mix.get(value, 0) + records
        return found

    def most_of_one(self, column: str) -> dict[int, int]:
        """Rows that name the value which most of them name."""
        return dict(
            self._rows(
                """
                select load_id, max(records)
                from (
                    select load_id, count(*) as records
                    from {raw}
                    where load_id = any(%(loads)s) and {column} is not null
                    group by load_id, {column}
                ) as named
                group by load_id
                """,
                column,
            )
        )

    def amounts(self, column: str, reporting_currency: str) -> dict[int, dict[str, float]]:
        """Of amounts above 0, in cents of the reporting currency: `count`, the `largest`, the `typical` (median)."""
        rows = self._rows(
            """
            with newest_rates as (
                select distinct on (currency) currency, rate
                from raw.exchange_rates
                where currency <> %(currency)s and load_id not in (select load_id from raw.hidden_loads)
                order by currency, rate_on desc, updated_at desc nulls last
            ),

            amounts as (
                select rows.load_id, rows.{column} * coalesce(newest_rates.rate, 1) as cents
                from {raw} as rows
                left join newest_rates on newest_rates.currency = {own_currency}
                where rows.load_id = any(%(loads)s) and rows.{column} > 0
            )

            select
                load_id,
                count(*),
                max(cents)::double precision,
                percentile_cont(0.5) within group (order by cents::double precision)
            from amounts
            group by load_id
            """,
            column,
            {"currency": reporting_currency},
            own_currency=OWN_CURRENCY.get(self._feed, sql.SQL("%(currency)s::text")),
        )
        return {
            load_id: {"count": count, "largest": largest, "typical": typical}
            for load_id, count, largest, typical in rows
        }

    def rate_changes(self, max_age_days: int) -> dict[int, tuple[float, str]]:
        """The greatest change of a rate against the last one of its currency, in times, and whose it is.

        Compared with rates of published loads and of the load itself, of at most max_age_days before.
        """
        rows = self._rows(
            """
            with changes as (
                select
                    rows.load_id,
                    rows.currency || ' on ' || rows.rate_on as whose,
                    greatest(rows.rate / last.rate, last.rate / rows.rate)::double precision as times
                from raw.exchange_rates as rows
                cross join lateral (
                    select earlier.rate
                    from raw.exchange_rates as earlier
                    inner join raw.loads on loads.load_id = earlier.load_id
                    where
                        earlier.currency = rows.currency
                        and earlier.rate_on < rows.rate_on
                        and earlier.rate_on >= rows.rate_on - %(max_age_days)s::integer
                        and (loads.published_build_id is not null or earlier.load_id = rows.load_id)
                    order by earlier.rate_on desc, earlier.updated_at desc nulls last
                    limit 1
                ) as last
                where rows.load_id = any(%(loads)s)
            )

            select distinct on (load_id) load_id, times, whose
            from changes
            order by load_id, times desc, whose
            """,
            parameters={"max_age_days": max_age_days},
        )
        return {load_id: (times, whose) for load_id, times, whose in rows}

    def _rows(
        self,
        query: str,
        column: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        **parts: sql.Composable,
    ) -> list[tuple[Any, ...]]:
        composed = sql.SQL(query).format(
            raw=sql.Identifier("raw", self._feed), column=sql.Identifier(column or ""), **parts
        )
        return self._connection.execute(composed, {**self._loads, **(parameters or {})}).fetchall()


def greatest_records(
    connection: psycopg.Connection, feed: str, load_id: int, column: str, limit: int
) -> list[dict[str, Any]]:
    """Key and value of a load's records with the greatest values in a column: to find them at the source."""
    table = RawTable.read(connection, feed)
    key = [name for name in table.key if name != "record_sha256"]
    query = sql.SQL("select {} from {} where load_id = %s order by {} desc nulls last limit %s").format(
        sql.SQL(", ").join(map(sql.Identifier, [*key, column])), table.name, sql.Identifier(column)
    )
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, [load_id, limit]).fetchall()


def latest_arrivals(connection: psycopg.Connection) -> dict[str, datetime]:
    """When the last load of each feed that had any ended."""
    rows = connection.execute(
        "select feed, max(finished_at) from raw.loads where status <> 'withdrawn' group by feed order by feed"
    ).fetchall()
    return dict(rows)
