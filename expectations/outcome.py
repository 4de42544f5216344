"""[pure] What came of judging a suite, in plain values that can be shown and stored."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .suite import Expectation, Severity


@dataclass(frozen=True)
class Finding:
    """What came of one expectation.

    judged: rows with a value to judge (the others had none: no baseline, or too few records). unexpected: of
    those, the rows that broke it; examples: some of these, their key and the value; all of them in `rows`, as
    positions in what was judged. observed: the worst value, or the values that differ.
    """

    expectation: Expectation
    passed: bool
    judged: int
    unexpected: int = 0
    observed: Any = None
    examples: tuple[Mapping[str, Any], ...] = ()
    rows: tuple[int, ...] = ()

    @property
    def blocks(self) -> bool:
        """Whether it failed, and failing blocks."""
        return not self.passed and self.expectation.severity is Severity.BLOCKING

    def __str__(self) -> str:
        if self.passed:
            return f"{self.expectation.claim}: {'met' if self.judged else 'not judged'}"
        found = "" if self.observed is None else f": found {self.expectation.shown(self.observed)}"
        return f"{self.expectation.claim}{found}"


@dataclass(frozen=True)
class Outcome:
    """What came of one suite."""

    suite: str
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing that blocks was broken."""
        return not any(finding.blocks for finding in self.findings)

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The findings that failed, blocking ones first."""
        return tuple(sorted((one for one in self.findings if not one.passed), key=lambda one: not one.blocks))

    def overruled(self) -> "Outcome":
        """The same, where a person asked for the change: what compares with the published state only warns."""
        return replace(self, findings=tuple(_overruled(finding) for finding in self.findings))


def _overruled(finding: Finding) -> Finding:
    if not finding.expectation.compares:
        return finding
    return replace(finding, expectation=replace(finding.expectation, severity=Severity.WARNING))
