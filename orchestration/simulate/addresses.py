"""E-mail addresses of people who do not exist: one per person number, and other spellings of the same mailbox.

Most lie in domains reserved for examples. A share lies at gmail.com, whose mailboxes ignore dots and
anything from a plus sign on; their names are longer than the 30 characters which that provider allows,
so that nobody can own one. Some are disposable, their names longer than the 64 characters which any may have.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

FIRST_NAMES = (
    "ada", "ben", "carla", "dev", "elif", "femi", "grace", "hugo", "ines", "jonas", "keiko", "liam",
    "mara", "noor", "olga", "pavel", "quinn", "rosa", "sven", "tomas", "uma", "vera", "wendy", "yusuf",
)  # fmt: skip
RESERVED_DOMAINS = ("example.com", "example.org", "example.net")
FOLDING_DOMAIN = "gmail.com"
FOLDING_SHARE = 0.15
DISPOSABLE_DOMAIN = "mailinator.com"
DISPOSABLE = 9
"""The spelling that is no spelling but another mailbox of the person, to be thrown away."""


def folds(people: np.ndarray) -> np.ndarray:
    """Whether each person's mailbox has other spellings (dots, plus tags)."""
    return _scatter(people) < FOLDING_SHARE


def _scatter(people: np.ndarray) -> np.ndarray:
    """A fixed number in [0, 1) per person, spread evenly: Knuth's multiplicative hash."""
    return (people.astype(np.uint64) * np.uint64(2_654_435_761) % np.uint64(2**32)).astype(float) / 2**32


def address(person: int, spelling: int = 0, *, folding: bool) -> str:
    """The address of a person number; spellings above 0 differ in text but share the mailbox where it folds."""
    first = FIRST_NAMES[person % len(FIRST_NAMES)]
    if spelling == DISPOSABLE:
        return f"synthetic.account.of.no.one.with.a.name.that.none.may.have.{first}.{person:07d}@{DISPOSABLE_DOMAIN}"
    if not folding:
        return f"{first}.{person}@{RESERVED_DOMAINS[person % len(RESERVED_DOMAINS)]}"
    local = f"synthetic.person.of.no.one.{first}.{person:07d}"
    if spelling % 2:
        local = local.replace(".", "")
    if spelling > 1:
        local += f"+tag{spelling}"
    return f"{local}@{FOLDING_DOMAIN}"


@dataclass(frozen=True)
class Addresses:
    """A column of addresses; untidy ones are in capitals with blanks around, as forms let them through."""

    people: np.ndarray
    spellings: np.ndarray
    untidy: np.ndarray

    @classmethod
    def of(
        cls, people: np.ndarray, spellings: np.ndarray | None = None, untidy: np.ndarray | None = None
    ) -> "Addresses":
        none = np.zeros(len(people), dtype=np.int8)
        return cls(people, none if spellings is None else spellings, none.astype(bool) if untidy is None else untidy)

    def __len__(self) -> int:
        return len(self.people)

    def take(self, index: np.ndarray) -> "Addresses":
        return Addresses(self.people[index], self.spellings[index], self.untidy[index])

    def values(self) -> list[object]:
        texts = [
            address(person, spelling, folding=folding)
            for person, spelling, folding in zip(
                self.people.tolist(), self.spellings.tolist(), folds(self.people).tolist(), strict=True
            )
        ]
        for place in np.flatnonzero(self.untidy).tolist():
            texts[place] = f" {texts[place].upper()} "
        return texts

    def arrow(self) -> pa.Array:
        return pa.array(self.values(), pa.string())
