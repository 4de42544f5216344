"""[pure] One spelling for what looks the same, so that no rule is passed by writing a thing otherwise."""

import re
import unicodedata

# Stands for a placeholder where its text is not to be read; no letter, no digit and no space.
MASK = "\ue000"
PLACEHOLDER = re.compile(r"\{\{([a-z][a-z0-9_]*)\}\}")
# Asks for the coloured form of a sign; it changes nothing that is read.
EMOJI_FORM = "\ufe0f"
# Besides Unicode's own: signs that stand for a hyphen, and the full stop that host names take for a dot.
SAME = str.maketrans({**dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"), "\u3002": ".", "\u2019": "'"})
# Unassigned, private, surrogate, invisible, control; marks that strike through what they stand on.
HIDDEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Mn", "Me", "Zl", "Zp"})


def visible(text: str) -> str:
    """Unicode's compatibility form (NFKC) without what cannot be seen, every digit and number sign in ASCII digits."""
    if text.isascii():
        return text
    return "".join(map(_visible, unicodedata.normalize("NFKC", text))).translate(SAME)


def folded(text: str) -> str:
    """The same without accents, since `frée` reads like `free`. Not for links: of hosts these are two."""
    if text.isascii():
        return text
    return visible("".join(one for one in unicodedata.normalize("NFKD", text) if unicodedata.category(one) != "Mn"))


def _visible(character: str) -> str:
    if character.isascii():
        return character
    if unicodedata.category(character) in ("Cf", "Mn", "Me"):
        return ""
    if (value := unicodedata.numeric(character, None)) is None:
        return character
    return f"{value:g}" if unicodedata.category(character) == "Nd" else f" {value:g} "


def hidden_in(text: str) -> list[str]:
    """What a reader cannot see or tell apart, by name: control characters, zero widths, loose marks."""
    composed = unicodedata.normalize("NFC", text)
    odd = {one for one in set(composed) if unicodedata.category(one) in HIDDEN and one not in ("\n", EMOJI_FORM)}
    return sorted(f"U+{ord(one):04X} {unicodedata.name(one, '')}".strip() for one in odd)


def strangers_in(text: str, letters: str) -> list[str]:
    """Words with a letter that is none of these, in any case, under any accent: they read like others."""
    return [word for word in re.findall(r"[^\W\d_]+", folded(text)) if not set(word.lower()) <= set(letters)]


def masked(text: str) -> str:
    """The text with each whole placeholder behind MASK."""
    return PLACEHOLDER.sub(MASK, text)
