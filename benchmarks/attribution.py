"""Attribution: the incremental build's models beside the materialized views that one would write instead.

    python -m benchmarks.attribution [--touches 1000000] [--smaller 0.1]

Two fresh embedded warehouses, one of `touches` touchpoints and one of that share of them, get the same late delta of
10,000 touches, then 1 % of new touches and conversions, late too, then 10,000 touches of the last day. Views and marts
are compared row by row. Ratios are of the server's CPU, which a busy machine stretches less than the wall.
"""

import argparse
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.journeys_world import World
from benchmarks.measure import Cost, Meter, heading, row
from orchestration.policy import Policy
from orchestration.transform.builds import BuildSession, open_session
from orchestration.transform.project import Project
from orchestration.warehouse import Warehouse
from orchestration.warehouse.builds import mark_published, published_rows
from orchestration.warehouse.publication import Published, figures, publish

ROOT = Path(__file__).parents[1]
SAME_DELTA = 10_000
MODELS_ONLY = ("--exclude-resource-type", "test", "--select")
FACTS = "fct_attribution"
SUMMARY = "marketing_roi_summary"

ATTRIBUTION_VIEW = (Path(__file__).parent / "attribution_view.sql").read_text()
# The guide's view, on what stands here for its table marketing_metrics: a row for each credited touch.
METRICS = """
create view benchmark.marketing_metrics as
select
    converted_at as created_at,
    position_based_revenue_cents as attributed_revenue_cents,
    nullif(campaign_id, '(none)') as campaign_id,
    campaign_performance.conversion_rate
from marts.fct_attribution
left join marts.campaign_performance using (campaign_id)
where fct_attribution.channel <> 'unattributed'
"""
SUMMARY_VIEW = """
create materialized view benchmark.marketing_roi_summary as
select
    date_trunc('day', created_at) as date,
    sum(attributed_revenue_cents) / 100.0 as revenue,
    count(distinct campaign_id) as campaigns,
    avg(conversion_rate) as avg_conversion
from benchmark.marketing_metrics
group by date_trunc('day', created_at)
"""
# A day on which no conversion had a touch is a row of the mart alone.
SAME_SUMMARY = "select date::date, revenue::numeric(20, 2), campaigns from {} where revenue > 0"


@dataclass(frozen=True)
class Delta:
    """What a build cost in its parts: models up to fct_attribution, from there to the summary, and publications."""

    facts: Cost
    facts_published: Cost
    summary: Cost
    summary_published: Cost


class Bench:
    """One warehouse with its history, built and published once."""

    def __init__(self, home: Path, touches: int) -> None:
        self.touches = touches
        self.warehouse = Warehouse.open(home)
        self._project = Project(ROOT, home)
        self._policy = Policy.load(ROOT / "dbt_project.yml", os.environ)
        self._quieten()
        self._meter = Meter(self.warehouse)
        self.world = World(self.warehouse, touches)
        self._published: dict = {}

    def first_build(self) -> tuple[Cost, Cost]:
        """Cost of what comes before fct_attribution, and of itself; everything else is built and published too."""
        with self._session() as session:
            before = self._dbt(session, f"+{FACTS}", "--exclude", FACTS)
            facts = self._dbt(session, FACTS)
            self._dbt(session, "*", "--exclude", f"+{FACTS}")
            session.publish()
        return before, facts

    def build(self) -> Delta:
        """An incremental build and its publication, in parts."""
        marts = {mart.name: mart for mart in self._project.marts}
        with self._session() as session:
            if session.build.is_full:
                raise SystemExit(f"an incremental build was to be measured, but: {session.build.full_reason}")
            facts = self._dbt(session, f"+{FACTS}")
            summary = self._dbt(session, f"+{SUMMARY}", "--exclude", f"+{FACTS}")
            self._dbt(session, "*", "--exclude", f"+{SUMMARY}")
            facts_published = self._publish(session, [marts.pop(FACTS)])
            summary_published = self._publish(session, [marts.pop(SUMMARY)])
            self._publish(session, list(marts.values()), last=True)
        return Delta(facts, facts_published, summary, summary_published)

    def make_views(self) -> None:
        """The alternatives, filled."""
        for statement in (
            "create schema benchmark",
            ATTRIBUTION_VIEW,
            "create unique index on benchmark.attribution (conversion_id, touch_number)",
            METRICS,
            SUMMARY_VIEW,
            "create unique index on benchmark.marketing_roi_summary (date)",
            "analyze",
        ):
            self._execute(statement)
        self._checkpoint()

    def refresh(self, view: str) -> Cost:
        """Cost of REFRESH MATERIALIZED VIEW CONCURRENTLY."""
        self._checkpoint()
        return self._meter.cost(lambda: self._execute(f"refresh materialized view concurrently benchmark.{view}"))

    def check(self) -> int:
        """Rows of fct_attribution. Raises SystemExit when a view says anything else than the mart."""
        with self.warehouse.connect() as connection:
            columns = _columns(connection, f"marts.{FACTS}")
            sides = [f"select {columns} from {table}" for table in (f"marts.{FACTS}", "benchmark.attribution")]
            _same(connection, *sides)
            _same(connection, *(SAME_SUMMARY.format(f"{schema}.{SUMMARY}") for schema in ("marts", "benchmark")))
            return connection.execute(f"select count(*) from marts.{FACTS}").fetchone()[0]

    def _session(self) -> object:
        return open_session(self.warehouse, self._project, self._policy, as_of=None, requested_by="a benchmark")

    def _dbt(self, session: BuildSession, *selection: str) -> Cost:
        def invoke() -> None:
            invocation = session.dbt(*MODELS_ONLY, *selection)
            for _event in invocation:
                pass
            if invocation.failures:
                raise SystemExit("\n".join(f"{failure.name}: {failure.message}" for failure in invocation.failures))

        self._checkpoint()
        return self._meter.cost(invoke)

    def _publish(self, session: BuildSession, marts: list, *, last: bool = False) -> Cost:
        def end(connection: psycopg.Connection, published: list[Published]) -> None:
            self._published |= figures(published)
            if last:
                mark_published(connection, session.build_id, self._published)

        def bring() -> None:
            with self.warehouse.connect(autocommit=True) as connection:
                rows_before = published_rows(connection)
                publish(connection, marts, is_full=False, rows_before=rows_before, end_build=end)

        cost = self._meter.cost(bring)
        session.ended = session.ended or last
        return cost

    def _quieten(self) -> None:
        """No autovacuum and no parallel workers: what an action costs is what it does, and only that."""
        with psycopg.connect(self.warehouse.server.admin_url(), autocommit=True) as connection:
            for setting in ("autovacuum = off", "max_parallel_workers_per_gather = 0"):
                connection.execute(f"alter system set {setting}")
            connection.execute("select pg_reload_conf()")

    def _checkpoint(self) -> None:
        with psycopg.connect(self.warehouse.server.admin_url(), autocommit=True) as connection:
            connection.execute("checkpoint")

    def _execute(self, statement: str) -> None:
        with self.warehouse.connect(autocommit=True) as connection:
            connection.execute(statement)


