"""[pure] Alert rules as the rule file tells them, with thresholds that the policy names.

What a rule says of samples is in evaluation.py; whom it tells, in routing.py.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo

from ..documents import DocumentError, fault_lines, parsed_yaml

DURATION = re.compile(r"([0-9]{1,9})\s*(s|m|h|d)")
LONGEST = timedelta(days=3650)
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
# Endings of names of the policy that are durations.
POLICY_UNITS = {"_ms": "milliseconds", "_minutes": "minutes", "_hours": "hours", "_days": "days"}


class RulesError(Exception):
    """One line for each fault of a rule file: where, what was found, what is expected. Nothing of it is in force."""


class Severity(StrEnum):
    """How much it matters: from `for the record` to `somebody gets up at night`."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Action(StrEnum):
    """What a firing rule does besides telling people; each at most once for an incident."""

    NOTIFY_MARKETING_TEAM = "notify_marketing_team"
    PAGE_ON_CALL = "page_on_call"
    DISABLE_AI_FALLBACK_MANUAL = "disable_ai_fallback_manual"
    TRIGGER_RECALIBRATION = "trigger_recalibration"


def duration(text: str) -> timedelta | None:
    """`90s`, `15m`, `6h` or `2d`, of ten years at most; None for anything else."""
    told = DURATION.fullmatch(text.strip())
    found = timedelta(**{UNITS[told[2]]: int(told[1])}) if told else None
    return None if found is None or found > LONGEST else found


def _of_policy(name: str, info: ValidationInfo) -> int | float | None:
    """The policy's number of that name; None where it has none."""
    found = (info.context or {}).get("policy", {}).get(name)
    return None if isinstance(found, bool) or not isinstance(found, int | float) else found


def _number(value: Any, info: ValidationInfo) -> Any:
    """A number, or the policy's number of that name."""
    found = _of_policy(value, info) if isinstance(value, str) else value
    if found is None or isinstance(found, bool):
        raise ValueError("expected a number or the name of one in dbt_project.yml")
    return found


def _duration(value: Any, info: ValidationInfo) -> Any:
    """`90s`, `15m`, `6h`, `2d`, or the policy's duration of that name."""
    if value is None or isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        if (told := duration(value)) is not None:
            return told
        number = _of_policy(value, info)
        unit = next((unit for ending, unit in POLICY_UNITS.items() if value.endswith(ending)), None)
        if unit is not None and number is not None:
            return timedelta(**{unit: number})
    raise ValueError("expected a duration such as 90s, 15m, 6h, 2d, or the name of one in dbt_project.yml")


Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Text = Annotated[str, Field(min_length=1, max_length=500)]


