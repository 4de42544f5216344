"""Samples and what they come to: exact however they arrive, and for as long as they are kept."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from threading import Event, Thread

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg import sql
from psycopg.rows import dict_row

from orchestration.alerts import monitor
from orchestration.policy import Policy
from orchestration.settings import REPOSITORY
from orchestration.warehouse import Warehouse
from orchestration.warehouse.failures import RunFailure, record_failure
from orchestration.warehouse.metric_samples import add_samples, delete_samples, newest_sample, samples
from orchestration.warehouse.metric_sources import UP, measure
from tests.content_outcomes import breaker_turned, jobs_ended
from tests.oracles.metrics import ai_success, burn, rollups, spent, uptime

POLICY = Policy.load(REPOSITORY / "dbt_project.yml", os.environ)
START = datetime(2026, 3, 1, 23, 50, tzinfo=UTC)
VALUES = st.one_of(st.none(), st.floats(-1e9, 1e9), st.sampled_from((0.0, 1.0)))
SAMPLES = st.lists(
    st.tuples(
        st.sampled_from(("a", "b")), st.integers(0, 2000).map(lambda step: START + step * timedelta(seconds=7)), VALUES
    ),
    unique_by=lambda sample: sample[:2],
    max_size=60,
)


def add(warehouse: Warehouse, *given: tuple[str, datetime, float | None]) -> int:
    with warehouse.connect() as connection:
        return add_samples(
            connection, [{"metric": metric, "sampled_at": at, "value": value} for metric, at, value in given]
        )


def stored(warehouse: Warehouse) -> dict:
    with warehouse.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute("select * from ops.metric_rollups").fetchall()
    return {(row.pop("metric"), row.pop("resolution"), row.pop("bucket_at")): row for row in rows}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=SAMPLES, data=st.data())
def test_rollups_are_those_of_the_oracle_in_whatever_order_samples_come(
    warehouse: Warehouse, drawn: list, data: st.DataObject
):
    with warehouse.connect() as connection:
        connection.execute("truncate ops.metric_samples, ops.metric_rollups")
    left = data.draw(st.permutations(drawn))
    while left:
        some, left = left[: (cut := data.draw(st.integers(1, 20)))], left[cut:]
        assert add(warehouse, *some) == len(some)
        # Sent again, it changes nothing.
        assert add(warehouse, *[(metric, at, 4.0) for metric, at, _value in some]) == 0
    found, expected = stored(warehouse), rollups(drawn)
    assert found.keys() == expected.keys()
    for key, figures in expected.items():
        average, exact = found[key].pop("avg"), figures.pop("avg")
        assert found[key] == figures
        # A sum of floats depends on its order in its last digits.
        assert average == (None if exact is None else pytest.approx(exact, rel=1e-12, abs=1e-6))


def test_two_who_add_to_one_bucket_are_both_counted(warehouse: Warehouse):
    """Prevents a rollup that holds one writer's samples only."""
    given = [
        [("a", START + (8 * step + writer) * timedelta(seconds=1), 1.0) for step in range(20)] for writer in range(8)
    ]
    threads = [Thread(target=lambda mine: [add(warehouse, one) for one in mine], args=(mine,)) for mine in given]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stored(warehouse) == rollups(sample for mine in given for sample in mine)


def test_samples_go_by_whole_days_and_what_they_came_to_stays(warehouse: Warehouse):
    old, new = START, START + timedelta(days=1)
    add(warehouse, ("a", old, 1.0), ("a", old + timedelta(minutes=1), 3.0), ("a", new, 5.0))
    with warehouse.connect() as connection:
        assert delete_samples(connection, new + timedelta(minutes=5)) == 2
        assert [row["value"] for row in samples(connection, "a", old, new)] == [5.0]
    found = stored(warehouse)
    assert {(resolution, figures["max"]) for (_metric, resolution, at), figures in found.items() if at < new} >= {
        ("1h", 3.0), ("1d", 3.0)
    }  # fmt: skip
    assert not [1 for (_metric, resolution, at) in found if resolution in ("1m", "5m") and at.date() == old.date()]
    # One that comes after all has none beside it any more: the day keeps what it had.
    add(warehouse, ("a", old + timedelta(seconds=1), 9.0))
    assert stored(warehouse)["a", "1d", old.replace(hour=0, minute=0)]["max"] == 3.0


def test_what_was_known_before_a_span_is_known_in_it(warehouse: Warehouse):
    """Prevents a rule that forgets a number because no newer one came for a week."""
    add(warehouse, *[("a", START + minute * timedelta(minutes=1), float(minute)) for minute in (0, 1, 5, 9)])
    with warehouse.connect() as connection:
        found = samples(connection, "a", START + timedelta(minutes=4), START + timedelta(minutes=6))
        assert [row["value"] for row in found] == [1.0, 5.0]
        assert [row["value"] for row in samples(connection, "a", START, START)] == [0.0]
        assert samples(connection, "b", START, START) == []


