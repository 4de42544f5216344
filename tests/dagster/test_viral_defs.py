"""What Dagster shows of the viral coefficient: fits in the refresh, and each new super-connector as an event, once."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from orchestration.ingest.loader import load
from orchestration.policy import Policy
from orchestration.simulate import simulate
from orchestration.transform.defs import REFRESH
from orchestration.viral import defs as viral
from orchestration.viral.defs import ANNOUNCE, viral_definitions
from orchestration.warehouse import Warehouse
from tests.dagster.stages import refresh_definitions
from tests.engine import PROJECT_FILE
from tests.feed_records import PERSONAL_DATA

AS_OF = datetime(2026, 3, 31, tzinfo=UTC)
POLICY = Policy.load(PROJECT_FILE, {"SUPER_CONNECTOR_THRESHOLD": "4"})
SENSOR = "super_connector_sensor"


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

    def rows(self, query: str) -> list[tuple]:
        with self.warehouse.connect() as connection:
            return connection.execute(query).fetchall()


@pytest.fixture(scope="module")
def site(module_warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A small business, loaded."""
    feeds = tmp_path_factory.mktemp("feeds")
    simulate(feeds, people=200, days=70, seed=8, until=AS_OF)
    load(module_warehouse, [feeds], personal_data=PERSONAL_DATA, now=AS_OF + timedelta(hours=1))
    return Site(module_warehouse, refresh_definitions(module_warehouse, POLICY, AS_OF))


def test_a_new_super_connector_is_an_event_once(site: Site) -> None:
    """Prevents a reward, or a thank-you mail, that is sent at every build, and one that is never sent."""
    assert site.asks() == "no new super-connector"
    assert site.run(REFRESH).success
    connectors = site.rows("select user_id, connected_at from marts.super_connectors order by connected_at, user_id")
    assert len(connectors) > 2

    asked = site.asks()
    assert [request.run_key for request in asked] == [request.run_key for request in site.asks()]
    announced = site.run(ANNOUNCE)
    assert announced.success
    (event,) = announced.get_asset_materialization_events()
    assert event.step_materialization_data.materialization.metadata["new"].value == len(connectors)
    stored = "select user_id, connected_at from ops.super_connector_events order by connected_at, user_id"
    assert site.rows(stored) == connectors
    assert site.asks() == "no new super-connector"
    assert site.run(ANNOUNCE).success
    assert site.run(REFRESH).success
    assert site.rows(stored) == connectors
    assert site.asks() == "no new super-connector"

    # Someone who is one no more, and then again, is no news.
    with site.warehouse.connect() as connection:
        connection.execute("delete from ops.super_connector_events where user_id = %s", [connectors[0][0]])
    (request,) = site.asks()
    assert request.tags["marketing/reason"] == "1 new super-connectors"
    assert site.run(ANNOUNCE).success
    assert site.rows(stored) == connectors


def test_switched_off_it_asks_for_nothing(site: Site) -> None:
    no_build = dg.Definitions(resources={"build": dg.ResourceDefinition.none_resource()})
    off = dg.Definitions.merge(viral_definitions(site.warehouse, may_ask=False), no_build)
    assert site.asks(off) == "MARKETING_AUTOMATION_ENABLED is false"


def test_the_back_test_is_charted_and_ends_with_the_headline(site: Site) -> None:
    """Prevents a back-test of another estimator than the one that the scorecard shows."""
    (headline,) = site.rows("select viral_coefficient, low, high, cohort_users, net_joins from marts.viral_headline")
    (last,) = site.rows(
        """
        select k_said, low, high, cohort_users, net_joins from marts.viral_backtest
        where scope = 'headline' and replayed_on = date '2026-03-30'
        """
    )
    assert last[3:] == headline[3:]
    # Here users of one hour are taken at their mean age, and of one day at its mean maturity; there one by one.
    k, *bounds = (float(value) for value in headline[:3])
    assert float(last[0]) == pytest.approx(k, rel=1e-4)
    assert [float(bound) for bound in last[1:3]] == pytest.approx(bounds, rel=5e-3)


def test_fits_that_fail_fail_the_build_with_their_reason(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents marts with the intervals of another build."""

    def broken(*_arguments: object) -> None:
        raise RuntimeError("no number")

    monkeypatch.setattr(viral, "fit_build", broken)
    result = Site(site.warehouse, refresh_definitions(site.warehouse, POLICY, AS_OF)).run(REFRESH)
    assert not result.success
    (reason,) = site.rows("select reason from ops.builds order by build_id desc limit 1")
    assert "fit_viral_spread failed: RuntimeError: no number" in reason[0]
