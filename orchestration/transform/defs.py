"""Shows the transform stage to Dagster: the dbt models, their publication, the refresh job and its schedule."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets
from dagster_dbt.asset_utils import get_asset_check_key_for_test
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

from orchestration.policy import Policy
from orchestration.runs import LONG_RUN
from orchestration.warehouse import Warehouse, ledger
from orchestration.warehouse.locks import BuildLock
from orchestration.warehouse.publication import MARTS, Mart, Published
from orchestration.warehouse.reads import scorecard

from .builds import BuildSession, open_session
from .dbt import Failure, Invocation, progress_line, rows_written
from .project import FITTED, Project
from .scorecard import as_markdown
from .translator import OWNERS, WarehouseTranslator

REFRESH = "refresh"
REQUESTED_BY = "marketing/requested_by"
WAIT_SECONDS = 600


def transform_definitions(
    warehouse: Warehouse,
    project: Project,
    policy: Policy,
    *,
    as_of: datetime | None,
    others: dg.AssetSelection,
    freshness: dg.FreshnessPolicy,
    may_ask: bool,
) -> dg.Definitions:
    """Assets, job and schedule of this stage.

    others: checks and assets of other stages that belong to the refresh. freshness: when a mart is late. may_ask:
    False while automation is switched off: the schedule then asks for nothing.
    """
    models = _models(project, "dbt_models", BuildSession.dbt_before_fits, exclude=" ".join(FITTED))
    fitted = _models(project, "dbt_models_after_fits", BuildSession.dbt_after_fits, select=" ".join(FITTED))
    marts = _marts(project, freshness)
    refresh = dg.define_asset_job(
        REFRESH,
        selection=dg.AssetSelection.assets(models, fitted, marts) | others,
        tags={LONG_RUN: "refresh"},
        description="Judge the new loads, build and test the models, audit them, publish the marts.",
    )
    return dg.Definitions(
        assets=[models, fitted, marts],
        jobs=[refresh],
        schedules=[_schedule(warehouse, refresh, may_ask)],
        resources={"build": _build_resource(warehouse, project, policy, as_of)},
    )


def _build_resource(
    warehouse: Warehouse, project: Project, policy: Policy, as_of: datetime | None
) -> dg.ResourceDefinition:
    @dg.resource(
        description="The running build: holds the lock that lets one build run at a time.",
        config_schema={
            "wait_seconds": dg.Field(float, default_value=float(WAIT_SECONDS), description="for another build to end"),
            "full_refresh": dg.Field(bool, default_value=False, description="build everything anew"),
        },
    )
    def build(context: dg.InitResourceContext) -> Iterator[BuildSession]:
        keep_connections(context.instance)
        run = context.run
        with open_session(
            warehouse,
            project,
            policy,
            as_of=as_of,
            requested_by=run.tags.get(REQUESTED_BY, "Dagster"),
            run_id=run.run_id,
            full_reason="asked for" if context.resource_config["full_refresh"] else None,
            wait_seconds=context.resource_config["wait_seconds"],
            tell=context.log.info,
        ) as session:
            yield session

    return build


def keep_connections(instance: dg.DagsterInstance) -> None:
    """Let this process store its events over connections that stay open.

    By default dagster-postgres opens one for each of the thousand statements of a refresh: seconds of handshakes.
    """
    instance.optimize_for_webserver(statement_timeout=600_000, pool_recycle=3_600, max_overflow=8)


def _models(
    project: Project,
    name: str,
    invoke: Callable[..., Invocation],
    *,
    select: str = "fqn:*",
    exclude: str = "",
) -> dg.AssetsDefinition:
    translator = WarehouseTranslator()
    views = [translator.get_asset_key(view) for view in project.views]

    @dbt_assets(
        manifest=project.manifest,
        dagster_dbt_translator=translator,
        name=name,
        select=select,
        exclude=f"resource_type:unit_test {exclude}",
        required_resource_keys={"build"},
    )
    def dbt_models(context: dg.AssetExecutionContext) -> Iterator[Any]:
        session: BuildSession = context.resources.build
        check_key = partial(get_asset_check_key_for_test, project.manifest, translator, project=None)
        chosen = _subset(context)
        invocation = session.dbt(*chosen) if chosen else invoke(session)
        judged: set[dg.AssetCheckKey] = set()
        if not chosen and not session.build.is_full:
            # This build leaves them standing; what needs one would be skipped if it were not told of, and told before.
            for view in views:
                if view in context.selected_asset_keys:
                    yield dg.MaterializeResult(asset_key=view, metadata={"note": "as an earlier build made it"})
        with closing(iter(invocation)) as events:
            for event in events:
                if line := progress_line(event):
                    print(line, flush=True)
                if not _is_failed_test(event):
                    message = DbtCoreCliEventMessage(event, {})
                    for shown in message.to_default_asset_events(project.manifest, translator, context):
                        if isinstance(shown, dg.AssetCheckResult):
                            judged.add(dg.AssetCheckKey(shown.asset_key, shown.check_name))
                        yield _with_rows(shown, event) if isinstance(shown, dg.Output) else shown
        findings = [failure for failure in invocation.failures if failure.is_finding]
        errors = [failure for failure in invocation.failures if not failure.is_finding]
        for failure in findings:
            if (key := check_key(failure.unique_id)) is not None:
                judged.add(key)
                yield _failed_check(key, failure, session.examples(failure))
        if chosen:
            yield from map(_not_judged, sorted(context.selected_asset_check_keys - judged))
        if failed := findings or errors:
            names = [failure.name for failure in failed]
            if context.is_subset:
                session.fail(_told(failed))
                raise dg.Failure(f"of the chosen models: {_told(failed)}", allow_retries=False)
            end = session.fail_audit if findings else session.fail_models
            raise dg.Failure(str(end(_told(failed), names)), allow_retries=False)

    return dbt_models


def _subset(context: dg.AssetExecutionContext) -> list[str]:
    """dbt's selection for a run that names some of the models, as one started from the asset graph may."""
    if not context.is_subset:
        return []
    # Cautious: a law between a chosen model and one that is left as it was need not hold.
    chosen = sorted(key.path[-1] for key in context.selected_asset_keys)
    return ["--indirect-selection", "cautious", "--select", *chosen]


