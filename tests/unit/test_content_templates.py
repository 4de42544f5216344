"""What is sent when no model is asked is as fit to send as what a model wrote."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings

from orchestration.content.briefs import KINDS
from orchestration.content.languages import LANGUAGES
from orchestration.content.prompts import Prompt
from orchestration.content.templates import TEMPLATES, Template, TemplatesError, filled, template_for
from orchestration.content.validation import Limits, faults_of
from orchestration.policy import Policy

from .opportunities import brief, expiring_invites, opportunities

OURS = Template.load_all()
PROMPTS = Prompt.load_all()
LIMITS = Limits.of(Policy.load(Path(__file__).parents[2] / "dbt_project.yml", {}))


def test_there_is_one_for_every_kind_and_language():
    assert set(OURS) == {(kind, language) for kind in KINDS for language in LANGUAGES}


@given(opportunities())
@settings(deadline=None)
def test_every_template_is_sound_for_its_brief(opportunity):
    """By the rules for drafts, the lengths of the policy among them, whatever the figures."""
    found = brief(opportunity)
    variant = filled(template_for(found, OURS), found)
    assert faults_of(variant, found, earlier=(), limits=LIMITS, instructions=PROMPTS[found.kind].system) == []


def test_facts_are_filled_in_and_placeholders_left():
    found = brief(expiring_invites(deadline_on=date(2026, 12, 1)))
    variant = filled(template_for(found, OURS), found)
    assert variant.subject == "Your invite is open until 1 December 2026"
    assert "until 1 December 2026:\n\n{{invite_url}}" in variant.body
    assert variant.body.startswith("Hello,\n\n{{inviter_name}}")
    assert "$" not in variant.text


def test_a_british_brief_takes_the_english_one():
    assert template_for(brief(language="en-GB"), OURS).language == "en"


@pytest.mark.parametrize("text", ["until ${deadlin}", "for $ 5", "${}"])
def test_a_fact_that_there_is_not_is_no_empty_place(text):
    """Prevents a mail that says `until .`."""
    template = Template("expiring_invites", "en", "s", "p", text)
    with pytest.raises(TemplatesError, match=r"expiring_invites\.en: .*of the facts invited, deadline"):
        filled(template, brief(expiring_invites()))


@pytest.mark.parametrize(
    ("text", "told"),
    [("until ${deadlin}", "${deadlin}: expected one of invited, deadline"), ("for $ 5", "body: a $ that begins no")],
)
def test_a_fault_in_a_text_is_told_when_it_is_read(tmp_path, text: str, told: str):
    """Prevents one that is found when the first brief is to be left to people, and ends every run."""
    for one in TEMPLATES.iterdir():
        (tmp_path / one.name).write_bytes(one.read_bytes())
    (tmp_path / "expiring_invites.en.md").write_text(f"---\nsubject: s\npreview: p\n---\n{text}")
    with pytest.raises(TemplatesError) as caught:
        Template.load_all(tmp_path)
    assert str(caught.value).startswith("expiring_invites.en.md: ")
    assert told in str(caught.value)


@given(opportunities())
def test_every_brief_holds_the_facts_of_its_kind(opportunity):
    found = brief(opportunity)
    assert {fact.name for fact in found.facts} >= set(KINDS[found.kind].facts)


def test_every_fault_is_told_at_once(tmp_path):
    (tmp_path / "super_connectors.en.md").write_text("Hello")
    (tmp_path / "expiring_invites.en.md").write_text("---\nsubject: ''\npreheader: x\n---\nHello")
    (tmp_path / "super_connectors.tlh.md").write_text("---\nsubject: s\npreview: p\n---\nnuqneH")
    with pytest.raises(TemplatesError) as caught:
        Template.load_all(tmp_path)
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ["expiring_invites.en.md", "subject"],
        ["expiring_invites.en.md", "preview"],
        ["expiring_invites.en.md", "preheader"],
        ["super_connectors.en.md", "expected a head of YAML between two lines `---`, then the text"],
        ["super_connectors.tlh.md", "expected <kind>.<language>.md of a kind and a language that there are"],
    ]


def test_a_kind_without_a_template_is_named(tmp_path):
    with pytest.raises(TemplatesError, match=r"super_connectors\.en: no template in"):
        Template.load_all(tmp_path)
