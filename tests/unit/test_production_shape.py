"""docker-compose.yml and the Dockerfile: valid, without secrets, and of one mind with `marketing up`.

No container engine is needed: what is checked is what they say.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from orchestration.instance import LOCATION
from orchestration.settings import REPOSITORY
from orchestration.up import commands

COMPOSE_FILE = REPOSITORY / "docker-compose.yml"
COMPOSE = yaml.safe_load(COMPOSE_FILE.read_text())
SERVICES = COMPOSE["services"]
ENGINE = ("monitor", "code", "daemon", "webserver")
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()


def test_it_fits_the_published_schema():
    """Compose refuses a misspelt key only on the day of the deployment."""
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [program, "--builtin-schema", "vendor.compose-spec", COMPOSE_FILE]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_containers_run_what_marketing_up_runs():
    """Two ways to start the engine drift apart, and the one that nobody tests is production."""
    (workspace,) = [config["target"] for config in SERVICES["daemon"]["configs"]]
    expected = commands(
        ["--host", "0.0.0.0", "--port", "4000"], ["--host", "0.0.0.0", "--port", "3000"], workspace=workspace
    )
    assert {name: SERVICES[name]["command"] for name in ENGINE} == {
        name: ["python", "-m", *command] for name, command in expected.items()
    }


def test_ui_and_daemon_find_the_code_location_by_the_name_that_keeps_their_cursors():
    workspace = yaml.safe_load(COMPOSE["configs"]["workspace"]["content"])
    assert workspace == {"load_from": [{"grpc_server": {"host": "code", "port": 4000, "location_name": LOCATION}}]}
    for name in ("daemon", "webserver"):
        assert [config["source"] for config in SERVICES[name]["configs"]] == ["workspace"]


def test_every_secret_comes_from_outside_and_its_absence_stops_the_start():
    secret = re.compile(r"PASSWORD|_KEY$|_URL$")
    found = {
        (service, name): value
        for service, content in SERVICES.items()
        for name, value in content.get("environment", {}).items()
        if secret.search(name)
    }
    assert len(found) >= 4
    for place, value in found.items():
        assert re.search(r"\$\{[A-Z_]+:\?[^}]+\}", value), place


def test_the_variables_that_compose_asks_for_stand_in_the_example():
    asked = set(re.findall(r"\$\{([A-Z_]+)[:}]", COMPOSE_FILE.read_text()))
    example = set(re.findall(r"(?m)^([A-Z_]+)=", (REPOSITORY / ".env.example").read_text()))
    assert asked <= example


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_a_health_check_a_restart_and_a_pinned_image(service):
    content = SERVICES[service]
    assert content["healthcheck"]["test"][0] == "CMD"
    assert content["restart"] == "unless-stopped"
    assert "build" in content or re.fullmatch(r"[a-z]+:\d+(-\w+)?", content["image"])


def test_postgresql_is_one_that_the_engine_supports():
    assert int(SERVICES["postgres"]["image"].partition(":")[2]) >= 16


def test_nothing_but_the_ui_is_published_and_that_to_this_machine_alone():
    published = {name: content["ports"] for name, content in SERVICES.items() if "ports" in content}
    assert list(published) == ["webserver"]
    assert all(port.startswith("127.0.0.1:") for port in published["webserver"])


def test_the_image_sends_no_telemetry_and_does_not_run_as_root():
    for line in ("DBT_SEND_ANONYMOUS_USAGE_STATS=false", "GX_ANALYTICS_ENABLED=false", "DO_NOT_TRACK=1"):
        assert line in DOCKERFILE
    last_user = re.findall(r"(?m)^USER (\w+)$", DOCKERFILE)[-1]
    assert last_user not in ("root", "0")


def test_state_and_secrets_of_this_machine_stay_out_of_the_image():
    ignored = (REPOSITORY / ".dockerignore").read_text().split()
    assert {".env", ".marketing", ".git", ".venv"} <= set(ignored)