class Rule(BaseModel):
    """One rule. Rates are fractions, as everywhere.

    below or above: the threshold; it fires when samples have been beyond it for `for` without a break. clear_at: what a
    value must reach for it to be over (default: the threshold itself), for keep_firing without a break.
    by_interval: the whole interval of a sample must be beyond the threshold, not only its value; a sample without one
    says too little. min_sample, min_maturity: below them a sample says too little as well.
    no_data_after: how long samples may say nothing before that is told, once one of them has said something; null: for
    ever. stale_after: how old the newest one may be; null: any age. no_data_severity, no_data_channels: of that
    message (default of the channels: the rule's). inhibited_by: rules, of which one that fires keeps this one from
    telling. repeat_every: told again while it fires. escalate_after: to the owner's escalation, when nobody
    acknowledged it by then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    summary: Text
    metric: Name
    below: Number | None = None
    above: Number | None = None
    clear_at: Number | None = None
    for_: Duration = Field(timedelta(), alias="for")
    keep_firing: Duration = timedelta()
    by_interval: bool = False
    min_sample: Annotated[int, BeforeValidator(_number), Field(ge=0)] = 0
    min_maturity: Annotated[Number, Field(ge=0, le=1)] = 0.0
    no_data_after: Duration | None = None
    stale_after: Duration | None = None
    no_data_severity: Severity = Severity.WARNING
    no_data_channels: tuple[Name, ...] = ()
    severity: Severity
    channels: tuple[Name, ...] = Field(min_length=1)
    action: Action | None = None
    owner: Text
    runbook: Text
    inhibited_by: tuple[Name, ...] = ()
    repeat_every: Annotated[Duration, Field(ge=timedelta(minutes=1))] | None = None
    escalate_after: Duration | None = None

    @property
    def threshold(self) -> float:
        """The value beyond which it fires."""
        return self.below if self.below is not None else self.above

    @property
    def comparison(self) -> Literal["below", "above"]:
        """On which side of it."""
        return "below" if self.below is not None else "above"

    @property
    def clears_at(self) -> float:
        """The value with which it is over."""
        return self.threshold if self.clear_at is None else self.clear_at

    @property
    def looks_back(self) -> timedelta:
        """How far before now samples can matter to what it says now."""
        waits = (self.for_, self.keep_firing, self.no_data_after or timedelta(), self.stale_after or timedelta())
        return max(waits) + timedelta(hours=1)


def parse_rules(
    text: str,
    *,
    policy: Mapping[str, Any],
    metrics: frozenset[str],
    channels: frozenset[str],
    owners: frozenset[str],
    required: frozenset[str] = frozenset(),
) -> tuple[Rule, ...]:
    """The rules of a file, in its order.

    policy: numbers by name. metrics, channels, owners: what there is to name. required: names of rules that must be
    there. Raises RulesError with a line for every fault, so that a file is mended in one go; then none of it is in
    force.
    """
    given = _entries(text)
    rules: list[Rule] = []
    faults: list[str] = []
    for number, entry in enumerate(given, start=1):
        where = f"rule {number}"
        if isinstance(entry, dict) and isinstance(entry.get("name"), str):
            where += f" ({entry['name']})"
        try:
            rules.append(Rule.model_validate(entry, context={"policy": policy}))
        except ValidationError as error:
            faults += fault_lines(where, error, whole="the rule")
        if isinstance(entry, dict):
            faults += [f"{where}: {fault}" for fault in _contradictions(entry, policy)]
            faults += [f"{where}: {fault}" for fault in _unknown_names(entry, given, metrics, channels, owners)]
    faults += _missing_and_circles(given, required)
    if faults:
        raise RulesError("\n".join(faults))
    return tuple(rules)


def _entries(text: str) -> list[Any]:
    try:
        document = parsed_yaml(text)
    except DocumentError as error:
        raise RulesError(str(error)) from None
    if not isinstance(document, dict) or set(document) != {"rules"} or not isinstance(document["rules"], list):
        raise RulesError("expected a mapping with the one key `rules`, a list")
    if not document["rules"]:
        raise RulesError("rules: found none, by which nobody would be told of anything")
    return document["rules"]


def owners_named(text: str) -> frozenset[str] | None:
    """The owners that rules of a file name, malformed ones too; None of a file that cannot be read as rules."""
    try:
        given = _entries(text)
    except RulesError:
        return None
    owners = (entry.get("owner") for entry in given if isinstance(entry, dict))
    return frozenset(owner for owner in owners if isinstance(owner, str))


def _contradictions(entry: Mapping[str, Any], policy: Mapping[str, Any]) -> Iterator[str]:
    """What single fields cannot say, as far as the fields can be read."""
    if (entry.get("below") is None) == (entry.get("above") is None):
        yield "expected one of below and above"
        return
    comparison = "below" if entry.get("below") is not None else "above"
    threshold, clear_at = (_read(entry.get(name), policy) for name in (comparison, "clear_at"))
    if threshold is None or clear_at is None:
        return
    if clear_at < threshold if comparison == "below" else clear_at > threshold:
        yield f"clear_at {clear_at:g} lies beyond the threshold {threshold:g}"


def _read(value: Any, policy: Mapping[str, Any]) -> float | None:
    """A number, or the policy's of that name; None for what is none, which its own field tells."""
    found = policy.get(value) if isinstance(value, str) else value
    return None if isinstance(found, bool) or not isinstance(found, int | float) else found


def _unknown_names(
    entry: Mapping[str, Any],
    given: Sequence[Any],
    metrics: frozenset[str],
    channels: frozenset[str],
    owners: frozenset[str],
) -> Iterator[str]:
    """What an entry names that there is not. What is no name at all, its own field tells."""
    names = _names(given)
    if names.count(name := entry.get("name")) > 1:
        yield f"name: found it {names.count(name)} times, expected one rule of a name"
    for field, known in (("metric", metrics), ("owner", owners)):
        if isinstance(found := entry.get(field), str) and found not in known:
            yield f"{field}: found {found!r}, expected one of {', '.join(sorted(known))}"
    for field in ("channels", "no_data_channels"):
        for channel in _texts(entry.get(field)):
            if channel not in channels:
                yield f"{field}: found {channel!r}, expected one of {', '.join(sorted(channels))}"
    for other in _texts(entry.get("inhibited_by")):
        if other not in names:
            yield f"inhibited_by: found {other!r}, expected the name of another rule"


def _missing_and_circles(given: Sequence[Any], required: frozenset[str]) -> Iterator[str]:
    for name in sorted(required - set(_names(given))):
        yield f"rules: found none named {name}, which the engine itself needs"
    named = [entry for entry in given if isinstance(entry, dict) and isinstance(entry.get("name"), str)]
    try:
        TopologicalSorter({entry["name"]: _texts(entry.get("inhibited_by")) for entry in named}).prepare()
    except CycleError as error:
        # Each would keep the other quiet, and nobody would hear of either.
        yield f"inhibited_by goes in a circle: {' -> '.join(reversed(error.args[1]))}"


def _names(given: Sequence[Any]) -> list[str]:
    """Of all entries, malformed ones too: one fault is one line."""
    return [entry["name"] for entry in given if isinstance(entry, dict) and isinstance(entry.get("name"), str)]


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list | tuple) else []
