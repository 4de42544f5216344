"""Shows the attribution stage to Dagster: the fits of a refresh, the recalibration, and the sensor that asks for it."""

from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from orchestration.fitting.defs import fits_asset, fits_selection
from orchestration.policy import Policy
from orchestration.runs import LONG_RUN
from orchestration.warehouse import Warehouse
from orchestration.warehouse.alerts import TRIGGER_RECALIBRATION, action_done, asked_actions
from orchestration.warehouse.builds import is_standing
from orchestration.warehouse.calibrations import calibrations, drifted, new_truth
from orchestration.warehouse.fit_tables import INTERMEDIATE
from orchestration.warehouse.locks import BuildRunningError
from orchestration.warehouse.path_statistics import TABLES, AccuracyRow, ChannelEffect, CreditInterval

from .charts import accuracy_over_time, credit_by_model
from .fits import DATA_DRIVEN, Fits, fit_build
from .recalibration import NothingNewError, RecalibrationError, TooLittleTruthError, recalibrate
from .truth import SURVEY

APPLICATION = "marketing attribution"
FIT, RECALIBRATE = "fit_attribution", "recalibrate"
SENSOR_SECONDS = 300
# What a fit reads, and what it fills with what.
READS = ("int_path_transitions", "int_channel_sets", "int_credits_by_group", "int_truth_journeys")
FILLS = {
    ChannelEffect: "Removal effects and Shapley values of channels, fitted to the paths of the build.",
    CreditInterval: "Credited conversions of each channel with their interval over persons.",
    AccuracyRow: "How near each model's credit comes to known truth.",
}


def attribution_definitions(warehouse: Warehouse, policy: Policy, *, may_ask: bool) -> dg.Definitions:
    """Assets, job and sensor of this stage. The fits need the resource `build`.

    may_ask: False while automation is switched off: the sensor then asks for nothing.
    """
    job = _recalibrate_job(warehouse, policy)
    return dg.Definitions(assets=[_fits()], jobs=[job], sensors=[_drift_sensor(warehouse, policy, job, may_ask)])


def refresh_fits() -> dg.AssetSelection:
    """The assets that belong to the refresh."""
    return fits_selection(TABLES)


def _fits() -> dg.AssetsDefinition:
    return fits_asset(
        FIT,
        group="attribution",
        tables=TABLES,
        fills=FILLS,
        reads=[dg.AssetKey([INTERMEDIATE, read]) for read in READS],
        fit=fit_build,
        chart=_chart,
        description="Fit channels' worth, intervals and accuracy from what the models of this build keep.",
    )


def _chart(kind: type, fits: Fits, policy: Policy) -> str | None:
    if kind is CreditInterval:
        return credit_by_model(fits.of(kind))
    if kind is AccuracyRow:
        return accuracy_over_time(
            fits.of(kind),
            calibration_id=fits.calibration_id,
            floor=policy.attribution_accuracy_floor,
            target=policy.attribution_accuracy_target,
        )
    return None


def _recalibrate_job(warehouse: Warehouse, policy: Policy) -> dg.JobDefinition:
    @dg.op
    def recalibrate_attribution(context: dg.OpExecutionContext) -> None:
        """Fit, choose, judge and store a calibration; promote it when it is better beyond the noise.

        Alerts that asked for it are told what came of it.
        """
        with warehouse.connect(APPLICATION) as connection:
            asked = asked_actions(connection, TRIGGER_RECALIBRATION)
        try:
            done = recalibrate(warehouse, policy, requested_by="Dagster", tell=context.log.info)
        except BuildRunningError as error:
            context.log.warning(str(error))
            return
        except (TooLittleTruthError, NothingNewError) as error:
            context.log.warning(str(error))
            _answer(warehouse, asked, str(error))
            return
        except RecalibrationError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        context.log.info(str(done))
        _answer(warehouse, asked, f"calibration {done.calibration_id}: {done.reason}")
        context.add_output_metadata(
            {
                "calibration_id": done.calibration_id,
                "promoted": done.promoted,
                "accuracy": float(done.choice.candidate.accuracy),
                "accuracy_of_the_one_in_force": float(done.choice.present.accuracy),
                "reason": done.reason,
            }
        )

    @dg.job(name=RECALIBRATE, executor_def=dg.in_process_executor, tags={LONG_RUN: "recalibrate"})
    def recalibrate_job() -> None:
        """Look for a calibration that attributes better than the one in force; the next refresh credits by it."""
        recalibrate_attribution()

    return recalibrate_job


def _answer(warehouse: Warehouse, incidents: Sequence[int], outcome: str) -> None:
    with warehouse.connect(APPLICATION) as connection:
        for incident in incidents:
            action_done(connection, incident, TRIGGER_RECALIBRATION, outcome)


def _drift_sensor(warehouse: Warehouse, policy: Policy, job: dg.JobDefinition, may_ask: bool) -> dg.SensorDefinition:
    @dg.sensor(
        name="attribution_drift_sensor",
        job=job,
        minimum_interval_seconds=SENSOR_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def attribution_drift_sensor(_context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        """Ask for a recalibration when data-driven attribution has drifted, once for each new evidence, and when an
        alert does."""
        if not may_ask:
            return dg.SkipReason("MARKETING_AUTOMATION_ENABLED is false")
        with warehouse.connect(APPLICATION) as connection:
            asked = asked_actions(connection, TRIGGER_RECALIBRATION)
            accuracy = drifted(connection, DATA_DRIVEN, SURVEY)
            if accuracy is None and not asked:
                return dg.SkipReason("attribution has not drifted")
            if not is_standing(connection):
                return dg.SkipReason("a build is under way, or the latest one was not published")
            since = max(one.build_id or 0 for one in calibrations(connection))
            answers = new_truth(connection, since)
        if asked:
            # A run that could not answer, since it failed or a build was running, is asked for again an hour later.
            key = f"incident-{asked[0]}-{datetime.now(UTC):%Y-%m-%dT%H}"
            return dg.RunRequest(run_key=key, tags={"marketing/reason": f"incident {asked[0]}"})
        if answers < policy.recalibration_min_new_truth:
            return dg.SkipReason(
                f"accuracy is {accuracy:.3f}, but only {answers} answers came since the last recalibration "
                f"(recalibration_min_new_truth: {policy.recalibration_min_new_truth})"
            )
        # Dagster starts no second run of a key, however the first ended: one that failed is asked for again next day.
        asked = answers // policy.recalibration_min_new_truth
        key = f"after-build-{since}-{asked}-{datetime.now(UTC):%Y-%m-%d}"
        return dg.RunRequest(run_key=key, tags={"marketing/reason": f"accuracy {accuracy:.3f}"})

    return attribution_drift_sensor
