"""Small reads: rows of a query, whether a mart is published, the scorecard."""

from typing import Any

import psycopg
from psycopg.rows import dict_row


def sample_rows(connection: psycopg.Connection, query: str, limit: int) -> list[dict[str, Any]]:
    """Up to `limit` rows of a query of our own making, as dicts of column to value."""
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(query)
        return cursor.fetchmany(limit)


def rows(connection: psycopg.Connection, query: Any, parameters: Any = ()) -> list[dict[str, Any]]:
    """All rows of a query, as dicts of column to value."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, parameters).fetchall()


def is_published(connection: psycopg.Connection, mart: str) -> bool:
    """Whether marts has the table. connection: with plain rows."""
    return connection.execute("select to_regclass(format('marts.%%I', %s::text)) is not null", [mart]).fetchone()[0]


def scorecard(connection: psycopg.Connection) -> list[dict[str, Any]]:
    """The published scorecard, in the order in which people read it. Empty before the first publication."""
    if not is_published(connection, "scorecard"):
        return []
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            """
            select metric, value, target, comparison, status, period_start_on, period_end_on, as_of,
                low, high, maturity, users
            from marts.scorecard
            order by
                array_position(
                    array[
                        'viral_coefficient', 'viral_days_above_target', 'campaign_conversion_rate',
                        'recent_campaign_conversion_rate', 'attributed_revenue_cents', 'marketing_roi_pct',
                        'attribution_accuracy'
                    ],
                    metric
                ),
                metric
            """
        ).fetchall()
