"""[pure, but for the language detector's model, which its library reads at the first look] What is wrong with a draft.

Every rule is looked at, each on its own, and errs on the side of refusing: a refused draft costs cents, a wrong one
that is sent costs trust. What the brief does not hold, a draft may not say. Numbers and dates: numbers.py; shapes of
personal data: personal_data.py; what is known of a language, claims among it: languages.py.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Self

import py3langid

from ..policy import Policy
from .briefs import DAY, UNSUBSCRIBE, Brief
from .drafts import Variant
from .folding import MASK, PLACEHOLDER, folded, hidden_in, masked, strangers_in, visible
from .languages import Language, base_of, language_of
from .numbers import unheld_in
from .personal_data import shapes_in


class Code(StrEnum):
    """What a fault is about."""

    LENGTH_SUBJECT = "length_subject"
    LENGTH_PREVIEW = "length_preview"
    LENGTH_BODY = "length_body"
    SHAPE = "shape"
    PLACEHOLDER_MISSING = "placeholder_missing"
    PLACEHOLDER_UNKNOWN = "placeholder_unknown"
    PLACEHOLDER_BROKEN = "placeholder_broken"
    LINK_HOST = "link_host"
    UNSUBSCRIBE_MISSING = "unsubscribe_missing"
    PERSONAL_DATA = "personal_data"
    NUMBER_UNKNOWN = "number_unknown"
    CLAIM_UNKNOWN = "claim_unknown"
    NEAR_COPY = "near_copy"
    LANGUAGE = "language"
    INJECTED = "injected"


@dataclass(frozen=True)
class Fault:
    """found: a few words, never personal data, since reasons are stored; expected: what would have been right."""

    code: Code
    found: str
    expected: str


@dataclass(frozen=True)
class Limits:
    """The policy's numbers of these names; similarity: a share from which two texts are near copies."""

    subject_chars: int
    preview_chars: int
    min_body_words: int
    max_body_words: int
    similarity: float

    @classmethod
    def of(cls, policy: Policy) -> Self:
        """Those in force."""
        return cls(
            policy.content_max_subject_chars,
            policy.content_max_preview_chars,
            policy.content_min_body_words,
            policy.content_max_body_words,
            policy.content_max_similarity,
        )


# A scheme with something behind it, `https:` however misspelt, or `//` alone, which takes the page's own scheme.
URL = re.compile(
    r"(?:\b[a-z][a-z0-9+.-]{0,20}:[/\\]+|\bhttps?:|\b(?:mailto|tel|sms|callto|data|javascript|vbscript|file|ftp):(?=\S)|"
    r"[/\\]{2})[^\s<>\"]*",
    re.IGNORECASE,
)
# What ends a sentence or a bracket ends the link in it too.
AFTER_URL = ".,;:!?)]}'\u201d\u00bb"
SOUND_URL = re.compile(r"https://([a-z0-9-]+(?:\.[a-z0-9-]+)+)([/?#][!-~]*)?", re.IGNORECASE)
# In what follows a host: another link, to which the first would lead on.
LEADS_ON = re.compile(r"//|\\|https?:|https?%3a|%2f%2f", re.IGNORECASE)
# Mail programs make links of words with a dot between, a missing space after a full stop among them.
BARE_HOST = re.compile(rf"(?<![\w{MASK}-])[\w{MASK}-]+(?:\.[\w{MASK}-]+){{0,9}}\.[^\W\d_][\w-]+")
IP_ADDRESS = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")

MARKUP = re.compile(r"</?[a-z!?][^<>]{0,40}>?|&(?:#\d+|#x[0-9a-f]+|[a-z][a-z0-9]+);", re.IGNORECASE)
CODE_FENCE = re.compile(r"`{3,}|~{3,}")
# Single braces, and placeholders as other tools write them: [Your Name], %NAME%, *|NAME|*, ${name}, <%= name %>.
FOREIGN_PLACEHOLDER = re.compile(
    r"\{\{?[^{}\n]{0,40}\}?\}?|[^{}\s]{0,40}\}\}?|\[[a-z][^\[\]\n]{0,40}\]|%[a-z_]{3,40}%|\*\|[^|\n]{0,40}\|\*|<%[^%\n]{0,40}%>",
    re.IGNORECASE,
)
SHINGLE_WORDS = 3
# Of fewer the detector mistakes some: of 2,000 English sentences of so many and more it mistook none but code.
DETECTED_WORDS = 6
# So many words in a row are ours by more than chance.
REPEATED_WORDS = 8


