"""JSON posted to a URL: to whom, how long at most, and what is believed of a certificate."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from orchestration import webhooks
from orchestration.webhooks import Outcome, is_public, post_signed, retry_after
from tests.receivers import http_receiver

SECRETS = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",)
END_OF_REQUEST = b"\r\n\r\n{}"
TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"


def post(url: str) -> Outcome:
    return post_signed(url, "one", "{}", SECRETS, may_be_private=True)


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Those of receiver.example."""
    found: list[str] = ["127.0.0.1"]
    usual = socket.getaddrinfo

    def look_up(host: str, port: int, *arguments: object, **options: object) -> list[tuple]:
        if host == "receiver.example":
            return [(2, 1, 6, "", (address, port)) for address in found]
        return usual(host, port, *arguments, **options)

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    return found


def test_a_webhook_takes_user_and_password_and_tries_every_address(addresses: list[str]):
    addresses.insert(0, "127.0.0.9")
    heard = []

    def fault(_payload: object, headers: Mapping[str, str]) -> None:
        heard.append(headers.get("authorization"))

    with http_receiver(fault) as receiver:
        assert post(receiver.url.replace("127.0.0.1", "ann:p%40ss@receiver.example")) == Outcome()
    assert heard == ["Basic YW5uOnBAc3M="]


@contextmanager
def listener(talk: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server that talks to one client. What that client does to it is of no interest."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                client, _address = server.accept()
                with client, tls.wrap_socket(client, server_side=True) if tls else client as talked_to:
                    heard = b""
                    # Whole: a connection that is closed on what was not read is reset, answer and all.
                    while not heard.endswith(END_OF_REQUEST):
                        if not (part := talked_to.recv(65_536)):
                            return
                        heard += part
                    talk(talked_to)
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(5)
        assert not thread.is_alive()


def drip(talked_to: socket.socket) -> None:
    talked_to.sendall(b"HTTP/1.1 200 OK\r\nx-slow: ")
    for _byte in range(100):
        time.sleep(0.05)
        talked_to.sendall(b"x")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_receiver_that_answers_a_byte_at_a_time_is_left(
    scheme: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, addresses: list[str]
):
    """Prevents one receiver from keeping all that is approved back: each byte comes in time, the answer never does."""
    monkeypatch.setattr(webhooks, "TIMEOUT_SECONDS", 0.5)
    tls = trusted(tmp_path, monkeypatch, "receiver.example") if scheme == "https" else None
    with listener(drip, tls) as port:
        started = time.monotonic()
        outcome = post(f"{scheme}://receiver.example:{port}/")
        # The drip goes on for 5 seconds.
        assert time.monotonic() - started < 4
    assert outcome == Outcome("no answer: TimeoutError")


def test_an_answer_that_is_none_may_be_asked_for_again(addresses: list[str]):
    with listener(lambda talked_to: talked_to.sendall(b"what?\r\n")) as port:
        assert post(f"http://receiver.example:{port}/") == Outcome("no answer: BadStatusLine")
    with listener(lambda _talked_to: None) as port:
        assert post(f"http://receiver.example:{port}/") == Outcome("no answer: RemoteDisconnected")


def trusted(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> ssl.SSLContext:
    """The context of a server whose certificate for this name is believed."""
    key = ec.generate_private_key(ec.SECP256R1())
    called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(called)
        .issuer_name(called)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    own = folder / "own.pem"
    own.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)
    )
    monkeypatch.setattr("certifi.where", lambda: str(own))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own)
    return context


def test_a_certificate_is_believed_for_its_own_host_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, addresses: list[str]
):
    with listener(lambda talked_to: talked_to.sendall(TAKEN), trusted(tmp_path, monkeypatch, "receiver.example")) as at:
        assert post(f"https://receiver.example:{at}/") == Outcome()
    with listener(lambda talked_to: talked_to.sendall(TAKEN), trusted(tmp_path, monkeypatch, "other.example")) as at:
        assert post(f"https://receiver.example:{at}/") == Outcome("no answer: SSLCertVerificationError")


@pytest.mark.parametrize(
    ("address", "is_open"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("10.0.0.1", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("100.64.0.1", False),
        ("::1", False),
        ("::ffff:10.0.0.1", False),
        ("::127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b:1::a00:1", False),
        ("2002:7f00:1::", False),
        ("fec0::1", False),
        ("fe80::1%eth0", False),
        ("ff0e::1", False),
        ("2001:0:7f00:1::", False),
    ],
)
def test_what_counts_as_the_open_internet(address: str, is_open: bool):
    """Prevents an alert that is posted to the metadata service of the cloud, by way of IPv6."""
    assert is_public(address) is is_open


@pytest.mark.parametrize(
    ("told", "seconds"),
    [(" 30 ", 30), ("9999999", 86_400), (format_datetime(datetime(2020, 1, 1, tzinfo=UTC)), 0)],
)
def test_retry_after_is_seconds_or_a_date(told: str, seconds: int):
    assert retry_after({"Retry-After": told}) == timedelta(seconds=seconds)


def test_a_date_to_come_is_waited_for():
    in_an_hour = format_datetime(datetime.now(UTC) + timedelta(hours=1))
    assert timedelta(minutes=50) <= retry_after({"Retry-After": in_an_hour}) <= timedelta(hours=1)


@pytest.mark.parametrize(
    "headers", [{}, {"Retry-After": "soon"}, {"Retry-After": "-5"}, {"Retry-After": "²"}, {"Retry-After": "9" * 5000}]
)
def test_no_retry_after_is_none(headers: Mapping[str, str]):
    assert retry_after(headers) is None
