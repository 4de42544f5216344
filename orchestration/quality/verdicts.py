"""[pure] What came of judging loads."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from expectations.outcome import Finding


@dataclass(frozen=True)
class Breach:
    """One expectation that one load broke. value: its figure; detail: what makes that understood; records: keys and
    values of records that show it."""

    finding: Finding
    value: float
    detail: str = ""
    records: tuple[Mapping[str, Any], ...] = ()

    def __str__(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.finding.expectation.claim}: found {self.finding.expectation.shown(self.value)}{detail}"


@dataclass(frozen=True)
class LoadVerdict:
    """What came of judging one load.

    breaches: what it broke; held when one of them blocks. unjudged: figures that could not be judged, and why.
    """

    load_id: int
    feed: str
    records: int
    breaches: tuple[Breach, ...]
    unjudged: Mapping[str, str]

    @property
    def held(self) -> bool:
        """Whether the load was held."""
        return any(breach.finding.blocks for breach in self.breaches)

    @property
    def reason(self) -> str:
        """Why, in one line."""
        return "; ".join(str(breach) for breach in self.breaches)