def _columns(connection: psycopg.Connection, table: str) -> str:
    found = connection.execute(f"select * from {table} limit 0").description
    return ", ".join(column.name for column in found)


def _same(connection: psycopg.Connection, one: str, other: str) -> None:
    differing = connection.execute(
        f"select count(*) from (({one} except all {other}) union all ({other} except all {one})) as differing"
    ).fetchone()[0]
    if differing:
        raise SystemExit(f"{differing} rows differ between\n{one}\nand\n{other}")


def measure(home: Path, touches: int) -> Delta:
    """Everything at one size; returns the cost of the delta that is the same at every size."""
    bench = Bench(home, touches)
    try:
        heading(f"\n{touches:,} touchpoints")
        before, facts = bench.first_build()
        row("full build: models before fct_attribution", before)
        row("full build: fct_attribution", facts)

        bench.world.deliver("the same delta", SAME_DELTA)
        same = bench.build()
        row(f"late delta of {SAME_DELTA:,} touches: models", same.facts)
        row("  with publication", same.facts + same.facts_published)
        bench.make_views()
        bench.check()

        for name, count, days in (("late, over 90 days", touches // 100, 90), ("of the last day", SAME_DELTA, 1)):
            bench.world.deliver(name, count, days=days)
            delta = bench.build()
            view, summary_view = bench.refresh("attribution"), bench.refresh(SUMMARY)
            rows = bench.check()
            print(f"{count:,} touches and {count // 20:,} conversions {name}; {rows:,} attributed rows")
            row("  REFRESH CONCURRENTLY of the attribution view", view)
            row("  incremental models to fct_attribution", delta.facts, view)
            row("  with publication", delta.facts + delta.facts_published, view)
            row("  REFRESH CONCURRENTLY of the guide's summary view", summary_view)
            row("  models from fct_attribution to marketing_roi_summary", delta.summary, summary_view)
            row("  with publication", delta.summary + delta.summary_published, summary_view)
    finally:
        bench.warehouse.server.stop()
    return same


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--touches", type=int, default=1_000_000)
    parser.add_argument("--smaller", type=float, default=0.1, help="share of them in the smaller warehouse")
    options = parser.parse_args()
    deltas = []
    for touches in (int(options.touches * options.smaller), options.touches):
        with tempfile.TemporaryDirectory(prefix="attribution-benchmark-") as folder:
            deltas.append(measure(Path(folder), touches))
    small, large = (delta.facts for delta in deltas)
    print(f"\nserver's CPU for the same delta, larger to smaller history: {large.server / small.server:.2f}")


if __name__ == "__main__":
    main()
