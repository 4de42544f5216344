"""[pure] What has the shape of an address, a phone number, a card or an account.

By shape alone, and rather too often than too seldom: a number that nobody has is no more fit to send than one that
somebody has. Names of persons have no shape: what a campaign's name holds of them is not found.
"""

import re

from .folding import folded, masked

E_MAIL = re.compile(r"\S@\S|\S\s*[(\[]\s*at\s*[)\]]\s*\S", re.IGNORECASE)
DATE = re.compile(r"\b(?:\d{4}-\d{2}-\d{2}|\d{1,2}([./-])\d{1,2}\1\d{4})\b")
DIGIT_RUN = re.compile(r"\d(?:[ ()./-]{0,4}\d)+")
# Compact in any case, or in groups of four capitals as people write it.
ACCOUNT = re.compile(r"\b(?:(?i:[a-z]{2}\d{2}[a-z0-9]{11,30})|[A-Z]{2}\d{2}(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,4})?)\b")
PHONE_DIGITS = 7
CARD_DIGITS = 13


def shapes_in(text: str) -> list[str]:
    """The kinds found, each once. Not the thing itself: reasons are stored and shown."""
    seen = masked(folded(text))
    runs = [sum(one.isdigit() for one in run[0]) for run in DIGIT_RUN.finditer(DATE.sub(" , ", seen))]
    found = {
        "an e-mail address": E_MAIL.search(seen) is not None,
        "a phone number": any(PHONE_DIGITS <= digits < CARD_DIGITS for digits in runs),
        "a long run of digits": any(digits >= CARD_DIGITS for digits in runs),
        "a bank account": ACCOUNT.search(seen) is not None,
    }
    return [kind for kind, is_there in found.items() if is_there]
