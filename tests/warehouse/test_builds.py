"""What a build does before its models."""

from orchestration.warehouse import Warehouse
from orchestration.warehouse.builds import refresh_statistics
from tests.feed_records import line
from tests.loading import ingest, touches


def test_tables_just_filled_are_analyzed_and_others_left_alone(warehouse: Warehouse, tmp_path):
    """Without statistics the planner joined 200,000 invites in loops: a first build of a minute took hours."""
    path = tmp_path / "touchpoints" / "some.jsonl"
    path.parent.mkdir()
    path.write_bytes(b"\n".join(map(line, touches(50))))
    ingest(warehouse, path)
    with warehouse.connect("a test", autocommit=True) as connection:
        assert "touchpoints" in refresh_statistics(connection)
        estimate = "select reltuples from pg_class where oid = 'raw.touchpoints'::regclass"
        assert connection.execute(estimate).fetchone() == (50,)
        assert refresh_statistics(connection) == []
