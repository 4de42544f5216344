"""The engine's care for itself: dead runs found, failed ones recorded once, old traces deleted. On dagster-postgres."""

import fcntl
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import grpc
import pytest
from dagster._core.launcher.base import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.test_utils import create_run_for_test

from orchestration.instance import write_instance
from orchestration.operations.defs import HOUSEKEEPING, operations_definitions, presence_folder
from orchestration.policy import Policy
from orchestration.warehouse import Warehouse
from tests.engine import PROJECT_FILE
from tests.loading import query

POLICY = Policy.load(PROJECT_FILE, {"DAGSTER_RETENTION_DAYS": "30"})


@pytest.fixture
def instance(warehouse: Warehouse) -> Iterator[dg.DagsterInstance]:
    home = write_instance(warehouse, POLICY)
    with dg.DagsterInstance.from_config(str(home)) as found:
        yield found


def definitions(warehouse: Warehouse, *, purge_landing=lambda now: 0, may_ask: bool = True) -> dg.Definitions:
    return operations_definitions(warehouse, POLICY, purge_landing=purge_landing, may_ask=may_ask)


def started(instance: dg.DagsterInstance, **tags: str) -> dg.DagsterRun:
    return create_run_for_test(instance, job_name="refresh", status=dg.DagsterRunStatus.STARTED, tags=tags)


def health(instance: dg.DagsterInstance, run: dg.DagsterRun) -> WorkerStatus:
    return instance.run_launcher.check_run_worker_health(run).status


def test_a_run_of_the_command_line_is_watched_by_the_lock_that_its_process_holds(instance):
    run = started(instance)
    folder = presence_folder(Path(instance.root_directory))
    folder.mkdir()
    with (folder / run.run_id).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert health(instance, run) == WorkerStatus.RUNNING
    assert health(instance, run) == WorkerStatus.NOT_FOUND


def test_a_run_of_which_nothing_is_known_is_left_alone(instance):
    assert health(instance, started(instance)) == WorkerStatus.RUNNING


def test_a_run_is_dead_when_its_code_server_does_not_answer_twice(instance, tmp_path):
    """One lost packet must not fail a run that goes on and publishes."""
    run = started(instance, **{GRPC_INFO_TAG: json.dumps({"host": "localhost", "socket": str(tmp_path / "gone")})})
    assert [health(instance, run) for _ in range(2)] == [WorkerStatus.RUNNING, WorkerStatus.NOT_FOUND]


def test_a_run_is_left_alone_when_its_code_server_knows_no_such_question(instance):
    """As that of `dagster dev`, which passes calls on: what it cannot say is no sign of death."""
    server = grpc.server(ThreadPoolExecutor(1))
    address = {"host": "127.0.0.1", "port": server.add_insecure_port("127.0.0.1:0")}
    server.start()
    try:
        run = started(instance, **{GRPC_INFO_TAG: json.dumps(address)})
        assert [health(instance, run) for _ in range(2)] == [WorkerStatus.RUNNING] * 2
    finally:
        server.stop(grace=None)


@dg.op
def divides():
    """Fails."""
    raise ZeroDivisionError("nothing to divide by")


@dg.job
def unlucky():
    """A job that fails."""
    divides()


def tick(warehouse: Warehouse, instance: dg.DagsterInstance, cursor: str | None) -> dg.SensorResult:
    shown = definitions(warehouse)
    context = dg.build_sensor_context(instance=instance, cursor=cursor, definitions=shown)
    return shown.resolve_sensor_def("failed_run_sensor").evaluate_tick(context)


def failures(warehouse: Warehouse) -> list[tuple]:
    return query(
        warehouse, "select run_id, job_name, reason, build_id, held_load_ids from ops.run_failures order by failed_at"
    )


def test_every_failed_run_is_recorded_once_with_its_first_error(warehouse, instance):
    assert tick(warehouse, instance, None).cursor == "0"
    run_id = unlucky.execute_in_process(instance=instance, raise_on_error=False).run_id
    cursor = tick(warehouse, instance, "0").cursor
    again = tick(warehouse, instance, cursor)
    tick(warehouse, instance, "0")
    assert int(again.cursor) == int(cursor) > 0
    ((recorded, job_name, reason, build_id, held),) = failures(warehouse)
    assert (recorded, job_name, build_id, held) == (run_id, "unlucky", None, [])
    assert "nothing to divide by" in reason


@dg.op
def complains():
    """Fails, with words of its own."""
    raise dg.Failure("build 3 was not published")


@dg.job
def outspoken():
    """A job that says why it fails."""
    complains()


def test_the_words_of_a_step_that_says_why_it_failed_are_recorded_as_they_are(warehouse, instance):
    outspoken.execute_in_process(instance=instance, raise_on_error=False)
    tick(warehouse, instance, None)
    ((_, _, reason, _, _),) = failures(warehouse)
    assert reason == "build 3 was not published"


