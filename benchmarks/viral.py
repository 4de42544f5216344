"""The viral coefficient: its models beside the materialized view that one would write instead, and the headline of now.

    python -m benchmarks.viral [--users 1000000]

A fresh embedded warehouse of so many users and four times as many viral actions gets 1 % of new users and actions,
late over 90 days, then as many of the last day; view and marts are compared row by row. Then readers ask for the
headline of this moment while events arrive. Ratios are of the server's CPU.
"""

import argparse
import json
import multiprocessing
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

from benchmarks.measure import Cost, Meter, heading, row
from benchmarks.referrals_world import Arrivals, World
from orchestration.attribution import fits as attribution_fits
from orchestration.policy import Policy
from orchestration.transform.builds import VIEWS, BuildSession, open_session
from orchestration.transform.project import FITTED, Project
from orchestration.viral import fits as viral_fits
from orchestration.viral.defs import READS
from orchestration.warehouse import Warehouse
from orchestration.warehouse.builds import mark_published, published_rows
from orchestration.warehouse.publication import Mart, Published, figures, publish

ROOT = Path(__file__).parents[1]
MODELS_ONLY = ("--exclude-resource-type", "test", "unit_test", "--select")
# The marts and what the fits read, each with what stands before it.
VIRAL = ("+path:dbt_project/models/marts/viral", *(f"+{name}" for _schema, name in READS))
VIRAL_FITTED = "path:dbt_project/models/marts/viral/fitted"
# The parts of a full build, each with what stands before it.
PARTS = {
    "invites and joins matched": "+int_joins_matched",
    "joins and invites judged: rings, bursts, outcomes": "+fct_invites",
    "trees, users' counts, cohorts": "+int_cohorts",
}
VIEW = (Path(__file__).parent / "viral_view.sql").read_text()
SAME = "select cohort_on, cohort_users, invites, credited_joins, k_observed from {}.viral_coefficient_daily"
NOW = "select * from ops.viral_coefficient_now()"
READERS = 8
TAILS = (0, 100, 1_000, 10_000)
SECONDS = 15
EVENTS_OF_A_LOAD = 20
# Readers, seconds from one question of theirs to the next, loads a second.
SCENES = ((1, 0, 20), (READERS, 0.1, 2), (READERS, 0.1, 20), (READERS, 0, 2), (READERS, 0, 20))


@dataclass(frozen=True)
class Delta:
    """What a build cost in its parts: models before the fits, fits, models after them, publication of viral marts."""

    models: Cost
    fits: Cost
    fitted: Cost
    published: Cost


