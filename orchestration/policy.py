"""[pure, but for Policy.load's one read] The business numbers: the vars of dbt_project.yml, typed and checked.

Meaning, source and reason of each stand there, beside its value; here are its type and its bounds.
An environment variable of the same name in capitals wins, as in dbt's macro `policy`; an empty one counts as not set.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .bounds import expectation

# dbt pastes the variable's text into SQL as it stands: only what is a plain number there passes.
PLAIN_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
# Spellings of a switch, as settings take them.
SWITCHED_ON = frozenset({"true", "t", "yes", "y", "on", "1"})
SWITCHED_OFF = frozenset({"false", "f", "no", "n", "off", "0"})
# days that raw events are kept beyond the lookback, for conversions that arrive late.
RETENTION_MARGIN_DAYS = 7
# Of these pairs the first is the least of something, the second the most.
RANGES = (
    ("content_min_body_words", "content_max_body_words"),
    ("content_breaker_pause_minutes", "content_breaker_longest_pause_minutes"),
    ("error_budget_burn_short_minutes", "error_budget_burn_minutes"),
)
# What is healthy from a target on is critical below a floor, which cannot lie above it.
BANDS = (
    ("campaign_delivery_target", "campaign_delivery_floor"),
    ("campaign_conversion_rate_target", "alert_conversion_rate_floor"),
    ("ai_success_target", "ai_success_floor"),
    ("attribution_accuracy_target", "attribution_accuracy_floor"),
)

Days = Annotated[int, Field(ge=1, le=3650)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
Cents = Annotated[int, Field(ge=0, le=10**15)]

Headline = Literal[
    "multi_touch",
    "first_touch",
    "last_touch",
    "last_non_direct",
    "linear",
    "time_decay",
    "position_based",
    "data_driven",
]


class PolicyError(Exception):
    """One line for each var that is missing, unknown or out of bounds: name, what was found where, what is expected."""


class Policy(BaseModel):
    """Every business number, as dbt_project.yml and the environment give it.

    Units as in the names: _days, _minutes, _hours, _cents (of reporting_currency), _pct; targets of rates
    and shares are fractions in [0, 1].
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    attribution_model: Headline
    attribution_lookback_days: Days
    attribution_journey_scope: Literal["lookback", "since_previous_conversion"]
    attribution_half_life_days: Annotated[float, Field(gt=0, le=3650)]
    attribution_first_weight: Share
    attribution_last_weight: Share

    attribution_fit_days: Days
    attribution_path_transform: Literal["unique", "exposure", "first", "frequency"]
    attribution_direct_touches: Literal["keep", "drop", "drop_last"]
    attribution_path_max_steps: Annotated[int, Field(ge=0, le=10_000)]
    attribution_markov_order: Annotated[int, Field(ge=1, le=4)]
    attribution_person_groups: Annotated[int, Field(ge=10, le=1000)]

    reporting_currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$", title="an ISO 4217 code in capitals, such as USD")]
    fx_max_age_days: Annotated[int, Field(ge=0, le=3650)]

    campaign_conversion_window_days: Days
    campaign_headline_days: Days
    campaign_recent_days: Days
    campaign_recent_min_recipients: Count

    viral_tracking_enabled: bool
    viral_horizon_days: Days
    viral_lag_fit_days: Days
    viral_window_days: Days
    viral_min_maturity: Annotated[float, Field(gt=0, le=1)]
    viral_min_users: Count
    viral_tree_groups: Annotated[int, Field(ge=8, le=1024)]
    viral_backtest_days: Days
    viral_backtest_min_coverage: Share
    viral_backtest_min_days: Days
    invite_window_days: Days
    invite_credit: Literal["last", "first"]
    viral_lever_channels: Annotated[int, Field(ge=1, le=200)]
    viral_burst_joins: Count
    viral_burst_hours: Annotated[int, Field(ge=1, le=8760)]
    super_connector_threshold: Count
    viral_reward_cents: Cents
    viral_incentive_multiplier: Annotated[float, Field(ge=1, le=1000)]
    gross_margin_share: Share

    scorecard_period_days: Days
    viral_coefficient_target: Annotated[float, Field(ge=0, le=1000)]
    viral_days_above_target: Annotated[int, Field(ge=1, le=28)]
    campaign_conversion_rate_target: Share
    attributed_revenue_target_cents: Cents
    marketing_roi_target_pct: Annotated[float, Field(ge=-100, le=1_000_000)]
    attribution_accuracy_target: Share
    campaign_interval_min_campaigns: Annotated[int, Field(ge=2, le=10_000)]
    attribution_accuracy_min_conversions: Count
    attribution_accuracy_floor: Share
    attribution_accuracy_days: Days

    integration_days: Days
    integration_heartbeat_max_minutes: Annotated[int, Field(ge=1, le=1_000_000)]
    viral_sync_min_rate: Share
    trigger_min_accuracy: Share
    offline_queue_max_depth: Annotated[int, Field(ge=0, le=1_000_000_000)]
    integration_min_expected: Count
    campaign_delivery_target: Share
    campaign_delivery_floor: Share
    campaign_delivery_days: Days
    campaign_delivery_wait_hours: Annotated[int, Field(ge=0, le=1000)]
    campaign_delivery_min_recipients: Count
    ai_success_target: Share
    ai_success_floor: Share
    performance_threshold_ms: Annotated[int, Field(ge=1, le=600_000)]
    uptime_target: Annotated[float, Field(ge=0, lt=1)]
    critical_free_hours: Annotated[int, Field(ge=1, le=100_000)]
    critical_free_min_watched: Share
    metric_max_age_hours: Annotated[int, Field(ge=1, le=100_000)]

    content_min_recipients: Count
    content_typical_lift: Annotated[float, Field(ge=0.001, le=0.5)]
    content_min_shortfall: Share
    content_new_days: Days
    content_lead_days: Days
    content_expiring_days: Days
    content_min_people: Count

    recalibration_judged_days: Days
    recalibration_confidence: Annotated[float, Field(ge=0.5, lt=1)]
    recalibration_min_new_truth: Count

    history_min_loads: Annotated[int, Field(ge=1, le=10_000)]
    load_max_quarantined_share: Share
    load_max_conflicting_share: Share
    load_min_records: Count
    history_loads: Annotated[int, Field(ge=1, le=10_000)]
    load_max_volume_ratio: Annotated[float, Field(gt=1, le=1_000_000)]
    load_max_mix_shift: Share
    load_min_mix_records: Count
    load_max_one_person_share: Share
    load_max_future_share: Share
    load_max_backdated_days: Annotated[int, Field(ge=1, le=100_000)]
    load_max_record_cents: Cents
    load_max_amount_ratio: Annotated[float, Field(gt=1, le=1_000_000)]
    load_max_rate_change: Annotated[float, Field(gt=1, le=1_000_000)]

    audit_settled_days: Annotated[int, Field(ge=0, le=3650)]
    audit_max_change: Annotated[float, Field(ge=0, le=1000)]
    audit_min_history: Count
    audit_max_share_rise: Share

    # Content: what a draft must be, and when AI is given a rest.
    content_max_subject_chars: Annotated[int, Field(ge=10, le=1000)]
    content_max_preview_chars: Annotated[int, Field(ge=10, le=1000)]
    content_min_body_words: Annotated[int, Field(ge=1, le=10_000)]
    content_max_body_words: Annotated[int, Field(ge=1, le=10_000)]
    content_earlier_drafts: Count
    content_max_similarity: Annotated[float, Field(gt=0, le=1)]
    content_tells_campaign_names: bool
    content_variants: Annotated[int, Field(ge=1, le=10)]
    content_temperature: Annotated[float, Field(ge=0, le=2)]
    content_brief_days: Days
    content_concurrency: Annotated[int, Field(ge=1, le=256)]
    content_call_seconds: Annotated[int, Field(ge=1, le=600)]
    content_max_calls: Annotated[int, Field(ge=1, le=20)]
    content_retry_first_seconds: Annotated[int, Field(ge=1, le=3600)]
    content_daily_budget_cents: Cents
    content_subject_budget_cents: Cents

    content_breaker_window_minutes: Annotated[int, Field(ge=1, le=43_200)]
    content_breaker_min_jobs: Count
    content_breaker_pause_minutes: Annotated[int, Field(ge=1, le=43_200)]
    content_breaker_longest_pause_minutes: Annotated[int, Field(ge=1, le=43_200)]
    content_breaker_probes: Annotated[int, Field(ge=1, le=1000)]

    alert_conversion_rate_floor: Share
    metric_retention_days: Days
    uptime_days: Days
    error_budget_burn_minutes: Annotated[int, Field(ge=10, le=43_200)]
    error_budget_max_burn: Annotated[float, Field(gt=1, le=1000)]
    error_budget_burn_short_minutes: Annotated[int, Field(ge=2, le=43_200)]
    failed_runs_minutes: Annotated[int, Field(ge=1, le=100_000)]
    operations_min_sample: Count
    alert_headline_max_ms: Count
    alert_unreachable_minutes: Annotated[int, Field(ge=1, le=1440)]
    alert_unjudged_minutes: Annotated[int, Field(ge=2, le=1440)]
    alert_round_seconds: Annotated[int, Field(ge=1, le=300)]
    alert_retry_first_seconds: Annotated[int, Field(ge=1, le=3600)]
    alert_retry_longest_minutes: Annotated[int, Field(ge=1, le=1440)]
    alert_give_up_hours: Annotated[int, Field(ge=1, le=720)]
    raw_retention_days: Days
    landing_retention_days: Annotated[int, Field(ge=0, le=3650)]
    dagster_retention_days: Days

    marts_max_age_minutes: Annotated[int, Field(ge=1, le=1_000_000)]
    raw_max_age_hours: Annotated[int, Field(ge=1, le=100_000)]
    feed_delivery_hours: Annotated[int, Field(ge=1, le=24)]

    @classmethod
    def load(cls, project_file: Path, environ: Mapping[str, str]) -> Self:
        """Read `vars` of dbt_project.yml and the overrides in environ. Raises PolicyError naming all that is wrong."""
        try:
            project = yaml.safe_load(project_file.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise PolicyError(f"{project_file}: found no readable file ({error}), expected dbt's project") from error
        variables = project.get("vars") if isinstance(project, dict) else None
        if not isinstance(variables, dict):
            raise PolicyError(f"{project_file}: found no `vars`, expected the business numbers there")
        return cls.from_values(variables, environ, where=str(project_file))

    @classmethod
    def from_values(cls, variables: Mapping[str, Any], environ: Mapping[str, str], *, where: str = "vars") -> Self:
        """The policy of these vars under these overrides; where: how to call their source in a PolicyError."""
        values = dict(variables)
        overridden = {name for name in cls.model_fields if environ.get(name.upper(), "").strip()}
        for name in overridden:
            values[name] = _typed(environ[name.upper()], cls.model_fields[name].annotation)
        wrong = []
        try:
            policy = cls.model_validate(values)
        except ValidationError as error:
            for problem in error.errors():
                name = str(problem["loc"][0])
                if name not in cls.model_fields:
                    wrong.append(f"{name}: found in {where}, expected no such name (a slip of the pen?)")
                    continue
                expected = expectation(cls.model_fields[name])
                if problem["type"] == "missing":
                    wrong.append(f"{name}: found nothing in {where}, expected {expected}")
                elif name in overridden:
                    found = environ[name.upper()]
                    wrong.append(f"{name}: found {found!r} in the environment ({name.upper()}), expected {expected}")
                else:
                    wrong.append(f"{name}: found {values[name]!r} in {where}, expected {expected}")
            raise PolicyError("\n".join(dict.fromkeys(wrong))) from error
        if contradictions := policy.contradictions():
            raise PolicyError("\n".join(contradictions))
        return policy

    def contradictions(self) -> list[str]:
        """What single bounds cannot say: one line for each pair of numbers that do not go together."""
        found = []
        outer = self.attribution_first_weight + self.attribution_last_weight
        if outer > 1 + 1e-12:
            found.append(
                f"attribution_first_weight, attribution_last_weight: found a sum of {outer:g}, expected at most 1"
            )
        least = self.attribution_lookback_days + RETENTION_MARGIN_DAYS
        if self.raw_retention_days < least:
            found.append(
                f"raw_retention_days: found {self.raw_retention_days}, expected at least {least}: "
                f"attribution_lookback_days and {RETENTION_MARGIN_DAYS} more"
            )
        if self.viral_lag_fit_days <= self.viral_horizon_days:
            found.append(
                f"viral_lag_fit_days: found {self.viral_lag_fit_days}, expected more than "
                f"{self.viral_horizon_days}: viral_horizon_days"
            )
        if self.viral_backtest_days < self.viral_days_above_target:
            found.append(
                f"viral_backtest_days: found {self.viral_backtest_days}, expected at least "
                f"{self.viral_days_above_target}: viral_days_above_target"
            )
        if self.attribution_accuracy_days > self.attribution_fit_days:
            found.append(
                f"attribution_accuracy_days: found {self.attribution_accuracy_days}, expected at most "
                f"{self.attribution_fit_days}: attribution_fit_days"
            )
        if 2 * self.recalibration_judged_days > self.attribution_fit_days:
            found.append(
                f"recalibration_judged_days: found {self.recalibration_judged_days}, expected at most half of "
                f"{self.attribution_fit_days}: attribution_fit_days"
            )
        for target, floor in BANDS:
            if getattr(self, floor) > getattr(self, target):
                found.append(
                    f"{floor}: found {getattr(self, floor)}, expected at most {getattr(self, target)}: {target}"
                )
        for least, most in RANGES:
            if getattr(self, most) < getattr(self, least):
                found.append(f"{most}: found {getattr(self, most)}, expected at least {getattr(self, least)}: {least}")
        if self.history_loads < self.history_min_loads:
            found.append(
                f"history_loads: found {self.history_loads}, expected at least {self.history_min_loads}: "
                "history_min_loads"
            )
        return found

    @cached_property
    def sha256(self) -> str:
        """Fingerprint of all values in force: builds under another one start from nothing."""
        return hashlib.sha256(json.dumps(self.model_dump(), sort_keys=True).encode()).hexdigest()


def _typed(text: str, kind: Any) -> bool | int | float | str:
    word = text.strip().lower()
    if kind is bool and word in SWITCHED_ON | SWITCHED_OFF:
        return word in SWITCHED_ON
    if not PLAIN_NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)
