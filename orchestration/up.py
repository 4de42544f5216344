"""What `marketing up` runs: the monitor, the code location, the Dagster UI and the daemon, on a warehouse that is up.

The production shape in docker-compose.yml runs the same commands in containers.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from orchestration.alerts.alerting import alerting
from orchestration.installation import Installation
from orchestration.instance import LOCATION, MODULE, write_instance
from orchestration.processes import Program, answers, check_port_is_free, listens, only_one, run
from orchestration.settings import REPOSITORY
from orchestration.warehouse.server import EmbeddedServer
from orchestration.warehouse.sessions import others

HOST = "127.0.0.1"
NO_TELEMETRY = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "GX_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}


def up(installation: Installation, *, tell: Callable[[str], None]) -> None:
    """Run everything until Ctrl-C; an embedded server that was down before goes down again at the end.

    Raises ProcessError when a port is taken, this installation is up already, or a program ends unasked.
    """
    home, port = installation.settings.marketing_home.resolve(), installation.settings.dagster_port
    # Rules and contacts with a fault would be found by a sensor, who has nobody to tell.
    alerting(installation.policy, installation.alert_addresses)
    _ = installation.desk, installation.sending_system
    with only_one(home / "up.lock"):
        check_port_is_free(port, "DAGSTER_PORT")
        was_running = EmbeddedServer(home).is_running()
        tell("starting the warehouse")
        server = installation.warehouse.server
        try:
            _run(installation, home, port, tell)
        finally:
            if server is not None and not was_running:
                _stop(installation, server, tell)


def _run(installation: Installation, home: Path, port: int, tell: Callable[[str], None]) -> None:
    installation.landing.mkdir(exist_ok=True)
    logs = home / "logs"
    dagster_home = write_instance(installation.warehouse, installation.policy)
    environ = {
        **os.environ,
        **NO_TELEMETRY,
        "MARKETING_HOME": str(home),
        "DAGSTER_HOME": str(dagster_home),
        "PYTHONUNBUFFERED": "1",
    }

    def say_ready() -> None:
        tell(f"Dagster UI  http://{HOST}:{port}")
        tell(f"landing     {installation.landing}")
        tell(f"logs        {logs}")
        tell("Ctrl-C ends all of it")

    # A Unix socket in a short, private directory: no port to find, and nobody else's to be answered by.
    with tempfile.TemporaryDirectory(prefix="marketing-") as short:
        socket = Path(short, "code.sock")
        workspace = dagster_home / "workspace.yaml"
        workspace.write_text(_workspace(socket))
        tell("starting the monitor, the code location, the Dagster UI and the daemon")
        run(
            _programs(socket, workspace, port),
            logs=logs,
            environ=environ,
            directory=REPOSITORY,
            on_ready=say_ready,
        )
    tell("stopped")


def commands(code: Sequence[str], ui: Sequence[str], workspace: str) -> dict[str, list[str]]:
    """The long-lived programs, arguments of this Python's `-m`, in the order of their start.

    code, ui: options that name the address of the code location and of the UI; workspace: file that names the
    code location to the other two.
    """
    location = ["--module-name", MODULE, "--location-name", LOCATION]
    return {
        # First, so that there is a sample when the rules are looked at.
        "monitor": ["orchestration.cli", "monitor"],
        "code": ["dagster", "api", "grpc", *code, *location],
        "daemon": ["dagster._daemon", "run", "--workspace", workspace],
        "webserver": ["dagster_webserver", *ui, "--workspace", workspace],
    }


def _programs(socket: Path, workspace: Path, port: int) -> list[Program]:
    is_ready = {"code": lambda: listens(socket), "webserver": lambda: answers(port, "/server_info")}
    found = commands(["--socket", str(socket)], ["--host", HOST, "--port", str(port)], str(workspace))
    return [
        Program(name, [sys.executable, "-m", *command], is_ready.get(name, lambda: True))
        for name, command in found.items()
    ]


def _workspace(socket: Path) -> str:
    return yaml.safe_dump({"load_from": [{"grpc_server": {"socket": str(socket), "location_name": LOCATION}}]})


def _stop(installation: Installation, server: EmbeddedServer, tell: Callable[[str], None]) -> None:
    if users := others(installation.warehouse):
        tell(f"the warehouse stays up for {', '.join(users)}: marketing warehouse stop ends it")
        return
    server.stop()
