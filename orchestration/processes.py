"""Runs the long-lived programs of an installation side by side until asked to stop, or until one of them ends.

Each program has its own session, so Ctrl-C reaches this process alone, which then ends the programs and whatever
they started. Should this process be killed, the guard (this module as a program) does it in its place.
"""

import fcntl
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.2
STOP_SECONDS = 30.0
READY_SECONDS = 300.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOG_TAIL_LINES = 12


class ProcessError(Exception):
    """Something that keeps the programs from running: the message says what, and what to do."""


class ProgramEndedError(ProcessError):
    """A program ended although nobody asked it to."""


@dataclass(frozen=True)
class Program:
    """A long-lived program. is_ready: whether it does its work yet; the next one starts only then."""

    name: str
    command: Sequence[str]
    is_ready: Callable[[], bool] = lambda: True


@dataclass(frozen=True)
class _Running:
    program: Program
    process: subprocess.Popen
    log: Path


def check_port_is_free(port: int, variable: str) -> None:
    """Raises ProcessError when something listens on 127.0.0.1:port. variable: the setting that names another."""
    with socket.socket() as caller:
        caller.settimeout(2)
        # Asked first, since a listener with SO_REUSEPORT would let us bind beside it.
        taken = caller.connect_ex(("127.0.0.1", port)) == 0
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except PermissionError as error:
            raise ProcessError(f"this user may not use port {port}: set {variable} to one above 1023") from error
        except OSError:
            taken = True
    if taken:
        raise ProcessError(f"port {port} is taken by another program: end that one, or set {variable} to a free port")


@contextmanager
def only_one(lock_file: Path) -> Iterator[None]:
    """Raises ProcessError when another process holds the lock; it ends with its holder, however that ends."""
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise ProcessError(f"it is already up here (process {holder}): one installation runs once") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def answers(port: int, path: str) -> bool:
    """Whether an HTTP server on 127.0.0.1:port answers a GET of path with 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def listens(path: Path) -> bool:
    """Whether something accepts connections on the Unix socket at path."""
    with socket.socket(socket.AF_UNIX) as caller:
        try:
            caller.connect(str(path))
        except OSError:
            return False
        return True


def run(
    programs: Sequence[Program],
    *,
    logs: Path,
    environ: Mapping[str, str],
    directory: Path,
    on_ready: Callable[[], None],
    stop_seconds: float = STOP_SECONDS,
) -> None:
    """Start the programs in order, each once the one before is ready, and return when a signal has ended them all.

    logs: folder for <name>.log of each. on_ready: called once all are. stop_seconds: what they get to end by
    themselves. Raises ProgramEndedError, after ending the others, when one ends unasked.
    """
    logs.mkdir(parents=True, exist_ok=True)
    with _stop_asked() as is_asked, _guarded() as guard:
        running: list[_Running] = []
        try:
            for program in programs:
                running.append(_start(program, logs, environ, directory))
                guard(running[-1].process.pid)
                deadline = time.monotonic() + READY_SECONDS
                while not is_asked() and not program.is_ready():
                    _check(running)
                    if time.monotonic() > deadline:
                        late = f"the {program.name} is not ready after {READY_SECONDS:.0f} s"
                        raise ProcessError(f"{late}: {_end(running[-1])}")
                    time.sleep(POLL_SECONDS)
                if is_asked():
                    return
            on_ready()
            while not is_asked():
                _check(running)
                time.sleep(POLL_SECONDS)
        finally:
            stop_groups([one.process.pid for one in running], stop_seconds, reap=lambda: _reap(running))


def stop_groups(groups: Iterable[int], stop_seconds: float, reap: Callable[[], None] = lambda: None) -> None:
    """Ask process groups to end, wait for their last member, and kill what remains after stop_seconds."""
    groups = list(groups)
    for number, patience in ((signal.SIGTERM, stop_seconds), (signal.SIGKILL, 5.0)):
        for group in groups:
            _signal(group, number)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            reap()
            groups = [group for group in groups if _signal(group, 0)]
            if not groups:
                return
            time.sleep(POLL_SECONDS / 2)


def _start(program: Program, logs: Path, environ: Mapping[str, str], directory: Path) -> _Running:
    path = logs / f"{program.name}.log"
    with path.open("ab") as log:
        process = subprocess.Popen(
            program.command,
            cwd=directory,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return _Running(program, process, path)


def _check(running: Sequence[_Running]) -> None:
    for one in running:
        if (code := one.process.poll()) is not None:
            raise ProgramEndedError(f"the {one.program.name} ended unasked ({_told(code)}): {_end(one)}")


def _told(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def _end(one: _Running) -> str:
    with one.log.open("rb") as log:
        log.seek(max(0, os.fstat(log.fileno()).st_size - 8192))
        lines = log.read().decode(errors="replace").splitlines()[-LOG_TAIL_LINES:]
    return f"the end of {one.log} says\n" + "\n".join(lines)


def _reap(running: Iterable[_Running]) -> None:
    for one in running:
        one.process.poll()


def _signal(group: int, number: int) -> bool:
    """Send a signal to a process group (0: to nobody); whether it has members."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS says so of a group of zombies
        return False
    return True


@contextmanager
def _stop_asked() -> Iterator[Callable[[], bool]]:
    """Take Ctrl-C, SIGTERM and a closed terminal as requests to stop, for as long as the block lasts."""
    asked: list[int] = []
    before = {number: signal.signal(number, lambda received, _frame: asked.append(received)) for number in STOP_SIGNALS}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _guarded() -> Iterator[Callable[[int], None]]:
    """A process that ends the groups named to it when this one dies without having ended them itself."""
    guard = subprocess.Popen(
        [sys.executable, "-m", "orchestration.processes"],
        cwd=Path(__file__).resolve().parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    if guard.stdin is None:
        raise ProcessError("the guard has no input")

    def name(group: int) -> None:
        guard.stdin.write(f"{group}\n")
        guard.stdin.flush()

    try:
        yield name
    finally:
        # The groups have ended, and their numbers may soon be those of others: no end of input for this one.
        guard.kill()
        guard.wait()
        guard.stdin.close()


def _guard() -> None:
    groups = [int(line) for line in sys.stdin]
    stop_groups(groups, STOP_SECONDS)


if __name__ == "__main__":
    _guard()