MINUTES = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from((0, 20, 59)), st.sampled_from((1.0, 1.0, 1.0, 0.0, None))),
    max_size=40,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=MINUTES, later=st.integers(0, 40))
def test_uptime_counts_minutes_as_the_oracle_does(warehouse: Warehouse, drawn: list, later: int):
    given_samples = {START + timedelta(minutes=minute, seconds=second): value for minute, second, value in drawn}
    now = START + timedelta(minutes=later, seconds=30)
    numbers = {"error_budget_burn_minutes": 20, "error_budget_burn_short_minutes": 5}
    policy, allowed = POLICY.model_copy(update=numbers), Fraction("0.001")
    with warehouse.connect(autocommit=True) as connection:
        connection.execute("truncate ops.metric_samples, ops.metric_rollups")
        add_samples(
            connection,
            [{"metric": UP, "sampled_at": at, "value": value} for at, value in given_samples.items() if at <= now],
        )
        found = measure(connection, now, "uptime", policy)
        fast = measure(connection, now, "error_budget_burn", policy)
        gone = measure(connection, now, "error_budget_spent", policy)
    known = [(at, value) for at, value in given_samples.items() if at <= now]
    assert (found and (found["value"], found["size"])) == uptime(known, now, 30 * 1440)
    burning, down = burn(known, now, 20, 5, allowed), spent(known, now, 30, allowed)
    assert (fast or {}).get("value") == (burning if burning is None else pytest.approx(float(burning)))
    assert (gone or {}).get("value") == (down if down is None else pytest.approx(float(down)))


def test_the_slowest_operation_is_told_by_its_99th_percentile_of_a_day(warehouse: Warehouse):
    now = START + timedelta(days=2)
    quick = [("scorecard_ms", now - step * timedelta(minutes=1), float(step)) for step in range(1, 201)]
    slow = [("viral_coefficient_now_ms", now - step * timedelta(minutes=1), 300.0 + step) for step in range(1, 101)]
    add(warehouse, *quick, *slow, ("scorecard_ms", now - timedelta(days=1), 9999.0), ("x_ms", now, 9999.0))
    with warehouse.connect(autocommit=True) as connection:
        found = measure(connection, now, "operations_p99_ms", POLICY)
    assert (found["value"], found["size"], found["label"]) == (399.0, 100, "viral_coefficient_now_ms")
    add(warehouse, *[("scorecard_ms", now - step * timedelta(seconds=7), 250.0) for step in range(1, 10)])
    with warehouse.connect(autocommit=True) as connection:
        found = measure(connection, now, "operations_p99_ms", POLICY)
    assert (found["value"], found["label"]) == (399.0, "scorecard_ms, viral_coefficient_now_ms")


def measured(warehouse: Warehouse, metric: str, mart: str) -> tuple[float | None, str | None]:
    """Value and label of a metric while `marts` hold this one: its statement."""
    with warehouse.connect(autocommit=True) as connection:
        name, _as, _statement = mart.split(maxsplit=2)
        connection.execute(f"drop view if exists marts.{name}")
        connection.execute(f"create view marts.{mart}")
        found = measure(connection, START, metric, POLICY)
    return found.get("value"), found.get("label")


def test_all_that_are_silent_are_named(warehouse: Warehouse):
    """Prevents a second neighbour that goes silent unseen behind the first."""
    mart = """
        integration_health as
        select integration, timestamptz '2026-03-01 12:00Z' as heartbeat_at, minutes as heartbeat_age_minutes
        from (values ('viral', {viral}), ('dashboard', 9999.0), ('success', {success}), ('offline', null))
            as given (integration, minutes)
    """
    heard = "last heard of at 2026-03-01 12:00"
    late = POLICY.integration_heartbeat_max_minutes
    assert measured(warehouse, "integration_silent_minutes", mart.format(viral=2.0, success=1.0)) == (
        2.0, f"viral, {heard}"
    )  # fmt: skip
    assert measured(warehouse, "integration_silent_minutes", mart.format(viral=late + 1.5, success=late + 2.5)) == (
        late + 2.5,
        f"success, {heard}; viral, {heard}",
    )


def test_parts_that_have_a_rule_of_their_own_are_not_told_as_critical(warehouse: Warehouse):
    """Prevents a page for attribution that drifts, which is a warning, and is being mended."""
    mart = """
        system_health as
        select component, 'critical' as status from (values {critical}) as given (component)
    """
    own = "('attribution'), ('campaign_conversion'), ('ai_content')"
    assert measured(warehouse, "critical_components", mart.format(critical=own)) == (0.0, None)
    others = f"('integrations'), {own}, ('campaign_delivery')"
    assert measured(warehouse, "critical_components", mart.format(critical=others)) == (
        2.0, "campaign_delivery, integrations"
    )  # fmt: skip