class Bench:
    """One warehouse with its history, built and published once."""

    def __init__(self, home: Path, users: int) -> None:
        self.users = users
        self.warehouse = Warehouse.open(home)
        self._home = home
        self._project = Project(ROOT, home)
        self._policy = Policy.load(ROOT / "dbt_project.yml", os.environ)
        self._settle()
        self.meter = Meter(self.warehouse)
        self.world = World(self.warehouse, users)
        self.slowest: Counter[str] = Counter()

    def first_build(self) -> dict[str, Cost]:
        """Cost of each part of the viral models; everything else is built and published too."""
        costs, before = {}, []
        with self._session() as session:
            for name, selection in PARTS.items():
                costs[name] = self._dbt(session, selection, "--exclude", *before, "no_such_model")
                before.append(selection)
            costs["the other models before the fits"] = self._dbt(session, *VIRAL, "--exclude", *before, *FITTED)
            costs["fits"] = self.meter.cost(lambda: viral_fits.fit_build(self.warehouse, self._policy))
            costs["models after the fits"] = self._dbt(session, VIRAL_FITTED)
            self._all_others(session, VIRAL)
            costs["publication of everything"] = self.meter.cost(session.publish)
        return costs

    def build(self) -> Delta:
        """An incremental build and its publication, in parts."""
        with self._session() as session:
            if session.build.is_full:
                raise SystemExit(f"an incremental build was to be measured, but: {session.build.full_reason}")
            return self._delta(session)

    def compare_headline(self) -> tuple[Any, Any]:
        """What the function says as of the next build, which then is made: (the function's row, the build's row)."""
        with self._session() as session:
            with self.warehouse.connect() as connection:
                now = _row(connection, "select * from ops.viral_coefficient_now(%s)", [session.build.as_of])
            self._delta(session)
        with self.warehouse.connect() as connection:
            return now, _row(connection, "select * from marts.viral_headline")

    def make_view(self) -> None:
        """The alternative, filled."""
        for statement in (VIEW, "create unique index on benchmark.viral_coefficient_daily (cohort_on)", "analyze"):
            self._execute(statement)
        self._checkpoint()

    def refresh(self) -> Cost:
        """Cost of REFRESH MATERIALIZED VIEW CONCURRENTLY."""
        self._checkpoint()
        return self.meter.cost(
            lambda: self._execute("refresh materialized view concurrently benchmark.viral_coefficient_daily")
        )

    def check(self) -> int:
        """Cohorts. Raises SystemExit when the view says anything else than the mart."""
        one, other = (SAME.format(schema) for schema in ("marts", "benchmark"))
        with self.warehouse.connect() as connection:
            differing = connection.execute(
                f"select count(*) from (({one} except all {other}) union all ({other} except all {one})) as differing"
            ).fetchone()[0]
            if differing:
                raise SystemExit(f"{differing} rows differ between\n{one}\nand\n{other}")
            return connection.execute("select count(*) from marts.viral_coefficient_daily").fetchone()[0]

    def _session(self) -> Any:
        return open_session(self.warehouse, self._project, self._policy, as_of=None, requested_by="a benchmark")

    def _delta(self, session: BuildSession) -> Delta:
        models = self._dbt(session, *VIRAL, "--exclude", VIEWS, *FITTED)
        self._checkpoint()
        fits = self.meter.cost(lambda: viral_fits.fit_build(self.warehouse, self._policy))
        fitted = self._dbt(session, VIRAL_FITTED)
        self._all_others(session, [*VIRAL, VIEWS])
        ours = {
            node["name"]
            for node in self._project.manifest["nodes"].values()
            if node["original_file_path"].startswith("dbt_project/models/marts/viral/")
        }
        marts = self._project.marts
        published = self._publish(session, [mart for mart in marts if mart.name in ours])
        self._publish(session, [mart for mart in marts if mart.name not in ours], last=True)
        return Delta(models, fits, fitted, published)

    def _all_others(self, session: BuildSession, done: Sequence[str]) -> None:
        viral_only = self.slowest.copy()
        self._dbt(session, "*", "--exclude", *done, *FITTED)
        attribution_fits.fit_build(self.warehouse, self._policy)
        self._dbt(session, *FITTED, "--exclude", VIRAL_FITTED)
        self.slowest = viral_only

    def _dbt(self, session: BuildSession, *selection: str) -> Cost:
        def invoke() -> None:
            invocation = session.dbt(*MODELS_ONLY, *selection)
            for _event in invocation:
                pass
            if invocation.failures:
                raise SystemExit("\n".join(f"{failure.name}: {failure.message}" for failure in invocation.failures))

        self._checkpoint()
        cost = self.meter.cost(invoke)
        results = json.loads((self._home / "dbt" / "target" / "run_results.json").read_text())["results"]
        for result in results:
            self.slowest[result["unique_id"].split(".")[-1]] += result["execution_time"]
        return cost

    def show_slowest(self, count: int) -> None:
        """The models on which dbt waited longest since this was last asked, wall seconds of two threads."""
        told = ", ".join(f"{name} {seconds:.1f}" for name, seconds in self.slowest.most_common(count))
        print(f"  slowest models, wall s: {told}", flush=True)
        self.slowest.clear()

    def _publish(self, session: BuildSession, marts: Sequence[Mart], *, last: bool = False) -> Cost:
        def end(connection: psycopg.Connection, published: list[Published]) -> None:
            if last:
                mark_published(connection, session.build_id, rows | figures(published))

        def bring() -> None:
            with self.warehouse.connect(autocommit=True) as connection:
                publish(connection, marts, is_full=False, rows_before=published_rows(connection), end_build=end)

        with self.warehouse.connect() as connection:
            rows = {name: {"rows": count} for name, count in published_rows(connection).items()}
        cost = self.meter.cost(bring)
        session.ended = session.ended or last
        return cost

    def _settle(self) -> None:
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


