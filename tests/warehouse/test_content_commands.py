"""`marketing content`, as typed."""

import json
from collections.abc import Iterator

import pytest

from orchestration.warehouse import Warehouse
from tests.content_desk import campaigns
from tests.openai_server import KEY, Reply, Served, openai_server
from tests.shell import Shell


@pytest.fixture
def served() -> Iterator[Served]:
    with openai_server() as one:
        yield one


@pytest.fixture
def shell(warehouse: Warehouse, served: Served, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """With a model to ask, and a campaign to write about."""
    campaigns(warehouse, 1)
    for name, value in {
        "AI_CONTENT_GENERATION_ENABLED": "true",
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": served.url,
        "AI_CONTENT_MODEL": "gpt-4o-mini",
    }.items():
        monkeypatch.setenv(name, value)
    return Shell(warehouse, monkeypatch)


def test_content_is_written_read_judged_and_exported(shell: Shell):
    ran = shell.type("content run")
    assert ran.exit_code == 0
    assert "1 briefs, 1 done, 0 rejected, 0 manual, 0 later, 0 retired, 0 published, 0 withdrawn" in ran.output
    assert "pending_review" in shell.type("content list").output
    shown = shell.type("content show 1").output
    assert "channel_conversion_rate: 38.2 %" in shown
    assert "{{unsubscribe_url}}" in shown
    assert shell.type("content approve 1 --author ann").output == "draft 1 is approved\n"
    assert shell.type("content reject 2 --author ann --reason", "too dry").output == "draft 2 is rejected\n"
    assert "1 published" in shell.type("content export").output
    (file,) = (shell.home / "content").iterdir()
    assert json.loads(file.read_text())["data"]["subject_id"] == "c1"
    listed = json.loads(shell.type("content list --status published --json").output)
    assert [draft["reviewed_by"] for draft in listed] == ["ann"]
    assert "0.000285" in shell.type("content jobs").output


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("content show 99", "there is no draft 99"),
        ("content approve 99", "there is no draft 99"),
        ("content retry 99", "job 99 is none that was left to people or rejected"),
        ("content rewrite 99", "there is no brief 99"),
        ("content retire 99 --reason wrong", "there is no draft 99"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(shell: Shell, line: str, told: str):
    found = shell.type(line)
    assert found.exit_code == 1
    assert told in found.stderr


def test_a_draft_that_was_judged_stays_so(shell: Shell):
    shell.type("content run")
    shell.type("content approve 1")
    again = shell.type("content approve 1")
    assert again.exit_code == 1
    assert "draft 1 is approved: only one that is pending_review can be approved" in again.stderr


def test_without_ai_it_says_so_and_people_get_a_template(shell: Shell):
    shell.environ.setenv("AI_CONTENT_GENERATION_ENABLED", "false")
    ran = shell.type("content run")
    assert "AI is off (AI_CONTENT_GENERATION_ENABLED is false): briefs go to the manual queue" in ran.output
    assert "template" in shell.type("content list").output


def test_automation_that_is_off_writes_and_sends_nothing(shell: Shell, served: Served):
    shell.environ.setenv("MARKETING_AUTOMATION_ENABLED", "false")
    assert shell.type("content run").exit_code == 1
    assert shell.type("content export").exit_code == 1
    assert served.requests == []


def test_what_was_left_to_people_can_be_tried_again(shell: Shell, served: Served):
    served.replies.append(Reply(status=401))
    shell.type("content run")
    assert "manual" in shell.type("content jobs").output
    assert shell.type("content retry 1").output.startswith("job 1 is due again")
    assert "1 done" in shell.type("content run").output


def test_a_brief_can_be_written_to_by_another_model(shell: Shell, served: Served):
    shell.type("content run")
    again = shell.type("content rewrite 1")
    assert again.exit_code == 1
    assert "brief 1 was written to by this prompt, model and parameters before" in again.stderr
    shell.environ.setenv("AI_CONTENT_MODEL", "gpt-4o")
    assert shell.type("content rewrite 1").output.endswith("is due: marketing content run\n")
    assert "0 briefs, 1 done" in shell.type("content run").output
    assert [request["model"] for request in served.requests] == ["gpt-4o-mini", "gpt-4o"]


def test_what_is_out_can_be_taken_back(shell: Shell):
    shell.type("content run")
    refused = shell.type("content retire 1 --reason wrong")
    assert refused.exit_code == 1
    assert "draft 1 is pending_review: only one that is approved or published can be retired" in refused.stderr
    shell.type("content approve 1")
    shell.type("content export")
    assert shell.type("content retire 1 --author bob --reason", "a wrong price").output == "draft 1 is retired\n"
    assert shell.type("content export").output.endswith("1 withdrawn\n")
    assert list((shell.home / "content").iterdir()) == []
    (draft,) = json.loads(shell.type("content list --status superseded --json").output)
    assert (draft["reason"], draft["retired_by"]) == ("a wrong price", "bob")


def test_a_terminal_is_told_what_a_model_wrote_and_does_not_obey_it(shell: Shell, served: Served):
    """Prevents a draft that rewrites what is on the screen of whoever reviews it."""
    draft = served.draft({"variants": 2, "required_placeholders": ["action_url", "unsubscribe_url"]})
    served.replies.append(Reply(content=draft.replace("Hello", "Hello\\u001b[2J")))
    shell.type("content run")
    for command in ("content show 1", "content list", "content jobs"):
        assert "\x1b" not in shell.type(command).output
    assert "Hello\\x1b[2J" in shell.type("content show 1").output


def test_a_file_of_prices_with_a_fault_is_refused_whole(shell: Shell, tmp_path, monkeypatch: pytest.MonkeyPatch):
    prices = tmp_path / "prices.yml"
    prices.write_text("prices: [{model: x}]")
    monkeypatch.setenv("MARKETING_AI_PRICES", str(prices))
    ran = shell.type("content run")
    assert ran.exit_code != 0
    assert "price 1" in str(ran.exception)
