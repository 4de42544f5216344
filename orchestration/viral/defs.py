"""Shows the viral stage to Dagster: the fits of a refresh, and new super-connectors as events."""

from typing import Any

import dagster as dg

from orchestration.fitting.defs import OWNERS, fits_asset, fits_selection
from orchestration.policy import Policy
from orchestration.warehouse import Warehouse
from orchestration.warehouse.fit_tables import INTERMEDIATE
from orchestration.warehouse.super_connectors import EVENTS, announce, not_announced
from orchestration.warehouse.viral_statistics import (
    TABLES,
    BacktestRow,
    ForecastRow,
    Interval,
    LeverRow,
    SpreadMeasure,
)

from .charts import forecasts_and_joins, said_and_turned_out
from .fits import Fits, fit_build
from .forecast import HORIZONS

FIT, ANNOUNCE = "fit_viral_spread", "announce_super_connectors"
SENSOR_SECONDS = 60
# What a fit reads, and what it fills with what.
READS = (
    (INTERMEDIATE, "int_cohorts"),
    (INTERMEDIATE, "int_cohorts_exposed"),
    (INTERMEDIATE, "int_viral_headline"),
    (INTERMEDIATE, "int_referrals"),
    (INTERMEDIATE, "int_joins_by_day"),
    (INTERMEDIATE, "int_offspring_counts"),
    (INTERMEDIATE, "int_lever_counts"),
    ("candidate", "fct_referrals"),
)
FILLS = {
    Interval: "Intervals of K over referral trees.",
    BacktestRow: "What would have been said of K at the end of each past day, and what turned out.",
    SpreadMeasure: "How unevenly users bring others, and where it leads.",
    LeverRow: "By how much K moves with what it is made of.",
    ForecastRow: "Joins of the next days as forecast now and on past days, and what came.",
}


def viral_definitions(warehouse: Warehouse, *, may_ask: bool) -> dg.Definitions:
    """Assets, job and sensor of this stage. The fits need the resource `build`.

    may_ask: False while automation is switched off: the sensor then asks for nothing.
    """
    events = _super_connector_events(warehouse)
    job = dg.define_asset_job(ANNOUNCE, selection=dg.AssetSelection.assets(events), executor_def=dg.in_process_executor)
    return dg.Definitions(assets=[_fits(), events], jobs=[job], sensors=[_sensor(warehouse, job, may_ask)])


def refresh_spread() -> dg.AssetSelection:
    """The assets that belong to the refresh."""
    return fits_selection(TABLES)


def _fits() -> dg.AssetsDefinition:
    return fits_asset(
        FIT,
        group="viral",
        tables=TABLES,
        fills=FILLS,
        reads=[dg.AssetKey(read) for read in READS],
        fit=fit_build,
        chart=_chart,
        description="Fit intervals, back-test, dispersion, levers and forecasts to what the models of this build keep.",
    )


def _chart(kind: type, fits: Fits, policy: Policy) -> str | None:
    if kind is BacktestRow:
        return said_and_turned_out(fits.of(kind), target=policy.viral_coefficient_target)
    if kind is ForecastRow:
        return forecasts_and_joins(fits.of(kind), horizon_days=HORIZONS[0])
    return None


def _super_connector_events(warehouse: Warehouse) -> dg.AssetsDefinition:
    @dg.asset(
        key=["ops", EVENTS],
        deps=[["marts", "super_connectors"]],
        group_name="viral",
        owners=OWNERS,
        kinds={"python", "postgres"},
        description="Each user's becoming a super-connector, once; what acts on one starts here.",
    )
    def super_connector_events(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        with warehouse.connect("marketing super-connectors") as connection:
            new = announce(connection)
        for one in new:
            context.log.info(f"{one.user_id} is a super-connector since {one.connected_at:%Y-%m-%d %H:%M} UTC")
        shown: dict[str, Any] = {"new": len(new), "users": dg.MetadataValue.json([one.user_id for one in new])}
        return dg.MaterializeResult(metadata=shown)

    return super_connector_events


def _sensor(warehouse: Warehouse, job: Any, may_ask: bool) -> dg.SensorDefinition:
    @dg.sensor(
        name="super_connector_sensor",
        job=job,
        minimum_interval_seconds=SENSOR_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def super_connector_sensor(_context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        """Ask for the event of each user whom a published build first shows as a super-connector."""
        if not may_ask:
            return dg.SkipReason("MARKETING_AUTOMATION_ENABLED is false")
        with warehouse.connect("marketing super-connectors") as connection:
            waiting = not_announced(connection)
        if not waiting.users:
            return dg.SkipReason("no new super-connector")
        # One run for each state of what waits: it drains all. A failed run's key is never run again, so the hour
        # is part of it.
        key = f"build-{waiting.build_id}-{waiting.users}-{waiting.asked_at:%Y-%m-%dT%H}"
        return dg.RunRequest(run_key=key, tags={"marketing/reason": f"{waiting.users} new super-connectors"})

    return super_connector_sensor
