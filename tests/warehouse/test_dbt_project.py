"""What dbt itself holds of the project: unit tests, data tests on drawn rows, descriptions that reach the catalog."""

import os
from datetime import UTC, datetime
from unittest import mock

from tests.engine import Engine, assert_same, policy
from tests.oracles.worlds import world

AS_OF = datetime(2026, 3, 15, tzinfo=UTC)


def test_every_formula_passes_its_unit_tests(engine: Engine) -> None:
    """Prevents a formula that is right for drawn data by luck: edges are given by hand, beside each model."""
    engine.build(AS_OF)
    events = engine.dbt("test", "--select", "test_type:unit")
    nodes = [event["data"].get("node_info", {}) for event in events]
    passed = {node["unique_id"] for node in nodes if node.get("node_status") == "pass"}
    assert passed == set(engine.project.manifest["unit_tests"])


def test_a_plain_build_passes_its_tests_and_publishes_nothing(engine: Engine) -> None:
    """Prevents a dbt build from a terminal that says something else than one under Dagster, or that publishes."""
    drawn = world(11)
    engine.build(drawn.as_of)
    published = engine.marts()
    engine.ingest(drawn.feeds)
    with policy(drawn.overrides), mock.patch.dict(os.environ, {"MARKETING_AS_OF": drawn.as_of.isoformat()}):
        engine.dbt("build", "--exclude-resource-type", "unit_test")
        expected = engine.expected(drawn.feeds, drawn.as_of, drawn.overrides)
        assert_same(engine.marts("candidate"), expected, "a plain dbt build differs from the oracle")
        assert_same(engine.marts(), published, "a plain dbt build has published")
        after = engine.build(drawn.as_of)
    assert after.full_reason == f"build {after.build_id - 1} was not published (draft)"


def test_data_tests_pass_in_an_incremental_build(engine: Engine) -> None:
    """Prevents a test that only holds when everything was built anew."""
    drawn = world(12, clashes=False)
    with policy(drawn.overrides):
        engine.build(drawn.as_of, arguments=())
        engine.ingest(drawn.feeds)
        assert not engine.build(drawn.as_of, arguments=()).is_full
    assert_same(engine.marts(), engine.expected(drawn.feeds, drawn.as_of, drawn.overrides), "an incremental build")


def test_every_column_of_a_mart_is_described_where_analysts_look(engine: Engine) -> None:
    """Prevents a column without its unit: descriptions are comments of the published tables, too."""
    engine.build(AS_OF)
    marts = [mart.name for mart in engine.project.marts]
    with engine.warehouse.connect() as connection:
        described, undescribed = connection.execute(
            """
            select
                count(*) filter (where attnum = 0 and told <> ''),
                coalesce(array_agg(relname || '.' || attname) filter (where attnum > 0 and told = ''), '{}')
            from (
                select relname, attname, attnum, coalesce(col_description(tables.oid, attnum), '') as told
                from pg_class as tables
                inner join pg_attribute as columns
                    on columns.attrelid = tables.oid and attnum > 0 and not attisdropped
                where relnamespace = 'marts'::regnamespace and relname = any(%(marts)s)
                union all
                select relname, '', 0, coalesce(obj_description(oid, 'pg_class'), '')
                from pg_class
                where relnamespace = 'marts'::regnamespace and relname = any(%(marts)s)
            ) as comments
            """,
            {"marts": marts},
        ).fetchone()
    assert (described, undescribed) == (len(marts), [])


def test_every_model_says_what_it_is_and_every_exposure_whose(engine: Engine) -> None:
    """Prevents nodes that a newcomer to the asset graph must guess at."""
    manifest = engine.project.manifest
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    assert [node["name"] for node in models if not node["description"].strip()] == []
    readers = manifest["exposures"].values()
    assert readers
    assert all(reader["owner"].get("name") for reader in readers)
    assert {name.split(".")[-1] for reader in readers for name in reader["depends_on"]["nodes"]} == {
        mart.name for mart in engine.project.marts
    }
