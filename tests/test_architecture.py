"""Who may lean on whom, read from the imports: a rule that nobody checks is broken within a month."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from orchestration.settings import REPOSITORY

STAGES = (
    "simulate", "ingest", "transform", "attribution", "viral", "quality", "alerts", "content", "privacy", "operations",
    "serve",
)  # fmt: skip
OWN = ("orchestration", "expectations")
# What any stage may lean on besides itself.
GROUND = {
    "orchestration.warehouse",
    "orchestration.policy",
    "orchestration.bounds",
    "orchestration.channels",
    "orchestration.documents",
    "orchestration.fitting",
    "orchestration.runs",
    "orchestration.webhooks",
}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}
DATABASES = {"psycopg", "psycopg2", "sqlalchemy", "alembic", "adbc_driver_postgresql", "adbc_driver_manager"}
HTTP_CLIENTS = {"httpx", "httpx2", "requests", "aiohttp", "urllib3", "urllib.request", "http.client"}
# What reaches out of a process, or differs from one call to the next.
IMPURE_IMPORTS = {
    "asyncio", "ftplib", "glob", "http", "os", "random", "secrets", "shutil", "smtplib", "socket", "sqlite3",
    "subprocess", "tempfile", "time", "urllib.request", "uuid",
}  # fmt: skip
IMPURE_CALLS = {
    "open",
    "print",
    "input",
    "now",
    "today",
    "utcnow",
    "write_text",
    "write_bytes",
    "read_bytes",
    "connect",
}


@dataclass(frozen=True)
class Module:
    """A module of the package: its dotted name and what it imports."""

    path: Path

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text())

    @property
    def name(self) -> str:
        parts = self.path.relative_to(REPOSITORY).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def package(self) -> list[str]:
        """Dotted name of the package that its relative imports start from."""
        return list(self.path.relative_to(REPOSITORY).parent.parts)

    @property
    def stage(self) -> str | None:
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 and parts[1] in STAGES else None

    @property
    def is_pure(self) -> bool:
        return (ast.get_docstring(self.tree) or "").startswith("[pure")

    def imports(self, *, lazy: bool = True) -> set[str]:
        """Dotted names of imported modules, and of what is imported from them. lazy: those in functions too."""
        nodes = ast.walk(self.tree) if lazy else _at_import(self.tree)
        return {name for node in nodes for name in self._imported(node)}

    def _imported(self, node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = self.package[: len(self.package) - node.level + 1] if node.level else []
            source = ".".join([*start, *filter(None, [node.module])])
            yield source
            yield from (f"{source}.{alias.name}" for alias in node.names)


def _at_import(tree: ast.AST) -> Iterator[ast.AST]:
    """Nodes that are run when the module is imported: not the bodies of its functions."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield node
            yield from _at_import(node)


MODULES = [Module(path) for package in OWN for path in sorted((REPOSITORY / package).rglob("*.py"))]
ENGINE = [module for module in MODULES if "migrations" not in module.path.parts]


def leans_on(found: set[str], *wanted: str) -> set[str]:
    """Those of the imports that are, or lie within, one of these."""
    return {name for name in found for one in wanted if name == one or name.startswith(f"{one}.")}


def offenders(wanted: set[str], allowed, *, prefix: bool = False) -> dict[str, set[str]]:
    """Modules that import one of these although `allowed` says no."""
    found = {}
    for module in ENGINE:
        imports = module.imports()
        bad = {name for name in imports if name.startswith(tuple(wanted))} if prefix else leans_on(imports, *wanted)
        if bad and not allowed(module):
            found[module.name] = bad
    return found


def test_there_is_something_to_judge():
    """A renamed package would let every rule below pass unread."""
    assert len(ENGINE) > 50
    assert {"ingest", "transform", "quality", "operations", "simulate", "privacy"} <= {
        module.stage for module in ENGINE
    }


def test_dagster_is_imported_only_where_a_stage_is_shown_to_it():
    shown = ("defs.py", "definitions.py", "translator.py")
    assert offenders({"dagster"}, lambda m: m.path.name in shown, prefix=True) == {}


def test_only_the_warehouse_talks_to_postgresql():
    assert offenders(DATABASES, lambda m: m.name.startswith("orchestration.warehouse")) == {}


def test_great_expectations_stays_in_its_folder_and_is_imported_only_when_used():
    """Its import takes ten seconds: each process would pay them at its start."""
    assert offenders({"great_expectations"}, lambda m: m.name.startswith("expectations")) == {}
    eager = [module.name for module in ENGINE if leans_on(module.imports(lazy=False), "great_expectations")]
    assert eager == []


