"""E-mail addresses to what is kept of them: two keyed hashes and a verdict; and their removal from text. Pure.

Nothing here stores an address (vault.py seals them), knows where a key comes from (keys.py) or which domains are
disposable (disposable.py).
"""

import hmac
import re
from collections.abc import Container, MutableMapping
from functools import lru_cache, partial

from email_normalize import providers

from .disposable import LISTED, is_disposable

PREFIX = "email:"
MAX_ADDRESS_LENGTH = 320
KEY_BYTES = 32
CACHED_ADDRESSES = 100_000
CACHED_DOMAINS = 10_000

_ADDRESS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(?:\.[\w-]+)+")
# Possessive and anchored at the start of its run, so that a long text without a match costs linear time.
_LOCAL = r"\w.!#$%&'*+^`{|}~-"
_DOMAIN = r"[\w.-]*\.[^\W\d_][\w-]+"
_IN_TEXT = re.compile(
    # A second domain behind the first is taken along: left there, it would turn the pseudonym into an address.
    rf'(?P<local>"[^"@]{{1,64}}"|(?<![{_LOCAL}])[{_LOCAL}]++)@(?P<domain>{_DOMAIN}(?:@{_DOMAIN})*)'
)
_NOT_FIRST_IN_LOCAL = "'`*|~^&!#$%{}"
_ESCAPED_AT = "%40"


class Pseudonyms:
    """Pseudonyms under one key: HMAC-SHA256 in hex, 64 characters each.

    key: 32 bytes or more. version: kept beside every pseudonym, so that a later key can be told apart. disposable:
    names of domains that hand out throw-away mailboxes. Raises ValueError for a shorter key.
    """

    def __init__(self, key: bytes, version: int = 1, *, disposable: Container[str] = LISTED) -> None:
        if len(key) < KEY_BYTES:
            raise ValueError(f"the pseudonym key has {len(key)} bytes, at least {KEY_BYTES} are needed")
        self.version = version
        self._key = key
        # One cache for each instance: a cache shared between keys would mix their pseudonyms.
        self.of = lru_cache(maxsize=CACHED_ADDRESSES)(self._of)
        self._judged = lru_cache(maxsize=CACHED_DOMAINS)(partial(is_disposable, listed=disposable))

    def _of(self, address: str) -> tuple[str, str] | None:
        """(key, mailbox key) of an address: its identity, and its canonical mailbox; None when it is no address."""
        clean = clean_address(address)
        if clean is None:
            return None
        key = self._digest(clean)
        mailbox = canonical_mailbox(clean)
        return key, key if mailbox == clean else self._digest(mailbox)

    def is_disposable(self, address: str) -> bool:
        """Whether an address lies in a listed domain, or below one."""
        return self._judged(address.rpartition("@")[2].strip().lower())

    def replace(self, text: str, found: MutableMapping[str, str]) -> str:
        """The text with each e-mail-shaped part replaced by `email:<key>`; found gets key → address for each."""
        if "@" not in text and _ESCAPED_AT not in text:
            return text

        def pseudonym(match: re.Match[str]) -> str:
            local = match["local"].lstrip(_NOT_FIRST_IN_LOCAL) or match["local"]
            before = match["local"][: len(match["local"]) - len(local)]
            return before + self._name(f"{local}@{match['domain']}".lower(), found)

        plain = text.replace(_ESCAPED_AT, "@")
        replaced = _IN_TEXT.sub(pseudonym, plain)
        return text if replaced == plain else replaced

    def fingerprint(self) -> str:
        """Tells one key from another without telling the key."""
        return self._digest("key fingerprint")

    def _name(self, address: str, found: MutableMapping[str, str]) -> str:
        key = self._digest(address)
        found[key] = address
        return PREFIX + key

    def _digest(self, text: str) -> str:
        return hmac.digest(self._key, text.encode(), "sha256").hex()


def clean_address(text: str) -> str | None:
    """A bare address trimmed and lower-cased; None when the text is not one (name@host.domain, at most 320 long)."""
    clean = text.strip().lower()
    return clean if len(clean) <= MAX_ADDRESS_LENGTH and _ADDRESS.fullmatch(clean) else None


def canonical_mailbox(address: str) -> str:
    """The mailbox behind a clean address: plus tags, a provider's ignored dots and its alias domains folded away.

    The rules are those of email-normalize, by domain alone: no look-up, and other domains stay as they are.
    """
    local, _, domain = address.rpartition("@")
    provider = providers.DomainMap.get(domain)
    if provider is None:
        return address
    if providers.Rules.STRIP_PERIODS in provider.Flags and domain in (provider.StripPeriodDomains or {domain}):
        local = local.replace(".", "")
    if providers.Rules.PLUS_ADDRESSING in provider.Flags:
        local = local.split("+")[0]
    return f"{local}@{provider.CanonicalDomains.get(domain, domain)}"
