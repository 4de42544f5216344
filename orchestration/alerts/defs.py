"""Shows alerts to Dagster: a sensor that looks, and a job that stores what changed and sends what is due.

Samples are the monitor's (monitor.py): the sensor only reads.
"""

from datetime import UTC, datetime

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from orchestration.policy import Policy
from orchestration.warehouse import Warehouse

from .alerting import Addresses, alerting
from .check import Links
from .rounds import go_round, is_news

JOB = "alert_people"
# Seconds, several times those of a round: while a run hangs, no rule is judged.
LONGEST_RUN = 600


def alerts_definitions(
    warehouse: Warehouse, policy: Policy, *, addresses: Addresses, ui: str, interval_ms: int, may_ask: bool
) -> dg.Definitions:
    """Job and sensor of this stage.

    ui: address of the Dagster UI, for messages. interval_ms: between two looks. may_ask: False while automation is
    switched off: nothing is asked for, and nothing sent.
    """

    @dg.op(description="Judge every rule, store what changed with its messages, send what is due.")
    def alert(context: dg.OpExecutionContext) -> None:
        found = go_round(
            warehouse,
            alerting(policy, addresses),
            policy,
            measures=False,
            links=Links(ui, context.run_id),
            tell=lambda sent: context.log.info(
                f"{sent.message.channel}: {sent.message.title}: {sent.outcome.error or 'taken'}"
            ),
        )
        for told in found.look.due:
            context.log.info(f"{told.incident.rule}: {told.reason.value}")
        context.log.info(f"{found.sent} messages taken")

    @dg.job(name=JOB, executor_def=dg.in_process_executor, tags={"dagster/max_runtime": str(LONGEST_RUN)})
    def job() -> None:
        """Tell people what rules have found."""
        alert()

    @dg.sensor(
        name="alert_sensor",
        job=job,
        minimum_interval_seconds=max(1, interval_ms // 1000),
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def alert_sensor(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        """Judge the rules, and ask for a run only where something must be stored or sent."""
        if not may_ask:
            return dg.SkipReason("MARKETING_AUTOMATION_ENABLED is false")
        if context.instance.get_runs_count(dg.RunsFilter(job_name=JOB, statuses=NOT_FINISHED_STATUSES)):
            return dg.SkipReason("a run that tells people is on its way")
        news, told = is_news(warehouse, alerting(policy, addresses), datetime.now(UTC))
        if not news:
            return dg.SkipReason("nothing has changed")
        # No run key: what a run could not do is due again at the next look.
        return dg.RunRequest(tags={"marketing/reason": told[:200]})

    return dg.Definitions(jobs=[job], sensors=[alert_sensor])
