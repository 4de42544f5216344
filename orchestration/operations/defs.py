"""Shows the engine's care for itself to Dagster: dead runs are ended, failed ones recorded, old traces deleted."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import grpc
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import GetCurrentRunsResult
from dagster._serdes import deserialize_value
from dagster._serdes.config_class import ConfigurableClassData

from orchestration.policy import Policy
from orchestration.warehouse import Warehouse
from orchestration.warehouse.failures import RunFailure, record_failure
from orchestration.warehouse.metric_samples import delete_samples

from . import presence
from .housekeeping import remove_older, rotate

HOUSEKEEPING = "housekeeping"
PRESENCE = "present"
SENSOR_SECONDS = 30
BATCH = 100
# An event may become visible after one with a greater number: so many numbers are read again, and recorded once.
OVERLAP = 100
LOG_LIMIT_BYTES = 20_000_000
# What stands before the words of a step that says itself why it failed.
TOLD = f"{dg.Failure.__module__}.{dg.Failure.__name__}: "


def presence_folder(dagster_home: Path) -> Path:
    """Where runs outside a code server say that they are there."""
    return dagster_home / PRESENCE


class WatchfulRunLauncher(dg.DefaultRunLauncher):
    """Dagster's own launcher, which besides can tell run monitoring that the process of a run is gone.

    A code server is asked for its runs; a run outside one, as of `marketing build`, says itself that it is there.
    """

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data)
        self._unanswered: set[str] = set()

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring may ask."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """NOT_FOUND for a run whose process is gone, which run monitoring then ends; RUNNING for all others."""
        if GRPC_INFO_TAG in run.tags:
            is_gone = self._server_lost(run)
        else:
            is_gone = presence.is_gone(presence_folder(Path(self._instance.root_directory)), run.run_id)
        if is_gone:
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "its process is gone")
        return CheckRunHealthResult(WorkerStatus.RUNNING)

    def _server_lost(self, run: dg.DagsterRun) -> bool:
        """Whether the code server no longer works on the run, or did not answer twice in a row."""
        try:
            answer = DagsterGrpcClient(**json.loads(run.tags[GRPC_INFO_TAG])).get_current_runs()
        except DagsterUserCodeUnreachableError as error:
            if not _is_down(error):
                return False
            was_down = run.run_id in self._unanswered
            self._unanswered ^= {run.run_id}
            return was_down
        self._unanswered.discard(run.run_id)
        return run.run_id not in deserialize_value(answer, GetCurrentRunsResult).current_runs


def _is_down(error: DagsterUserCodeUnreachableError) -> bool:
    """As against slow, or a code server that cannot be asked this."""
    return isinstance(error.__cause__, grpc.RpcError) and error.__cause__.code() == grpc.StatusCode.UNAVAILABLE


def operations_definitions(
    warehouse: Warehouse, policy: Policy, *, purge_landing: Callable[..., int], may_ask: bool
) -> dg.Definitions:
    """Sensor, job and schedule of this stage.

    purge_landing: called with the keyword now; deletes the loaded files that are due, and returns their number.
    may_ask: False while automation is switched off: the schedule then asks for nothing; failures are recorded still.
    """
    housekeeping = _housekeeping(warehouse, policy, purge_landing)

    @dg.schedule(
        job=housekeeping,
        cron_schedule="20 3 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def daily_housekeeping() -> dg.RunRequest | dg.SkipReason:
        """Keep house at an hour when few people look."""
        return dg.RunRequest() if may_ask else dg.SkipReason("MARKETING_AUTOMATION_ENABLED is false")

    return dg.Definitions(jobs=[housekeeping], schedules=[daily_housekeeping], sensors=[_failed_run_sensor(warehouse)])


def _failed_run_sensor(warehouse: Warehouse) -> dg.SensorDefinition:
    # Not dg.run_failure_sensor: that one passes over the runs of `marketing build`, which belong to no code location,
    # and never comes back to a run that it could not record.
    @dg.sensor(minimum_interval_seconds=SENSOR_SECONDS, default_status=dg.DefaultSensorStatus.RUNNING)
    def failed_run_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        """Record every failed run, of any job, in ops.run_failures, once; alerts are made from there."""
        seen = int(context.cursor or 0)
        events = context.instance.fetch_run_status_changes(
            dg.RunStatusChangeRecordsFilter(dg.DagsterEventType.RUN_FAILURE, after_storage_id=max(0, seen - OVERLAP)),
            limit=OVERLAP + BATCH,
            ascending=True,
        ).records
        failures = [_failure(context.instance, event) for event in events]
        with warehouse.connect() as connection:
            stored = [failure.run_id for failure in failures if record_failure(connection, failure)]
        newest = max([seen, *(event.storage_id for event in events)])
        told = f"recorded: {', '.join(stored)}" if stored else "no run has failed since the last look"
        return dg.SensorResult(skip_reason=told, cursor=str(newest))

    return failed_run_sensor


def _failure(instance: dg.DagsterInstance, event: dg.EventLogRecord) -> RunFailure:
    entry = event.event_log_entry
    steps = instance.get_records_for_run(entry.run_id, of_type=dg.DagsterEventType.STEP_FAILURE, limit=1).records
    errors = [step.event_log_entry.dagster_event.step_failure_data.error for step in steps]
    error = next((error.cause or error for error in errors if error is not None), None)
    return RunFailure(
        run_id=entry.run_id,
        job_name=entry.job_name,
        failed_at=datetime.fromtimestamp(event.timestamp, UTC),
        reason=(error.message if error else entry.dagster_event.message or entry.user_message)
        .strip()
        .removeprefix(TOLD),
    )


def _housekeeping(warehouse: Warehouse, policy: Policy, purge_landing: Callable[..., int]) -> dg.JobDefinition:
    days, logs = policy.dagster_retention_days, warehouse.home / "logs"

    @dg.op
    def delete_old_runs(context: dg.OpExecutionContext) -> None:
        """Delete runs, with their events, that ended longer ago than dagster_retention_days."""
        before = datetime.now(UTC) - timedelta(days=days)
        deleted = 0
        while due := _runs_before(context.instance, before):
            for run_id in due:
                context.instance.delete_run(run_id)
            deleted += len(due)
        context.log.info(f"{deleted} runs from before {before:%Y-%m-%d %H:%M} UTC deleted")

    @dg.op
    def delete_old_files(context: dg.OpExecutionContext) -> None:
        """Delete loaded feed files after landing_retention_days, and what old runs wrote."""
        now = datetime.now(UTC)
        context.log.info(f"{purge_landing(now=now)} loaded files deleted")
        traces = [
            *logs.glob("dagster/*"),
            *(warehouse.home / "dbt" / "logs").glob("dbt.log.*"),
            *presence_folder(warehouse.home / "dagster").glob("*"),
        ]
        context.log.info(f"{remove_older(traces, days=days, now=now)} logs and other traces deleted")

    @dg.op
    def delete_old_samples(context: dg.OpExecutionContext) -> None:
        """Delete samples of metrics after metric_retention_days."""
        before = datetime.now(UTC) - timedelta(days=policy.metric_retention_days)
        with warehouse.connect() as connection:
            context.log.info(f"{delete_samples(connection, before)} samples deleted")

    @dg.op
    def rotate_logs(context: dg.OpExecutionContext) -> None:
        """Begin the logs of `marketing up` afresh where they have grown large, keeping one older part."""
        rotated = [path.name for path in sorted(logs.glob("*.log")) if rotate(path, limit_bytes=LOG_LIMIT_BYTES)]
        context.log.info(f"rotated: {', '.join(rotated) or 'none'}")

    @dg.job(name=HOUSEKEEPING, executor_def=dg.in_process_executor)
    def housekeeping() -> None:
        """Delete what nobody will look at again: old runs, loaded files, samples, logs (days: dbt_project.yml)."""
        delete_old_runs()
        delete_old_files()
        delete_old_samples()
        rotate_logs()

    return housekeeping


def _runs_before(instance: dg.DagsterInstance, before: datetime) -> Sequence[str]:
    records = instance.get_run_records(
        dg.RunsFilter(statuses=FINISHED_STATUSES, created_before=before), limit=BATCH, ascending=True
    )
    return [record.dagster_run.run_id for record in records]
