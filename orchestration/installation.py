"""One installation: its settings and policy, and what is made from them once something needs it.

Made by cli.py and definitions.py, which pass its parts on to the stages.
"""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from orchestration.alerts.alerting import Addresses
from orchestration.content.desk import Desk, Endpoint, desk_of
from orchestration.content.exporting import SendingSystem
from orchestration.ingest.open_load import PersonalData
from orchestration.policy import Policy
from orchestration.privacy.keys import find_keys
from orchestration.privacy.pseudonyms import Pseudonyms
from orchestration.privacy.vault import Cipher
from orchestration.settings import REPOSITORY, Settings, SettingsError, key_bytes
from orchestration.transform.project import Project
from orchestration.warehouse import Warehouse
from orchestration.warehouse.vault import holds_pseudonyms
from orchestration.webhooks import is_webhook_secret, webhook_secret


@dataclass(frozen=True)
class Installation:
    """settings, policy: as the environment and dbt_project.yml give them."""

    settings: Settings
    policy: Policy

    @classmethod
    def load(cls) -> Self:
        """Read the environment of this process. Raises SettingsError or PolicyError naming all that is wrong."""
        return cls(Settings.load(), Policy.load(REPOSITORY / "dbt_project.yml", os.environ))

    @cached_property
    def warehouse(self) -> Warehouse:
        """The warehouse, started and migrated. Raises SettingsError where MARKETING_HOME can be no directory."""
        home = self.settings.marketing_home
        try:
            home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"MARKETING_HOME: found {home}, expected a directory: {error.strerror}") from error
        return Warehouse.open(self.settings.marketing_home, self.settings.warehouse_url)

    @property
    def landing(self) -> Path:
        """Where feed files wait to be loaded."""
        return self.settings.marketing_home / "landing"

    @property
    def ui(self) -> str:
        """Address of the Dagster UI, as people reach it."""
        named = self.settings.marketing_ui_url
        return named.rstrip("/") if named else f"http://127.0.0.1:{self.settings.dagster_port}"

    @property
    def alert_addresses(self) -> Addresses:
        """Where alerts can go."""
        settings = self.settings
        url, secret = settings.marketing_alert_webhook_url, settings.marketing_alert_webhook_secret
        return Addresses(
            home=settings.marketing_home,
            contacts=settings.marketing_contacts or settings.marketing_home / "contacts.yml",
            must_exist=settings.marketing_contacts is not None,
            webhook_url=url.get_secret_value() if url else None,
            webhook_secrets=tuple(secret.get_secret_value().split()) if secret else (),
            webhook_may_be_private=settings.marketing_alert_webhook_private,
        )

    @cached_property
    def desk(self) -> Desk:
        """What content is made with. Raises DeskError for files with faults."""
        settings = self.settings
        key = settings.openai_api_key
        endpoint = Endpoint(
            is_on=settings.ai_content_generation_enabled,
            api_key=key.get_secret_value() if key else None,
            base_url=settings.openai_base_url,
            model=settings.ai_content_model,
            max_tokens=settings.ai_max_tokens,
            is_idempotent=settings.ai_endpoint_is_idempotent,
            moderates=settings.ai_moderation_enabled,
            prices=settings.marketing_ai_prices,
            link_hosts=tuple(settings.content_link_hosts.split()),
        )
        return desk_of(self.policy, endpoint)

    @property
    def content_folder(self) -> Path:
        """Where approved content is filed."""
        return self.settings.marketing_home / "content"

    @property
    def sending_system(self) -> SendingSystem | None:
        """Where approved content is posted, if anywhere. Raises SettingsError for secrets that are none."""
        settings = self.settings
        if settings.marketing_content_webhook_url is None:
            return None
        given = settings.marketing_content_webhook_secret
        own = tuple(given.get_secret_value().split()) if given else ()
        secrets = own or (webhook_secret(settings.marketing_home),)
        if not all(is_webhook_secret(secret) for secret in secrets):
            raise SettingsError("MARKETING_CONTENT_WEBHOOK_SECRET: expected secrets, each `whsec_` and base64")
        return SendingSystem(
            settings.marketing_content_webhook_url.get_secret_value(),
            secrets,
            settings.marketing_content_webhook_private,
        )

    @cached_property
    def project(self) -> Project:
        """The dbt project, with its artefacts under MARKETING_HOME."""
        return Project(REPOSITORY, self.warehouse.home)

    @cached_property
    def personal_data(self) -> PersonalData:
        """Pseudonyms and ciphers under the keys in force. Raises KeyProblem."""
        with self.warehouse.connect() as connection:
            may_create = self.settings.warehouse_url is None and not holds_pseudonyms(connection)
        pseudonym_key, vault_key = self.settings.marketing_pseudonym_key, self.settings.marketing_vault_key
        keys = find_keys(
            self.warehouse.home / "keys",
            pseudonym_key=key_bytes(pseudonym_key) if pseudonym_key else None,
            vault_key=key_bytes(vault_key) if vault_key else None,
            may_create=may_create,
        )
        return PersonalData(
            pseudonyms=Pseudonyms(keys.pseudonym, keys.version),
            vault=Cipher(keys.vault, purpose="vault", version=keys.version),
            quarantine=Cipher(keys.vault, purpose="quarantine", version=keys.version),
        )
