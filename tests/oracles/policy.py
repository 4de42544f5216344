"""The business numbers that the definitions name, read from a dict of dbt's vars."""

from collections.abc import Mapping
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml

Policy = Mapping[str, Any]
"""Names and values as under `vars` of dbt_project.yml."""

MODELS = ("first_touch", "last_touch", "last_non_direct", "linear", "time_decay", "position_based")
DATA_DRIVEN = "data_driven"
POLICY_ITSELF = {"calibration_id": 0, "method": "policy", "parameters": {}, "weights": {}}
"""The calibration in force while none has been promoted; another one stands under `calibration` in a policy."""


def policy_of(project_file: Path) -> dict[str, Any]:
    """The vars of a dbt_project.yml as they are written, without overrides."""
    return yaml.safe_load(project_file.read_text(encoding="utf-8"))["vars"]


def number(policy: Policy, name: str) -> Fraction:
    """A number of the policy exactly as it is written: 0.4 is 2/5."""
    return Fraction(str(policy[name]))


def span(policy: Policy, name: str) -> timedelta:
    """A number of days of the policy as a span of 24 hours each."""
    return timedelta(microseconds=int(number(policy, name) * 86_400_000_000))


def headline_model(policy: Policy) -> str:
    """The model of the scorecard and of marketing_roi_summary.

    multi_touch, or data_driven, is position_based as long as no calibration has been promoted. Raises ValueError for
    a model that has no column.
    """
    model = policy["attribution_model"]
    if model in ("multi_touch", DATA_DRIVEN):
        return DATA_DRIVEN if calibration(policy)["calibration_id"] else "position_based"
    if model not in MODELS:
        raise ValueError(f"attribution_model {model!r} has no column: expected multi_touch or one of {MODELS}")
    return model


def calibration(policy: Policy) -> Mapping[str, Any]:
    """The calibration in force: calibration_id, method, parameters and weights (channel to millionths)."""
    return policy.get("calibration", POLICY_ITSELF)


def shown_models(policy: Policy) -> tuple[str, ...]:
    """The models of the rollups: data_driven says something of its own once a calibration has been promoted."""
    return (*MODELS, DATA_DRIVEN) if calibration(policy)["calibration_id"] else MODELS
