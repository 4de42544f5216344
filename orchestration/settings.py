"""The environment, typed: where things are, secrets, switches. Business numbers are in policy.py.

Read only in definitions.py, cli.py and serve/app.py, which pass values on. .env.example documents each variable.
"""

import base64
import binascii
from collections.abc import MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    AliasGenerator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from .bounds import expectation

REPOSITORY = Path(__file__).resolve().parent.parent
KEY_BYTES = 32


class SettingsError(Exception):
    """One line for each variable that is missing or malformed: name, what was found, what is expected."""


def _absolute(path: Path) -> Path:
    # Not relative to the working directory: the processes of one installation start in different ones.
    return REPOSITORY / path.expanduser()


def _in_utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _not_a_bare_number(value: Any) -> Any:
    # pydantic would take digits for seconds since 1970, and 20260401 is a slip for a date.
    if isinstance(value, str) and value.strip().lstrip("+-").replace(".", "", 1).isdigit():
        raise ValueError("a bare number is not a time")
    return value


def _database_address(url: str) -> str:
    if not url.startswith(("postgresql://", "postgres://")):
        raise ValueError("not a PostgreSQL URL")
    return url


def _web_address(url: SecretStr) -> SecretStr:
    parts = urlsplit(url.get_secret_value())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not a web address")
    return url


def _plain_web_address(url: str) -> str:
    _web_address(SecretStr(url))
    return url


def _key(text: SecretStr) -> SecretStr:
    if len(key_bytes(text)) != KEY_BYTES:
        raise ValueError("not 32 bytes")
    return text


Port = Annotated[int, Field(ge=1, le=65_535)]
DatabaseUrl = Annotated[str, AfterValidator(_database_address)]
PlainUrl = Annotated[str, AfterValidator(_plain_web_address)]
WebUrl = Annotated[SecretStr, AfterValidator(_web_address)]
Key = Annotated[SecretStr, AfterValidator(_key)]
Hosts = Annotated[str, Field(pattern=r"^(\s*[a-z0-9-]+(\.[a-z0-9-]+)+)*\s*$", title="names of hosts, apart by spaces")]
Time = Annotated[datetime, BeforeValidator(_not_a_bare_number), AfterValidator(_in_utc)]

KEY_FORM = "32 random bytes in base64, as `openssl rand -base64 32` prints them"
TIME_FORM = "a time such as 2026-04-01T00:00:00Z (UTC when it names no zone)"


class Settings(BaseSettings):
    """What the environment says. A field's variable is its name in capitals; an empty one counts as not set."""

    model_config = SettingsConfigDict(
        alias_generator=AliasGenerator(validation_alias=str.upper),
        case_sensitive=True,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    marketing_home: Annotated[Path, AfterValidator(_absolute)] = Field(REPOSITORY / ".marketing", title="a directory")
    warehouse_url: DatabaseUrl | None = Field(None, title="a postgresql:// URL", repr=False)
    marketing_as_of: Time | None = Field(None, title=TIME_FORM)
    marketing_pseudonym_key: Key | None = Field(None, title=KEY_FORM)
    marketing_vault_key: Key | None = Field(None, title=KEY_FORM)

    dagster_port: Port = 3000
    api_port: Port = Field(8000, title="a whole number from 1 to 65535, other than DAGSTER_PORT")

    marketing_automation_enabled: bool = True
    viral_tracking_enabled: bool = True
    ai_content_generation_enabled: bool = False

    openai_api_key: SecretStr | None = Field(None, title="a key")
    openai_base_url: PlainUrl | None = Field(None, title="an http:// or https:// URL")
    ai_content_model: str = Field("gpt-4-turbo", pattern=r"^\S+$", title="the name of a model, without spaces")
    ai_max_tokens: int = Field(4000, ge=1, le=1_000_000)
    ai_endpoint_is_idempotent: bool = False
    ai_moderation_enabled: bool = True
    content_link_hosts: Hosts = ""
    marketing_ai_prices: Annotated[Path, AfterValidator(_absolute)] | None = Field(None, title="a file")
    marketing_content_webhook_url: WebUrl | None = Field(None, title="an http:// or https:// URL")
    marketing_content_webhook_secret: SecretStr | None = Field(None, title="secrets, each `whsec_` and base64")
    marketing_content_webhook_private: bool = False

    marketing_alert_webhook_url: WebUrl | None = Field(None, title="an http:// or https:// URL")
    # Several, apart by spaces, while a receiver changes from one to the next.
    marketing_alert_webhook_secret: SecretStr | None = Field(None, title="secrets, each `whsec_` and base64")
    marketing_alert_webhook_private: bool = False
    marketing_contacts: Annotated[Path, AfterValidator(_absolute)] | None = Field(None, title="a file")
    marketing_ui_url: PlainUrl | None = Field(None, title="an http:// or https:// URL")
    monitoring_interval_ms: int = Field(30_000, ge=1000, le=3_600_000)

    @field_validator("api_port")
    @classmethod
    def _apart_from_the_other(cls, port: int, info: ValidationInfo) -> int:
        if port == info.data.get("dagster_port"):
            raise ValueError("taken")
        return port

    @classmethod
    def load(cls) -> Self:
        """Read the environment of this process. Raises SettingsError naming all that is wrong, secrets not shown."""
        try:
            return cls()
        except ValidationError as error:
            # From none: pydantic's own text would show the values of secrets.
            raise SettingsError("\n".join(_line(problem) for problem in error.errors())) from None


SECRETS = frozenset(
    {
        "warehouse_url",
        "marketing_pseudonym_key",
        "marketing_vault_key",
        "openai_api_key",
        "marketing_alert_webhook_url",
        "marketing_alert_webhook_secret",
        "marketing_content_webhook_url",
        "marketing_content_webhook_secret",
    }
)


def key_bytes(text: SecretStr) -> bytes:
    """The bytes of a key in base64, of either alphabet. Raises ValueError for anything else."""
    standard = text.get_secret_value().strip().replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(standard, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def export_env_file(environ: MutableMapping[str, str], path: Path = REPOSITORY / ".env") -> None:
    """Add the variables of a .env file to environ, so that child processes see them too; what is set there stays."""
    for name, value in dotenv_values(path).items():
        if value is not None:
            environ.setdefault(name, value)


def _line(problem: Any) -> str:
    name = str(problem["loc"][0]).lower()
    found = problem["input"]
    if found is None:
        shown = "nothing"
    elif name in SECRETS:
        shown = f"a value of {len(str(found))} characters (not shown)"
    else:
        shown = repr(found)
    return f"{name.upper()}: found {shown}, expected {expectation(Settings.model_fields[name])}"
