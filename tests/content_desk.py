"""Content jobs in a real warehouse: what they are asked for, by which desk, and what was stored of them."""

import os
from datetime import UTC, datetime
from typing import Any

from psycopg.rows import dict_row

from orchestration.content.desk import Desk, Endpoint, desk_of
from orchestration.policy import Policy
from orchestration.settings import REPOSITORY
from orchestration.warehouse import Warehouse
from tests.openai_server import KEY, Served

POLICY = Policy.load(REPOSITORY / "dbt_project.yml", os.environ).model_copy(
    update={"content_retry_first_seconds": 1, "content_call_seconds": 3, "content_concurrency": 4}
)
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def desk(served: Served | None, policy: Policy = POLICY, **endpoint: Any) -> Desk:
    known = {
        "is_on": served is not None,
        "api_key": KEY,
        "base_url": served and served.url,
        "model": "gpt-4o-mini",
        "max_tokens": 2000,
    }
    return desk_of(policy, Endpoint(**known | endpoint))


def campaigns(warehouse: Warehouse, many: int, name: str = "Spring") -> None:
    """So many campaigns that convert less than the others, as the mart tells of them."""
    with warehouse.connect() as connection:
        connection.execute("drop table if exists marts.content_opportunities")
        connection.execute(
            """
            create table marts.content_opportunities as
            select
                'underperforming_campaign' as kind, 'c' || number as subject_id, %s || ' ' || chr(64 + number)
                    as subject_name,
                'email' as channel, 1204::bigint as people, 0.2::numeric as rate, 0.17::numeric as rate_low,
                0.23::numeric as rate_high, 9000::bigint as benchmark_people, 0.382::numeric as benchmark_rate,
                0.182::numeric as shortfall, 0.15::numeric as shortfall_low, null::bigint as amount_cents,
                null::date as deadline_on, timestamptz '2026-03-01 00:00Z' as as_of
            from generate_series(1, %s) as number
            """,
            [name, many],
        )


def rows(warehouse: Warehouse, table: str, order: str) -> list[dict[str, Any]]:
    """All that ops holds of a table, in order."""
    with warehouse.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(f"select * from ops.{table} order by {order}").fetchall()


def jobs(warehouse: Warehouse) -> list[dict[str, Any]]:
    return rows(warehouse, "content_jobs", "job_id")


def calls(warehouse: Warehouse) -> list[dict[str, Any]]:
    return rows(warehouse, "content_calls", "call_id")


def drafts(warehouse: Warehouse) -> list[dict[str, Any]]:
    return rows(warehouse, "content_drafts", "draft_id")


def due_now(warehouse: Warehouse) -> None:
    """Let all that waits be due."""
    with warehouse.connect() as connection:
        connection.execute("update ops.content_jobs set due_at = clock_timestamp() where finished_at is null")
