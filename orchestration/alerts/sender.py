"""Sends in a process of its own, which ends when its time does: no receiver, however slowly it answers, and no
library, however patient, can hold a round up.

As a program, this module is that process: it takes pickled (transport, message) and answers with pickled outcomes.
"""

import os
import pickle
import subprocess
import sys
from contextlib import ExitStack
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

from orchestration.warehouse.alerts import ClaimedMessage
from orchestration.webhooks import Outcome

from .channels import Transport

LIMIT_SECONDS = 60.0


class Sender:
    """A context; its process starts with the first message, and again after one that took longer than limit_seconds."""

    def __init__(self, limit_seconds: float = LIMIT_SECONDS) -> None:
        self._limit_seconds = limit_seconds
        self._running: tuple[subprocess.Popen, Connection, Connection] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def send(self, transport: Transport, message: ClaimedMessage) -> Outcome:
        """What came of it; within the limit, or it did not."""
        _process, to_it, from_it = self._running = self._running or _start()
        try:
            to_it.send((transport, message))
            if from_it.poll(self._limit_seconds):
                return from_it.recv()
            fault = f"no answer within {self._limit_seconds:g} s"
        except (OSError, EOFError):
            fault = "the process that sends ended"
        self._end()
        return Outcome(fault)

    def _end(self) -> None:
        if self._running is None:
            return
        process, *pipes = self._running
        self._running = None
        process.kill()
        process.wait()
        for pipe in pipes:
            pipe.close()


def _start() -> tuple[subprocess.Popen, Connection, Connection]:
    with ExitStack() as opened:
        inward, outward = os.pipe(), os.pipe()
        for end in (inward[0], outward[1]):
            opened.callback(os.close, end)
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestration.alerts.sender", str(inward[0]), str(outward[1])],
            stdin=subprocess.DEVNULL,
            # What libraries print must not be taken for the output of the command that sends.
            stdout=subprocess.DEVNULL,
            pass_fds=(inward[0], outward[1]),
        )
        return process, Connection(inward[1], readable=False), Connection(outward[0], writable=False)


def _serve(requests: Connection, answers: Connection) -> None:
    while True:
        try:
            transport, message = requests.recv()
        except EOFError:
            return
        try:
            outcome = transport.send(message)
        except Exception as error:  # noqa: BLE001 -- one message that nobody can send must not keep all others back
            # Not its text: that may hold an address, and with it a secret.
            outcome = Outcome(f"could not be sent: {type(error).__name__}")
        try:
            answers.send(outcome)
        except (OSError, pickle.PicklingError):
            return


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1]), writable=False), Connection(int(sys.argv[2]), readable=False))
