"""How a message reaches people and machines: Apprise's services, signed webhooks, a file.

A transport sends one message once and says what came of it; when to try again is delivery.py's affair.
"""

import json
import os
import smtplib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import ClassVar, Protocol
from urllib.parse import urlsplit

import requests

from orchestration.warehouse.alerts import ClaimedMessage
from orchestration.webhooks import Outcome, post_signed, refused

# Services that know incidents by a key, which is part of their address, and those who would count a reminder twice.
WITH_DEDUP = frozenset({"pagerduty"})
KINDS = {"info": "info", "warning": "warning", "critical": "failure"}


class Transport(Protocol):
    """Sends a message once. Never raises for what a receiver does or does not.

    takes_many: whether several messages may come as one, as people would rather read them; False where each is an
    incident of its own to a machine.
    """

    takes_many: bool

    def send(self, message: ClaimedMessage) -> Outcome:
        """What came of it."""
        ...


@dataclass(frozen=True)
class AppriseTransport:
    """One address of Apprise's (slack://, mailto://, pagerduty:// and a hundred more)."""

    url: str = field(repr=False)

    @property
    def takes_many(self) -> bool:
        """Of services without incidents."""
        return self._service not in WITH_DEDUP

    @property
    def _service(self) -> str:
        return self.url.partition("://")[0]

    def send(self, message: ClaimedMessage) -> Outcome:
        """Of a service with incidents the message carries its dedup_key, and resolves."""
        # Its import takes half a second, which every command would pay.
        import apprise

        with _answers() as answers:
            service = apprise.Apprise.instantiate(self._address(message), asset=_asset(), suppress_exceptions=True)
            if service is None:
                return Outcome("Apprise does not know this address", is_final=True)
            kind = "success" if message.is_over else KINDS[message.severity]
            sender = apprise.Apprise(service, asset=_asset())
            # As text: else a service that takes HTML would run the lines together.
            taken = sender.notify(body=message.body, title=message.title, notify_type=kind, body_format="text")
        if taken:
            return Outcome()
        # Of several targets of one address, one that may take it later is reason enough to try again.
        return min(answers, key=lambda outcome: outcome.is_final, default=Outcome("no answer"))

    def _address(self, message: ClaimedMessage) -> str:
        if self._service not in WITH_DEDUP:
            return self.url
        parts = urlsplit(self.url)
        # Without action, Apprise only ever triggers: map makes success resolve.
        query = "&".join(
            filter(None, (parts.query, f"action=map&dedup={requests.utils.quote(message.dedup_key, safe='')}"))
        )
        return parts._replace(query=query, fragment="").geturl()


@dataclass(frozen=True)
class WebhookTransport:
    """JSON to a URL, signed; see webhooks.post_signed."""

    url: str = field(repr=False)
    secrets: Sequence[str] = field(repr=False)
    may_be_private: bool = False
    takes_many: ClassVar[bool] = False

    def send(self, message: ClaimedMessage) -> Outcome:
        """webhook-id is the same whenever this message is sent again; `incident` in all messages of an incident."""
        told = {"type": f"alert.{message.reason}", "timestamp": message.created_at.isoformat()}
        data = message.fields | {"incident": message.dedup_key, "title": message.title, "text": message.body}
        payload = json.dumps(told | {"data": data}, sort_keys=True)
        return post_signed(
            self.url,
            f"{message.dedup_key}/{message.message_id}",
            payload,
            self.secrets,
            may_be_private=self.may_be_private,
        )


@dataclass(frozen=True)
class FileTransport:
    """A line of JSON for each message, at the end of a file."""

    path: Path
    takes_many: ClassVar[bool] = False

    def send(self, message: ClaimedMessage) -> Outcome:
        """On disk when this returns."""
        line = {
            "sent_at": datetime.now(UTC).isoformat(),
            "incident": message.dedup_key,
            "reason": message.reason,
            "title": message.title,
            "text": message.body,
        }
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line | {"fields": message.fields}, sort_keys=True) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            return Outcome(f"{self.path}: {error.strerror}")
        return Outcome()


@cache
def _asset() -> object:
    import apprise

    # No picture: each message would make its reader ask another's server for one.
    return apprise.AppriseAsset(
        app_id="Marketing Automation Engine", app_desc="alerts", app_url="", image_url_mask="", image_url_logo=""
    )


@contextmanager
def _answers() -> Iterator[list[Outcome]]:
    """What servers answer meanwhile, refusals only: Apprise says whether a message was taken, but neither why not nor
    when to try again. One message at a time is sent by a process (sender.py), so that they are its own."""
    refusals: list[Outcome] = []

    def watched(session: requests.Session, request: requests.PreparedRequest, **options: object) -> requests.Response:
        answer = send(session, request, **options)
        if answer.status_code >= 300:
            refusals.append(refused(answer.status_code, answer.headers))
        return answer

    def overheard(server: smtplib.SMTP) -> tuple[int, bytes]:
        code, text = reply(server)
        # 500 and 502 say that a command is not known, after which a simpler one is tried.
        if code >= 400 and code not in (500, 502):
            refusals.append(Outcome(f"answered {code}", is_final=code >= 500))
        return code, text

    send, reply = requests.Session.send, smtplib.SMTP.getreply
    requests.Session.send, smtplib.SMTP.getreply = watched, overheard
    try:
        yield refusals
    finally:
        requests.Session.send, smtplib.SMTP.getreply = send, reply
