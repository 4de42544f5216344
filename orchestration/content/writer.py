"""Asks a model: any server that speaks OpenAI's chat completions. One call, and what came of it.

When to ask again is draining.py's affair: the library's own retries are off, since two owners multiply, and since it
has no idempotency key between them.
"""

import asyncio
import re
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache, cached_property
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar

from pydantic import BaseModel, Field, ValidationError

from orchestration.webhooks import TRANSIENT, retry_after

from .drafts import Draft

if TYPE_CHECKING:
    import openai

CONNECT_SECONDS = 5.0
MOST_BYTES = 4_000_000
FORM = 'Answer with JSON of this form: {"variants": [{"subject": "…", "preview": "…", "body": "…"}]}'
# What a server calls its error; its own sentence may quote what it was sent.
CODE = re.compile(r"[a-z0-9_]{1,60}")
# What gateways answer that waited for long enough, or lost whom they asked: request time-out, bad gateway, gateway
# time-out, and those of Cloudflare.
GAVE_UP = frozenset({408, 502, 504, 520, 522, 524})
FIRST = threading.Lock()


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


Tokens = Annotated[int, Field(ge=0, le=10**9)]
Told = TypeVar("Told")


class _Usage(BaseModel):
    prompt_tokens: Tokens
    completion_tokens: Tokens


class _Completion(BaseModel):
    choices: Annotated[list[_Choice], Field(min_length=1)]
    usage: _Usage | None = None


class _Moderated(BaseModel):
    flagged: bool
    categories: dict[str, bool | None] = {}


class _Moderations(BaseModel):
    results: Annotated[list[_Moderated], Field(min_length=1)]


@dataclass(frozen=True)
class Answer:
    """What came of a call.

    outcome: answered (text is to be judged), refused (answered, but with nothing to judge), failed (nobody can have
    been paid), unknown (somebody may have been). is_final: asking again is of no use. Tokens: None where nobody told.
    """

    outcome: str
    error: str | None = None
    text: str | None = None
    is_final: bool = False
    retry_after: timedelta | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    model_ms: float = 0.0


@dataclass(frozen=True)
class Moderation:
    """flagged: what the endpoint objects to. is_missing: it has no moderation. error: it could not be asked."""

    flagged: tuple[str, ...] = ()
    is_missing: bool = False
    error: str | None = None
    model_ms: float = 0.0


class Writer(Protocol):
    """Whoever writes."""

    def write(
        self, model: str, messages: Sequence[Mapping[str, str]], parameters: Mapping[str, Any], idempotency_key: str
    ) -> Answer:
        """Ask once. parameters: see Prices.parameters. Never raises for what a server does or does not."""
        ...

    def moderate(self, text: str) -> Moderation:
        """Ask whether a text is decent."""
        ...


@dataclass(frozen=True)
class OpenAIWriter:
    """base_url: None for OpenAI's own. seconds: from the call to the end of its answer, however slowly it comes.
    moderates: False where the server is said to have no moderation that is of use.

    May be used by many threads at once.
    """

    api_key: str = field(repr=False)
    base_url: str | None
    seconds: float
    moderates: bool = True

    @cached_property
    def _client(self) -> Any:
        # Its import takes a second, which every command would pay.
        import openai

        return openai.AsyncOpenAI(
            api_key=self.api_key,
            base_url=self.base_url,
            max_retries=0,
            timeout=openai.Timeout(None, connect=CONNECT_SECONDS),
            http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False),
        )

    def write(
        self, model: str, messages: Sequence[Mapping[str, str]], parameters: Mapping[str, Any], idempotency_key: str
    ) -> Answer:
        """See Writer. idempotency_key: the same when the same call is made again, for servers that know such keys."""
        started = time.perf_counter()
        asked = self._asked(
            model=model,
            messages=_with_form(messages, parameters["structured_output"]),
            response_format=_response_format(parameters["structured_output"]),
            **{name: value for name, value in parameters.items() if name != "structured_output"},
            extra_headers={"Idempotency-Key": idempotency_key},
        )
        return replace(_on_loop(asked), model_ms=_milliseconds(started))

    async def _asked(self, **request: Any) -> Answer:
        import httpx2
        import openai

        try:
            async with (
                asyncio.timeout(self.seconds),
                self._client.chat.completions.with_streaming_response.create(**request) as response,
            ):
                return _read(await _bytes(response.iter_bytes()))
        except openai.APIStatusError as error:
            return _turned_down(error)
        except openai.APIConnectionError as error:
            return _unheard(error)
        except TimeoutError:
            return Answer("unknown", f"no whole answer within {self.seconds:g} s")
        except (openai.APIError, httpx2.HTTPError, _EndlessError) as error:
            # Somebody began to answer.
            return Answer("unknown", f"no whole answer: {type(error).__name__.strip('_')}")

    def moderate(self, text: str) -> Moderation:
        """See Writer."""
        if not self.moderates:
            return Moderation(is_missing=True)
        started = time.perf_counter()
        return replace(_on_loop(self._moderated(text)), model_ms=_milliseconds(started))

    async def _moderated(self, text: str) -> Moderation:
        import httpx2
        import openai

        try:
            async with (
                asyncio.timeout(self.seconds),
                self._client.moderations.with_streaming_response.create(input=text) as response,
            ):
                found = _Moderations.model_validate_json(await _bytes(response.iter_bytes()))
        except openai.APIStatusError as error:
            # A path or method that compatible servers do not have; whatever else they say is no leave to go on.
            if error.status_code in (404, 405, 501):
                return Moderation(is_missing=True)
            return Moderation(error=f"moderation answered {error.status_code}")
        except ValidationError:
            # Some answer whatever path with 200.
            return Moderation(is_missing=True)
        except TimeoutError:
            return Moderation(error=f"no moderation within {self.seconds:g} s")
        except (openai.APIError, httpx2.HTTPError, _EndlessError) as error:
            return Moderation(error=f"no moderation: {type(error).__name__.strip('_')}")
        named = {name for one in found.results for name, is_so in one.categories.items() if is_so}
        flagged = any(one.flagged for one in found.results)
        return Moderation(flagged=tuple(sorted(named)) or (("flagged",) if flagged else ()))