def test_http_clients_stay_with_those_who_call_out():
    # processes.py asks the UI that it started whether it answers.
    callers = {
        "orchestration.processes",
        "orchestration.webhooks",
        "orchestration.alerts.channels",
        "orchestration.content.writer",
    }
    assert offenders(HTTP_CLIENTS, lambda m: m.name in callers) == {}


def test_stages_meet_in_tables_not_in_imports():
    found = {}
    for module in ENGINE:
        if module.stage is None:
            continue
        own = leans_on(module.imports(), "orchestration")
        allowed = GROUND | {"orchestration", f"orchestration.{module.stage}"}
        bad = {name for name in own if name not in allowed and not leans_on({name}, *(allowed - {"orchestration"}))}
        if bad:
            found[module.name] = bad
    assert found == {}


def test_simulation_and_serving_know_nothing_of_the_engine():
    found = {
        module.name: leans_on(module.imports(), "orchestration") - leans_on(module.imports(), "orchestration.simulate")
        for module in ENGINE
        if module.stage == "simulate"
    }
    assert {name: bad for name, bad in found.items() if bad} == {}


def test_the_warehouse_and_the_suites_lean_on_no_stage():
    found = {}
    for module in ENGINE:
        if module.name.startswith(("orchestration.warehouse", "expectations")):
            stages = leans_on(module.imports(), *(f"orchestration.{stage}" for stage in STAGES))
            if stages:
                found[module.name] = stages
    assert found == {}


def test_the_environment_is_read_in_one_place_and_passed_on():
    readers = {module.name for module in ENGINE if "orchestration.settings.Settings" in module.imports()}
    commands = {module.name for module in ENGINE if module.name.startswith("orchestration.cli")}
    assert readers <= {"orchestration.installation", "orchestration.serve.app"} | commands
    loaders = {
        module.name
        for module in ENGINE
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Installation.load", "Settings.load")
    }
    assert loaders <= {"orchestration.installation", "orchestration.definitions", "orchestration.serve.app"} | commands


@pytest.mark.parametrize("module", [one for one in ENGINE if one.is_pure], ids=lambda module: module.name)
def test_pure_modules_reach_for_nothing(module):
    """Their tests need no database, no file and no waiting; a call to the clock would end that unseen."""
    pure = {one.name for one in ENGINE if one.is_pure}
    assert leans_on(module.imports(), *(IMPURE_IMPORTS | DATABASES | HTTP_CLIENTS | {"dagster"})) == set()
    own = leans_on(module.imports(), *OWN)
    names = {one.name for one in ENGINE}
    assert {name for name in own & names if name not in pure and not _is_package(name)} == set()
    called = {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
    }
    assert called & IMPURE_CALLS == set()


def _is_package(name: str) -> bool:
    return (REPOSITORY / name.replace(".", "/")).is_dir()


def test_no_module_is_named_after_nothing():
    assert [module.name for module in MODULES if set(module.name.split(".")) & FORBIDDEN_NAMES] == []


def test_every_module_says_what_belongs_in_it():
    bare = [module.name for module in MODULES if module.tree.body and not ast.get_docstring(module.tree)]
    assert bare == []


WATCH = """
import contextlib, importlib, json, os, sys

# What others do at their own import is not ours to forbid.
for name in sys.argv[2:]:
    with contextlib.suppress(ImportError):
        importlib.import_module(name)

touched = []

def watch(event, arguments):
    if event in ("socket.connect", "socket.bind", "subprocess.Popen", "os.system", "os.posix_spawn", "os.fork",
                 "os.mkdir", "os.rename", "os.remove", "os.rmdir", "sqlite3.connect"):
        touched.append([event, repr(arguments)])
    elif event == "open" and isinstance(arguments[0], str):
        path, _mode, flags = arguments
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        ours = path.startswith(sys.argv[1]) and "/.venv/" not in path and not path.endswith((".py", ".pyc"))
        if (writes and not path.startswith("/dev/")) or ours:
            touched.append([event, path])

sys.addaudithook(watch)
import orchestration.cli
import orchestration.definitions
print(json.dumps(touched))
"""


def test_importing_the_code_location_touches_nothing(tmp_path):
    """Dagster imports it to list its jobs, pytest to collect, an editor to complete: none asked for a server."""
    foreign = {name for module in ENGINE for name in module.imports(lazy=False) if not leans_on({name}, *OWN)}
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "MARKETING_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", WATCH, str(REPOSITORY), *sorted(foreign)]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []
    assert list(tmp_path.iterdir()) == []