def test_the_monitor_goes_on_after_an_outage(warehouse: Warehouse, session_warehouse: Warehouse):
    """Prevents a watch that dies with what it watches."""
    with warehouse.connect() as connection:
        name = connection.info.dbname
    stop, told = Event(), []
    often = {"interval": timedelta(milliseconds=20)}
    watch = Thread(target=monitor.monitor, args=(warehouse, POLICY, stop, told.append), kwargs=often)
    watch.start()
    try:
        _wait_until(lambda: _newest(warehouse) is not None)
        with session_warehouse.connect(autocommit=True) as other:
            refuse = sql.SQL("alter database {} with allow_connections {}")
            other.execute(refuse.format(sql.Identifier(name), sql.SQL("false")))
            _wait_until(lambda: len(told) == 1)
            other.execute(refuse.format(sql.Identifier(name), sql.SQL("true")))
        back = datetime.now(UTC)
        _wait_until(lambda: (_newest(warehouse) or START) > back)
    finally:
        stop.set()
        watch.join()
    assert "does not answer" in told[0]
    assert told[1].endswith("the warehouse answers again")


def test_it_measures_when_a_minute_begins():
    minute = timedelta(minutes=1)
    assert monitor._until_next(START + timedelta(seconds=59.5), minute) == timedelta(seconds=0.5)
    assert monitor._until_next(START, minute) == minute


def _newest(warehouse: Warehouse) -> datetime | None:
    with warehouse.connect() as connection:
        return newest_sample(connection, datetime.now(UTC))


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_failure_that_is_recorded_late_is_told(warehouse: Warehouse):
    """Prevents silence about the runs that failed while the daemon was down, too."""
    long_ago = datetime.now(UTC) - timedelta(hours=5)
    with warehouse.connect(autocommit=True) as connection:
        for run_id, job in (("a", "refresh"), ("b", "ingest_landing")):
            record_failure(connection, RunFailure(run_id, job, long_ago, "out of memory"))
        found = measure(connection, datetime.now(UTC), "failed_runs", POLICY)
        assert (found["value"], found["label"]) == (2.0, "ingest_landing, refresh")
        assert measure(connection, datetime.now(UTC) + timedelta(hours=2), "failed_runs", POLICY)["value"] == 0


def test_a_build_that_crashes_does_not_end_what_the_one_before_failed(warehouse: Warehouse):
    """Prevents an all-clear by a build that never came to the check."""

    def failed_checks(*build: str | None) -> tuple[float, str | None]:
        with warehouse.connect(autocommit=True) as connection:
            connection.execute(
                """
                insert into ops.builds (as_of, status, is_full, policy_sha256, code_sha256, requested_by, figures)
                values (now(), %s, true, '', '', 'a test', %s)
                """,
                build,
            )
            found = measure(connection, datetime.now(UTC), "failed_checks", POLICY) or {}
        return found.get("value"), found.get("label")

    assert failed_checks("failed", '{"failed": []}') == (None, None)
    assert failed_checks("published", '{"fct_attribution": {"rows": 1}}') == (0, None)
    assert failed_checks("failed", '{"failed": ["b", "a"]}') == (2, "a, b")
    for crashed in (("failed", '{"failed": []}'), ("failed", None), ("abandoned", None), ("running", None)):
        assert failed_checks(*crashed) == (2, "a, b")
    assert failed_checks("published", None) == (0, None)


JOBS = st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=12)
CHANGES = st.lists(st.integers(0, 60), max_size=5, unique=True).map(sorted)
TURNS = ("open", "half_open", "closed", "open", "closed")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=JOBS, changes=CHANGES, later=st.integers(20, 120))
@example(drawn=[(10, False)] * 4 + [(12, True)] * 3 + [(14, True)] * 4, changes=[10, 11, 13], later=30)
def test_success_of_ai_is_that_of_the_oracle_whenever_the_breaker_turned(
    warehouse: Warehouse, drawn: list, changes: list[int], later: int
):
    """Prevents a try of three that acquits, or accuses, what came after it."""
    quarter = timedelta(minutes=15)
    numbers = {"content_breaker_window_minutes": 120, "content_breaker_min_jobs": 4, "metric_max_age_hours": 10}
    with warehouse.connect(autocommit=True) as connection:
        connection.execute("truncate ops.content_calls, ops.content_jobs, ops.content_breaker cascade")
        for step, is_fit in drawn:
            jobs_ended(warehouse, START + step * quarter, is_fit)
        breaker = [(state, START + step * quarter) for state, step in zip(TURNS, changes, strict=False)]
        for state, since in breaker:
            breaker_turned(warehouse, state, since)
        now = START + later * quarter / 2
        found = measure(connection, now, "ai_success_rate", POLICY.model_copy(update=numbers))
    expected = ai_success(
        [(START + step * quarter, is_fit) for step, is_fit in drawn],
        breaker,
        now,
        window=timedelta(hours=2),
        least=4,
        floor=Fraction("0.9"),
        remembered=timedelta(hours=10),
    )
    assert (found and (found["value"], found["size"], found["maturity"])) == (
        expected and tuple(pytest.approx(float(one)) for one in expected)
    )
