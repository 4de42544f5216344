"""What Dagster shows of ingest: a run loads what waits, and the sensor asks for it."""

import os
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from orchestration.ingest.defs import INGEST_LANDING, ingest_definitions
from orchestration.ingest.landing import waiting_files
from orchestration.ingest.records import FEEDS
from orchestration.warehouse import Warehouse, WarehouseError, ledger
from tests.feed_records import COMPLETE, PERSONAL_DATA, write_jsonl
from tests.loading import query, touches


def definitions(warehouse: Warehouse, landing: Path, *, may_ask: bool = True) -> dg.Definitions:
    return ingest_definitions(warehouse, landing=landing, personal_data=lambda: PERSONAL_DATA, may_ask=may_ask)


def run(warehouse: Warehouse, landing: Path, *feeds: str) -> dg.ExecuteInProcessResult:
    """A run of the job; feeds: only these of its assets."""
    job = definitions(warehouse, landing).resolve_job_def(INGEST_LANDING)
    selection = [dg.AssetKey(["raw", feed]) for feed in feeds] or None
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(instance=instance, asset_selection=selection, raise_on_error=False)


def materialized(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    """Feed → metadata of its materialization."""
    found = [event.step_materialization_data.materialization for event in result.get_asset_materialization_events()]
    return {one.asset_key.path[-1]: {name: value.value for name, value in one.metadata.items()} for one in found}


def tick(warehouse: Warehouse, landing: Path, cursor: str | None = None, *, may_ask: bool = True) -> dg.SensorResult:
    """One look of the sensor."""
    shown = definitions(warehouse, landing, may_ask=may_ask)
    sensor = shown.resolve_sensor_def("landing_sensor")
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance, cursor=cursor, definitions=shown)
        return sensor.evaluate_tick(context)


def settled(path: Path) -> Path:
    """The file, looking as if it had been written a minute ago."""
    then = path.stat().st_mtime - 60
    os.utime(path, (then, then))
    return path


def test_every_feed_is_an_asset_that_says_what_it_is(warehouse: Warehouse, tmp_path: Path):
    graph = definitions(warehouse, tmp_path).resolve_asset_graph()
    assert {key.path[-1] for key in graph.get_all_asset_keys() if key.path[0] == "raw"} == set(FEEDS)
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        columns = [column.name for column in node.metadata["dagster/column_schema"].columns]
        assert set(FEEDS[key.path[-1]].columns) - {"key_version", "record_sha256"} == set(columns)
        assert (node.group_name, node.owners) == ("ingest", ["team:marketing-automation"])
        assert node.description


def test_one_run_loads_all_that_waits_and_shows_what_came(warehouse: Warehouse, tmp_path: Path):
    write_jsonl(tmp_path, "touchpoints", [*touches(3), b"{"])
    write_jsonl(tmp_path, "touchpoints", touches(4), "b.jsonl")
    write_jsonl(tmp_path, "users", [COMPLETE["users"]])
    result = run(warehouse, tmp_path)
    assert result.success
    assert waiting_files(tmp_path) == []
    shown = materialized(result)
    assert set(shown) == {"touchpoints", "users"}
    figures = {
        name: shown["touchpoints"][name] for name in ("records_read", "inserted", "duplicate", "quarantined", "files")
    }
    assert figures == {"records_read": 8, "inserted": 4, "duplicate": 3, "quarantined": 1, "files": 2}
    assert shown["touchpoints"]["dagster/row_count"] == 4
    assert "not readable as JSON" in shown["touchpoints"]["quarantined_because"]


def test_a_chosen_asset_loads_its_own_files_alone(warehouse: Warehouse, tmp_path: Path):
    write_jsonl(tmp_path, "touchpoints", touches(1))
    write_jsonl(tmp_path, "users", [COMPLETE["users"]])
    assert set(materialized(run(warehouse, tmp_path, "users"))) == {"users"}
    assert [file.feed for file in waiting_files(tmp_path)] == ["touchpoints"]


def test_a_run_with_nothing_to_load_does_nothing(warehouse: Warehouse, tmp_path: Path):
    assert run(warehouse, tmp_path).success
    assert query(warehouse, "select count(*) from raw.loads") == [(0,)]


def test_a_refused_file_makes_the_run_red_and_says_why_after_all_others_are_loaded(
    warehouse: Warehouse, tmp_path: Path
):
    broken = tmp_path / "touchpoints" / "a.parquet"
    write_jsonl(tmp_path, "touchpoints", touches(2), "b.jsonl")
    broken.write_bytes(b"?")
    result = run(warehouse, tmp_path)
    assert not result.success
    (failure,) = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    assert "1 files were not loaded: " in failure.message
    assert "a.parquet: it is not readable as Parquet" in failure.message
    assert materialized(result)["touchpoints"]["inserted"] == 2
    assert waiting_files(tmp_path) == []


def test_the_sensor_asks_once_for_settled_files(warehouse: Warehouse, tmp_path: Path):
    assert tick(warehouse, tmp_path).run_requests == []
    path = write_jsonl(tmp_path, "touchpoints", touches(1))
    assert tick(warehouse, tmp_path).run_requests == []
    settled(path)
    first = tick(warehouse, tmp_path)
    assert len(first.run_requests) == 1
    second = tick(warehouse, tmp_path, first.cursor)
    assert second.run_requests == []
    assert "a run was asked for" in second.skip_message


def test_the_sensor_keeps_still_during_a_load_and_while_automation_is_off(warehouse: Warehouse, tmp_path: Path):
    settled(write_jsonl(tmp_path, "touchpoints", touches(1)))
    with warehouse.connect() as connection:
        ledger.lock_feed(connection, "users")
        assert tick(warehouse, tmp_path).run_requests == []
    assert tick(warehouse, tmp_path, may_ask=False).skip_message == "MARKETING_AUTOMATION_ENABLED is false"
    assert len(tick(warehouse, tmp_path).run_requests) == 1


def test_a_warehouse_that_does_not_answer_makes_the_tick_fail(warehouse: Warehouse, tmp_path: Path):
    """Silence would look like an empty folder."""
    gone = Warehouse(warehouse.home, "postgresql://nobody@127.0.0.1:1/none", "")
    settled(write_jsonl(tmp_path, "touchpoints", touches(1)))
    with pytest.raises(WarehouseError, match="does not answer"):
        tick(gone, tmp_path)
