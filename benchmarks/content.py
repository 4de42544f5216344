"""Jobs for content against a server that answers in a second: how much longer they take than the model itself.

    python -m benchmarks.content [--jobs 200] [--seconds 1]

Beside it what one would write without the engine: the same client in a pool of as many threads, which stores, judges
and accounts for nothing. A warehouse of its own, on the embedded server under a directory that is deleted at the end.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from pathlib import Path

from orchestration.content.asking import ask
from orchestration.content.briefs import Brief
from orchestration.content.draining import drain
from orchestration.warehouse import Warehouse
from tests.content_desk import campaigns, desk
from tests.openai_server import Served, openai_server


def main() -> None:
    """Print a table: total time, time beside the model's, memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, elsewhere(options.seconds) as served:
        warehouse = Warehouse.open(Path(home), None)
        try:
            measured(warehouse, served, options.jobs)
        finally:
            warehouse.server.stop()


@contextmanager
def elsewhere(seconds: float) -> Iterator[Served]:
    """A server that answers after so many seconds, in a process of its own, as a model is."""
    ours, theirs = Pipe()
    process = get_context("spawn").Process(target=serve, args=(theirs, seconds), daemon=True)
    process.start()
    try:
        yield Served(ours.recv())
    finally:
        process.kill()
        process.join()


def serve(pipe: Connection, seconds: float) -> None:
    """Until the process is ended."""
    with openai_server() as served:
        served.seconds = seconds
        pipe.send(served.url)
        pipe.recv()


def measured(warehouse: Warehouse, served: Served, jobs: int) -> None:
    """Both ways on the same server."""
    made = desk(served)
    policy = made.policy.model_copy(
        update={"content_concurrency": 16, "content_call_seconds": 30, "content_daily_budget_cents": 100_000}
    )
    made = desk(served, policy)
    # What a process pays once: the client, the detector of languages.
    campaigns(warehouse, 1, "Warm")
    ask(warehouse, made, datetime.now(UTC))
    drain(warehouse, made)
    campaigns(warehouse, jobs + 1)
    ask(warehouse, made, datetime.now(UTC))
    before, start = memory(), time.perf_counter()
    drained = drain(warehouse, made)
    taken, grown = time.perf_counter() - start, memory() - before
    with warehouse.connect() as connection:
        overhead = connection.execute(
            """
            select percentile_disc(array[0.5, 0.99]) within group (order by value)
            from ops.metric_samples
            where metric = 'ai_overhead_ms' and sampled_at >= %s
            """,
            [datetime.fromtimestamp(time.time() - taken, UTC)],
        ).fetchone()[0]
        brief = Brief.model_validate(connection.execute("select brief from ops.content_briefs limit 1").fetchone()[0])
    messages = made.prompts[brief.kind].messages(brief)
    start = time.perf_counter()
    with ThreadPoolExecutor(16) as pool:
        list(
            pool.map(lambda number: made.writer.write(made.model, messages, made.parameters, str(number)), range(jobs))
        )
    bare = time.perf_counter() - start
    print(f"{drained.done} of {jobs} jobs done in {taken:.1f} s")
    print(f"a pool of threads without ledger, judgement and budget: {bare:.1f} s; ratio {taken / bare:.2f}")
    print(
        f"beside the model, per job: median {overhead[0]:.0f} ms, p99 {overhead[1]:.0f} ms; memory grew {grown:.0f} MB"
    )


def memory() -> float:
    """Of this process at most, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
