"""What alerts are sent to, speaking the true protocols on 127.0.0.1: Slack, PagerDuty, mail, Standard Webhooks.

Each counts what it takes, checks its form and refuses what the real one would.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from aiosmtpd.controller import Controller
from standardwebhooks import Webhook

OK = 200


@dataclass
class Answer:
    """An answer other than the usual one."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Receiver:
    """taken: payloads that were accepted; faults: what was wrong with others. answers: given before the usual one."""

    url: str
    taken: list[Any] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    asked: int = 0

    def keys(self, name: str) -> Counter[str]:
        """How often each value of a field was taken."""
        return Counter(payload[name] for payload in self.taken)


def slack_fault(payload: Any, _headers: Mapping[str, str]) -> str | None:
    """Of an incoming webhook: text or blocks, or attachments that have text."""
    texts = [payload.get("text"), *(one.get("text") for one in payload.get("attachments", [])), payload.get("blocks")]
    return None if any(texts) else "no_text"


def pagerduty_fault(payload: Any, _headers: Mapping[str, str]) -> str | None:
    """Of the Events API v2."""
    if payload.get("event_action") not in ("trigger", "acknowledge", "resolve"):
        return "event_action"
    if len(payload.get("routing_key", "")) != 32:
        return "routing_key"
    if payload["event_action"] == "resolve":
        return None if payload.get("dedup_key") else "dedup_key"
    told = payload.get("payload", {})
    if told.get("severity") not in ("critical", "error", "warning", "info"):
        return "severity"
    if not told.get("summary") or not told.get("source"):
        return "summary, source"
    return None if len(payload.get("dedup_key") or "") <= 255 else "dedup_key"


@contextmanager
def http_receiver(fault: Any, *, path: str = "/") -> Iterator[Receiver]:
    """A server that takes JSON by POST. fault(payload, headers): what is wrong with it, or None."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            receiver.asked += 1
            if receiver.answers:
                answer = receiver.answers.pop(0)
                self._answer(answer.status, answer.headers)
                return
            try:
                payload = json.loads(raw)
                wrong = fault(payload, {**self.headers, "raw": raw})
            except ValueError as error:
                wrong = str(error)
            if wrong is None:
                receiver.taken.append(payload)
            else:
                receiver.faults.append(wrong)
            self._answer(OK if wrong is None else 400, {})

        def _answer(self, status: int, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "content-length": "2"}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_arguments: Any) -> None:
            """Quiet."""

    server = _Patient(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}{path}")
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Patient(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_arguments: Any) -> None:
        """A sender that is killed in the middle of a request is what tests do."""


def webhook_fault(secrets: Sequence[str]) -> Any:
    """The check of a receiver that knows these secrets, one of which must verify."""

    def fault(_payload: Any, headers: Mapping[str, str]) -> str | None:
        verified = []
        for secret in secrets:
            try:
                Webhook(secret).verify(headers["raw"], {name: str(value) for name, value in headers.items()})
                verified.append(secret)
            except Exception as error:  # noqa: BLE001 -- whatever the library refuses is a refusal
                reason = f"{type(error).__name__}: {error}"
        return None if verified else reason

    return fault


@contextmanager
def mail_receiver() -> Iterator[Receiver]:
    """An SMTP server; taken: parsed messages."""
    receiver = Receiver("")

    class Handler:
        async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
            receiver.asked += 1
            if receiver.answers:
                return f"{receiver.answers.pop(0).status} not now"
            message: Message = message_from_bytes(envelope.content)
            receiver.taken.append(message)
            return "250 OK"

    controller = _OnAnyPort(Handler(), hostname="127.0.0.1", port=0)
    controller.start()
    try:
        receiver.url = (
            f"mailto://127.0.0.1:{controller.port}?from=alerts@engine.example&to=team@company.example&mode=insecure"
        )
        yield receiver
    finally:
        controller.stop()


class _OnAnyPort(Controller):
    """Listens on a free port: the library would look for itself on port 0."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()
