"""One recalibration: from what the warehouse holds to a stored calibration, in force when better beyond the noise."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Any

import numpy as np
import scipy

from orchestration.policy import Policy
from orchestration.warehouse import Warehouse
from orchestration.warehouse import path_statistics as statistics
from orchestration.warehouse.builds import is_standing
from orchestration.warehouse.calibrations import calibrations, evidence, promote, store
from orchestration.warehouse.locks import BuildLock

from .calibration import Choice, candidates, choose, weight_replicates
from .credit import Parameters
from .fits import SEED, parameters_of
from .markov import MAX_ORDER, count_transitions
from .paths import PathCount
from .prediction import Prediction, judge, predicted
from .truth import SURVEY, Truth


class RecalibrationError(Exception):
    """There is nothing to recalibrate on; the message says what is missing."""


class TooLittleTruthError(RecalibrationError):
    """Too few conversions have a survey answer; more will come."""


class NothingNewError(RecalibrationError):
    """The newest calibration was fitted to and judged on just what is known now."""


@dataclass(frozen=True)
class Recalibration:
    """What came of one. calibration_id: of the stored fit, None in a dry run; promoted: whether it came into force."""

    choice: Choice
    prediction: Prediction
    known: int
    judged: int
    calibration_id: int | None
    promoted: bool
    reason: str

    def __str__(self) -> str:
        if self.promoted:
            return f"calibration {self.calibration_id} is promoted; the next build credits by it. {self.reason}"
        kept = "nothing is stored" if self.calibration_id is None else f"stored as calibration {self.calibration_id}"
        verdict = "it would be promoted" if self.choice.is_better else "the one in force stays"
        return f"{kept}; {verdict}. {self.reason}"


def recalibrate(
    warehouse: Warehouse,
    policy: Policy,
    *,
    requested_by: str,
    dry_run: bool = False,
    wait_seconds: float = 600,
    tell: Callable[[str], None] = lambda line: None,
) -> Recalibration:
    """Fit, choose, judge and store; promote what is better. No build runs meanwhile: it would change what is read.

    dry_run: store and promote nothing. Raises RecalibrationError where too little is known or nothing is published,
    and BuildRunningError when a build does not end within wait_seconds.
    """
    with (
        warehouse.connect("marketing recalibration", autocommit=True) as connection,
        BuildLock(connection) as lock,
    ):
        lock.take(wait_seconds=wait_seconds, on_wait=lambda holder: tell(f"waiting for a build: {holder}"))
        if not is_standing(connection):
            raise RecalibrationError("the latest build was not published: run marketing build first")
        with connection.transaction():
            return _recalibrate(connection, policy, requested_by, dry_run, tell)


def _recalibrate(
    connection: Any, policy: Policy, requested_by: str, dry_run: bool, tell: Callable[[str], None]
) -> Recalibration:
    period = statistics.period(connection)
    judged_from = period.to_on - timedelta(days=policy.recalibration_judged_days - 1)
    touches = [row for row in statistics.truth_journeys(connection) if row["truth_method"] == SURVEY]
    truth = Truth.of(touches)
    # Chosen on the days right before those it is judged on: of a world that changed, the rest is of the old one.
    chosen_from = judged_from - timedelta(days=policy.recalibration_judged_days)
    known, later = (
        truth.between(chosen_from, judged_from - timedelta(days=1)),
        truth.between(judged_from, period.to_on),
    )
    _check_enough(known, later, policy)

    # A channel's place among others has no touch to be credited: fits are of channels as they were touched then.
    transformed = policy.attribution_path_transform != "frequency"
    tell(f"fitting to paths that ended from {period.from_on} to {judged_from - timedelta(days=1)}")
    by_group = _paths_by_group(statistics.paths(connection, period.from_on, judged_from, transformed=transformed))
    paths = [path for group in by_group.values() for path in group]
    stored = calibrations(connection)
    in_force = next(one for one in stored if one.in_force)
    fingerprint = _fingerprint(paths, touches, policy)
    if not dry_run and stored[0].evidence_sha256 == fingerprint:
        raise NothingNewError(f"nothing new is known since calibration {stored[0].calibration_id}")
    rng = np.random.default_rng(SEED)
    tried = candidates(paths, rng)
    tell(f"{len(tried)} candidates, chosen on {len(known):,} answers, judged on {len(later):,} from {judged_from} on")
    choice = choose(
        tried, parameters_of(in_force, policy), known, later, rng, confidence=policy.recalibration_confidence
    )
    held_out = statistics.paths(connection, judged_from, period.to_on + timedelta(days=1), transformed=transformed)
    prediction = _predict(paths, _summed(held_out), choice.chosen.markov_order or 1)
    reason = _reason(choice, in_force.calibration_id, policy)
    if dry_run:
        return Recalibration(choice, prediction, len(known), len(later), None, False, reason)

    calibration_id = store(
        connection,
        method=choice.chosen.method,
        parameters=_stored(choice.chosen, policy),
        weights=dict(choice.chosen.weights),
        # Of all groups and by draws of their own, which intervals repeat: who converts by a channel speaks for its
        # weight, too.
        weight_replicates=weight_replicates(
            choice.chosen,
            {group: by_group.get(group, []) for group in range(policy.attribution_person_groups)},
            np.random.default_rng(SEED),
        ),
        scores=_scores(choice, prediction, in_force.calibration_id, len(known), len(later)),
        fit_from_on=period.from_on,
        fit_to_on=judged_from - timedelta(days=1),
        judged_from_on=judged_from,
        judged_to_on=period.to_on,
        build_id=period.build_id,
        evidence_load_id=evidence(connection),
        evidence_sha256=fingerprint,
        recommended=choice.is_better,
        requested_by=requested_by,
        reason=reason,
    )
    promoted = choice.is_better and promote(
        connection,
        calibration_id,
        requested_by=requested_by,
        reason=reason,
        # A person who has promoted another one meanwhile has the last word.
        instead_of=in_force.calibration_id,
    )
    return Recalibration(choice, prediction, len(known), len(later), calibration_id, promoted, reason)


def _check_enough(known: Truth, later: Truth, policy: Policy) -> None:
    least = policy.attribution_accuracy_min_conversions
    for part, name in ((known, "to choose on"), (later, "to judge on")):
        if len(part) < least:
            raise TooLittleTruthError(
                f"{len(part):,} conversions with a survey answer and a touch {name}: at least {least:,} are needed "
                "(attribution_accuracy_min_conversions)"
            )


def _paths_by_group(rows: Sequence[tuple[int, list[str], int, int]]) -> dict[int, list[PathCount]]:
    groups: dict[int, list[PathCount]] = defaultdict(list)
    for group, channels, conversions, nulls in rows:
        groups[group].append(PathCount(tuple(channels), conversions, nulls))
    return dict(groups)


def _summed(rows: Sequence[tuple[int, list[str], int, int]]) -> list[PathCount]:
    return [PathCount(tuple(channels), conversions, nulls) for _group, channels, conversions, nulls in rows]


def _predict(fitted: Sequence[PathCount], held_out: Sequence[PathCount], order: int) -> Prediction:
    """How well the chain foretells which later journeys converted; of order 1 where no chain was chosen."""
    scores = predicted(count_transitions(fitted, MAX_ORDER), order, held_out)
    conversions, nulls = (np.array([getattr(path, name) for path in held_out]) for name in ("conversions", "nulls"))
    return judge(np.array(scores), conversions, nulls)


def _reason(choice: Choice, in_force: int, policy: Policy) -> str:
    difference = choice.difference
    told = (
        f"{choice.chosen.name}: accuracy {choice.candidate.accuracy:.3f} against {choice.present.accuracy:.3f} of "
        f"calibration {in_force}; without the bias of noise the difference is {difference.difference:+.3f} "
        f"({difference.low:+.3f} to {difference.high:+.3f} at {policy.recalibration_confidence:g})"
    )
    return told if choice.is_better else f"{told}: not beyond the noise"


def _stored(parameters: Parameters, policy: Policy) -> dict[str, Any]:
    """Parameters as they are kept: numbers of the method as text, exact; and all that is needed to repeat the fit."""
    numbers = {
        name: f"{value:g}"
        for name in ("half_life_days", "first_weight", "last_weight")
        if (value := getattr(parameters, name)) is not None
    }
    order = {} if parameters.markov_order is None else {"markov_order": parameters.markov_order}
    fitted_under = {name: value for name, value in policy.model_dump().items() if name.startswith("attribution_")}
    versions = {"numpy": np.__version__, "scipy": scipy.__version__}
    return {**numbers, **order, "seed": SEED, "policy": fitted_under, "versions": versions}


def _scores(choice: Choice, prediction: Prediction, in_force: int, known: int, judged: int) -> dict[str, Any]:
    def measured(accuracy: Any) -> dict[str, float]:
        names = ("accuracy", "corrected", "low", "high", "ceiling", "hit_rate")
        return {name: round(float(getattr(accuracy, name)), 6) for name in names}

    difference = choice.difference
    return {
        "chosen_on": {
            "conversions": known,
            "accuracy": {one.parameters.name: round(one.accuracy, 6) for one in choice.scored},
        },
        "judged_on": {
            "conversions": judged,
            "candidate": measured(choice.candidate),
            "in_force": {"calibration_id": in_force, **measured(choice.present)},
            "difference": {name: round(float(getattr(difference, name)), 6) for name in ("difference", "low", "high")},
        },
        "prediction": {
            "journeys": prediction.journeys,
            "conversions": prediction.conversions,
            "auc": _rounded(prediction.auc),
            "auc_low": _rounded(prediction.low),
            "auc_high": _rounded(prediction.high),
            "auc_of_base_rate": 0.5,
            "log_loss": _rounded(prediction.log_loss),
            "log_loss_of_base_rate": _rounded(prediction.base_log_loss),
        },
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)


def _fingerprint(paths: Sequence[PathCount], touches: Sequence[Mapping[str, Any]], policy: Policy) -> str:
    """SHA-256 of what was fitted to, judged on and by: the same evidence gives the same calibration."""
    digest = hashlib.sha256(policy.sha256.encode())
    for path in paths:
        digest.update(repr((path.channels, path.conversions, path.nulls)).encode())
    for conversion, rows in groupby(touches, key=lambda row: row["conversion_id"]):
        found = [(row["true_channel"], row["channel"], row["touched_at"]) for row in rows]
        digest.update(repr((conversion, found)).encode())
    return digest.hexdigest()
