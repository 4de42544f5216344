"""The code location: reads the environment and merges what the stages show."""

import logging
import os
import sys
import uuid
from collections.abc import Sequence
from functools import partial

import dagster as dg
from dagster._core.storage.tags import REPOSITORY_LABEL_TAG
from dagster_dbt import DbtManifestAssetSelection

from orchestration.alerts.defs import alerts_definitions
from orchestration.attribution.defs import attribution_definitions, refresh_fits
from orchestration.content.defs import content_definitions
from orchestration.ingest.defs import ingest_definitions
from orchestration.ingest.landing import purge_done
from orchestration.installation import Installation
from orchestration.instance import LOCATION, write_instance
from orchestration.operations.defs import TOLD, operations_definitions, presence_folder
from orchestration.operations.presence import present
from orchestration.quality.defs import marts_freshness, quality_definitions, refresh_checks
from orchestration.transform.defs import REFRESH, REQUESTED_BY, keep_connections, transform_definitions
from orchestration.transform.project import Project, ProjectError
from orchestration.transform.translator import WarehouseTranslator
from orchestration.viral.defs import refresh_spread, viral_definitions

# By this tag the UI shows a run among those of its job and on the timeline.
RUNS_OF_THIS_LOCATION = f"__repository__@{LOCATION}"


def build_definitions(installation: Installation) -> dg.Definitions:
    """Everything that Dagster shows of an installation."""
    warehouse, policy, settings = installation.warehouse, installation.policy, installation.settings
    return dg.Definitions.merge(
        ingest_definitions(
            warehouse,
            landing=installation.landing,
            personal_data=lambda: installation.personal_data,
            may_ask=settings.marketing_automation_enabled,
        ),
        quality_definitions(warehouse, policy),
        transform_definitions(
            warehouse,
            installation.project,
            policy,
            as_of=settings.marketing_as_of,
            others=refresh_checks(policy) | refresh_fits() | refresh_spread(),
            freshness=marts_freshness(policy),
            may_ask=settings.marketing_automation_enabled,
        ),
        attribution_definitions(warehouse, policy, may_ask=settings.marketing_automation_enabled),
        viral_definitions(warehouse, may_ask=settings.marketing_automation_enabled),
        alerts_definitions(
            warehouse,
            policy,
            addresses=installation.alert_addresses,
            ui=installation.ui,
            interval_ms=settings.monitoring_interval_ms,
            may_ask=settings.marketing_automation_enabled,
        ),
        content_definitions(
            warehouse,
            desk=lambda: installation.desk,
            folder=installation.content_folder,
            to=lambda: installation.sending_system,
            may_ask=settings.marketing_automation_enabled,
        ),
        operations_definitions(
            warehouse,
            policy,
            purge_landing=partial(purge_done, installation.landing, retention_days=policy.landing_retention_days),
            may_ask=settings.marketing_automation_enabled,
        ),
        # One process a run: a step of its own process would cost seconds and open a build of its own.
        dg.Definitions(executor=dg.in_process_executor, loggers={"console": _console}),
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The code location of workspace.yaml, from the environment of this process."""
    installation = Installation.load()
    write_instance(installation.warehouse, installation.policy)
    return build_definitions(installation)


def run_refresh(
    installation: Installation, *, select: Sequence[str] = (), full_refresh: bool = False, wait_seconds: float
) -> str | None:
    """Run the refresh job here and now, recorded in Dagster's instance; returns why it failed, or None.

    select: dbt selection that builds into candidate only. wait_seconds: for another build to end.
    """
    dagster_home = write_instance(installation.warehouse, installation.policy)
    os.environ["DAGSTER_HOME"] = str(dagster_home)
    definitions = build_definitions(installation)
    run_id = str(uuid.uuid4())
    with dg.DagsterInstance.get() as instance, present(presence_folder(dagster_home), run_id):
        keep_connections(instance)
        result = definitions.resolve_job_def(REFRESH).execute_in_process(
            run_id=run_id,
            instance=instance,
            raise_on_error=False,
            tags={REQUESTED_BY: "marketing build", REPOSITORY_LABEL_TAG: RUNS_OF_THIS_LOCATION},
            asset_selection=_chosen(installation.project, definitions, select) if select else None,
            run_config={
                "resources": {"build": {"config": {"wait_seconds": wait_seconds, "full_refresh": full_refresh}}},
                "loggers": {"console": {}},
            },
        )
    return None if result.success else _why(result)


@dg.logger(description="What a person waiting would like to read; stack traces are in the run's log.")
def _console(_context: dg.InitLoggerContext) -> logging.Logger:
    logger = logging.getLogger("marketing.run")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    handler = logging.StreamHandler(sys.stderr)
    # Neither Dagster's own events nor what it says of each step after a failed one, once for each asset.
    handler.addFilter(lambda record: record.dagster_meta["dagster_event"] is None)
    handler.addFilter(lambda record: not record.dagster_meta["orig_message"].startswith("Dependencies for step "))
    handler.setFormatter(_PlainFormatter())
    logger.handlers = [handler]
    return logger


class _PlainFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return record.dagster_meta["orig_message"]


def _chosen(project: Project, definitions: dg.Definitions, select: Sequence[str]) -> list[dg.AssetKey]:
    """The models that a dbt selection names. Raises ProjectError when it names none."""
    selection = DbtManifestAssetSelection.build(
        project.manifest, dagster_dbt_translator=WarehouseTranslator(), select=" ".join(select)
    )
    chosen = sorted(selection.resolve(definitions.resolve_asset_graph()))
    if not chosen:
        raise ProjectError(f"--select {' '.join(select)} names no model of dbt_project")
    return chosen


def _why(result: dg.ExecuteInProcessResult) -> str:
    """The first failure of a run, in the words of its own error."""
    for event in result.all_events:
        if event.is_step_failure and event.step_failure_data.error is not None:
            error = event.step_failure_data.error
            cause = error.cause or error
            if cause.cls_name == dg.DagsterExecutionInterruptedError.__name__:
                return "the build was interrupted; marts are as they were"
            return cause.message.strip().removeprefix(TOLD)
    failures = [event.message for event in result.all_events if event.is_failure]
    return failures[-1] if failures else "the run failed; its log says why"
