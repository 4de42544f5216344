"""Settings: a wrong environment stops the start, says everything at once and shows no secret."""

import base64
import os
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from orchestration.policy import Policy
from orchestration.settings import REPOSITORY, SECRETS, Settings, SettingsError, export_env_file, key_bytes

EXAMPLE = (REPOSITORY / ".env.example").read_text()
GUIDE = """
MARKETING_AUTOMATION_ENABLED=true
AI_CONTENT_GENERATION_ENABLED=true
VIRAL_TRACKING_ENABLED=true
OPENAI_API_KEY=your_key_here
AI_CONTENT_MODEL=gpt-4-turbo
AI_MAX_TOKENS=4000
MARKETING_ALERT_WEBHOOK_URL=https://your-webhook.com
MONITORING_INTERVAL_MS=30000
PERFORMANCE_THRESHOLD_MS=200
"""
GUIDES_OVERRIDES = {
    "ATTRIBUTION_MODEL",
    "VIRAL_COEFFICIENT_TARGET",
    "SUPER_CONNECTOR_THRESHOLD",
    "PERFORMANCE_THRESHOLD_MS",
    "VIRAL_INCENTIVE_MULTIPLIER",
}
COMPOSE = {"POSTGRES_PASSWORD"}


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def refusal_of(monkeypatch, **variables) -> str:
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(SettingsError) as refusal:
        Settings.load()
    return str(refusal.value)


def test_an_empty_environment_is_enough():
    settings = Settings.load()
    assert settings.marketing_home == REPOSITORY / ".marketing"
    assert settings.warehouse_url is None
    assert settings.marketing_as_of is None
    assert settings.dagster_port == 3000


def test_the_deployment_guides_environment_is_read(monkeypatch):
    for line in GUIDE.split():
        monkeypatch.setenv(*line.split("=", 1))
    settings = Settings.load()
    assert settings.ai_content_generation_enabled
    assert settings.openai_api_key.get_secret_value() == "your_key_here"
    assert settings.monitoring_interval_ms == 30_000
    assert settings.marketing_alert_webhook_url.get_secret_value() == "https://your-webhook.com"


def test_every_problem_is_one_line_and_all_come_at_once(monkeypatch):
    """Mending one variable only to meet the next at the next start wears operators out."""
    message = refusal_of(
        monkeypatch,
        DAGSTER_PORT="abc",
        VIRAL_TRACKING_ENABLED="maybe",
        AI_MAX_TOKENS="0",
        CONTENT_LINK_HOSTS="https://shop.example",
        MARKETING_AS_OF="yesterday",
    )
    assert sorted(message.splitlines()) == [
        "AI_MAX_TOKENS: found '0', expected a whole number from 1 to 1000000",
        "CONTENT_LINK_HOSTS: found 'https://shop.example', expected names of hosts, apart by spaces",
        "DAGSTER_PORT: found 'abc', expected a whole number from 1 to 65535",
        "MARKETING_AS_OF: found 'yesterday', expected a time such as 2026-04-01T00:00:00Z (UTC when it names no zone)",
        "VIRAL_TRACKING_ENABLED: found 'maybe', expected true or false",
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("WAREHOUSE_URL", "mysql://engine:hunter22@db/x"),
        ("MARKETING_ALERT_WEBHOOK_URL", "hooks.example.com/hunter22"),
        ("MARKETING_PSEUDONYM_KEY", "hunter22"),
        ("MARKETING_VAULT_KEY", base64.b64encode(b"hunter22").decode()),
    ],
)
def test_a_malformed_secret_is_not_shown(monkeypatch, name, text):
    """The message lands in logs that more people read than may know the secret."""
    message = refusal_of(monkeypatch, **{name: text})
    assert message.startswith(f"{name}: found a value of {len(text)} characters (not shown), expected ")
    assert text not in message


def test_secrets_do_not_print(monkeypatch):
    monkeypatch.setenv("WAREHOUSE_URL", "postgresql://engine:hunter22@db/x")
    monkeypatch.setenv("OPENAI_API_KEY", "hunter22")
    settings = Settings.load()
    assert settings.warehouse_url == "postgresql://engine:hunter22@db/x"
    assert "hunter22" not in repr(settings)
    assert set(Settings.model_fields) >= SECRETS