def _row(connection: psycopg.Connection, query: str, given: Sequence[Any] = ()) -> Any:
    cursor = connection.cursor(row_factory=psycopg.rows.namedtuple_row)
    return cursor.execute(query, given).fetchone()


def asked(url: str, seconds: float, pause: float, seed: int) -> list[float]:
    """Milliseconds of each answer that one reader got; pause: seconds from one question to the next, on average."""
    draw = random.Random(seed)
    took = []
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(10):
            connection.execute(NOW, prepare=True).fetchone()
        until = time.perf_counter() + seconds
        while (start := time.perf_counter()) < until:
            connection.execute(NOW, prepare=True).fetchone()
            took.append((time.perf_counter() - start) * 1000)
            if pause:
                time.sleep(2 * pause * draw.random())
    return took


def arrive(url: str, users: int, name: str, seconds: float, rate: float) -> int:
    """Loads of 1 to 20 events, so many a second; returns how many events came."""
    draw = random.Random(name)
    loads = events = 0
    with psycopg.connect(url, autocommit=True) as connection:
        arrivals = Arrivals(connection, users, name)
        start = time.perf_counter()
        while time.perf_counter() - start < seconds:
            count = draw.randint(1, EVENTS_OF_A_LOAD)
            arrivals.load(count)
            loads, events = loads + 1, events + count
            time.sleep(max(0, loads / rate - (time.perf_counter() - start)))
    return events


def seen_after(url: str, users: int, name: str, times: int) -> list[float]:
    """Milliseconds from a commit of one user to the first answer that counts them, so many times."""
    took = []
    with psycopg.connect(url, autocommit=True) as writer, psycopg.connect(url, autocommit=True) as reader:
        arrivals = Arrivals(writer, users, name)
        for _ in range(times):
            before = _row(reader, NOW).users_since
            while not arrivals.load(2):
                pass
            start = time.perf_counter()
            while _row(reader, NOW).users_since == before:
                pass
            took.append((time.perf_counter() - start) * 1000)
            time.sleep(0.02)
    return took


def headline(bench: Bench) -> None:
    """Latency of the headline of now: beside readers and arrivals, each time after a build, and with longer tails."""
    print(f"\n{'the headline of now, ms':<70}{'answers':>8}{'p50':>9}{'p99':>9}{'max':>9}{'CPU':>9}")
    # Forked: each reader would have to import dbt and Dagster otherwise, beside what is measured.
    with multiprocessing.get_context("fork").Pool(READERS + 2) as pool:
        for readers, pause, rate in SCENES:
            beside_arrivals(bench, pool, readers, pause, rate)
        show_difference("after what arrived", *bench.compare_headline())
        before = 0
        for tail in TAILS:
            with bench.warehouse.connect(autocommit=True) as connection:
                arrivals = Arrivals(connection, bench.users, f"tail {tail}")
                for start in range(before, tail, EVENTS_OF_A_LOAD):
                    arrivals.load(min(EVENTS_OF_A_LOAD, tail - start))
            before = tail
            answers(bench, f"1 reader, {tail:,} events that no build has seen", lambda: pool.apply(asked, alone(bench)))
    show_difference(f"after {before:,} events", *bench.compare_headline())


