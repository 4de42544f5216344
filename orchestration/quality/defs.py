"""Shows the quality stage to Dagster: the judgement of new loads before the models, the audit before publication,
and whether feeds still send."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import dagster as dg

from expectations import runner
from expectations.candidate import FITTED, candidate_suites
from expectations.outcome import Outcome
from expectations.raw import load_suites
from orchestration.policy import Policy
from orchestration.warehouse import Warehouse, ledger
from orchestration.warehouse.load_profiles import latest_arrivals

from . import report
from .audit import audit_candidate
from .freshness import Freshness, freshness_of, news
from .loads import judge_loads
from .verdicts import LoadVerdict

RAW = "raw"
CANDIDATE = "candidate"
FRESHNESS_SECONDS = 300


class RunningBuild(Protocol):
    """What the checks need of the resource `build`."""

    warehouse: Warehouse
    policy: Policy

    @property
    def build_id(self) -> int:
        """Its number in ops.builds."""

    def fail_audit(self, reason: str, failed: Sequence[str]) -> Exception:
        """End the build without publication, hold its new loads, and return the error that says so."""


def quality_definitions(warehouse: Warehouse, policy: Policy) -> dg.Definitions:
    """Checks and the sensor of this stage. The checks of the refresh need the resource `build` (RunningBuild)."""
    return dg.Definitions(
        asset_checks=[
            _judgement_of_loads(policy),
            _audit_of(policy, "audit_candidate", fitted=False),
            _audit_of(policy, "audit_fitted", fitted=True),
            _raw_freshness(warehouse, policy),
        ],
        sensors=[_raw_freshness_sensor(warehouse, policy)],
    )


def refresh_checks(policy: Policy) -> dg.AssetSelection:
    """The checks that belong to the refresh: of new loads, which come before the models, and of candidate tables,
    which come before publication."""
    return dg.AssetSelection.checks(
        *_load_check_keys(policy), *_audit_check_keys(policy, fitted=False), *_audit_check_keys(policy, fitted=True)
    )


def marts_freshness(policy: Policy) -> dg.FreshnessPolicy:
    """When a mart is late."""
    return dg.FreshnessPolicy.time_window(fail_window=timedelta(minutes=policy.marts_max_age_minutes))


def _load_check_keys(policy: Policy) -> list[dg.AssetCheckKey]:
    return [dg.AssetCheckKey(dg.AssetKey([RAW, feed]), f"{feed}_loads_are_plausible") for feed in load_suites(policy)]


def _audit_check_keys(policy: Policy, *, fitted: bool) -> list[dg.AssetCheckKey]:
    """Of the marts that need fits, or of the others: a blocking check stands before whatever needs its asset."""
    return [
        dg.AssetCheckKey(dg.AssetKey([CANDIDATE, mart]), f"{mart}_is_sound")
        for mart in candidate_suites(policy)
        if (mart in FITTED) is fitted
    ]


def _freshness_check_keys(policy: Policy) -> list[dg.AssetCheckKey]:
    return [dg.AssetCheckKey(dg.AssetKey([RAW, feed]), f"{feed}_is_fresh") for feed in load_suites(policy)]


def _judgement_of_loads(policy: Policy) -> dg.AssetChecksDefinition:
    # Blocking, so that the models wait for it; but a held load only warns, and the others are built.
    @dg.multi_asset_check(
        name="judge_new_loads",
        specs=[
            dg.AssetCheckSpec(
                key.name,
                asset=key.asset_key,
                blocking=True,
                description="Loads that no build has published are plausible; one that is not is held.",
            )
            for key in _load_check_keys(policy)
        ],
        required_resource_keys={"build"},
    )
    def judge_new_loads(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        build: RunningBuild = context.resources.build
        verdicts = judge_loads(build.warehouse, build.build_id, build.policy)
        with build.warehouse.connect() as connection:
            held = ledger.loads(connection, status="held")
        for key in _load_check_keys(policy):
            feed = key.asset_key.path[-1]
            new = [verdict for verdict in verdicts if verdict.feed == feed]
            if taken := [verdict for verdict in new if not verdict.held]:
                # Of a load from a terminal Dagster has heard nothing.
                context.op_execution_context.log_event(_taken(key.asset_key, taken, build.build_id))
            yield _load_result(key, new, {load.load_id: load.reason for load in held if load.feed == feed})
        # The audit will need it, and while the models are built the database does most of the work.
        runner.warm_up()

    return judge_new_loads


def _taken(asset: dg.AssetKey, verdicts: Sequence[LoadVerdict], build_id: int) -> dg.AssetMaterialization:
    loads = ", ".join(str(verdict.load_id) for verdict in verdicts)
    metadata = {"loads": loads, "rows": sum(verdict.records for verdict in verdicts), "build_id": build_id}
    return dg.AssetMaterialization(asset, description="New loads that this build takes.", metadata=metadata)


def _load_result(
    key: dg.AssetCheckKey, verdicts: Sequence[LoadVerdict], held: Mapping[int, str]
) -> dg.AssetCheckResult:
    metadata: dict[str, Any] = {"new_loads": len(verdicts), "rows": sum(verdict.records for verdict in verdicts)}
    if unjudged := report.unjudged(verdicts):
        metadata["not_judged"] = unjudged
    if broken := report.breaches_table(verdicts):
        metadata |= {
            "broken": dg.MetadataValue.md(broken),
            "examples": dg.MetadataValue.json(report.breach_examples(verdicts)),
        }
    if held:
        metadata |= {
            "held_loads": dg.MetadataValue.json(list(held)),
            "end_the_hold": dg.MetadataValue.md(report.ways_to_end(held)),
        }
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=not broken and not held,
        severity=dg.AssetCheckSeverity.WARN,
        description=report.loads_in_a_line(verdicts, held),
        metadata=metadata,
    )


def _audit_of(policy: Policy, name: str, *, fitted: bool) -> dg.AssetChecksDefinition:
    keys = _audit_check_keys(policy, fitted=fitted)

    @dg.multi_asset_check(
        name=name,
        specs=[
            dg.AssetCheckSpec(
                key.name,
                asset=key.asset_key,
                blocking=True,
                description="What is about to be published is possible, and agrees with what was published.",
            )
            for key in keys
        ],
        can_subset=True,
        required_resource_keys={"build"},
    )
    def audit(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        build: RunningBuild = context.resources.build
        chosen = [key for key in keys if key in context.selected_asset_check_keys]
        marts = {key.asset_key.path[-1] for key in chosen}
        outcomes = audit_candidate(build.warehouse, build.build_id, build.policy, marts)
        for key, outcome in zip(chosen, outcomes, strict=True):
            yield _audit_result(key, outcome)
        if reason := report.audit_reason(outcomes):
            if chosen != keys:
                # Of chosen models nothing is published: no load need be held for it.
                raise dg.Failure(f"of the chosen models: {reason}", allow_retries=False)
            failed = [outcome.suite for outcome in outcomes if not outcome.passed]
            raise dg.Failure(str(build.fail_audit(reason, failed)), allow_retries=False)

    return audit


def _audit_result(key: dg.AssetCheckKey, outcome: Outcome) -> dg.AssetCheckResult:
    metadata: dict[str, Any] = {"expectations": dg.MetadataValue.md(report.findings_table(outcome))}
    if outcome.broken:
        metadata |= {
            "rows": sum(finding.unexpected for finding in outcome.broken),
            "examples": dg.MetadataValue.json(report.finding_examples(outcome)),
        }
    if any(finding.blocks and finding.expectation.compares for finding in outcome.broken):
        metadata["if_it_is_right"] = dg.MetadataValue.md(report.END_A_CHANGE)
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=not outcome.broken,
        severity=dg.AssetCheckSeverity.WARN if outcome.passed else dg.AssetCheckSeverity.ERROR,
        description=report.outcome_in_a_line(outcome),
        metadata=metadata,
    )


def _raw_freshness(warehouse: Warehouse, policy: Policy) -> dg.AssetChecksDefinition:
    @dg.multi_asset_check(
        name="raw_freshness",
        can_subset=True,
        specs=[
            dg.AssetCheckSpec(
                key.name,
                asset=key.asset_key,
                description=f"The last load is at most {policy.raw_max_age_hours} hours old (raw_max_age_hours). "
                "Told by raw_freshness_sensor.",
            )
            for key in _freshness_check_keys(policy)
        ],
    )
    def raw_freshness(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        for state in _states(warehouse, policy, datetime.now(UTC)):
            if (evaluation := _evaluation(state)).asset_check_key in context.selected_asset_check_keys:
                yield dg.AssetCheckResult(
                    asset_key=evaluation.asset_key,
                    check_name=evaluation.check_name,
                    passed=evaluation.passed,
                    severity=evaluation.severity,
                    description=evaluation.description,
                    metadata=evaluation.metadata,
                )

    return raw_freshness


def _raw_freshness_sensor(warehouse: Warehouse, policy: Policy) -> dg.SensorDefinition:
    @dg.sensor(
        name="raw_freshness_sensor",
        minimum_interval_seconds=FRESHNESS_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def raw_freshness_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        """Tell which feeds still send, and which have stopped. Starts no run."""
        now = datetime.now(UTC)
        told, cursor = news(_states(warehouse, policy, now), context.cursor, now)
        if not told:
            return dg.SkipReason("no feed has a new load, or has become late")
        return dg.SensorResult(asset_events=[_evaluation(state) for state in told], cursor=cursor)

    return raw_freshness_sensor


def _states(warehouse: Warehouse, policy: Policy, now: datetime) -> list[Freshness]:
    with warehouse.connect("marketing freshness") as connection:
        arrivals = latest_arrivals(connection)
    return freshness_of(arrivals, now, policy.raw_max_age_hours)


def _evaluation(state: Freshness) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey([RAW, state.feed]),
        check_name=f"{state.feed}_is_fresh",
        passed=not state.late,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"The last load ended at {state.latest_at:%Y-%m-%d %H:%M} UTC.",
        metadata={"latest_load_at": dg.MetadataValue.timestamp(state.latest_at)},
    )