class _EndlessError(Exception):
    """An answer longer than any that is of use."""


async def _bytes(parts: AsyncIterator[bytes]) -> bytes:
    body = bytearray()
    async for part in parts:
        body += part
        if len(body) > MOST_BYTES:
            raise _EndlessError
    return bytes(body)


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """One thread on which all calls run: what is asynchronous can be given up at a given time, where a time-out of the
    client is one for each piece of an answer, and a server may drip."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="calls of models", daemon=True).start()
    return loop


def _on_loop(call: Coroutine[Any, Any, Told]) -> Told:
    # A cache lets two threads that come first both make theirs, and a client belongs to one loop.
    with FIRST:
        loop = _loop()
    return asyncio.run_coroutine_threadsafe(call, loop).result()


def _read(body: bytes) -> Answer:
    """What a completion holds. A 200 that is no completion may have been paid for all the same."""
    try:
        completion = _Completion.model_validate_json(body)
    except ValidationError:
        return Answer("unknown", "answered with something that is no completion")
    usage, choice = completion.usage, completion.choices[0]
    answer = Answer(
        "answered",
        # PostgreSQL's text holds no NUL.
        text=(choice.message.content or "").replace("\0", "\ufffd") or None,
        input_tokens=usage.prompt_tokens if usage else None,
        output_tokens=usage.completion_tokens if usage else None,
    )
    if choice.message.refusal:
        return replace(answer, outcome="refused", error="the model refused", text=None)
    if choice.finish_reason == "content_filter":
        return replace(answer, outcome="refused", error="stopped by the content filter", text=None)
    if choice.finish_reason == "length":
        return replace(answer, outcome="refused", error="longer than AI_MAX_TOKENS", text=None)
    if not answer.text:
        return replace(answer, outcome="refused", error="empty", text=None)
    return answer


def _turned_down(error: "openai.APIStatusError") -> Answer:
    """A status other than 200: nobody writes, nobody pays, unless only somebody in between has given up."""
    status, code = error.status_code, str(getattr(error, "code", None) or "")
    if status in GAVE_UP:
        return Answer("unknown", f"answered {status}, while the model may go on")
    if code == "content_filter":
        return Answer("refused", "stopped by the content filter", input_tokens=0, output_tokens=0)
    is_final = status not in TRANSIENT or code == "insufficient_quota"
    told = f"answered {status}" + (f" ({code})" if CODE.fullmatch(code) else "")
    return Answer(
        "failed", told, is_final=is_final, retry_after=None if is_final else retry_after(error.response.headers)
    )


def _unheard(error: "openai.APIConnectionError") -> Answer:
    """No answer: without a connection nobody was asked; else somebody may be writing still."""
    cause = type(error.__cause__).__name__
    if cause in ("ConnectError", "ConnectTimeout", "PoolTimeout"):
        return Answer("failed", f"no connection: {cause}")
    return Answer("unknown", f"no answer: {cause}")


def _with_form(messages: Sequence[Mapping[str, str]], structured_output: str) -> list[Mapping[str, str]]:
    """Who knows no schema is told in words what the answer looks like."""
    if structured_output != "json_object":
        return list(messages)
    return [*messages[:-1], {**messages[-1], "content": f"{messages[-1]['content']}\n{FORM}"}]


def _response_format(structured_output: str) -> dict[str, Any]:
    if structured_output == "json_object":
        return {"type": "json_object"}
    from openai.lib._pydantic import to_strict_json_schema

    schema = {"name": "draft", "strict": True, "schema": to_strict_json_schema(Draft)}
    return {"type": "json_schema", "json_schema": schema}


def longest(parameters: Mapping[str, Any]) -> int:
    """Tokens that an answer may have, whatever its model calls that."""
    return parameters.get("max_tokens") or parameters["max_completion_tokens"]


def _milliseconds(started: float) -> float:
    return (time.perf_counter() - started) * 1000