def _with_rows(output: dg.Output, event: dict[str, Any]) -> dg.Output:
    """The output with the number of rows that the model wrote: all of a table, what changed of an incremental one."""
    rows = rows_written(event)
    return output if rows is None else output.with_metadata({**output.metadata, "rows_written": rows})


def _is_failed_test(event: dict[str, Any]) -> bool:
    node = event["data"].get("node_info", {})
    return event["info"]["name"] == "LogTestResult" and node.get("node_status") in ("fail", "error")


def _failed_check(key: dg.AssetCheckKey, failure: Failure, examples: list[dict[str, Any]]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=False,
        severity=dg.AssetCheckSeverity.ERROR,
        description=failure.message,
        metadata={
            "rows": failure.rows or 0,
            "examples": dg.MetadataValue.json([{name: str(value) for name, value in row.items()} for row in examples]),
            "sql": dg.MetadataValue.md(f"```sql\n{(failure.compiled or '').strip()}\n```"),
        },
    )


def _not_judged(key: dg.AssetCheckKey) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=False,
        severity=dg.AssetCheckSeverity.WARN,
        description="Not judged: it speaks of models that were not chosen, too.",
    )


def _told(failures: list[Failure]) -> str:
    return "; ".join(
        f"{one.name} found {one.rows} rows" if one.is_finding else f"{one.name}: {one.message}" for one in failures
    )


def _marts(project: Project, freshness: dg.FreshnessPolicy) -> dg.AssetsDefinition:
    nodes = {node["name"]: node for node in project.manifest["nodes"].values() if node["resource_type"] == "model"}

    @dg.multi_asset(
        name="publish_marts",
        specs=[_mart_spec(mart, nodes[mart.name], freshness) for mart in project.marts],
        required_resource_keys={"build"},
    )
    def publish_marts(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        """Bring the permanent tables of marts to the audited state, all in one transaction."""
        session: BuildSession = context.resources.build
        published = session.publish()
        changed = sum(one.deleted + one.inserted for one in published)
        context.log.info(f"build {session.build_id} is published: {changed:,} rows changed in {len(published)} marts")
        with session.warehouse.connect() as connection:
            goals = scorecard(connection)
            held = ledger.loads(connection, status="held")
        if session.build.recredits:
            seconds = (datetime.now(UTC) - session.build.started_at).total_seconds()
            in_force = session.build.calibration_id
            context.log.info(f"calibration {in_force} credits every conversion; the build took {seconds:.1f} s")
        if held:
            context.log.warning(f"held, and in no mart: {len(held)} loads (marketing loads list --status held)")
        for one in published:
            yield _materialization(one, session, goals)

    return publish_marts


def _mart_spec(mart: Mart, node: dict[str, Any], freshness: dg.FreshnessPolicy) -> dg.AssetSpec:
    columns = [
        dg.TableColumn(name, column["data_type"], column["description"].strip())
        for name, column in node["columns"].items()
    ]
    return dg.AssetSpec(
        [MARTS, mart.name],
        deps=[dg.AssetKey([node["schema"], node["name"]])],
        description=node["description"].strip(),
        group_name=MARTS,
        owners=OWNERS,
        kinds={"postgres"},
        freshness_policy=freshness,
        metadata={
            "dagster/column_schema": dg.TableSchema(columns),
            "dagster/relation_identifier": f"{MARTS}.{mart.name}",
            "grain": ", ".join(mart.grain),
        },
    )


def _materialization(one: Published, session: BuildSession, goals: list[dict[str, Any]]) -> dg.MaterializeResult:
    metadata: dict[str, Any] = {
        "dagster/row_count": one.rows,
        "rows_deleted": one.deleted,
        "rows_inserted": one.inserted,
        "build_id": session.build_id,
        "calibration_id": session.build.calibration_id,
        "as_of": dg.MetadataValue.timestamp(session.build.as_of),
    }
    if one.mart.name == "scorecard":
        metadata["scorecard"] = dg.MetadataValue.md(as_markdown(goals))
    return dg.MaterializeResult(asset_key=[MARTS, one.mart.name], metadata=metadata)


def _schedule(warehouse: Warehouse, refresh: Any, may_ask: bool) -> dg.ScheduleDefinition:
    @dg.schedule(
        name="quarter_hourly_refresh",
        job=refresh,
        cron_schedule="*/15 * * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def quarter_hourly_refresh(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        """Refresh the marts, unless a build is under way: the lock knows, where the state of a killed run may not."""
        if not may_ask:
            return dg.SkipReason("MARKETING_AUTOMATION_ENABLED is false")
        with warehouse.connect(autocommit=True) as connection:
            holder = BuildLock(connection).holder()
        if holder is not None:
            return dg.SkipReason(f"a build is under way: {holder}")
        return dg.RunRequest(tags={REQUESTED_BY: "schedule"})

    return quarter_hourly_refresh
