"""What Dagster shows of quality: implausible loads held and the rest built, a failed audit that stops publication."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from orchestration.ingest.loader import load
from orchestration.ingest.records import FEEDS
from orchestration.policy import Policy
from orchestration.quality.defs import quality_definitions
from orchestration.simulate import simulate
from orchestration.transform.defs import REFRESH
from orchestration.warehouse import Warehouse, ledger
from tests.arrivals import NOW, conversion, send, status_of
from tests.dagster.stages import refresh_definitions
from tests.engine import PROJECT_FILE
from tests.feed_records import PERSONAL_DATA

AS_OF = datetime(2026, 3, 31, tzinfo=UTC)
POLICY = Policy.load(PROJECT_FILE, {"AUDIT_MIN_HISTORY": "30"})
SETTLED = {"occurred_at": "2026-03-01T12:00:00Z", "currency": "USD"}


@dataclass(frozen=True)
class Shown:
    """An installation as Dagster shows it."""

    warehouse: Warehouse
    definitions: dg.Definitions

    def refresh(self) -> dg.ExecuteInProcessResult:
        """A run of the refresh job."""
        with dg.DagsterInstance.ephemeral() as instance:
            return self.definitions.resolve_job_def(REFRESH).execute_in_process(instance=instance, raise_on_error=False)

    def revenue(self) -> int:
        """The published cents of the day on which SETTLED conversions lie."""
        with self.warehouse.connect() as connection:
            return connection.execute(
                """
                select coalesce(sum(revenue_cents), 0)::bigint
                from marts.attribution_by_channel
                where date = '2026-03-01' and attribution_model = 'linear'
                """
            ).fetchone()[0]


@pytest.fixture(scope="module")
def shown(module_warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """A small business, published once."""
    feeds = tmp_path_factory.mktemp("feeds")
    simulate(feeds, people=60, days=60, seed=5, until=AS_OF)
    load(module_warehouse, [feeds], personal_data=PERSONAL_DATA, now=AS_OF + timedelta(hours=1))
    definitions = refresh_definitions(module_warehouse, POLICY, AS_OF)
    shown = Shown(module_warehouse, definitions)
    assert shown.refresh().success
    return shown


def checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {one.check_name: one for one in result.get_asset_check_evaluations()}


def metadata(evaluation: dg.AssetCheckEvaluation) -> dict[str, Any]:
    return {name: value.value for name, value in evaluation.metadata.items()}


def test_an_implausible_load_is_held_before_the_models_and_the_run_goes_on(shown: Shown):
    """Nobody has to wake up for the good load that came with it. The raw assets are in no refresh: their checks
    alone order the steps."""
    before = shown.revenue()
    good = send(shown.warehouse, "conversions", conversion, 1, **{**SETTLED, "revenue_cents": 700})
    wrong = send(shown.warehouse, "conversions", conversion, 1, **{**SETTLED, "revenue_cents": 200_000_000})
    result = shown.refresh()
    assert result.success
    steps = [event.step_key for event in result.all_events if event.is_step_start]
    assert steps[:2] == ["judge_new_loads", "dbt_models"]
    assert sorted(steps[2:5]) == ["audit_candidate", "fit_attribution", "fit_viral_spread"]
    assert steps[5:] == ["dbt_models_after_fits", "audit_fitted", "publish_marts"]
    assert shown.revenue() == before + 700
    assert (status_of(shown.warehouse, good), status_of(shown.warehouse, wrong)) == ("loaded", "held")

    told = checks(result)
    assert {f"{feed}_loads_are_plausible" for feed in FEEDS} <= set(told)
    assert told["users_loads_are_plausible"].description == "No new loads."
    evaluation = told["conversions_loads_are_plausible"]
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert f"Load {wrong} is held: no revenue_cents is above 100,000,000" in evaluation.description
    told = metadata(evaluation)
    assert (told["new_loads"], told["held_loads"]) == (2, [wrong])
    assert f"marketing loads accept {wrong}" in told["end_the_hold"]
    assert f"marketing loads withdraw {wrong}" in told["end_the_hold"]
    (example,) = told["examples"]
    assert set(example) == {"load_id", "conversion_id", "revenue_cents"}
    assert "| 200,000,000 |" in told["broken"]

    still = checks(shown.refresh())["conversions_loads_are_plausible"]
    assert (still.passed, metadata(still)["held_loads"]) == (False, [wrong])
    assert f"Load {wrong} is still held: no revenue_cents is above" in still.description


def test_a_failed_audit_publishes_nothing_and_holds_what_was_new_until_someone_accepts_it(shown: Shown):
    """A history sent once more under new ids looks plausible, load by load."""
    before = shown.revenue()
    again = send(shown.warehouse, "conversions", conversion, 40, **{**SETTLED, "revenue_cents": 50_000_000})
    result = shown.refresh()
    assert not result.success
    assert "publish_marts" not in [event.step_key for event in result.all_events if event.is_step_start]
    assert (shown.revenue(), status_of(shown.warehouse, again)) == (before, "held")
    evaluation = checks(result)["attribution_by_channel_is_sound"]
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "the cents of settled days differ from the published by at most 20 %" in evaluation.description
    assert "marketing loads list" in metadata(evaluation)["if_it_is_right"]
    with shown.warehouse.connect() as connection:
        reason = next(one.reason for one in ledger.loads(connection, status="held") if one.load_id == again)
    assert "candidate.attribution_by_channel: the cents of settled days" in reason

    send(shown.warehouse, "conversions", conversion, 1, **{**SETTLED, "revenue_cents": 300})
    assert shown.refresh().success
    assert shown.revenue() == before + 300

    with shown.warehouse.connect() as connection:
        ledger.accept(connection, again)
    result = shown.refresh()
    assert result.success
    assert shown.revenue() == before + 300 + 40 * 50_000_000
    warned = checks(result)["attribution_by_channel_is_sound"]
    assert (warned.passed, warned.severity) == (False, dg.AssetCheckSeverity.WARN)


def test_marts_say_when_they_are_late(shown: Shown):
    graph = shown.definitions.resolve_asset_graph()
    policies = {graph.get(key).freshness_policy for key in graph.get_all_asset_keys() if key.path[0] == "marts"}
    (policy,) = policies
    assert policy.fail_window.to_timedelta() == timedelta(minutes=POLICY.marts_max_age_minutes)


def alone(warehouse: Warehouse, *jobs: Any) -> dg.Definitions:
    """The stage without the others."""
    return dg.Definitions.merge(
        dg.Definitions(
            assets=[dg.AssetSpec(["raw", feed]) for feed in FEEDS],
            jobs=jobs,
            resources={"build": dg.ResourceDefinition.none_resource()},
        ),
        quality_definitions(warehouse, POLICY),
    )


def tick(warehouse: Warehouse, cursor: str | None) -> Any:
    """What the daemon gets from one look of the sensor."""
    shown = alone(warehouse)
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance, cursor=cursor, definitions=shown)
        return shown.resolve_sensor_def("raw_freshness_sensor").evaluate_tick(context)


USER = {
    "user_id": "u-1",
    "email_key": "k",
    "mailbox_key": "m",
    "key_version": 1,
    "signed_up_at": NOW.isoformat(),
    "record_sha256": "\\x01",
}


def test_the_freshness_sensor_tells_of_feeds_that_stopped_and_starts_no_run(warehouse: Warehouse):
    """Loads from a terminal count too, of which Dagster has no event."""
    assert tick(warehouse, None).skip_message
    stopped = send(warehouse, "conversions", conversion, 1)
    send(warehouse, "users", lambda number: USER, 1)
    with warehouse.connect() as connection:
        connection.execute(
            "update raw.loads set finished_at = finished_at - make_interval(hours => %s) where load_id = %s",
            [POLICY.raw_max_age_hours + 1, stopped],
        )
    told = tick(warehouse, None)
    assert {event.check_name: event.passed for event in told.asset_events} == {
        "conversions_is_fresh": False,
        "users_is_fresh": True,
    }
    assert not told.run_requests
    assert tick(warehouse, told.cursor).skip_message
    send(warehouse, "conversions", conversion, 1)
    assert [event.passed for event in tick(warehouse, told.cursor).asset_events] == [True]


def test_freshness_can_also_be_asked_for(warehouse: Warehouse):
    send(warehouse, "conversions", conversion, 1)
    key = dg.AssetCheckKey(dg.AssetKey(["raw", "conversions"]), "conversions_is_fresh")
    shown = alone(warehouse, dg.define_asset_job("ask", selection=dg.AssetSelection.checks(key)))
    with dg.DagsterInstance.ephemeral() as instance:
        result = shown.resolve_job_def("ask").execute_in_process(instance=instance)
    assert [(one.check_name, one.passed) for one in result.get_asset_check_evaluations()] == [
        ("conversions_is_fresh", True)
    ]
