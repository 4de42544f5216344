"""[pure] The figures by which a load is judged, from what was measured of its rows and of the loads before it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from expectations.raw import Kind, Measure
from expectations.suite import number
from orchestration.policy import Policy

# The largest earlier load counts by this part beside the median.
RARE_PEAK = 5

NO_BASELINE = "no_baseline"
TOO_FEW_RECORDS = "too_few_records"
NOTHING_TO_JUDGE = "nothing_to_judge"

Profile = Mapping[str, Any]
"""What is kept of a load: records; by column mix, most_of_one, amounts; after_arrival; rate_change."""


@dataclass(frozen=True)
class NewLoad:
    """A load that a build has claimed and none has published, as the ledger tells it."""

    load_id: int
    feed: str
    records_read: int
    inserted: int
    conflicting: int
    quarantined: int
    earliest_at: datetime | None


@dataclass(frozen=True)
class EarlierLoad:
    """A published load. profile: None when it was published without having been judged."""

    load_id: int
    inserted: int
    profile: Profile | None


@dataclass(frozen=True)
class History:
    """A feed's newest published loads that brought records, newest first; oldest_at: its oldest published record."""

    loads: Sequence[EarlierLoad]
    oldest_at: datetime | None


@dataclass
class Figures:
    """One load's row of the judged frame: figure to value, None where it is not judged.

    unjudged: why not, by figure. details: the words that make a figure understood, without personal data.
    """

    load_id: int
    values: dict[str, float | None] = field(default_factory=dict)
    unjudged: dict[str, str] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)

    def judge(self, figure: str, value: float, detail: str = "") -> None:
        """Put a figure up for judgement."""
        self.values[figure] = value
        if detail:
            self.details[figure] = detail

    def leave(self, figure: str, why: str) -> None:
        """Leave a figure unjudged."""
        self.values[figure] = None
        self.unjudged[figure] = why

    @property
    def row(self) -> dict[str, Any]:
        """The row to judge."""
        return {"load_id": self.load_id, **self.values}


def figures_of(
    load: NewLoad, profile: Profile, history: History, measures: Iterable[Measure], policy: Policy
) -> Figures:
    """The figures of one load beside the history of its feed."""
    figures = Figures(load.load_id)
    _shares(figures, load, policy)
    _volume(figures, profile, history, policy)
    _reach(figures, load, history, policy)
    for measure in measures:
        match measure.kind:
            case Kind.CLOCK:
                _clock(figures, profile, policy)
            case Kind.MIX:
                _mix(figures, measure.column, profile, history.loads, policy)
            case Kind.PERSON:
                _one_person(figures, measure.column, profile, policy)
            case Kind.AMOUNT:
                _amounts(figures, measure.column, profile, history.loads, policy)
            case Kind.RATE:
                _rates(figures, profile)
    return figures


def shift(mix: Mapping[str, int], earlier: Mapping[str, int]) -> float:
    """Share of one mix's records that would have to change category to give the other's shares: 0 alike, 1 disjoint.

    The total variation distance. Each mix: category to number of records, at least one.
    """
    total, earlier_total = sum(mix.values()), sum(earlier.values())
    return 0.5 * sum(abs(mix.get(one, 0) / total - earlier.get(one, 0) / earlier_total) for one in {*mix, *earlier})


def _shares(figures: Figures, load: NewLoad, policy: Policy) -> None:
    counts = {"quarantined_share": load.quarantined, "conflicting_share": load.conflicting}
    for figure, count in counts.items():
        if load.records_read < policy.load_min_records:
            figures.leave(figure, TOO_FEW_RECORDS)
        else:
            figures.judge(figure, count / load.records_read, f"{count:,} of {load.records_read:,} records")


def _volume(figures: Figures, profile: Profile, history: History, policy: Policy) -> None:
    if len(history.loads) < policy.history_min_loads:
        figures.leave("volume_ratio", NO_BASELINE)
        return
    sizes = [earlier.inserted for earlier in history.loads]
    # The month's great mailing is no surprise among daily files; and of tiny loads a few times more is nothing yet.
    usual = max(median(sizes), max(sizes) / RARE_PEAK, policy.load_min_records)
    detail = f"{profile['records']:,} records, before {median(sizes):,.0f} in the median, {max(sizes):,} at most"
    figures.judge("volume_ratio", profile["records"] / usual, detail)


