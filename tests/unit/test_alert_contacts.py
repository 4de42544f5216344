"""The contacts file that an installation begins with."""

import re
from pathlib import Path

import apprise
import pytest
import yaml

from orchestration.alerts.alerting import Addresses, Alerting, alerting
from orchestration.alerts.rules import RulesError
from orchestration.policy import Policy

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "docs" / "contacts.example.yml").read_text(encoding="utf-8")
POLICY = Policy.load(ROOT / "dbt_project.yml", {})
# As the deployment guide has it: team, and whom it escalates to.
TEAMS = {"Marketing Automation": "cto", "AI/ML": "ml-lead", "Infrastructure": "sre-lead", "On-Call": "emergency"}


def read(home: Path, text: str) -> Alerting:
    (home / "contacts.yml").write_text(text, encoding="utf-8")
    return alerting(POLICY, Addresses(home, home / "contacts.yml"))


def test_filled_in_it_is_taken_and_reaches_every_team(tmp_path: Path):
    """Prevents an example that is refused, or that leaves a team out."""
    filled = re.sub(r"FILL IN, such as ", "", EXAMPLE)
    known = read(tmp_path, filled)
    assert {name: contact.escalation for name, contact in known.contacts.items()} == {
        name: (channel,) for name, channel in TEAMS.items()
    }
    assert known.without_address == frozenset()
    for name, address in yaml.safe_load(filled)["channels"].items():
        assert apprise.Apprise.instantiate(address) is not None, name


def test_as_it_stands_it_is_refused_and_says_what_is_missing(tmp_path: Path):
    """Prevents pages to addresses that nobody has filled in."""
    with pytest.raises(RulesError) as caught:
        read(tmp_path, EXAMPLE)
    faults = str(caught.value).splitlines()
    assert [fault.split(": ")[1] for fault in faults] == [
        f"channels.{name}" for name in yaml.safe_load(EXAMPLE)["channels"]
    ]
