"""Shows content to Dagster: a job that asks, drains, retires and exports, and a sensor that sees that there is work."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from orchestration.runs import LONG_RUN
from orchestration.warehouse import Warehouse

from .desk import Desk
from .exporting import SendingSystem
from .working import waits, work

JOB = "write_content"


def content_definitions(
    warehouse: Warehouse,
    *,
    desk: Callable[[], Desk],
    folder: Path,
    to: Callable[[], SendingSystem | None],
    may_ask: bool,
) -> dg.Definitions:
    """Job and sensor of this stage. desk, to: read when used. may_ask: False while automation is switched off."""

    @dg.op(description="Ask for content where it is needed, write what is due, export what is approved.")
    def write(context: dg.OpExecutionContext) -> None:
        if not may_ask:
            context.log.warning("MARKETING_AUTOMATION_ENABLED is false: nothing is written or sent")
            return
        found = work(warehouse, desk(), datetime.now(UTC), folder=folder, to=to(), tell=context.log.info)
        context.add_output_metadata(found.as_dict())

    # Whatever hangs must not keep all later runs waiting.
    tags = {LONG_RUN: "content", "dagster/max_runtime": "3600"}

    @dg.job(name=JOB, executor_def=dg.in_process_executor, tags=tags)
    def job() -> None:
        """Write content for what the marts say needs it."""
        write()

    @dg.sensor(
        name="content_sensor", job=job, minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING
    )
    def content_sensor(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        """Ask for a run where something new is to be written about, a job is due, or approved content waits."""
        if not may_ask:
            return dg.SkipReason("MARKETING_AUTOMATION_ENABLED is false")
        if context.instance.get_runs_count(dg.RunsFilter(job_name=JOB, statuses=NOT_FINISHED_STATUSES)):
            return dg.SkipReason("a run that writes content is on its way")
        why = waits(warehouse, desk(), datetime.now(UTC))
        return dg.RunRequest(tags={"marketing/reason": why[:200]}) if why else dg.SkipReason("nothing is to be written")

    return dg.Definitions(jobs=[job], sensors=[content_sensor])