def test_a_failure_of_a_build_is_recorded_with_the_loads_that_it_left_held(warehouse, instance):
    run_id = unlucky.execute_in_process(instance=instance, raise_on_error=False).run_id
    with warehouse.connect() as connection:
        build_id = connection.execute(
            "select ops.open_build(now(), 'policy', 'code', 'a test', %s)", [run_id]
        ).fetchone()[0]
        connection.execute(
            """
            insert into raw.loads (feed, source, started_at, claimed_build_id, status)
            values ('users', 'good', now(), %(build)s, 'loaded'), ('users', 'bad', now(), %(build)s, 'held')
            """,
            {"build": build_id},
        )
    tick(warehouse, instance, None)
    ((*_, recorded_build, held),) = failures(warehouse)
    assert recorded_build == build_id
    assert held == [load_id for (load_id,) in query(warehouse, "select load_id from raw.loads where status = 'held'")]


def test_a_look_that_fails_is_made_again(warehouse, instance):
    """A sensor that moves on past what it could not store never comes back: the alert would be lost."""
    unlucky.execute_in_process(instance=instance, raise_on_error=False)
    with warehouse.connect() as connection:
        connection.execute("alter table ops.run_failures rename to elsewhere")
    with pytest.raises(Exception, match="run_failures"):
        tick(warehouse, instance, "0")
    with warehouse.connect() as connection:
        connection.execute("alter table ops.elsewhere rename to run_failures")
    tick(warehouse, instance, "0")
    assert len(failures(warehouse)) == 1


def keep_house(warehouse: Warehouse, instance: dg.DagsterInstance, **options) -> dg.ExecuteInProcessResult:
    job = definitions(warehouse, **options).resolve_job_def(HOUSEKEEPING)
    return job.execute_in_process(instance=instance)


def aged_run(instance: dg.DagsterInstance, days: float, status: dg.DagsterRunStatus) -> str:
    run = create_run_for_test(instance, job_name="refresh", status=status)
    created = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=days)
    with instance.run_storage.connect() as connection:
        connection.exec_driver_sql(
            "update runs set create_timestamp = %(at)s where run_id = %(run_id)s", {"at": created, "run_id": run.run_id}
        )
    return run.run_id


def test_old_runs_go_with_their_events_and_what_is_young_or_unfinished_stays(warehouse, instance):
    done, going = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.STARTED
    old, young, unfinished = aged_run(instance, 31, done), aged_run(instance, 29, done), aged_run(instance, 31, going)
    old_failed = unlucky.execute_in_process(instance=instance, raise_on_error=False).run_id
    with instance.run_storage.connect() as connection:
        connection.exec_driver_sql(
            "update runs set create_timestamp = create_timestamp - interval '31 days' where run_id = %(run_id)s",
            {"run_id": old_failed},
        )
    assert instance.all_logs(old_failed)
    own = keep_house(warehouse, instance).run_id
    assert {run.run_id for run in instance.get_runs()} == {young, unfinished, own}
    assert instance.all_logs(old_failed) == []
    assert not instance.has_run(old)


def test_old_traces_go_and_large_logs_begin_afresh(warehouse, instance):
    logs, dbt = warehouse.home / "logs", warehouse.home / "dbt" / "logs"
    young_run, old_run = (unlucky.execute_in_process(instance=instance, raise_on_error=False).run_id for _ in range(2))
    kept = [logs / "dagster" / young_run, dbt / "dbt.log", logs / "daemon.log"]
    old = [logs / "dagster" / old_run, dbt / "dbt.log.3", presence_folder(warehouse.home / "dagster") / "dead"]
    assert kept[0].is_dir()
    assert old[0].is_dir()
    for path in [*kept[1:], *old[1:]]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for path in [*old, dbt / "dbt.log"]:
        then = (datetime.now(UTC) - timedelta(days=31)).timestamp()
        os.utime(path, (then, then))
    with (logs / "daemon.log").open("ab") as log:
        log.truncate(21_000_000)
    asked = []
    keep_house(warehouse, instance, purge_landing=lambda now: asked.append(now) or 0)
    assert [path for path in old if path.exists()] == []
    assert [path for path in kept if not path.exists()] == []
    assert (logs / "daemon.log").stat().st_size == 0
    (now,) = asked
    assert datetime.now(UTC) - now < timedelta(minutes=5)


def test_housekeeping_is_asked_for_daily_unless_automation_is_off(warehouse):
    for may_ask, expected in ((True, 1), (False, 0)):
        schedule = definitions(warehouse, may_ask=may_ask).resolve_schedule_def("daily_housekeeping")
        assert schedule.cron_schedule == "20 3 * * *"
        assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
        with dg.build_schedule_context(scheduled_execution_time=datetime(2026, 4, 1, tzinfo=UTC)) as context:
            assert len(schedule.evaluate_tick(context).run_requests) == expected
