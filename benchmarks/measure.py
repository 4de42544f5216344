"""What an action costs: wall time, and CPU time of the client's and of the server's processes."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from orchestration.warehouse import Warehouse

# Ended sessions count once the server has reaped them.
REAP_SECONDS = 0.2


@dataclass(frozen=True)
class Cost:
    """Seconds: wall; CPU of this process and of those it waited for; CPU of the server's processes."""

    wall: float
    client: float
    server: float

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.wall + other.wall, self.client + other.client, self.server + other.server)


class Meter:
    """Measures actions beside a server: every process of it counts, parallel workers and checkpointer too.

    warehouse: an embedded one, which nobody else uses meanwhile.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        with warehouse.connect() as connection:
            self._postmaster = psutil.Process(connection.info.backend_pid).parent()

    def cost(self, action: Callable[[], object]) -> Cost:
        """Run it."""
        wall, client, server = time.perf_counter(), _client_seconds(), self._server_seconds()
        action()
        time.sleep(REAP_SECONDS)
        return Cost(
            time.perf_counter() - wall - REAP_SECONDS,
            _client_seconds() - client,
            self._server_seconds() - server,
        )

    def _server_seconds(self) -> float:
        while True:
            try:
                living = [process.cpu_times() for process in self._postmaster.children()]
            except psutil.NoSuchProcess:
                # It ended meanwhile, and counts among the reaped ones from now on.
                continue
            own = self._postmaster.cpu_times()
            return own.children_user + own.children_system + sum(times.user + times.system for times in living)


def _client_seconds() -> float:
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def heading(first: str) -> None:
    """Print the heads of a table of costs, with room for `row`."""
    print(f"{first:<58}{'wall s':>9}{'client s':>10}{'server s':>10}{'ratio':>9}", flush=True)


def row(name: str, cost: Cost, beside: Cost | None = None) -> None:
    """Print one line: the cost, and how often the server's CPU of it fits into that of what it stands beside."""
    ratio = f"{beside.server / cost.server:>8.1f}x" if beside else ""
    print(f"{name:<58}{cost.wall:>9.2f}{cost.client:>10.2f}{cost.server:>10.2f}{ratio}", flush=True)
