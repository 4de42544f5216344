"""Commands as typed, in this process, for the warehouse of a test."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from orchestration.cli import app
from orchestration.warehouse import Warehouse


class Shell:
    """Types commands for an installation whose warehouse is that of the test."""

    def __init__(self, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = warehouse.home
        self.environ = monkeypatch
        monkeypatch.setenv("MARKETING_HOME", str(warehouse.home))
        monkeypatch.setenv("WAREHOUSE_URL", warehouse.url)

    def type(self, line: str, *more: str) -> Result:
        return CliRunner().invoke(app, [*line.split(), *more])

    def lines(self) -> list[dict]:
        path = Path(self.home, "alerts", "alerts.jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