def alone(bench: Bench) -> tuple[Any, ...]:
    """What one reader is told who asks for a few seconds without a pause."""
    return bench.warehouse.url, SECONDS / 3, 0, 0


def beside_arrivals(bench: Bench, pool: Any, readers: int, pause: float, rate: float) -> None:
    """So many readers while so many loads come a second, from a build on; and what it takes to see a commit."""
    url = bench.warehouse.url
    bench.compare_headline()
    scene = f"{readers} reader{'s' * (readers > 1)}{f', {1 / pause:.0f} times a second each' if pause else ''}"
    arrived = []

    def read() -> list[float]:
        arriving = pool.apply_async(arrive, (url, bench.users, f"{scene} {rate}", SECONDS + 1, rate))
        readings = [pool.apply_async(asked, (url, SECONDS, pause, seed)) for seed in range(readers)]
        took = [one for reading in readings for one in reading.get()]
        arrived.append(arriving.get())
        return took

    answers(bench, f"{scene}; {rate} loads a second", read)
    readings = [pool.apply_async(asked, (url, SECONDS / 3, pause, seed)) for seed in range(readers)]
    seen = pool.apply(seen_after, (url, bench.users, f"seen {scene} {rate}", 50))
    for reading in readings:
        reading.get()
    told(f"  after these {arrived[0]:,} events, from a commit to the answer that shows it", seen)


def answers(bench: Bench, name: str, ask: Callable[[], list[float]]) -> None:
    """Print a line of latencies, with the server's CPU for each answer, arrivals' included."""
    took: list[float] = []
    cost = bench.meter.cost(lambda: took.extend(ask()))
    told(name, took, cost.server * 1000 / len(took))


def told(name: str, took: Sequence[float], server: float | None = None) -> None:
    """Print a line of latencies."""
    p50, p99 = np.percentile(took, [50, 99])
    cpu = "" if server is None else f"{server:>9.1f}"
    print(f"{name:<70}{len(took):>8,}{p50:>9.1f}{p99:>9.1f}{max(took):>9.1f}{cpu}", flush=True)


def show_difference(name: str, now: Any, built: Any) -> None:
    """The headline of now as of a build, beside what that build said."""
    apart = float(now.viral_coefficient - built.viral_coefficient)
    print(
        f"{name}: {now.viral_coefficient:.6f} as of the next build, which says {built.viral_coefficient:.6f}"
        f" ({apart:+.1e}); users {now.cohort_users:,} and {built.cohort_users:,},"
        f" joins {now.net_joins:,} and {built.net_joins:,}",
        flush=True,
    )


def measure(bench: Bench) -> None:
    """Everything, printed as it is found."""
    heading(f"\n{bench.users:,} users")
    parts = bench.first_build()
    for name, cost in parts.items():
        row(f"full build: {name}", cost)
    whole = Cost(0, 0, 0)
    for cost in parts.values():
        whole += cost
    row("full build: all of that", whole)
    bench.show_slowest(12)
    bench.make_view()
    bench.check()
    count = bench.users // 100
    for name, days in (("late, over 90 days", 90), ("of the last day", 1)):
        actions = bench.world.deliver(name, count, days=days)
        delta, view = bench.build(), bench.refresh()
        cohorts = bench.check()
        print(f"{count:,} users and {actions:,} actions {name}; {cohorts:,} cohorts")
        row("  REFRESH CONCURRENTLY of the view", view)
        row("  models before the fits", delta.models, view)
        row("  fits", delta.fits)
        row("  models after the fits", delta.fitted)
        row("  publication", delta.published)
        row("  all of that", delta.models + delta.fits + delta.fitted + delta.published, view)
        bench.show_slowest(12)
    headline(bench)


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="viral-benchmark-") as folder:
        bench = Bench(Path(folder), options.users)
        try:
            measure(bench)
        finally:
            bench.warehouse.server.stop()


if __name__ == "__main__":
    main()
