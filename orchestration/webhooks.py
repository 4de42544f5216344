"""JSON posted to somebody's URL, signed as https://www.standardwebhooks.com says, and what came of it.

Whether to try again is the affair of whoever sends; wait_before says how long to wait.
"""

import base64
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path
from random import Random
from secrets import token_bytes
from threading import Event, Timer
from urllib.parse import SplitResult, unquote, urlsplit

import certifi
import urllib3
from standardwebhooks import Webhook
from urllib3.connection import HTTPConnection, HTTPSConnection

from orchestration.warehouse.files import write_private

TIMEOUT_SECONDS = 10.0
# Answers after which the same message may be taken later; without any answer it may, too.
TRANSIENT = frozenset({408, 425, 429}) | frozenset(range(500, 600))
# IPv6 that a gateway turns into IPv4 (RFC 6052, 8215), and the old form of IPv4 within IPv6 (RFC 4291).
WRAPPED = tuple(ip_network(one) for one in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96"))


class PrivateAddressError(Exception):
    """A webhook leads into the network of the engine itself."""


@dataclass(frozen=True)
class Outcome:
    """error: None when the message was taken. is_final: trying again is of no use. retry_after: what the receiver asked
    for."""

    error: str | None = None
    is_final: bool = False
    retry_after: timedelta | None = None


def webhook_secret(home: Path) -> str:
    """The secret of an installation that was given none: made once, kept where its other keys are, mode 0600."""
    path = home / "keys" / "webhook"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, "whsec_" + base64.b64encode(token_bytes(32)).decode())
    return path.read_text().strip()


def is_webhook_secret(secret: str) -> bool:
    """Whether a secret has the form of Standard Webhooks: whsec_ and base64."""
    try:
        return bool(base64.b64decode(secret.removeprefix("whsec_"), validate=True))
    except ValueError:
        return False


def post_signed(
    url: str, identity: str, payload: str, secrets: Sequence[str], *, may_be_private: bool = False
) -> Outcome:
    """Post once. identity: the webhook-id, the same whenever this payload is sent again.

    secrets: signed with every one, so that a receiver which still knows the old one, or knows the new one already, can
    verify it. Follows no redirect; reaches private addresses only if allowed.
    """
    now = datetime.now(UTC)
    headers = {
        "content-type": "application/json",
        "user-agent": "marketing-automation-engine",
        "webhook-id": identity,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(identity, now, payload) for secret in secrets),
    }
    parts = urlsplit(url)
    if parts.username is not None:
        headers |= urllib3.make_headers(basic_auth=f"{unquote(parts.username)}:{unquote(parts.password or '')}")
    try:
        addresses = _addresses_of(parts, may_be_private)
    except PrivateAddressError as error:
        return Outcome(str(error), is_final=True)
    except OSError as error:
        return Outcome(f"{parts.hostname} has no address: {error.strerror}")
    for place, address in enumerate(addresses, start=1):
        try:
            status, told = _post(parts, address, payload.encode(), headers)
            break
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
            # Nobody heard anything there yet.
            if place == len(addresses):
                return Outcome(f"no answer: {type(error).__name__}")
        except (urllib3.exceptions.HTTPError, HTTPException, OSError) as error:
            return Outcome(f"no answer: {type(error).__name__}")
    if 200 <= status < 300:
        return Outcome()
    return refused(status, told)


def refused(status: int, headers: Mapping[str, str]) -> Outcome:
    """The outcome of an answer that is no success."""
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


def wait_before(
    earlier: int, first: timedelta, longest: timedelta, asked_for: timedelta | None, luck: Random
) -> timedelta:
    """Before trying again after so many earlier failures beside this one: twice as long each time, at most longest,
    drawn from the second half, so that many do not come at once; never less than was asked for."""
    doubled = min(first * 2 ** min(earlier, 30), longest)
    return max(doubled * (0.5 + 0.5 * luck.random()), asked_for or timedelta())


def _post(
    parts: SplitResult, address: str, payload: bytes, headers: Mapping[str, str]
) -> tuple[int, Mapping[str, str]]:
    """Status and headers of the answer; the rest of it, however much follows, and slowly, is of no interest.

    Connecting, and what comes after it, each take TIMEOUT_SECONDS at most, though somebody sends a byte now and then:
    the time-out of a connection is one for each of its steps.
    """
    host, port = parts.hostname or "", _port(parts)
    kind, tls = HTTPConnection, {}
    if parts.scheme == "https":
        kind = HTTPSConnection
        # A certificate is the host's, whichever of its addresses answers.
        tls = {"server_hostname": host, "ssl_context": ssl.create_default_context(cafile=certifi.where())}
    with closing(kind(address, port, timeout=TIMEOUT_SECONDS, **tls)) as connection:
        connection.connect()
        with _hung_up_after(TIMEOUT_SECONDS, connection.sock):
            connection.request(
                "POST",
                (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
                body=payload,
                headers={**headers, "host": parts.netloc.rpartition("@")[2]},
                preload_content=False,
            )
            answer = connection.getresponse()
        return answer.status, answer.headers


@contextmanager
def _hung_up_after(seconds: float, connected: socket.socket) -> Iterator[None]:
    is_over = Event()

    def hang_up() -> None:
        is_over.set()
        # Whoever has gone already need not be left.
        with suppress(OSError):
            connected.shutdown(socket.SHUT_RDWR)

    timer = Timer(seconds, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    if is_over.is_set():
        # The end of a connection looks like the end of the headers.
        raise TimeoutError


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _addresses_of(parts: SplitResult, may_be_private: bool) -> list[str]:
    """The addresses to connect to: looked up once, so that they cannot be others when they are used.

    Raises OSError where there are none, PrivateAddressError where none is allowed.
    """
    found = [str(entry[4][0]) for entry in socket.getaddrinfo(parts.hostname, _port(parts), type=socket.SOCK_STREAM)]
    allowed = [address for address in dict.fromkeys(found) if may_be_private or is_public(address)]
    if not allowed:
        raise PrivateAddressError(f"{parts.hostname} is a private address, which is not allowed")
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
