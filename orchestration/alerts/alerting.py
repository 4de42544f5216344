"""What an installation's alerts are made of: rules, contacts, and the transports of its channels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestration.policy import Policy
from orchestration.warehouse.metric_sources import METRICS, VIRAL_METRICS
from orchestration.webhooks import is_webhook_secret, webhook_secret

from .channels import AppriseTransport, FileTransport, Transport, WebhookTransport
from .routing import TEAMS, Contact
from .rules import Rule, RulesError, owners_named, parse_rules

RULES = Path(__file__).with_name("rules.yml")
FILE, WEBHOOK = "file", "webhook"
# The names that rules may use, whether or not an installation has an address for them.
CHANNELS = frozenset({"slack", "mail", "pagerduty", WEBHOOK, FILE})
OWNERS = ("Marketing Automation", "AI/ML", "Infrastructure", "On-Call")
# Of these the engine itself makes use: the monitor tells of an outage by the channels of this one.
REQUIRED = frozenset({"engine_silent"})


class _Owner(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: tuple[str, ...] = ()
    escalation: tuple[str, ...] = ()


class _Contacts(BaseModel):
    """The contacts file. channels: name to an address of Apprise's; owners: name to further channels of theirs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: dict[str, Annotated[str, Field(pattern=r"^[a-z][a-z0-9+.-]*://")]] = {}
    owners: dict[str, _Owner] = {}


@dataclass(frozen=True)
class _Named:
    """Channels of a contacts file, and each owner with the channels that it uses: as far as they can be read."""

    channels: frozenset[str]
    owners: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, document: Any) -> Self:
        """Those of a file that may be malformed."""
        channels, owners = (_mapping(_mapping(document).get(name)) for name in ("channels", "owners"))
        used = {
            name: frozenset(
                one
                for listed in map(_mapping(owner).get, _Owner.model_fields)
                for one in (listed if isinstance(listed, list) else ())
                if isinstance(one, str)
            )
            for name, owner in owners.items()
        }
        return cls(frozenset(channels), used)


def _mapping(value: Any) -> dict[str, Any]:
    return {key: one for key, one in value.items() if isinstance(key, str)} if isinstance(value, dict) else {}


@dataclass(frozen=True)
class Addresses:
    """Where alerts can go. contacts: a file, which need not be there unless a person named it (must_exist).
    webhook_secrets: the first is the newest; none: one is made and kept under home."""

    home: Path
    contacts: Path
    must_exist: bool = False
    webhook_url: str | None = field(default=None, repr=False)
    webhook_secrets: Sequence[str] = field(default=(), repr=False)
    webhook_may_be_private: bool = False


@dataclass(frozen=True)
class Alerting:
    """The rules in force. A channel without an address is replaced by the file, which always is there.

    resting: names of rules that are not judged, since what they watch is switched off.
    """

    rules: tuple[Rule, ...]
    resting: frozenset[str]
    contacts: Mapping[str, Contact]
    transports: Mapping[str, Transport]
    without_address: frozenset[str]

    @cached_property
    def by_name(self) -> dict[str, Rule]:
        """Rule by its name."""
        return {rule.name: rule for rule in self.rules}


def alerting(policy: Policy, addresses: Addresses, rules: Path = RULES) -> Alerting:
    """Read the rule file and the contacts. Raises RulesError with every fault of the two."""
    given, named, faults = _contacts(addresses)
    channels = CHANNELS | named.channels
    for name, used in named.owners.items():
        faults += [f"{addresses.contacts}: owner {name}: {one!r} is no channel" for one in sorted(used - channels)]
    try:
        text = rules.read_text(encoding="utf-8")
        if (known := owners_named(text)) is not None:
            known |= set(TEAMS.values())
            faults += [
                f"{addresses.contacts}: owner {name}: no rule's, expected one of {', '.join(sorted(known))}"
                for name in named.owners
                if name not in known
            ]
        found = parse_rules(
            text,
            policy=policy.model_dump(),
            metrics=frozenset(METRICS),
            channels=channels,
            owners=frozenset(OWNERS) | set(named.owners),
            required=REQUIRED,
        )
    except OSError as error:
        faults.append(f"{rules}: {error.strerror}")
    except RulesError as error:
        faults += [f"{rules}: {line}" for line in str(error).splitlines()]
    faults += [
        f"MARKETING_ALERT_WEBHOOK_SECRET: secret {number} is none of Standard Webhooks: whsec_ and base64"
        for number, secret in enumerate(addresses.webhook_secrets, start=1)
        if not is_webhook_secret(secret)
    ]
    if faults:
        raise RulesError("\n".join(faults))
    transports = _transports(given, addresses)
    resting = (
        frozenset()
        if policy.viral_tracking_enabled
        else frozenset(rule.name for rule in found if rule.metric in VIRAL_METRICS)
    )

    def reachable(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name if name in transports else FILE for name in names))

    contacts = {
        name: Contact(reachable(owner.channels), reachable(owner.escalation)) for name, owner in given.owners.items()
    }
    # Whoever named a URL for alerts wants all of them there.
    everywhere = (WEBHOOK,) if WEBHOOK in transports else ()
    return Alerting(
        rules=tuple(
            rule.model_copy(
                update={
                    "channels": reachable(rule.channels + everywhere),
                    "no_data_channels": reachable((rule.no_data_channels or rule.channels) + everywhere),
                }
            )
            for rule in found
            if rule.name not in resting
        ),
        resting=resting,
        contacts=contacts,
        transports=transports,
        without_address=frozenset(name for rule in found for name in rule.channels if name not in transports),
    )


def _transports(given: _Contacts, addresses: Addresses) -> dict[str, Transport]:
    transports: dict[str, Transport] = {name: AppriseTransport(url) for name, url in given.channels.items()}
    if addresses.webhook_url is not None:
        keys = tuple(addresses.webhook_secrets) or (webhook_secret(addresses.home),)
        transports[WEBHOOK] = WebhookTransport(addresses.webhook_url, keys, addresses.webhook_may_be_private)
    transports[FILE] = FileTransport(addresses.home / "alerts" / "alerts.jsonl")
    return transports


def _contacts(addresses: Addresses) -> tuple[_Contacts, _Named, list[str]]:
    """The contacts, what they name whether or not the rest of them is sound, and their faults."""
    path, document, faults = addresses.contacts, {}, []
    if not path.exists():
        faults = [f"MARKETING_CONTACTS: found no file {path}"] if addresses.must_exist else []
        return _Contacts(), _Named.of(document), faults
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        return _Contacts.model_validate(document), _Named.of(document), []
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        # Not the line itself: it holds a secret.
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        faults = [f"{path}{where}: not YAML"]
    except OSError as error:
        faults = [f"{path}: {error.strerror}"]
    except ValidationError as error:
        faults = [_told(path, problem) for problem in error.errors()]
    return _Contacts(), _Named.of(document), faults


def _told(path: Path, problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    # Not what was found: an address holds a secret.
    return f"{path}: {where}: {problem['msg']}"