@dataclass(frozen=True)
class _Field:
    """A field of a variant: its name, and its text as written."""

    name: str
    text: str

    @cached_property
    def shapes(self) -> list[str]:
        return shapes_in(self.text)

    @cached_property
    def visible(self) -> str:
        return visible(self.text)

    @cached_property
    def line(self) -> str:
        """Folded, on one line, since phrases go on over the end of one."""
        return " ".join(folded(self.text).split())

    def quoted(self, found: str) -> str:
        """What was found in it, cut short. Of a field with somebody's data nothing: reasons are stored and shown."""
        return f"(in a text with {' and '.join(self.shapes)})" if self.shapes else _short(found)


def faults_of(
    variant: Variant, brief: Brief, *, earlier: Sequence[str], limits: Limits, instructions: str = ""
) -> list[Fault]:
    """Every fault of a variant, in the order of Code; none: it is fit to be shown to a person.

    earlier: texts (Variant.text) that it may not be a near copy of, the draft's other variants among them.
    instructions: what the model was told, of which nothing may be repeated.
    """
    language = language_of(brief.language)
    fields = [_Field(name, getattr(variant, name)) for name in ("subject", "preview", "body")]
    rules: tuple[Callable[[], Iterator[Fault]], ...] = (
        lambda: _lengths(variant, limits),
        lambda: _shape(fields, language),
        lambda: _placeholders(fields, brief),
        lambda: _links(fields, brief),
        lambda: _unsubscribe(variant),
        lambda: _personal_data(fields),
        lambda: _numbers(fields, brief, language),
        lambda: _claims(fields, language),
        lambda: _near_copies(variant, earlier, limits),
        lambda: _languages(fields, brief),
        lambda: _injected(fields, brief, language, instructions),
    )
    return list(dict.fromkeys(fault for rule in rules for fault in rule()))


def similarity(one: str, other: str) -> float:
    """Share of the three-word runs of both texts that stand in each: Jaccard's index; 1 for the same words."""
    ours, theirs = _shingles(one), _shingles(other)
    both = len(ours & theirs)
    return both / (len(ours) + len(theirs) - both) if ours or theirs else 1.0


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", folded(text).lower())


# The same earlier texts are looked at for each new one.
@lru_cache(maxsize=4096)
def _shingles(text: str, size: int = SHINGLE_WORDS) -> frozenset[tuple[str, ...]]:
    words = _words(text)
    return frozenset(tuple(words[start : start + size]) for start in range(max(1, len(words) - size + 1)) if words)


def _lengths(variant: Variant, limits: Limits) -> Iterator[Fault]:
    for code, text, most in (
        (Code.LENGTH_SUBJECT, variant.subject, limits.subject_chars),
        (Code.LENGTH_PREVIEW, variant.preview, limits.preview_chars),
    ):
        if len(text) > most:
            yield Fault(code, f"{len(text)} characters", f"at most {most}")
    words = len(variant.body.split())
    if not limits.min_body_words <= words <= limits.max_body_words:
        yield Fault(Code.LENGTH_BODY, f"{words} words", f"{limits.min_body_words} to {limits.max_body_words}")


def _shape(fields: list[_Field], language: Language) -> Iterator[Fault]:
    for field in fields:
        where = f"in the {field.name}"
        if not field.line:
            yield Fault(Code.SHAPE, f"an empty {field.name}", "text")
        if field.name != "body" and "\n" in field.text:
            yield Fault(Code.SHAPE, f"a {field.name} of several lines", "one line")
        for odd in hidden_in(field.text):
            yield Fault(Code.SHAPE, f"{odd} {where}", "characters that a reader sees")
        for word in strangers_in(masked(field.text), language.letters):
            yield Fault(Code.SHAPE, f"{field.quoted(word)} {where}", "letters of the brief's language")
        for pattern, expected in ((MARKUP, "plain text, no markup"), (CODE_FENCE, "plain text, no code")):
            for match in pattern.finditer(field.visible):
                yield Fault(Code.SHAPE, f"{field.quoted(match[0])} {where}", expected)
        opened, closed = field.visible.count("{"), field.visible.count("}")
        if opened != closed:
            yield Fault(Code.SHAPE, f"{opened} {{ and {closed} }} {where}", "as many of both")


def _placeholders(fields: list[_Field], brief: Brief) -> Iterator[Fault]:
    allowed = "one of " + ", ".join(f"{{{{{name}}}}}" for name in brief.placeholders)
    # As written, not as folded: nothing fills what only looks like a placeholder.
    in_body = set(PLACEHOLDER.findall(fields[-1].text))
    for name in brief.required_placeholders:
        if name not in in_body and name != UNSUBSCRIBE:
            yield Fault(Code.PLACEHOLDER_MISSING, f"no {{{{{name}}}}} in the body", f"{{{{{name}}}}}, whole")
    for field in fields:
        for name in PLACEHOLDER.findall(field.text):
            if name not in brief.placeholders:
                yield Fault(Code.PLACEHOLDER_UNKNOWN, field.quoted(f"{{{{{name}}}}}"), allowed)
        for match in FOREIGN_PLACEHOLDER.finditer(visible(PLACEHOLDER.sub(" ", field.text))):
            yield Fault(Code.PLACEHOLDER_BROKEN, field.quoted(match[0]), allowed)


