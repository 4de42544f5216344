"""How a message reaches people and machines: Apprise's services, signed webhooks, a file.

A transport sends one message once and says what came of it; when to try again is delivery.py's affair.
"""

import json
import os
import smtplib
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import ClassVar, Protocol
from urllib.parse import SplitResult, unquote, urlsplit

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
# IPv6 that a gateway turns into IPv4 (RFC 6052, 8215), and the old form of IPv4 within IPv6 (RFC 4291).
WRAPPED = tuple(ip_network(one) for one in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96"))
KINDS = {"info": "info", "warning": "warning", "critical": "failure"}


class PrivateAddressError(Exception):
    """A webhook leads into the network of the engine itself."""


@dataclass(frozen=True)
class Outcome:
    """error: None when the message was taken. is_final: trying again is of no use. retry_after: what the receiver asked
    for."""

    error: str | None = None
    is_final: bool = False
    retry_after: timedelta | None = None


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
    """JSON to a URL, signed as https://www.standardwebhooks.com says.

    secrets: signed with every one, so that a receiver which still knows the old one, or knows the new one already, can
    verify it. Follows no redirect; reaches private addresses only if allowed.
    """

    url: str = field(repr=False)
    secrets: Sequence[str] = field(repr=False)
    may_be_private: bool = False
    takes_many: ClassVar[bool] = False

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
        if parts.username is not None:
            headers |= urllib3.make_headers(basic_auth=f"{unquote(parts.username)}:{unquote(parts.password or '')}")
        try:
            addresses = _addresses_of(parts, self.may_be_private)
        except PrivateAddressError as error:
            return Outcome(str(error), is_final=True)
        except OSError as error:
            return Outcome(f"{parts.hostname} has no address: {error.strerror}")
        for place, address in enumerate(addresses, start=1):
            try:
                answer = _post(parts, address, payload.encode(), headers)
                break
            except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
                # Nobody heard anything there yet.
                if place == len(addresses):
                    return Outcome(f"no answer: {type(error).__name__}")
            except urllib3.exceptions.HTTPError as error:
                return Outcome(f"no answer: {type(error).__name__}")
        if 200 <= answer.status < 300:
            return Outcome()
        return _refused(answer.status, answer.headers)


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


def _post(parts: SplitResult, address: str, payload: bytes, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
    """The answer, of which only what it begins with is read: however much follows, and slowly, is of no interest."""
    host, port = parts.hostname or "", _port(parts)
    kind, tls = urllib3.HTTPConnectionPool, {}
    if parts.scheme == "https":
        kind = urllib3.HTTPSConnectionPool
        # A certificate is the host's, whichever of its addresses answers.
        tls = {
            "server_hostname": host,
            "assert_hostname": host,
            "cert_reqs": "CERT_REQUIRED",
            "ca_certs": certifi.where(),
        }
    with closing(kind(address, port, timeout=urllib3.Timeout(total=TIMEOUT_SECONDS), maxsize=1, **tls)) as pool:
        answer = pool.urlopen(
            "POST",
            (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
            body=payload,
            headers={**headers, "host": parts.netloc.rpartition("@")[2]},
            redirect=False,
            retries=False,
            preload_content=False,
        )
        answer.close()
        return answer


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _addresses_of(parts: SplitResult, may_be_private: bool) -> list[str]:
    """The addresses to connect to: looked up once, so that they cannot be others when they are used.

    Raises OSError where there are none, PrivateAddressError where none is allowed.
    """
    found = [str(entry[4][0]) for entry in socket.getaddrinfo(parts.hostname, _port(parts), type=socket.SOCK_STREAM)]
    allowed = [address for address in dict.fromkeys(found) if may_be_private or is_public(address)]
    if not allowed:
        raise PrivateAddressError(f"{parts.hostname} is a private address: MARKETING_ALERT_WEBHOOK_PRIVATE allows it")
    return allowed


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet, whatever form it comes in."""
    one = ip_address(address.partition("%")[0])
    if isinstance(one, IPv6Address):
        if any(one in network for network in WRAPPED):
            return False
        inner = [one.ipv4_mapped, one.sixtofour, *(one.teredo or ())]
        if any(part is not None and not is_public(str(part)) for part in inner) or one.is_site_local:
            return False
    return one.is_global and not one.is_multicast


@contextmanager
def _answers() -> Iterator[list[Outcome]]:
    """What servers answer meanwhile, refusals only: Apprise says whether a message was taken, but neither why not nor
    when to try again. One message at a time is sent by a process (sender.py), so that they are its own."""
    refusals: list[Outcome] = []

    def watched(session: requests.Session, request: requests.PreparedRequest, **options: object) -> requests.Response:
        answer = send(session, request, **options)
        if answer.status_code >= 300:
            refusals.append(_refused(answer.status_code, answer.headers))
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
