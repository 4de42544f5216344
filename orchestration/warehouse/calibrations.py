"""The ledger of calibrations: every fit of data-driven attribution, and which was put in force when, by whom, why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from .errors import WarehouseError
from .reads import is_published

# What a fit depends on arrives with these feeds.
EVIDENCE_FEEDS = ("touchpoints", "identities", "conversions", "attribution_truth")


class CalibrationError(WarehouseError):
    """A calibration that is asked for cannot be put in force; the message says why."""


@dataclass(frozen=True)
class Calibration:
    """A row of ops.attribution_calibrations. promoted_at: when it last came into force; in_force: whether it is now;
    build_seconds: how long the build took that then credited every conversion by it."""

    calibration_id: int
    method: str
    parameters: Mapping[str, Any]
    weights: Mapping[str, int]
    weight_replicates: Sequence[Mapping[str, int]]
    scores: Mapping[str, Any]
    fit_from_on: date | None
    fit_to_on: date | None
    judged_from_on: date | None
    judged_to_on: date | None
    build_id: int | None
    evidence_load_id: int
    evidence_sha256: str | None
    recommended: bool
    requested_by: str
    reason: str
    created_at: datetime
    promoted_at: datetime | None
    in_force: bool
    build_seconds: float | None


def calibrations(connection: psycopg.Connection) -> list[Calibration]:
    """Every calibration, the newest first; the last is 0, the policy's own."""
    with connection.cursor(row_factory=class_row(Calibration)) as cursor:
        return cursor.execute(
            """
            select
                calibrations.*,
                promotions.promoted_at,
                calibrations.calibration_id = ops.calibration_in_force() as in_force,
                (
                    select extract(epoch from builds.finished_at - builds.started_at)::double precision
                    from ops.builds
                    where
                        builds.calibration_id = calibrations.calibration_id and builds.status = 'published'
                        and builds.started_at >= promotions.promoted_at
                    order by builds.build_id
                    limit 1
                ) as build_seconds
            from ops.attribution_calibrations as calibrations
            left join lateral (
                select max(promoted_at) as promoted_at
                from ops.attribution_promotions
                where attribution_promotions.calibration_id = calibrations.calibration_id
            ) as promotions on true
            order by calibrations.calibration_id desc
            """
        ).fetchall()


def in_force(connection: psycopg.Connection) -> Calibration:
    """The calibration in force."""
    return next(one for one in calibrations(connection) if one.in_force)


def store(connection: psycopg.Connection, **columns: Any) -> int:
    """Store a calibration and return its number. columns: as in Calibration, without what is derived."""
    _lock(connection)
    connection.execute(
        """
        insert into ops.attribution_calibrations (
            calibration_id, method, parameters, weights, weight_replicates, scores, fit_from_on, fit_to_on,
            judged_from_on, judged_to_on, build_id, evidence_load_id, evidence_sha256, recommended, requested_by, reason
        )
        values (
            (select max(calibration_id) + 1 from ops.attribution_calibrations), %(method)s, %(parameters)s, %(weights)s,
            %(weight_replicates)s, %(scores)s, %(fit_from_on)s, %(fit_to_on)s, %(judged_from_on)s, %(judged_to_on)s,
            %(build_id)s, %(evidence_load_id)s, %(evidence_sha256)s, %(recommended)s, %(requested_by)s, %(reason)s
        )
        """,
        {name: Jsonb(value) if isinstance(value, dict | list) else value for name, value in columns.items()},
    )
    return connection.execute("select max(calibration_id) from ops.attribution_calibrations").fetchone()[0]


def promote(
    connection: psycopg.Connection,
    calibration_id: int,
    *,
    requested_by: str,
    reason: str,
    instead_of: int | None = None,
) -> bool:
    """Put a calibration in force, from the next build on; False when it is already.

    instead_of: only where that one is still in force; False when somebody has put in another meanwhile. Raises
    CalibrationError for a number that is not there.
    """
    _lock(connection)
    if instead_of is not None and connection.execute("select ops.calibration_in_force()").fetchone()[0] != instead_of:
        return False
    known = connection.execute(
        "select calibration_id from ops.attribution_calibrations where calibration_id = %s", [calibration_id]
    ).fetchone()
    if known is None:
        raise CalibrationError(f"there is no calibration {calibration_id}: marketing calibration list shows all")
    return _put_in_force(connection, calibration_id, "promote", requested_by, reason)


def revert(connection: psycopg.Connection, *, requested_by: str, reason: str) -> int:
    """Put back what was in force before the calibration that is now; returns its number. Raises CalibrationError."""
    _lock(connection)
    stack = [0]
    for number, kind in connection.execute(
        "select calibration_id, kind from ops.attribution_promotions order by promotion_id"
    ).fetchall():
        # A promotion comes on top of what was in force, a revert takes it off again.
        stack = [*stack, number] if kind == "promote" else stack[:-1]
    if len(stack) == 1:
        raise CalibrationError("calibration 0, the policy's own, is in force: there is none before it")
    before = stack[-2]
    _put_in_force(connection, before, "revert", requested_by, reason)
    return before


def evidence(connection: psycopg.Connection) -> int:
    """The newest published load that a fit would know; 0 before the first."""
    return connection.execute(
        "select coalesce(max(load_id), 0) from raw.loads where published_build_id is not null and feed = any(%s)",
        [list(EVIDENCE_FEEDS)],
    ).fetchone()[0]


def new_truth(connection: psycopg.Connection, since_build_id: int) -> int:
    """Survey answers that were first published after that build, however long their load waited or was held."""
    return connection.execute(
        """
        select count(*)
        from raw.attribution_truth as truth
        inner join raw.loads on loads.load_id = truth.load_id
        where loads.published_build_id > %s and truth.method = 'survey'
        """,
        [since_build_id],
    ).fetchone()[0]


def drifted(connection: psycopg.Connection, attribution_model: str, truth_method: str) -> float | None:
    """The accuracy of the published build in its latest period where it has drifted under the calibration in force."""
    if not is_published(connection, "attribution_accuracy"):
        return None
    row = connection.execute(
        """
        select accuracy::double precision
        from marts.attribution_accuracy
        where
            is_latest and status = 'drift' and attribution_model = %s and truth_method = %s
            and calibration_id = ops.calibration_in_force()
        """,
        [attribution_model, truth_method],
    ).fetchone()
    return None if row is None else row[0]


def _put_in_force(
    connection: psycopg.Connection,
    calibration_id: int,
    kind: Literal["promote", "revert"],
    requested_by: str,
    reason: str,
) -> bool:
    if connection.execute("select ops.calibration_in_force()").fetchone()[0] == calibration_id:
        return False
    connection.execute(
        "insert into ops.attribution_promotions (calibration_id, kind, requested_by, reason) values (%s, %s, %s, %s)",
        [calibration_id, kind, requested_by, reason],
    )
    return True


def _lock(connection: psycopg.Connection) -> None:
    """One at a time numbers and promotes; until the end of the caller's transaction."""
    connection.execute("lock table ops.attribution_promotions in share row exclusive mode")
