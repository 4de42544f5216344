"""Shows the ingest stage to Dagster: the raw tables, the job that loads what waits, the sensor that asks for it."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg

from orchestration.runs import LONG_RUN
from orchestration.warehouse import Warehouse, ledger
from orchestration.warehouse.builds import frozen_before
from orchestration.warehouse.quarantine import common_reasons

from .landing import stray_files, waiting_files
from .loader import load
from .open_load import LoadReport, PersonalData
from .records import FEEDS, Feed
from .sensing import Cursor, Waiting, decide

RAW = "raw"
INGEST_LANDING = "ingest_landing"
OWNERS = ["team:marketing-automation"]
SENSOR_SECONDS = 30
REASONS_SHOWN = 10
COLUMN_TYPES = {str: "text", int: "bigint", datetime: "timestamptz", date: "date", Decimal: "numeric"}
COUNTS = ("records_read", "inserted", "duplicate", "conflicting", "quarantined")


def ingest_definitions(
    warehouse: Warehouse, *, landing: Path, personal_data: Callable[[], PersonalData], may_ask: bool
) -> dg.Definitions:
    """Assets, job and sensor of this stage.

    landing: the folder where files wait. personal_data: called by a run, not when the code location is loaded.
    may_ask: False while automation is switched off: the sensor then asks for nothing.
    """
    feeds = _feeds(warehouse, landing, personal_data)
    job = dg.define_asset_job(
        INGEST_LANDING,
        # The checks of these assets belong to the refresh: here they would open a build.
        selection=dg.AssetSelection.assets(feeds).without_checks(),
        tags={LONG_RUN: "ingest"},
        description="Load every file that waits in the landing folder.",
    )
    return dg.Definitions(assets=[feeds], jobs=[job], sensors=[_landing_sensor(warehouse, landing, job, may_ask)])


def _feeds(warehouse: Warehouse, landing: Path, personal_data: Callable[[], PersonalData]) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="load_landing",
        specs=[_spec(feed) for feed in FEEDS.values()],
        can_subset=True,
        # A load that was cut short is as if it had never begun: trying again is safe.
        retry_policy=dg.RetryPolicy(max_retries=2, delay=20),
    )
    def load_landing(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        """Load the waiting files of the chosen feeds, each in a transaction of its own."""
        chosen = {key.path[-1] for key in context.selected_asset_keys}
        for stray in stray_files(landing):
            context.log.warning(f"left alone: {stray}")
        paths = [file.path for file in waiting_files(landing) if file.feed in chosen]
        if not paths:
            context.log.info(f"no file waits in {landing}")
            return
        with warehouse.connect() as connection:
            frozen = frozen_before(connection)
        reports = load(
            warehouse,
            paths,
            personal_data=personal_data(),
            now=datetime.now(UTC),
            landing=landing,
            frozen_before=frozen,
            on_report=lambda report: context.log.info(_told(report)),
        )
        yield from _materializations(warehouse, reports)
        refused = [report for report in reports if report.refused]
        if refused:
            told = "; ".join(f"{report.source}: {report.refused}" for report in refused)
            raise dg.Failure(f"{len(refused)} files were not loaded: {told}", allow_retries=False)

    return load_landing


def _spec(feed: Feed) -> dg.AssetSpec:
    return dg.AssetSpec(
        [RAW, feed.name],
        description=_described(feed),
        group_name="ingest",
        owners=OWNERS,
        kinds={"postgres", "python"},
        skippable=True,
        metadata={
            "dagster/column_schema": dg.TableSchema(_columns(feed)),
            "dagster/relation_identifier": f"{RAW}.{feed.name}",
            "key": ", ".join(feed.key),
            "kind": "versioned" if feed.versioned else "event",
        },
    )


def _described(feed: Feed) -> str:
    kept = (
        "Every version of a record is kept; the newest one counts."
        if feed.versioned
        else "The first record of a key counts; later ones are ignored."
    )
    return f"{(feed.record.__doc__ or '').strip()} {kept}"


def _columns(feed: Feed) -> list[dg.TableColumn]:
    columns = []
    for field in feed.fields.values():
        constraints = dg.TableColumnConstraints(nullable=field.is_nullable)
        if field.name == feed.address:
            columns.extend(
                dg.TableColumn(name, "text", f"a pseudonym of {field.name}", constraints) for name in feed.address_keys
            )
            if feed.verdict is not None:
                told = f"whether {field.name} lay in a domain of throw-away mailboxes"
                columns.append(dg.TableColumn(feed.verdict, "boolean", told, constraints))
        else:
            kind = COLUMN_TYPES.get(field.kind, "text")
            columns.append(dg.TableColumn(field.name, kind, field.expected, constraints))
    return [
        *columns,
        dg.TableColumn("properties", "jsonb", "fields that the contract does not name"),
        dg.TableColumn("load_id", "bigint", "the load that brought the row: raw.loads"),
    ]


def _told(report: LoadReport) -> str:
    if report.refused:
        return f"{report.source} was not loaded: {report.refused}"
    counts = ", ".join(f"{getattr(report, name):,} {name.removeprefix('records_')}" for name in COUNTS)
    return f"{report.source}: {counts}"


def _materializations(warehouse: Warehouse, reports: Sequence[LoadReport]) -> Iterator[dg.MaterializeResult]:
    by_feed: dict[str, list[LoadReport]] = defaultdict(list)
    for report in reports:
        by_feed[report.feed].append(report)
    for feed, own in by_feed.items():
        if not any(report.inserted for report in own):
            continue
        with warehouse.connect() as connection:
            load_ids = [report.load_id for report in own if report.load_id is not None]
            reasons = common_reasons(connection, load_ids, limit=REASONS_SHOWN)
            rows = ledger.records_kept(connection)[feed]
        metadata: dict[str, object] = {name: sum(getattr(report, name) for report in own) for name in COUNTS}
        metadata |= {"dagster/row_count": rows, "files": len(own), "loads": ", ".join(map(str, load_ids))}
        if reasons:
            lines = [f"| {count:,} | {reason} |" for _, reason, count in reasons]
            metadata["quarantined_because"] = dg.MetadataValue.md(
                "\n".join(["| records | reason |", "|--|--|", *lines])
            )
        yield dg.MaterializeResult(asset_key=[RAW, feed], metadata=metadata)


def _landing_sensor(warehouse: Warehouse, landing: Path, job: Any, may_ask: bool) -> dg.SensorDefinition:
    @dg.sensor(job=job, minimum_interval_seconds=SENSOR_SECONDS, default_status=dg.DefaultSensorStatus.RUNNING)
    def landing_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        """Ask for one run when settled files wait; again, ever more rarely, while the same ones stay."""
        if not may_ask:
            return dg.SensorResult(skip_reason="MARKETING_AUTOMATION_ENABLED is false")
        waiting = [found for file in waiting_files(landing) if (found := _waiting(landing, file.path))]
        with warehouse.connect(autocommit=True) as connection:
            loading = ledger.is_loading(connection)
        decision = decide(waiting, Cursor.parse(context.cursor), datetime.now(UTC), loading=loading)
        if decision.run_key is None:
            reason = "; never to be loaded: ".join([decision.reason, *stray_files(landing)])
            return dg.SensorResult(skip_reason=reason, cursor=str(decision.cursor))
        request = dg.RunRequest(run_key=decision.run_key, tags={"marketing/requested_by": "landing_sensor"})
        return dg.SensorResult(run_requests=[request], cursor=str(decision.cursor))

    return landing_sensor


def _waiting(landing: Path, path: Path) -> Waiting | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None  # loaded since the folder was listed
    return Waiting(str(path.relative_to(landing)), found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))