@pytest.mark.parametrize("name", ["VIRAL_TRACKING_ENABLED", "MARKETING_AS_OF", "WAREHOUSE_URL", "DAGSTER_PORT"])
def test_an_empty_variable_counts_as_not_set(monkeypatch, name):
    monkeypatch.setenv(name, "")
    assert Settings.load() == Settings()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-04-01T00:00:00Z", datetime(2026, 4, 1, tzinfo=UTC)),
        ("2026-04-01T02:00:00+02:00", datetime(2026, 4, 1, tzinfo=timezone(timedelta(0)))),
        ("2026-04-01 00:00", datetime(2026, 4, 1, tzinfo=UTC)),
        ("2026-04-01", datetime(2026, 4, 1, tzinfo=UTC)),
    ],
)
def test_the_present_is_a_time_in_utc(monkeypatch, text, expected):
    monkeypatch.setenv("MARKETING_AS_OF", text)
    as_of = Settings.load().marketing_as_of
    assert as_of == expected
    assert as_of.utcoffset() == timedelta(0)


@pytest.mark.parametrize("text", ["20260401", "1775001600", "1.5", "2026-02-30", "2026-04-01T25:00Z"])
def test_what_is_no_time_is_refused(monkeypatch, text):
    """As seconds since 1970, 20260401 would be a day in August 1970 and every mart would be empty."""
    assert text in refusal_of(monkeypatch, MARKETING_AS_OF=text)


def test_one_port_for_two_services_is_refused(monkeypatch):
    message = refusal_of(monkeypatch, DAGSTER_PORT="8000")
    assert message == "API_PORT: found 8000, expected a whole number from 1 to 65535, other than DAGSTER_PORT"


def test_a_relative_home_is_the_same_for_every_process(monkeypatch, tmp_path):
    """Dagster starts its workers elsewhere: each would make a warehouse of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MARKETING_HOME", "state/here")
    assert Settings.load().marketing_home == REPOSITORY / "state/here"
    monkeypatch.setenv("MARKETING_HOME", "~/state")
    assert Settings.load().marketing_home == Path.home() / "state"


def test_keys_of_both_base64_alphabets_are_the_same_key(monkeypatch):
    key = bytes(range(224, 256))
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        monkeypatch.setenv("MARKETING_VAULT_KEY", encode(key).decode())
        assert key_bytes(Settings.load().marketing_vault_key) == key


def test_the_env_file_adds_and_never_replaces(tmp_path):
    file = tmp_path / ".env"
    file.write_text("DAGSTER_PORT=4000\n# a remark\nAPI_PORT='5000'\nAI_CONTENT_MODEL\n")
    environ = {"DAGSTER_PORT": "3001"}
    export_env_file(environ, file)
    assert environ == {"DAGSTER_PORT": "3001", "API_PORT": "5000"}
    export_env_file(environ, tmp_path / "missing")
    assert environ == {"DAGSTER_PORT": "3001", "API_PORT": "5000"}


def test_the_example_documents_every_setting_and_nothing_else():
    documented = re.findall(r"^([A-Z_]+)=", EXAMPLE, re.MULTILINE)
    assert len(documented) == len(set(documented))
    settings = {name.upper() for name in Settings.model_fields}
    overrides = {name.upper() for name in Policy.model_fields}
    assert settings | GUIDES_OVERRIDES | COMPOSE <= set(documented) <= settings | overrides | COMPOSE
    assert {line.split("=")[0] for line in GUIDE.split()} <= settings | GUIDES_OVERRIDES


def test_the_examples_defaults_are_the_defaults():
    """A default that moved in the code alone would make the documentation lie."""
    blocks = re.findall(r"((?:^#.*\n)+)([A-Z_]+)=$", EXAMPLE, re.MULTILINE)
    said = {name: re.search(r"Default: (\S+?)[.,]?(?:\s|$)", text) for text, name in blocks}
    for name, field in Settings.model_fields.items():
        default = field.default
        if isinstance(default, bool | int) or name == "ai_content_model":
            assert said[name.upper()].group(1) == str(default).lower()


def test_the_example_as_it_stands_sets_nothing(monkeypatch, tmp_path):
    copy = tmp_path / ".env"
    copy.write_text(EXAMPLE)
    environ = dict.fromkeys(["PATH"], os.environ["PATH"])
    export_env_file(environ, copy)
    for name, text in environ.items():
        monkeypatch.setenv(name, text)
    assert Settings.load() == Settings()
