"""A server that speaks OpenAI's chat completions and moderations on 127.0.0.1, for the true client.

It refuses what the real one would, counts what it would bill, and remembers every byte that it was sent.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import combinations
from threading import Lock, Thread
from typing import Any

KEY = "sk-test"
SENTENCES = (
    "We looked at what people liked about this campaign and wrote it down more clearly.",
    "The step that we ask you to take is small and can be taken from any phone.",
    "Whoever has questions can answer this message and a person will write back.",
    "Nothing changes for you until you decide that it should.",
    "Many of your neighbours have already found their way through the new pages.",
    "A short visit shows where your plans stand and what comes next.",
    "We kept the message brief because your days are full as they are.",
    "Choose a quiet moment, open the page and see whether it suits you.",
    "If the page does not suit you, close it and nobody will remind you again this season.",
    "The people behind the tables, the flowers and the music are all listed there.",
    "You can look around without telling us anything about yourself.",
    "What you write down stays where you left it and waits for your return.",
    "Friends can look along with you whenever you would like another opinion.",
    "The list grows each week as more houses open their doors.",
    "It helps to begin with the part of the day that matters most to you.",
    "Some begin with the menu, others with the guests, and both ways work well.",
    "Our own team tries every page before it is shown to anybody.",
    "When a supplier answers, the answer appears beside your note.",
    "Pictures tell more than words, so each house shows its rooms.",
    "Take the time that you need, since good plans ripen slowly.",
    "Old notes can be put away without being lost.",
    "A calendar beside the list shows which days are still open.",
    "Prices stand beside each offer so that no surprise comes later.",
    "Once you are done, a single page gathers everything for your family.",
)


@dataclass
class Reply:
    """How one request is answered. content: of the message; None: a draft that answers the brief. headers: beside the
    usual ones. raw: a body instead of a completion. drops: the connection ends without an answer. cut: in the middle of
    it. drips: a byte of the headers every so many seconds."""

    status: int = 200
    content: str | None = None
    finish_reason: str = "stop"
    refusal: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: str | None = None
    code: str | None = None
    drops: bool = False
    cut: bool = False
    drips: float = 0.0
    seconds: float = 0.0
    usage: bool = True


GOOD = Reply()


@dataclass
class Served:
    """url: for OPENAI_BASE_URL. requests: bodies of completions, in order. bytes: all that was ever sent, headers too.
    billed: completions that were paid for, by idempotency key. moderation_status, moderation_body: of its answers.
    most: requests under way at once. replies: given before the usual one."""

    url: str
    replies: list[Reply] = field(default_factory=list)
    usual: Callable[[dict[str, Any]], Reply] = lambda _request: GOOD
    requests: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    bytes: bytearray = field(default_factory=bytearray)
    billed: Counter[str] = field(default_factory=Counter)
    moderated: list[str] = field(default_factory=list)
    flags: Callable[[str], bool] | None = lambda _text: False
    moderation_status: int = 200
    moderation_body: str | None = None
    under_way: int = 0
    most: int = 0
    seconds: float = 0.0
    texts: Iterator[tuple[str, ...]] = field(default_factory=lambda: iter(_picks()))
    lock: Any = field(default_factory=Lock)

    def draft(self, brief: Mapping[str, Any]) -> str:
        """Variants that answer a brief as it should be."""
        variants = []
        for _number in range(brief["variants"]):
            with self.lock:
                sentences = next(self.texts)
            links = " ".join(f"{{{{{name}}}}}" for name in brief["required_placeholders"])
            body = " ".join(sentences)
            variants.append(
                {
                    "subject": " ".join(sentences[0].split()[:6]).rstrip(".,"),
                    "preview": " ".join(sentences[1].split()[:9]).rstrip(".,"),
                    "body": f"Hello,\n\n{body}\n\nSee for yourself here: {links}",
                }
            )
        return json.dumps({"variants": variants})


def _picks() -> Iterator[tuple[str, ...]]:
    """Texts that have few words in a row in common."""
    every = list(combinations(SENTENCES, 5))
    # A step that has no factor in common with their number passes through all of them.
    place, step = 0, 9_973
    for _pick in every:
        yield every[place]
        place = (place + step) % len(every)


def brief_in(request: Mapping[str, Any]) -> dict[str, Any]:
    """The brief that a request holds."""
    text = request["messages"][-1]["content"]
    return json.loads(text[text.index("<brief>\n") + 8 : text.rindex("\n</brief>")])


def fault_of(request: Mapping[str, Any], headers: Mapping[str, str]) -> str | None:
    """What the real service would refuse."""
    if headers.get("authorization") != f"Bearer {KEY}":
        return "authorization"
    if not isinstance(request.get("model"), str) or not request.get("messages"):
        return "model, messages"
    if any(set(one) < {"role", "content"} for one in request["messages"]):
        return "messages"
    if request["model"] == "thinker" and {"max_tokens", "temperature"} & set(request):
        return "max_tokens, temperature are not supported with this model"
    form = request.get("response_format", {"type": "text"})
    if form["type"] == "json_schema":
        schema = form["json_schema"]
        if schema.get("strict") is not True or schema["schema"].get("additionalProperties") is not False:
            return "response_format"
        if request["model"].startswith("gpt-4-turbo"):
            return "response_format json_schema is not supported with this model"
    if form["type"] == "json_object" and not any("json" in one["content"].lower() for one in request["messages"]):
        return "messages must contain the word json"
    return None


@contextmanager
def openai_server() -> Iterator[Served]:
    """It answers until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            with served.lock:
                served.bytes += str(self.headers).encode() + raw
            if self.path == "/v1/chat/completions":
                with served.lock:
                    served.under_way += 1
                    served.most = max(served.most, served.under_way)
                try:
                    self._complete(json.loads(raw))
                finally:
                    with served.lock:
                        served.under_way -= 1
            elif self.path == "/v1/moderations" and served.flags is not None:
                self._moderate(json.loads(raw))
            else:
                self._answer(404, {"error": {"message": "no such path", "type": "invalid_request_error"}})

        def _complete(self, request: dict[str, Any]) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            with served.lock:
                served.requests.append(request)
                reply = served.replies.pop(0) if served.replies else served.usual(request)
            time.sleep(reply.seconds or served.seconds)
            if (fault := fault_of(request, headers)) is not None:
                served.faults.append(fault)
                status = 401 if fault == "authorization" else 400
                self._answer(status, {"error": {"message": fault, "type": "invalid_request_error", "code": None}})
                return
            if reply.status != 200:
                error = {"message": f"about {request['messages']}", "type": "error", "code": reply.code}
                self._answer(reply.status, {"error": error}, reply.headers)
                return
            with served.lock:
                served.billed[headers["idempotency-key"]] += 1
            if reply.drops:
                self.close_connection = True
                return
            if reply.drips:
                self._drip(reply.drips)
                return
            if reply.raw is not None:
                self._answer(200, reply.raw)
                return
            content = served.draft(brief_in(request)) if reply.content is None else reply.content
            message = {"role": "assistant", "content": content, "refusal": reply.refusal}
            completion = {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": int(time.time()),
                "model": request["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": reply.finish_reason, "logprobs": None}],
            }
            if reply.usage:
                completion["usage"] = {"prompt_tokens": 700, "completion_tokens": 300, "total_tokens": 1000}
            if reply.cut:
                self.close_connection = True
                self._answer(200, json.dumps(completion)[:-20], {"content-length": "100000"})
                return
            self._answer(200, completion)

        def _drip(self, seconds: float) -> None:
            """Headers without an end, as long as anybody listens."""
            self.close_connection = True
            try:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nx-slow: ")
                for _byte in range(1000):
                    time.sleep(seconds)
                    self.wfile.write(b"x")
            except (BrokenPipeError, ConnectionResetError):
                return

        def _moderate(self, request: dict[str, Any]) -> None:
            with served.lock:
                served.moderated.append(request["input"])
            if served.moderation_status != 200 or served.moderation_body is not None:
                self._answer(served.moderation_status, served.moderation_body or "{}")
                return
            flagged = served.flags(request["input"])
            names = ("harassment", "hate", "illicit", "self-harm", "sexual", "violence")
            result = {
                "flagged": flagged,
                "categories": {name: flagged and name == "harassment" for name in names},
                "category_scores": {name: 0.9 if flagged and name == "harassment" else 0.0 for name in names},
                "category_applied_input_types": {name: ["text"] for name in names},
            }
            self._answer(200, {"id": "modr-1", "model": "omni-moderation-latest", "results": [result]})

        def _answer(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
            payload = (body if isinstance(body, str) else json.dumps(body)).encode()
            try:
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("content-type", "application/json")
                if "content-length" not in (headers or {}):
                    self.send_header("content-length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)
            except (BrokenPipeError, ConnectionResetError):
                # Whoever asked has gone.
                self.close_connection = True

        def log_message(self, *_arguments: Any) -> None:
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 256
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    served = Served(f"http://127.0.0.1:{server.server_port}/v1")
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
