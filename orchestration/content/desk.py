"""What jobs are done with, from the environment and the files beside this one."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from orchestration.policy import Policy

from .costs import PRICES, Prices, PricesError
from .prompts import Prompt, PromptsError
from .templates import Template, TemplatesError
from .writer import OpenAIWriter, Writer

LANGUAGE = "en"


class DeskError(Exception):
    """One line for each fault of the files of prompts, templates and prices."""


@dataclass(frozen=True)
class Endpoint:
    """Who is asked, as the environment says it. is_on: AI_CONTENT_GENERATION_ENABLED. moderates: whether it is asked
    what it objects to."""

    is_on: bool
    api_key: str | None = field(repr=False)
    base_url: str | None
    model: str
    max_tokens: int
    is_idempotent: bool = False
    moderates: bool = True
    prices: Path | None = None
    link_hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Desk:
    """writer: None where AI is off, for the reason `off`. parameters: of the jobs that are asked for now.

    is_idempotent: the server takes two calls under one key for one.
    """

    policy: Policy
    prompts: Mapping[str, Prompt]
    templates: dict[tuple[str, str], Template]
    prices: Prices
    writer: Writer | None
    off: str
    model: str
    parameters: dict[str, Any]
    link_hosts: tuple[str, ...] = ()
    is_idempotent: bool = False

    @cached_property
    def parameters_sha256(self) -> str:
        """By which a job is told from one with other parameters."""
        return hashlib.sha256(json.dumps(self.parameters, sort_keys=True).encode()).hexdigest()


def desk_of(policy: Policy, endpoint: Endpoint) -> Desk:
    """Raises DeskError naming every fault of the files."""
    loaded, faults = [], []
    for load in (Prompt.load_all, Template.load_all, lambda: Prices.load(endpoint.prices or PRICES)):
        try:
            loaded.append(load())
        except (PromptsError, TemplatesError, PricesError) as error:
            faults.append(str(error))
    if faults:
        raise DeskError("\n".join(faults))
    prompts, templates, prices = loaded
    writer, off = None, ""
    if not endpoint.is_on:
        off = "AI_CONTENT_GENERATION_ENABLED is false"
    elif not endpoint.api_key:
        off = "OPENAI_API_KEY is not set"
    else:
        writer = OpenAIWriter(endpoint.api_key, endpoint.base_url, policy.content_call_seconds, endpoint.moderates)
    parameters = prices.parameters(endpoint.model, endpoint.max_tokens, policy.content_temperature)
    return Desk(
        policy,
        prompts,
        templates,
        prices,
        writer,
        off,
        endpoint.model,
        parameters,
        endpoint.link_hosts,
        endpoint.is_idempotent,
    )