def _links(fields: list[_Field], brief: Brief) -> Iterator[Fault]:
    expected = "https links to " + (", ".join(brief.link_hosts) or "no host") + ", or a placeholder"
    for field in fields:
        seen = masked(field.visible)
        for match in URL.finditer(seen):
            if not _is_sound(match[0].rstrip(AFTER_URL), brief.link_hosts):
                yield Fault(Code.LINK_HOST, field.quoted(match[0]), expected)
        rest = URL.sub(" ", seen)
        for match in IP_ADDRESS.finditer(rest):
            yield Fault(Code.LINK_HOST, field.quoted(match[0]), expected)
        for match in BARE_HOST.finditer(rest):
            if match[0].lower() not in brief.link_hosts:
                yield Fault(Code.LINK_HOST, field.quoted(match[0]), expected)


def _is_sound(url: str, hosts: tuple[str, ...]) -> bool:
    parts = SOUND_URL.fullmatch(url)
    return parts is not None and parts[1].lower() in hosts and not LEADS_ON.search(parts[2] or "")


def _unsubscribe(variant: Variant) -> Iterator[Fault]:
    if UNSUBSCRIBE not in PLACEHOLDER.findall(variant.body):
        yield Fault(Code.UNSUBSCRIBE_MISSING, "none in the body", f"{{{{{UNSUBSCRIBE}}}}}, whole")


def _personal_data(fields: list[_Field]) -> Iterator[Fault]:
    for field in fields:
        for shape in field.shapes:
            yield Fault(Code.PERSONAL_DATA, f"{shape} in the {field.name}", "placeholders alone tell of a person")


def _numbers(fields: list[_Field], brief: Brief, language: Language) -> Iterator[Fault]:
    facts = [fact.value for fact in brief.facts if fact.unit != DAY]
    expected = "numbers and days that the brief holds, as it has them"
    for field in fields:
        for number in unheld_in(field.text, facts, brief.days, language):
            yield Fault(Code.NUMBER_UNKNOWN, field.quoted(number), expected)


def _claims(fields: list[_Field], language: Language) -> Iterator[Fault]:
    return _phrases(fields, language.claims, Code.CLAIM_UNKNOWN, "no promise and no rank that the brief does not hold")


def _phrases(fields: list[_Field], patterns: tuple[str, ...], code: Code, expected: str) -> Iterator[Fault]:
    wanted = re.compile(rf"(?<!\w)(?:{'|'.join(patterns)})(?!\w)", re.IGNORECASE)
    for field in fields:
        for match in wanted.finditer(field.line):
            yield Fault(code, field.quoted(match[0]), expected)


def _near_copies(variant: Variant, earlier: Sequence[str], limits: Limits) -> Iterator[Fault]:
    nearest = max((similarity(variant.text, text) for text in earlier), default=0.0)
    if nearest >= limits.similarity:
        yield Fault(Code.NEAR_COPY, f"{nearest:.2f} of an earlier text", f"less than {limits.similarity:g}")


def _languages(fields: list[_Field], brief: Brief) -> Iterator[Fault]:
    subject, preview, body = fields
    # Two short lines tell more together than each alone.
    head = _Field("subject and preview", f"{subject.text}\n{preview.text}")
    paragraphs = [(body, paragraph) for paragraph in re.split(r"\n\s*\n", body.text)]
    for field, text in [(head, head.text), *paragraphs]:
        # Addresses are in no language.
        words = URL.sub(" ", masked(visible(text))).replace(MASK, " ")
        if len(_words(words)) < DETECTED_WORDS:
            continue
        found, _score = py3langid.classify(words)
        if found != base_of(brief.language):
            yield Fault(Code.LANGUAGE, f"{found}: {field.quoted(words)}", brief.language)


def _injected(fields: list[_Field], brief: Brief, language: Language, instructions: str) -> Iterator[Fault]:
    # Placeholders are named in the instructions, and so may be repeated.
    plain = [_Field(field.name, PLACEHOLDER.sub(" ", field.text)) for field in fields]
    expected = "a text that speaks to its reader, not of how it was made"
    yield from _phrases(plain, language.speech_of_itself, Code.INJECTED, expected)
    ours = _runs(instructions) | _runs(brief.goal)
    if any(ours & _runs(field.text) for field in plain):
        yield Fault(Code.INJECTED, "a sentence of the instructions", "words of its own")


def _runs(text: str) -> set[tuple[str, ...]]:
    return {run for run in _shingles(text, REPEATED_WORDS) if len(run) == REPEATED_WORDS}


def _short(text: str, most: int = 60) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= most else f"{flat[: most - 1]}\u2026"