def _reach(figures: Figures, load: NewLoad, history: History, policy: Policy) -> None:
    if len(history.loads) < policy.history_min_loads or history.oldest_at is None:
        figures.leave("backdated_days", NO_BASELINE)
    elif load.earliest_at is None:
        figures.leave("backdated_days", NOTHING_TO_JUDGE)
    else:
        days = (history.oldest_at - load.earliest_at) / timedelta(days=1)
        oldest = f"its oldest record is of {load.earliest_at:%Y-%m-%d}, the feed's of {history.oldest_at:%Y-%m-%d}"
        figures.judge("backdated_days", max(0.0, days), oldest)


def _clock(figures: Figures, profile: Profile, policy: Policy) -> None:
    if profile["records"] < policy.load_min_records:
        figures.leave("future_share", TOO_FEW_RECORDS)
        return
    late = profile["after_arrival"]
    figures.judge("future_share", late / profile["records"], f"{late:,} of {profile['records']:,} records")


def _mix(figures: Figures, column: str, profile: Profile, earlier: Sequence[EarlierLoad], policy: Policy) -> None:
    figure = f"{column}_shift"
    if profile["records"] < policy.load_min_mix_records:
        figures.leave(figure, TOO_FEW_RECORDS)
        return
    mix = profile["mix"][column]
    mixes = {load.load_id: _earlier_mix(load, column, policy.load_min_mix_records) for load in earlier}
    shifts = {load_id: shift(mix, known) for load_id, known in mixes.items() if known}
    if len(shifts) < policy.history_min_loads:
        figures.leave(figure, NO_BASELINE)
        return
    nearest = min(shifts, key=lambda load_id: shifts[load_id])
    figures.judge(figure, shifts[nearest], f"{_told(mix)}; load {nearest} had {_told(mixes[nearest])}")


def _earlier_mix(load: EarlierLoad, column: str, least: int) -> Mapping[str, int] | None:
    if load.profile is None or load.profile["records"] < least:
        return None
    return load.profile["mix"].get(column)


def _one_person(figures: Figures, column: str, profile: Profile, policy: Policy) -> None:
    figure = f"one_{column}_share"
    if profile["records"] < policy.load_min_mix_records:
        figures.leave(figure, TOO_FEW_RECORDS)
        return
    most = profile["most_of_one"][column]
    figures.judge(figure, most / profile["records"], f"{most:,} of {profile['records']:,} records name one {column}")


def _amounts(figures: Figures, column: str, profile: Profile, earlier: Sequence[EarlierLoad], policy: Policy) -> None:
    amounts = profile["amounts"].get(column)
    if amounts is None:
        figures.leave(f"largest_{column}", NOTHING_TO_JUDGE)
        figures.leave(f"typical_{column}_ratio", NOTHING_TO_JUDGE)
        return
    figures.judge(f"largest_{column}", amounts["largest"])
    figure = f"typical_{column}_ratio"
    if amounts["count"] < policy.load_min_records:
        figures.leave(figure, TOO_FEW_RECORDS)
        return
    known = [load.profile["amounts"].get(column) for load in earlier if load.profile is not None]
    typical = [one["typical"] for one in known if one is not None and one["count"] >= policy.load_min_records]
    if len(typical) < policy.history_min_loads:
        figures.leave(figure, NO_BASELINE)
        return
    usual = median(typical)
    figures.judge(figure, amounts["typical"] / usual, f"typically {number(amounts['typical'])}, before {number(usual)}")


def _rates(figures: Figures, profile: Profile) -> None:
    if profile["rate_change"] is None:
        figures.leave("rate_change", NO_BASELINE)
        return
    times, whose = profile["rate_change"]
    figures.judge("rate_change", times, whose)


def _told(mix: Mapping[str, int]) -> str:
    """The three largest shares of a mix in words."""
    total = sum(mix.values())
    largest = sorted(mix, key=lambda one: (-mix[one], one))[:3]
    return ", ".join(f"{one} {mix[one] / total:.0%}" for one in largest)
