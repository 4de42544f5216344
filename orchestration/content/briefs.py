"""[pure] What a model is told of an opportunity: a goal of ours, figures of many people, and placeholders. No person.

Left out on purpose: the day of the figures, with which each day's brief would be another one, and another bill; amounts
and bounds of intervals, which no reader of a mail is told; and of a campaign's name what it should not hold (brief_of).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..channels import CHANNELS
from ..documents import fault_lines
from .folding import visible
from .languages import Language, language_of
from .personal_data import shapes_in

UNSUBSCRIBE = "unsubscribe_url"
DAY = "date"
NAME_MAX_CHARS = 120

Kind = Literal["underperforming_campaign", "super_connectors", "expiring_invites"]
Placeholder = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Host = Annotated[str, Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")]


class BriefError(ValueError):
    """Says why no brief can be written of an opportunity, a line for each fault."""


class Fact(BaseModel):
    """value: the text as it may be quoted (`38.2 %`, `1,204`); unit: what it counts, or `date`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    value: str
    unit: str


class Brief(BaseModel):
    """What one draft is asked for. subject_name is text from campaigns: data, never instructions. channel: one that
    everybody knows, or None.

    placeholders: names, written `{{name}}` in a text; those in required_placeholders stand whole in every body.
    link_hosts: hosts that a link may lead to. variants: how many the draft has. language: a BCP 47 tag.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    subject_id: str
    subject_name: str | None
    channel: str | None
    language: str
    goal: str
    facts: tuple[Fact, ...]
    placeholders: tuple[Placeholder, ...]
    required_placeholders: tuple[Placeholder, ...]
    link_hosts: tuple[Host, ...]
    variants: Annotated[int, Field(ge=1, le=10)]

    @cached_property
    def key(self) -> str:
        """SHA-256, in hex, of the brief as canonical JSON: what a job is told by."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def days(self) -> tuple[date, ...]:
        """The days among its facts."""
        language = language_of(self.language)
        return tuple(language.day_of(fact.value) for fact in self.facts if fact.unit == DAY)

    def is_over(self, today: date) -> bool:
        """Whether a day that it names has passed: nothing written to it may be sent any more."""
        return any(day < today for day in self.days)


@dataclass(frozen=True)
class _Kind:
    """needs: columns without which there is no brief; facts: names of those that every such brief has."""

    goal: str
    needs: tuple[str, ...]
    facts: tuple[str, ...]
    placeholders: tuple[str, ...]
    required: tuple[str, ...]


KINDS: dict[str, _Kind] = {
    "underperforming_campaign": _Kind(
        "Rewrite the e-mail of this campaign so that more of its recipients take the step that it asks for: the other "
        "campaigns in its channel do better.",
        ("people", "rate", "benchmark_rate", "shortfall"),
        ("recipients", "conversion_rate", "channel_conversion_rate", "shortfall"),
        ("first_name", "action_url", UNSUBSCRIBE),
        ("action_url", UNSUBSCRIBE),
    ),
    "super_connectors": _Kind(
        "Thank people who have brought many others lately, and make it easy for them to invite whom they still miss.",
        ("people",),
        ("super_connectors",),
        ("first_name", "invite_url", UNSUBSCRIBE),
        ("invite_url", UNSUBSCRIBE),
    ),
    "expiring_invites": _Kind(
        "Remind people kindly that somebody whom they know invited them, and by when they can accept.",
        ("people", "deadline_on"),
        ("invited", "deadline"),
        ("inviter_name", "invite_url", UNSUBSCRIBE),
        ("invite_url", UNSUBSCRIBE),
    ),
}


def brief_of(opportunity: Mapping[str, Any], *, link_hosts: tuple[str, ...], language: str, variants: int) -> Brief:
    """The brief of a row of marts.content_opportunities; rates to a tenth of a percent, as people read them.

    A campaign's name with the shape of an address or a number of somebody's is left out, and the goal says so: for its
    name a failing campaign should not go without a brief. Raises BriefError for an unknown kind or language and for a
    figure that is missing.
    """
    kind, known = KINDS.get(opportunity["kind"]), language_of(language)
    if kind is None:
        raise BriefError(f"kind: found {opportunity['kind']!r}, expected one of {', '.join(KINDS)}")
    faults = [f"{column}: missing" for column in kind.needs if opportunity[column] is None]
    if known is None:
        faults.append(f"language: found {language!r}, of which nothing is known here: no text in it could be judged")
    if faults:
        raise BriefError("\n".join(f"{opportunity['subject_id']}: {fault}" for fault in faults))
    name, left_out = _name(opportunity["subject_name"])
    try:
        return Brief(
            kind=opportunity["kind"],
            subject_id=opportunity["subject_id"],
            subject_name=name,
            # Of any other name nobody knows what else it says.
            channel=opportunity["channel"] if opportunity["channel"] in CHANNELS else None,
            language=language,
            goal=" ".join([kind.goal, *left_out]),
            facts=_facts(opportunity, known),
            placeholders=kind.placeholders,
            required_placeholders=kind.required,
            link_hosts=link_hosts,
            variants=variants,
        )
    except ValidationError as error:
        raise BriefError("\n".join(fault_lines(opportunity["subject_id"], error, whole="the brief"))) from None


def _name(text: str | None) -> tuple[str | None, list[str]]:
    if text is None:
        return None, []
    if shapes := shapes_in(text):
        return None, [f"Its name is left out: it held what looks like {' and '.join(shapes)}."]
    printable = "".join(one if one.isprintable() else " " for one in visible(text))
    return " ".join(printable.split())[:NAME_MAX_CHARS] or None, []


def _facts(opportunity: Mapping[str, Any], language: Language) -> tuple[Fact, ...]:
    def share(name: str, column: str, of: str) -> Fact:
        return Fact(name=name, value=f"{_tenth(opportunity[column])} %", unit=f"percent of {of}")

    people = f"{opportunity['people']:,}"
    if opportunity["kind"] == "underperforming_campaign":
        return (
            Fact(name="recipients", value=people, unit="people"),
            share("conversion_rate", "rate", "recipients of this campaign"),
            share("channel_conversion_rate", "benchmark_rate", "recipients of the other campaigns in its channel"),
            Fact(
                name="shortfall",
                value=f"{_tenth(opportunity['shortfall'])} percentage points",
                unit="difference of the two rates",
            ),
        )
    if opportunity["kind"] == "expiring_invites":
        return (
            Fact(name="invited", value=people, unit="people whose invites expire"),
            Fact(name="deadline", value=language.day(opportunity["deadline_on"]), unit=DAY),
        )
    invites = [] if opportunity["rate"] is None else [share("joins_per_invite", "rate", "their invites")]
    return (Fact(name="super_connectors", value=people, unit="people who have brought many others"), *invites)


def _tenth(fraction: Decimal) -> Decimal:
    return (Decimal(fraction) * 100).quantize(Decimal("0.1"), ROUND_HALF_EVEN)
