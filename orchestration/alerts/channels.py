"""How a message reaches people and machines: Apprise's services, signed webhooks, a file.

A transport sends one message once and says what came of it; when to try again is delivery.py's affair.
"""

import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import certifi
import requests
import urllib3
from standardwebhooks import Webhook

from orchestration.warehouse.alerts import ClaimedMessage

TIMEOUT_SECONDS = 10.0
# Answers after which the same message may be taken later; without any answer it may, too.
TRANSIENT = frozenset({408, 425, 429}) | frozenset(range(500, 600))
# Services that know incidents by a key, which is part of their address, and those who would count a reminder twice.
WITH_DEDUP = frozenset({"pagerduty"})
KINDS = {"info": "info", "warning": "warning", "critical": "failure"}


@dataclass(frozen=True)
class Outcome:
    """error: None when the message was taken. is_final: trying again is of no use. retry_after: what the receiver asked
    for."""

    error: str | None = None
    is_final: bool = False
    retry_after: timedelta | None = None


class Transport(Protocol):
    """Sends a message once. Never raises for what a receiver does or does not."""

    def send(self, message: ClaimedMessage) -> Outcome:
        """What came of it."""
        ...


@dataclass(frozen=True)
class AppriseTransport:
    """One address of Apprise's (slack://, mailto://, pagerduty:// and a hundred more)."""

    url: str = field(repr=False)

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
        # Of several targets of one address, those that took it do not say why others did not.
        refusals = [_refused(one.status_code, one.headers) for one in answers if one.status_code >= 300]
        return min(refusals, key=lambda outcome: outcome.is_final, default=Outcome("no answer"))

    def _address(self, message: ClaimedMessage) -> str:
        if self.url.partition("://")[0] not in WITH_DEDUP:
            return self.url
        parts = urlsplit(self.url)
        # Without action, Apprise only ever triggers: map makes success resolve.
        query = "&".join(
            filter(None, (parts.query, f"action=map&dedup={requests.utils.quote(message.dedup_key, safe='')}"))
        )
        return parts._replace(query=query, fragment="").geturl()


@dataclass(frozen=True)
class WebhookTransport:
    """JSON to a URL, signed as https://www.standardwebhooks.com says.

    secrets: signed with every one, so that a receiver which still knows the old one, or knows the new one already, can
    verify it. Follows no redirect; reaches private addresses only if allowed.
    """

    url: str = field(repr=False)
    secrets: Sequence[str] = field(repr=False)
    may_be_private: bool = False

    def send(self, message: ClaimedMessage) -> Outcome:
        """webhook-id is the same whenever this message is sent again; `incident` in all messages of an incident."""
        told = {"type": f"alert.{message.reason}", "timestamp": message.created_at.isoformat()}
        data = message.fields | {"incident": message.dedup_key, "title": message.title, "text": message.body}
        payload = json.dumps(told | {"data": data}, sort_keys=True)
        identity, now = f"{message.dedup_key}/{message.message_id}", datetime.now(UTC)
        signatures = " ".join(Webhook(secret).sign(identity, now, payload) for secret in self.secrets)
        headers = {
            "content-type": "application/json",
            "user-agent": "marketing-automation-engine",
            "webhook-id": identity,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signatures,
        }
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        try:
            address = _address_of(host, port, self.may_be_private)
        except (OSError, ValueError) as error:
            return Outcome(str(error), is_final=isinstance(error, ValueError))
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            with closing(_pool(parts.scheme, host, address, port)) as pool:
                answer = pool.urlopen(
                    "POST",
                    path,
                    body=payload.encode(),
                    headers=headers | {"host": parts.netloc.rpartition("@")[2]},
                    redirect=False,
                    retries=False,
                    # What it says besides, however much and slowly, is of no interest.
                    preload_content=False,
                )
                answer.close()
        except urllib3.exceptions.HTTPError as error:
            return Outcome(f"no answer: {error}")
        if 200 <= answer.status < 300:
            return Outcome()
        return _refused(answer.status, answer.headers)


@dataclass(frozen=True)
class FileTransport:
    """A line of JSON for each message, at the end of a file."""

    path: Path

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


def _refused(status: int, headers: Mapping[str, str]) -> Outcome:
    is_final = status not in TRANSIENT
    return Outcome(f"answered {status}", is_final=is_final, retry_after=None if is_final else retry_after(headers))


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Seconds or a date, as RFC 9110 has it; None where there is neither."""
    told = (headers.get("Retry-After") or "").strip()
    if told.isascii() and told.isdigit() and len(told) < 10:
        return timedelta(seconds=min(int(told), 86_400))
    try:
        until = parsedate_to_datetime(told)
    except (TypeError, ValueError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(max(until - datetime.now(UTC), timedelta()), timedelta(days=1))


def _address_of(host: str, port: int, may_be_private: bool) -> str:
    """The address to connect to: looked up once, so that it cannot be another one when it is used."""
    found = [entry[4][0] for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    public = [address for address in found if may_be_private or ip_address(str(address)).is_global]
    if not public:
        raise ValueError(f"{host} is a private address: MARKETING_ALERT_WEBHOOK_PRIVATE allows it")
    return str(public[0])


def _pool(scheme: str, host: str, address: str, port: int) -> urllib3.HTTPConnectionPool:
    """Of the host at this address: a certificate is the host's."""
    kind, tls = urllib3.HTTPConnectionPool, {}
    if scheme == "https":
        kind = urllib3.HTTPSConnectionPool
        tls = {
            "server_hostname": host,
            "assert_hostname": host,
            "cert_reqs": "CERT_REQUIRED",
            "ca_certs": certifi.where(),
        }
    return kind(address, port, timeout=urllib3.Timeout(total=TIMEOUT_SECONDS), maxsize=1, **tls)


@contextmanager
def _answers() -> Iterator[list[requests.Response]]:
    """The answers that a service gets meanwhile: Apprise says whether it was taken, but neither why not nor when to try
    again."""
    seen: list[requests.Response] = []
    send = requests.Session.send

    def watched(session: requests.Session, request: requests.PreparedRequest, **options: object) -> requests.Response:
        answer = send(session, request, **options)
        seen.append(answer)
        return answer

    requests.Session.send = watched
    try:
        yield seen
    finally:
        requests.Session.send = send
