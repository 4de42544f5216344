"""[pure] Recalibration: candidates are fitted, and one is chosen, on one part of what is known, and judged on a later.

The one that is chosen must beat the calibration in force there by more than the noise: both are judged on the same
conversions, so what is left to chance is the difference alone. Many are tried, but only one is judged, so that trying
many cannot win by luck.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from orchestration.attribution.accuracy import Accuracy, Difference, compare, measure
from orchestration.attribution.credit import MILLION, Parameters, credited
from orchestration.attribution.intervals import times_drawn
from orchestration.attribution.markov import MAX_ORDER, State, Step, at_order, count_transitions, fit_markov
from orchestration.attribution.paths import PathCount
from orchestration.attribution.shapley import count_subsets, fit_shapley
from orchestration.attribution.totals import apportion
from orchestration.attribution.truth import Truth

HALF_LIVES_DAYS = (0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 14.0, 21.0, 30.0)
OUTER_WEIGHTS = tuple(tenth / 10 for tenth in range(11))
REPLICATES = 100
"""Resamples of persons from which the noise of fitted weights is known."""


@dataclass(frozen=True)
class Scored:
    """A candidate and its accuracy on the part that it was chosen on."""

    parameters: Parameters
    accuracy: float


@dataclass(frozen=True)
class Choice:
    """What a recalibration found.

    scored: the best of each method, best first. chosen: the first of them. present, candidate: accuracy of the
    calibration in force and of the chosen on the judged part; difference: of the second from the first, paired.
    is_better: by more than the noise.
    """

    scored: Sequence[Scored]
    chosen: Parameters
    present: Accuracy
    candidate: Accuracy
    difference: Difference

    @property
    def is_better(self) -> bool:
        """Whether the chosen one is better beyond the noise."""
        return self.difference.low > 0


def candidates(paths: Iterable[PathCount], rng: np.random.Generator) -> list[Parameters]:
    """Everything that is tried: chains of every order and Shapley values fitted to the paths, half-lives, positions."""
    paths = list(paths)
    transitions = count_transitions(paths, MAX_ORDER)
    fitted = [
        Parameters("markov", millionths(fit_markov(at_order(transitions, order), order).removal_effects), order)
        for order in range(1, MAX_ORDER + 1)
    ]
    fitted.append(Parameters("shapley", millionths(fit_shapley(count_subsets(paths), rng).weights)))
    decays = [Parameters("time_decay", half_life_days=days) for days in HALF_LIVES_DAYS]
    positions = [
        Parameters("position_based", first_weight=first, last_weight=last)
        for first, last in product(OUTER_WEIGHTS, repeat=2)
        if first + last <= 1 + 1e-9
    ]
    return [one for one in fitted if one.weights] + decays + positions


def millionths(weights: Mapping[str, float]) -> dict[str, int]:
    """Weights as whole millionths that add up to a million; all 0 stay 0."""
    if not any(weights.values()):
        return dict.fromkeys(sorted(weights), 0)
    return apportion(weights, MILLION)


def choose(
    tried: Sequence[Parameters],
    present: Parameters,
    known: Truth,
    later: Truth,
    rng: np.random.Generator,
    *,
    confidence: float,
) -> Choice:
    """Choose on the known part, judge on the later one. Raises ValueError where a part is empty, or nothing is tried.

    Of candidates that do equally well the first is chosen.
    """
    scored: dict[str, Scored] = {}
    for parameters in tried:
        accuracy = plain_accuracy(credited(parameters, known.journeys), known.channel)
        best = scored.get(parameters.method)
        if best is None or accuracy > best.accuracy:
            scored[parameters.method] = Scored(parameters, accuracy)
    ranked = sorted(scored.values(), key=lambda one: -one.accuracy)
    chosen = ranked[0].parameters
    before, after = (credited(one, later.journeys) for one in (present, chosen))
    return Choice(
        scored=ranked,
        chosen=chosen,
        present=measure(before, later.channel, later.person, rng),
        candidate=measure(after, later.channel, later.person, rng),
        difference=compare(after, before, later.channel, later.person, rng, level=confidence),
    )


def plain_accuracy(credits: np.ndarray, truth: np.ndarray) -> float:
    """1 - half the sum over channels of |mean credit - share of truth|, in [0, 1]."""
    if not len(truth):
        raise ValueError("no conversions whose channel is known: nothing to choose by")
    shares = np.bincount(truth, minlength=credits.shape[1]) / len(truth)
    return float(1 - np.abs(credits.mean(axis=0) - shares).sum() / 2)


def weight_replicates(
    parameters: Parameters, paths_by_group: Mapping[int, Sequence[PathCount]], rng: np.random.Generator
) -> list[dict[str, int]]:
    """The weights fitted again to resamples of groups of persons; none for a method without weights."""
    if not parameters.weights:
        return []
    fit = _refit_markov if parameters.method == "markov" else _refit_shapley
    return fit(parameters, [paths_by_group[group] for group in sorted(paths_by_group)], rng)


def _refit_markov(
    parameters: Parameters, groups: Sequence[Sequence[PathCount]], rng: np.random.Generator
) -> list[dict[str, int]]:
    order = parameters.markov_order
    counts = [count_transitions(paths, order) for paths in groups]
    keys: list[tuple[State, Step]] = list(dict.fromkeys(key for count in counts for key in count))
    table = np.array([[count[key] for key in keys] for count in counts])
    found = []
    for drawn in times_drawn(len(groups), REPLICATES, rng):
        summed = dict(zip(keys, (drawn @ table).tolist(), strict=True))
        found.append(millionths(fit_markov(summed, order).removal_effects))
    return found


def _refit_shapley(
    _parameters: Parameters, groups: Sequence[Sequence[PathCount]], rng: np.random.Generator
) -> list[dict[str, int]]:
    found = []
    for drawn in times_drawn(len(groups), REPLICATES, rng):
        paths = [
            PathCount(path.channels, path.conversions * int(times), path.nulls * int(times))
            for times, group in zip(drawn, groups, strict=True)
            if times
            for path in group
        ]
        found.append(millionths(fit_shapley(count_subsets(paths), rng).weights))
    return found
