"""The policy: dbt_project.yml as it stands is sound, and no wrong number gets past the start."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestration.policy import Policy, PolicyError

PROJECT = Path(__file__).parents[2] / "dbt_project.yml"
VARS = yaml.safe_load(PROJECT.read_text())["vars"]


def test_the_project_file_is_a_sound_policy():
    """A var added to one of the two places only would be found at the first start, not here."""
    policy = Policy.load(PROJECT, {})
    assert set(Policy.model_fields) == set(VARS)
    assert policy.model_dump() == VARS


def test_a_variable_in_capitals_wins_over_the_var():
    policy = Policy.load(PROJECT, {"SUPER_CONNECTOR_THRESHOLD": "3", "VIRAL_COEFFICIENT_TARGET": "0.9"})
    assert policy.super_connector_threshold == 3
    assert policy.viral_coefficient_target == 0.9
    assert policy.viral_incentive_multiplier == VARS["viral_incentive_multiplier"]


@pytest.mark.parametrize("text", ["", "   "])
def test_an_empty_variable_counts_as_not_set(text):
    """dbt's macro does the same; were one of them to differ, dbt and Dagster would compute different numbers."""
    assert Policy.load(PROJECT, {"VIRAL_WINDOW_DAYS": text}) == Policy.load(PROJECT, {})


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("ATTRIBUTION_MODEL", "magic", "one of multi_touch, first_touch"),
        ("ATTRIBUTION_MODEL", " linear", "one of multi_touch, first_touch"),
        ("VIRAL_COEFFICIENT_TARGET", "high", "a number from 0 to 1000"),
        ("VIRAL_COEFFICIENT_TARGET", "nan", "a number from 0 to 1000"),
        ("SUPER_CONNECTOR_THRESHOLD", "0", "a whole number from 1 to"),
        ("SUPER_CONNECTOR_THRESHOLD", "2.5", "a whole number from 1 to"),
        ("VIRAL_INCENTIVE_MULTIPLIER", "1e3", "a number from 1 to 1000"),
        ("VIRAL_WINDOW_DAYS", "2_8", "a whole number from 1 to 3650"),
        ("VIRAL_WINDOW_DAYS", "٢٨", "a whole number from 1 to 3650"),
        ("CAMPAIGN_CONVERSION_RATE_TARGET", "40", "a number from 0 to 1"),
        ("REPORTING_CURRENCY", "USD'; drop table x --", "an ISO 4217 code"),
        ("REPORTING_CURRENCY", "USD\n", "an ISO 4217 code"),
        ("RAW_RETENTION_DAYS", "31", "at least 37"),
        ("AI_SUCCESS_FLOOR", "0.96", "at most 0.95: ai_success_target"),
        ("CONTENT_MAX_BODY_WORDS", "19", "expected at least 20: content_min_body_words"),
        ("CONTENT_BREAKER_LONGEST_PAUSE_MINUTES", "29", "expected at least 30: content_breaker_pause_minutes"),
        ("CAMPAIGN_DELIVERY_TARGET", "0.5", "expected at most 0.5: campaign_delivery_target"),
    ],
)
def test_a_malformed_override_is_refused_by_name(name, text, expected):
    """dbt pastes the text into SQL: what Python lets through, PostgreSQL executes."""
    with pytest.raises(PolicyError) as refusal:
        Policy.load(PROJECT, {name: text})
    message = str(refusal.value)
    assert name in message.upper()
    assert text.strip() in message or repr(text) in message
    assert expected in message


def test_all_that_is_wrong_is_said_at_once():
    variables = {**VARS, "viral_horizon_days": "thirty", "viral_horizont_days": 30}
    del variables["invite_credit"]
    with pytest.raises(PolicyError) as refusal:
        Policy.from_values(variables, {"FX_MAX_AGE_DAYS": "-1"}, where="dbt_project.yml")
    lines = sorted(str(refusal.value).splitlines())
    assert len(lines) == 4
    assert lines[0].startswith("fx_max_age_days: found '-1' in the environment (FX_MAX_AGE_DAYS), expected")
    assert lines[1].startswith("invite_credit: found nothing in dbt_project.yml, expected one of last, first")
    assert lines[2].startswith("viral_horizon_days: found 'thirty' in dbt_project.yml, expected a whole number")
    assert lines[3].startswith("viral_horizont_days: found in dbt_project.yml, expected no such name")


@pytest.mark.parametrize("value", [True, "30", 30.0, None, [30]])
def test_a_var_of_another_type_is_refused(value):
    """YAML makes `yes` a boolean and `'30'` a text: dbt would compute with either."""
    with pytest.raises(PolicyError, match="viral_horizon_days"):
        Policy.from_values({**VARS, "viral_horizon_days": value}, {})


@pytest.mark.parametrize(
    ("word", "on"), [("false", False), ("OFF", False), ("0", False), ("True", True), ("yes", True)]
)
def test_a_switch_takes_the_spellings_that_settings_take(word, on):
    """Prevents a switch that is off for the processes and on for the models."""
    assert Policy.from_values(VARS, {"VIRAL_TRACKING_ENABLED": word}).viral_tracking_enabled is on


def test_a_switch_takes_no_other_word():
    with pytest.raises(PolicyError, match=r"found 'nope' in the environment .* expected true or false"):
        Policy.from_values(VARS, {"VIRAL_TRACKING_ENABLED": "nope"})


def test_outer_weights_that_exceed_the_whole_are_refused():
    with pytest.raises(PolicyError, match=r"found a sum of 1\.1, expected at most 1"):
        Policy.load(PROJECT, {"ATTRIBUTION_FIRST_WEIGHT": "0.7"})


def test_a_file_without_vars_is_named(tmp_path):
    file = tmp_path / "dbt_project.yml"
    file.write_text("name: x\n")
    with pytest.raises(PolicyError, match="found no `vars`"):
        Policy.load(file, {})
    with pytest.raises(PolicyError, match=r"missing\.yml: found no readable file"):
        Policy.load(tmp_path / "missing.yml", {})


@given(days=st.integers(min_value=1, max_value=3650))
def test_the_fingerprint_changes_with_the_values_and_only_with_them(days):
    """A build under another policy must start from nothing; one under the same must not."""
    policy = Policy.from_values({**VARS, "viral_window_days": days}, {})
    again = Policy.from_values(dict(reversed(VARS.items())), {"VIRAL_WINDOW_DAYS": str(days)})
    assert policy.sha256 == again.sha256
    assert (policy.sha256 == Policy.from_values(VARS, {}).sha256) == (days == VARS["viral_window_days"])
