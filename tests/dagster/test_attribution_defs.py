"""What Dagster shows of attribution: fits with their charts, a drift that asks for a recalibration, and its end."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from orchestration.attribution.defs import RECALIBRATE, attribution_definitions
from orchestration.ingest.loader import load
from orchestration.policy import Policy
from orchestration.simulate import World, simulate
from orchestration.transform.defs import REFRESH
from orchestration.warehouse import Warehouse
from orchestration.warehouse.calibrations import calibrations, in_force
from tests.dagster.stages import refresh_definitions
from tests.engine import PROJECT_FILE
from tests.feed_records import PERSONAL_DATA

AS_OF = datetime(2026, 3, 31, tzinfo=UTC)
POLICY = Policy.load(PROJECT_FILE, {"ATTRIBUTION_ACCURACY_MIN_CONVERSIONS": "40", "RECALIBRATION_MIN_NEW_TRUTH": "20"})
SENSOR = "attribution_drift_sensor"


@dataclass(frozen=True)
class Site:
    """An installation as Dagster shows it."""

    warehouse: Warehouse
    definitions: dg.Definitions

    def run(self, job: str) -> dg.ExecuteInProcessResult:
        with dg.DagsterInstance.ephemeral() as instance:
            return self.definitions.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False)

    def asks(self, definitions: dg.Definitions | None = None) -> list[dg.RunRequest] | str:
        """What the sensor asks for, or why it does not."""
        sensor = (definitions or self.definitions).resolve_sensor_def(SENSOR)
        with dg.DagsterInstance.ephemeral() as instance:
            data = sensor.evaluate_tick(dg.build_sensor_context(instance=instance))
        return list(data.run_requests) if data.run_requests else data.skip_message


@pytest.fixture(scope="module")
def site(module_warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A small business that asks most people what brought them, loaded."""
    feeds = tmp_path_factory.mktemp("feeds")
    simulate(feeds, people=300, days=91, seed=5, until=AS_OF, world=replace(World(), surveyed=0.7))
    load(module_warehouse, [feeds], personal_data=PERSONAL_DATA, now=AS_OF + timedelta(hours=1))
    return Site(
        module_warehouse,
        refresh_definitions(module_warehouse, POLICY, AS_OF),
    )


def test_a_drift_is_seen_recalibrated_once_and_over(site: Site) -> None:
    """Prevents an engine that sees that it is wrong and does nothing, or does the same again every five minutes."""
    assert site.asks() == "attribution has not drifted"
    refreshed = site.run(REFRESH)
    assert refreshed.success
    charts = {
        event.asset_key.path[-1]: event.step_materialization_data.materialization.metadata["chart"].value
        for event in refreshed.get_asset_materialization_events()
        if "chart" in event.step_materialization_data.materialization.metadata
    }
    assert set(charts) == {"fit_credit_intervals", "fit_accuracy", "fit_viral_backtest", "fit_viral_forecasts"}
    assert all(chart.startswith("![") and "](data:image/png;base64,iVBOR" in chart for chart in charts.values())
    soundness = {one.check_name: one for one in refreshed.get_asset_check_evaluations()}[
        "attribution_accuracy_is_sound"
    ]
    assert (soundness.passed, soundness.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "has not drifted below 85 %" in soundness.description

    asked = site.asks()
    assert [request.run_key for request in asked] == [request.run_key for request in site.asks()]
    assert site.run(RECALIBRATE).success
    with site.warehouse.connect() as connection:
        promoted = in_force(connection)
        assert (promoted.calibration_id, promoted.requested_by) == (1, "Dagster")
    assert site.asks() == "attribution has not drifted"
    assert site.run(REFRESH).success
    with site.warehouse.connect() as connection:
        before, after = (
            connection.execute(
                """
                select accuracy::double precision
                from marts.attribution_accuracy
                where is_latest and truth_method = 'survey' and attribution_model = 'data_driven'
                    and calibration_id = %s
                """,
                [calibration_id],
            ).fetchone()[0]
            for calibration_id in (0, 1)
        )
    assert after > before + 0.05
    assert site.asks() == "attribution has not drifted"


def test_the_same_evidence_is_not_recalibrated_on_again(site: Site) -> None:
    """Prevents a recalibration a tick where the drift stays: it needs new answers, not a new look."""
    with site.warehouse.connect() as connection:
        connection.execute("update marts.attribution_accuracy set status = 'drift' where calibration_id = 1")
        newest = max(one.evidence_load_id for one in calibrations(connection))
        assert newest > 0
    assert "only 0 answers came since the last recalibration" in site.asks()


def test_switched_off_it_asks_for_nothing(site: Site) -> None:
    assert site.asks(alone(site.warehouse, POLICY, may_ask=False)) == "MARKETING_AUTOMATION_ENABLED is false"


def test_too_little_truth_is_no_failure_of_a_run_that_nobody_asked_for(site: Site) -> None:
    """Prevents an alert each night in an installation that does no surveys."""
    greedy = Policy.load(PROJECT_FILE, {"ATTRIBUTION_ACCURACY_MIN_CONVERSIONS": "1000000"})
    assert Site(site.warehouse, alone(site.warehouse, greedy, may_ask=True)).run(RECALIBRATE).success
    with site.warehouse.connect() as connection:
        assert [one.calibration_id for one in calibrations(connection)] == [1, 0]


def alone(warehouse: Warehouse, policy: Policy, *, may_ask: bool) -> dg.Definitions:
    """The stage without the build that its fits belong to."""
    no_build = dg.Definitions(resources={"build": dg.ResourceDefinition.none_resource()})
    return dg.Definitions.merge(attribution_definitions(warehouse, policy, may_ask=may_ask), no_build)


def test_a_chosen_mart_is_built_and_judged_alone(site: Site) -> None:
    """Prevents `marketing build --select` from failing over checks of what was not chosen."""
    chosen = dg.AssetKey(["candidate", "path_summary"])
    with dg.DagsterInstance.ephemeral() as instance:
        result = site.definitions.resolve_job_def(REFRESH).execute_in_process(
            instance=instance, raise_on_error=False, asset_selection=[chosen]
        )
    assert result.success
    told = {one.check_name: one for one in result.get_asset_check_evaluations()}
    assert told["path_summary_is_sound"].passed
    law = told["assert_paths_hold_every_conversion"]
    assert (law.passed, law.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert law.description.startswith("Not judged")
    assert [event.asset_key for event in result.get_asset_materialization_events()] == [chosen]
