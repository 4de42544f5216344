"""Domains that hand out mailboxes to throw away, by the list that disposable-email-domains keeps. Pure.

No rule of our own belongs here: a domain that is missing from the list, or wrongly on it, is mended there.
"""

from collections.abc import Container

from disposable_email_domains import blocklist

LISTED: Container[str] = blocklist
"""Their names in lower case, those of other scripts in their ASCII form (xn--)."""


def is_disposable(domain: str, listed: Container[str] = LISTED) -> bool:
    """Whether a domain in lower case, in any script, or a domain above it is listed. Never raises."""
    labels = ".".join(map(_ascii, domain.split("."))).split(".")
    return any(".".join(labels[first:]) in listed for first in range(len(labels)))


def _ascii(label: str) -> str:
    """The label as the domain name system knows it; as it is where it has no such form."""
    if label.isascii():
        return label
    try:
        return label.encode("idna").decode()
    except UnicodeError:
        return label
