"""The dbt project as a build needs it: where it lies, what it is made of, which of its models are marts."""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from orchestration.policy import Policy
from orchestration.warehouse.publication import Mart

# Where SQL asks for a business number; those are the ones that can change a mart.
POLICY_USE = re.compile(r"""policy\(\s*["'](\w+)["']\s*\)""")
# The models that need what is fitted from the others': dbt's selectors of them and of their tests.
FITTED = (
    "path:dbt_project/models/marts/attribution/fitted",
    "path:dbt_project/models/marts/viral/fitted",
    "path:dbt_project/models/marts/health",
    "path:dbt_project/tests/fitted",
)
MODEL_FILES = ("models/**/*.sql", "models/**/*.yml", "macros/**/*.sql")
INTERMEDIATE = "intermediate"


class ProjectError(Exception):
    """dbt cannot read the project; the message is dbt's own."""


@dataclass(frozen=True)
class Project:
    """The project of `root`, with dbt's own files (target, logs) under `home`/dbt."""

    root: Path
    home: Path

    @property
    def target(self) -> Path:
        """Where dbt leaves its artefacts."""
        return self.home / "dbt" / "target"

    @property
    def options(self) -> list[str]:
        """Command-line options by which every invocation finds project, profile and artefacts."""
        return [
            "--project-dir", str(self.root),
            "--profiles-dir", str(self.home),
            "--target-path", str(self.target),
            "--log-path", str(self.home / "dbt" / "logs"),
        ]  # fmt: skip

    @cached_property
    def manifest(self) -> Mapping[str, Any]:
        """dbt's manifest of the project as it lies there; parsed anew when a file has changed since."""
        path = self.target / "manifest.json"
        stamp = self.target / "manifest.of"
        if not path.exists() or not stamp.exists() or stamp.read_text() != self._files_sha256:
            self._parse()
            stamp.write_text(self._files_sha256)
        return json.loads(path.read_text())

    @cached_property
    def code_sha256(self) -> str:
        """Fingerprint of models, macros and their configuration: a build under another one starts afresh."""
        return _sha256(*self._model_files, configuration=self._configuration)

    def policy_sha256(self, policy: Policy) -> str:
        """Fingerprint of the numbers that the models use, as they are in force."""
        used = {name for path in self._model_files for name in POLICY_USE.findall(path.read_text())}
        values = {name: value for name, value in policy.model_dump().items() if name in used}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    @cached_property
    def marts(self) -> list[Mart]:
        """The tables to publish: every model of the candidate schema, with its grain and its affected keys."""
        models = {node["name"]: node for node in self.manifest["nodes"].values() if node["resource_type"] == "model"}
        return [
            Mart(name, _grain(self.manifest, node), _affected(node), "credit" in node["config"]["tags"])
            for name, node in sorted(models.items())
            if node["schema"] == "candidate"
        ]

    @cached_property
    def views(self) -> list[Mapping[str, Any]]:
        """dbt's nodes of the models that are views, each after those that it reads."""
        found = {
            node["unique_id"]: node
            for node in self.manifest["nodes"].values()
            if node["resource_type"] == "model" and node["config"]["materialized"] == "view"
        }
        reads = {name: found.keys() & node["depends_on"]["nodes"] for name, node in sorted(found.items())}
        return [found[name] for name in TopologicalSorter(reads).static_order()]

    @cached_property
    def _model_files(self) -> list[Path]:
        folder = self.root / "dbt_project"
        return sorted(path for pattern in MODEL_FILES for path in folder.glob(pattern))

    @cached_property
    def _configuration(self) -> str:
        # The vars are the policy and have a fingerprint of their own.
        text = (self.root / "dbt_project.yml").read_text()
        return re.sub(r"(?ms)^vars:\n.*?(?=^\S)", "", text)

    @cached_property
    def _files_sha256(self) -> str:
        folder = self.root / "dbt_project"
        others = sorted([*folder.glob("tests/**/*.sql"), *folder.glob("models/**/*.md")])
        return _sha256(*self._model_files, *others, self.root / "dbt_project.yml")

    def _parse(self) -> None:
        # A process of its own: dbt's logging would stay behind in ours.
        command = [sys.executable, "-m", "dbt.cli.main", "--no-use-colors", "--quiet", "parse", *self.options]
        parsed = subprocess.run(command, cwd=self.root, capture_output=True, text=True)
        if parsed.returncode != 0:
            raise ProjectError(f"dbt cannot read the project in {self.root}:\n{parsed.stdout}{parsed.stderr}")


def _sha256(*paths: Path, configuration: str = "") -> str:
    digest = hashlib.sha256(configuration.encode())
    for path in paths:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _grain(manifest: Mapping[str, Any], node: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns that the model's own test of its grain names."""
    for test in manifest["nodes"].values():
        if test.get("attached_node") == node["unique_id"] and test["test_metadata"]["name"] == "unique_grain":
            return tuple(test["test_metadata"]["kwargs"]["columns"])
    raise ProjectError(f"{node['original_file_path']}: a mart needs the test unique_grain, which names its grain")


def _affected(node: Mapping[str, Any]) -> tuple[str, str, tuple[str, ...]] | None:
    affected = node["config"]["meta"].get("affected")
    return None if affected is None else (INTERMEDIATE, affected["relation"], tuple(affected["key"]))
