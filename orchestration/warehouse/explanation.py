"""What is known of one conversion: its journey as credited, and the touches near it that were left out, and why."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from .reads import is_published

NEAREST = 5
"""Touches shown on each side of the window, and of other persons: the nearest, since a person may have thousands."""

OUTSIDE = "before the window"
USED_UP = "before the person's previous conversion"
AFTER = "after the conversion"
OTHERS = "of another person on the same device"


@dataclass(frozen=True)
class Explanation:
    """credited: rows of fct_attribution, in order of touch. left_out: touchpoint_id, person_id, touched_at, channel,
    campaign_id and reason of touches that earn nothing. window_start_at: from when on touches count."""

    credited: list[dict[str, Any]]
    window_start_at: datetime
    left_out: list[dict[str, Any]]


def explain(
    connection: psycopg.Connection, conversion_id: str, *, lookback: timedelta, is_cut: bool
) -> Explanation | None:
    """None when no published build credits the conversion: see why_unknown. is_cut: an earlier conversion cuts the
    journey (attribution_journey_scope)."""
    if not is_published(connection, "fct_attribution"):
        return None
    with connection.cursor(row_factory=dict_row) as cursor:
        credited = cursor.execute(
            "select * from marts.fct_attribution where conversion_id = %s order by touch_position", [conversion_id]
        ).fetchall()
        if not credited:
            return None
        conversion = credited[0]
        window_start_at = conversion["converted_at"] - lookback
        around = {
            "conversion": conversion_id,
            "person": conversion["person_id"],
            "converted_at": conversion["converted_at"],
            "window_start_at": window_start_at,
            "nearest": NEAREST,
        }
        cut_at = cursor.execute(PREVIOUS, around).fetchone() if is_cut else None
        around["cut_at"] = cut_at["converted_at"] if cut_at else None
        rows = []
        for reason, query in LEFT_OUT.items():
            rows += [{**row, "reason": reason} for row in cursor.execute(query, around).fetchall()]
    shown = {row["touchpoint_id"] for row in credited}
    left_out = [row for row in rows if row["touchpoint_id"] not in shown]
    return Explanation(credited, window_start_at, sorted(left_out, key=lambda row: row["touched_at"]))


def why_unknown(connection: psycopg.Connection, conversion_id: str) -> str:
    """Why no published build credits this conversion, and what to do."""
    row = connection.execute(
        """
        select loads.status, loads.published_build_id, loads.load_id, conversions.currency, conversions.occurred_at
        from raw.conversions
        inner join raw.loads on loads.load_id = conversions.load_id
        where conversions.conversion_id = %s
        """,
        [conversion_id],
    ).fetchone()
    if row is None:
        return "no load has brought it: marketing ingest, or look for it in raw.quarantine"
    status, build_id, load_id, currency, occurred_at = row
    if status == "held":
        return f"load {load_id}, which brought it, is held: marketing loads accept {load_id}, or withdraw {load_id}"
    if status == "withdrawn":
        return f"load {load_id}, which brought it, was withdrawn: ingest its file again, corrected"
    if build_id is None:
        return f"load {load_id}, which brought it, is not built yet: marketing build"
    return (
        f"it is held out: no rate of {currency} is young enough for {occurred_at:%Y-%m-%d}, or it lies after the "
        "build's present (fx_max_age_days, MARKETING_AS_OF)"
    )


PREVIOUS = """
    select converted_at
    from intermediate.int_conversions
    where
        person_id = %(person)s
        and (converted_at, conversion_id collate "C") < (%(converted_at)s, %(conversion)s collate "C")
    order by converted_at desc, conversion_id collate "C" desc
    limit 1
"""
COLUMNS = "touchpoint_id, person_id, touched_at, channel, campaign_id"
LEFT_OUT = {
    OUTSIDE: f"""
        select {COLUMNS}
        from intermediate.int_touchpoints
        where person_id = %(person)s and touched_at < %(window_start_at)s
        order by touched_at desc
        limit %(nearest)s
    """,
    USED_UP: f"""
        select {COLUMNS}
        from intermediate.int_touchpoints
        where person_id = %(person)s and touched_at >= %(window_start_at)s and touched_at <= %(cut_at)s
        order by touched_at desc
        limit %(nearest)s
    """,
    AFTER: f"""
        select {COLUMNS}
        from intermediate.int_touchpoints
        where person_id = %(person)s and touched_at > %(converted_at)s
        order by touched_at
        limit %(nearest)s
    """,
    # Devices on which the person was met in the window, and what others did there.
    OTHERS: f"""
        with devices as (
            select distinct anonymous_id
            from intermediate.int_touchpoints
            where
                person_id = %(person)s and anonymous_id is not null
                and touched_at >= %(window_start_at)s and touched_at <= %(converted_at)s
            limit %(nearest)s
        )
        select {COLUMNS}
        from devices
        cross join lateral (
            select {COLUMNS}
            from intermediate.int_touchpoints as touches
            where
                touches.anonymous_id = devices.anonymous_id and touches.person_id <> %(person)s
                and touches.touched_at >= %(window_start_at)s and touches.touched_at <= %(converted_at)s
            order by touches.touched_at desc
            limit %(nearest)s
        ) as others
    """,
}
