"""`make demo`, smaller: from nothing to the scorecard, and once more, which adds nothing."""

import pytest

from orchestration.settings import REPOSITORY
from orchestration.warehouse.server import EmbeddedServer
from tests.end_to_end.site import Site

SIZE = ("--people", "80", "--days", "21")


@pytest.fixture
def site(tmp_path):
    yield Site(tmp_path / "a home")
    EmbeddedServer(tmp_path / "a home").stop()


def test_a_second_demo_adds_nothing(site):
    """People run it again after an error, or on another day; what is doubled then can not be told from what is real."""
    first = site.run("sh", REPOSITORY / "bin" / "demo", *SIZE).stdout
    before = site.contents()
    second = site.run("sh", REPOSITORY / "bin" / "demo", *SIZE).stdout
    assert site.contents() == before
    assert before["raw.touchpoints"][0] > 1000
    assert before["marts.fct_attribution"][0] > 100
    assert scorecard_in(second) == scorecard_in(first)
    assert any(line.startswith("viral_coefficient_low ") for line in second.splitlines()), "the alerts at its end"


def scorecard_in(output: str) -> list[str]:
    lines = output.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("goal "))
    end = next(number for number, line in enumerate(lines) if line.startswith("as of "))
    assert any("Attributed revenue" in line for line in lines[start:end])
    return lines[start : end + 1]
