"""Tables of parallel arrays: what every room of the simulation hands to the next."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np


@dataclass(frozen=True)
class Rows:
    """A table whose columns are the fields of the subclass: numpy arrays of one length, an entry per row."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def take(self, index: np.ndarray) -> Self:
        """The rows at index (numbers, or a mask), in its order."""
        return type(self)(*(getattr(self, one.name)[index] for one in fields(self)))

    @classmethod
    def join(cls, parts: list[Self]) -> Self:
        """One table of the rows of all parts (at least one), in their order."""
        return cls(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(cls)))
