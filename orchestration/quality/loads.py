"""Judges the loads that a build has claimed by their feeds' suites, and holds those that fail."""

from collections.abc import Mapping, Sequence
from typing import Any

from expectations import runner
from expectations.outcome import Finding
from expectations.raw import Kind, LoadSuite, load_suites
from orchestration.policy import Policy
from orchestration.warehouse import Warehouse, ledger, load_profiles
from orchestration.warehouse.load_profiles import FeedMeter

from .plausibility import EarlierLoad, Figures, History, NewLoad, Profile, figures_of
from .verdicts import Breach, LoadVerdict

EXAMPLES = 3


def judge_loads(warehouse: Warehouse, build_id: int, policy: Policy) -> list[LoadVerdict]:
    """Judge every load that the build claimed and nobody accepted, hold the implausible ones, and say what was found.

    A load that is held hands rows over to others that sent them too; these are then judged again.
    """
    suites = load_suites(policy)
    verdicts: dict[int, LoadVerdict] = {}
    with warehouse.connect("marketing quality", autocommit=True) as connection:
        while changed := _changed(connection, build_id, verdicts):
            for feed, suite in suites.items():
                loads = [load for load in changed if load.feed == feed]
                for verdict in _judge_feed(connection, suite, loads, policy):
                    verdicts[verdict.load_id] = verdict
                    if verdict.held:
                        ledger.hold(connection, [verdict.load_id], verdict.reason)
    return sorted(verdicts.values(), key=lambda verdict: verdict.load_id)


def _changed(connection: Any, build_id: int, verdicts: Mapping[int, LoadVerdict]) -> list[NewLoad]:
    """The loads without a verdict, and those whose rows are other ones than when they got it."""
    loads = [NewLoad(**row) for row in load_profiles.new_loads(connection, build_id)]
    judged = {load_id: verdict.records for load_id, verdict in verdicts.items()}
    return [load for load in loads if judged.get(load.load_id) != load.inserted]


def _judge_feed(connection: Any, suite: LoadSuite, loads: Sequence[NewLoad], policy: Policy) -> list[LoadVerdict]:
    if not loads:
        return []
    profiles = _measure(connection, suite, loads, policy)
    load_profiles.store_profiles(connection, profiles)
    earlier = load_profiles.earlier_loads(connection, suite.feed, policy.history_loads)
    oldest_at = load_profiles.oldest_record_at(connection, suite.feed)
    past = History([EarlierLoad(**row) for row in earlier], oldest_at)
    figures = [figures_of(load, profiles[load.load_id], past, suite.measures, policy) for load in loads]
    outcome = runner.evaluate(suite, [one.row for one in figures])
    verdicts = []
    for row, load in enumerate(loads):
        broken = [finding for finding in outcome.broken if row in finding.rows]
        breaches = tuple(_breach(connection, suite, finding, figures[row]) for finding in broken)
        verdicts.append(LoadVerdict(load.load_id, load.feed, load.inserted, breaches, figures[row].unjudged))
    return verdicts


def _measure(connection: Any, suite: LoadSuite, loads: Sequence[NewLoad], policy: Policy) -> dict[int, Profile]:
    """The profile of each load: a few aggregates over all of them at once."""
    meter = FeedMeter(connection, suite.feed, [load.load_id for load in loads if load.inserted])
    mixes = {column: meter.mix(column) for column in _columns(suite, Kind.MIX)}
    people = {column: meter.most_of_one(column) for column in _columns(suite, Kind.PERSON)}
    amounts = {column: meter.amounts(column, policy.reporting_currency) for column in _columns(suite, Kind.AMOUNT)}
    ahead = [meter.after_arrival(column) for column in _columns(suite, Kind.CLOCK)]
    rates = meter.rate_changes(policy.fx_max_age_days) if _columns(suite, Kind.RATE) else {}
    return {
        load.load_id: {
            "records": load.inserted,
            "mix": {column: mix.get(load.load_id, {}) for column, mix in mixes.items()},
            "most_of_one": {column: most.get(load.load_id, 0) for column, most in people.items()},
            "amounts": {column: found.get(load.load_id) for column, found in amounts.items()},
            "after_arrival": sum(found.get(load.load_id, 0) for found in ahead),
            "rate_change": rates.get(load.load_id),
        }
        for load in loads
    }


def _columns(suite: LoadSuite, kind: Kind) -> list[str]:
    return [measure.column for measure in suite.measures if measure.kind is kind]


def _breach(connection: Any, suite: LoadSuite, finding: Finding, figures: Figures) -> Breach:
    figure = finding.expectation.column
    columns = {"future_share": _columns(suite, Kind.CLOCK)} | {
        f"largest_{column}": [column] for column in _columns(suite, Kind.AMOUNT)
    }
    records = [
        record
        for column in columns.get(figure, ())
        for record in load_profiles.greatest_records(connection, suite.feed, figures.load_id, column, EXAMPLES)
    ]
    return Breach(finding, figures.values[figure], figures.details.get(figure, ""), tuple(records))
