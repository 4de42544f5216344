"""Fits of channels: exact, from the statistics that builds keep, beside ChannelAttribution on the same paths.

    pip install ChannelAttribution    # for this benchmark alone; its source is compiled
    python -m benchmarks.fits [--touches 1000000]

A fresh embedded warehouse of so many touchpoints is built once. Both then fit the same paths: ours from transition
counts and channel sets, reading included; ChannelAttribution from marts.path_summary, reading not counted, one core,
its defaults. Ratios are of CPU, client's and server's. What one new load costs is in benchmarks.attribution.
"""

import argparse
import os
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.journeys_world import World
from benchmarks.measure import Cost, Meter
from orchestration.attribution.fits import SEED, fit_build, subsets_of, transition_counts
from orchestration.attribution.markov import MAX_ORDER, at_order, fit_markov
from orchestration.attribution.shapley import fit_shapley
from orchestration.policy import Policy
from orchestration.transform.builds import open_session
from orchestration.transform.project import Project
from orchestration.warehouse import Warehouse
from orchestration.warehouse import path_statistics as statistics

ROOT = Path(__file__).parents[1]
IS_THERE = find_spec("ChannelAttribution") is not None
MODELS_ONLY = ("--exclude-resource-type", "test")


def built(home: Path, touches: int) -> Warehouse:
    """A warehouse of so many touchpoints, transformed."""
    warehouse, policy = Warehouse.open(home), Policy.load(ROOT / "dbt_project.yml", os.environ)
    World(warehouse, touches)
    with open_session(warehouse, Project(ROOT, home), policy, as_of=None, requested_by="a benchmark") as session:
        for invocation in (session.dbt_before_fits(*MODELS_ONLY), session.dbt_after_fits(*MODELS_ONLY)):
            for _event in invocation:
                pass
            if invocation.failures:
                raise SystemExit("\n".join(f"{failure.name}: {failure.message}" for failure in invocation.failures))
        session.publish()
    return warehouse


def exact(warehouse: Warehouse, order: int) -> dict[str, float]:
    """Conversions of each channel by the chain of an order, from the counts that are kept."""
    with warehouse.connect() as connection:
        counts = transition_counts(statistics.transitions(connection))
        total = sum(conversions for *_, conversions, _cents in statistics.channel_sets(connection))
    shared = fit_markov(at_order(counts, order), order).conversions(total)
    return {channel: float(conversions) for channel, conversions in shared.items()}


def shapley(warehouse: Warehouse) -> None:
    """Shapley values of the channels, from the sets that are kept."""
    with warehouse.connect() as connection:
        sets = statistics.channel_sets(connection)
    fit_shapley(subsets_of(sets), np.random.default_rng(SEED))


def simulated(paths: pd.DataFrame, order: int) -> dict[str, float]:
    """The same by ChannelAttribution."""
    from ChannelAttribution import markov_model

    found = markov_model(
        paths, "path", "conversions", var_null="nulls", order=order, sep=">", verbose=False, flg_pro=False, seed=SEED
    )
    return dict(zip(found["channel_name"], found["total_conversions"], strict=True))


def summary(warehouse: Warehouse) -> pd.DataFrame:
    """marts.path_summary as ChannelAttribution wants it."""
    with warehouse.connect() as connection:
        rows = connection.execute("select path, conversions, non_conversions from marts.path_summary").fetchall()
    return pd.DataFrame(rows, columns=["path", "conversions", "nulls"])


def cpu(cost: Cost) -> float:
    """Client's and server's."""
    return cost.client + cost.server


def compare(warehouse: Warehouse, touches: int) -> None:
    """Print a line for each fit: CPU of ours and of theirs, and by how many conversions they differ at the most."""
    meter, frame = Meter(warehouse), summary(warehouse)
    policy = Policy.load(ROOT / "dbt_project.yml", os.environ)
    conversions = frame["conversions"].sum()
    print(f"{touches:,} touchpoints, {len(frame):,} different paths, {conversions:,} conversions on paths")
    print(f"{'CPU s':<44}{'exact':>10}{'simulated':>11}{'ratio':>8}{'largest difference':>24}")
    for order in range(1, MAX_ORDER + 1):
        ours: dict[str, float] = {}
        theirs: dict[str, float] = {}
        mine = cpu(meter.cost(partial(fill, ours, exact, warehouse, order)))
        told = f"{f'Markov of order {order}':<44}{mine:>10.2f}"
        if IS_THERE:
            other = cpu(meter.cost(partial(fill, theirs, simulated, frame, order)))
            apart = max(abs(ours[channel] - theirs.get(channel, 0.0)) for channel in ours)
            told += f"{other:>11.2f}{other / mine:>7.1f}x{apart:>12.1f} conversions"
        print(told, flush=True)
    for name, action in (
        ("Shapley, exact", partial(shapley, warehouse)),
        ("all fits of a build, intervals and all", partial(fit_build, warehouse, policy)),
    ):
        print(f"{name:<44}{cpu(meter.cost(action)):>10.2f}", flush=True)


def fill(found: dict[str, float], fit: Callable[..., dict[str, float]], *arguments: object) -> None:
    """Put what a fit finds into a dict that outlives its measurement."""
    found.update(fit(*arguments))


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--touches", type=int, default=1_000_000)
    touches = parser.parse_args().touches
    if not IS_THERE:
        print("ChannelAttribution is not installed: ours alone (pip install ChannelAttribution compiles it)")
    with tempfile.TemporaryDirectory(prefix="fits-benchmark-") as folder:
        warehouse = built(Path(folder), touches)
        try:
            compare(warehouse, touches)
        finally:
            warehouse.server.stop()


if __name__ == "__main__":
    main()
