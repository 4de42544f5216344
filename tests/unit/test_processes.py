"""The supervisor of `marketing up`: nothing starts beside another, nothing outlives it, nothing dies unnoticed."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from orchestration.processes import (
    ProcessError,
    Program,
    ProgramEndedError,
    check_port_is_free,
    listens,
    only_one,
    run,
)
from orchestration.settings import REPOSITORY

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
# Writes the pid of a child that it leaves running.
PARENT = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path("child.new").write_text(str(child.pid))
pathlib.Path("child.new").rename("child")
{then}
"""
STUBBORN = """
import pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path("deaf").touch()
time.sleep(600)
"""


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def supervise(folder: Path, programs: list[Program], *, on_ready=lambda: None, stop_seconds: float = 10) -> None:
    run(
        programs,
        logs=folder / "logs",
        environ=os.environ,
        directory=folder,
        on_ready=on_ready,
        stop_seconds=stop_seconds,
    )


def wait_for(condition, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout


def test_a_program_that_ends_is_named_with_its_last_words_and_takes_the_others_along(tmp_path):
    """A daemon that died unnoticed would leave the marts to age while the UI looks well."""
    ready = []
    programs = [
        Program("parent", python(PARENT.format(then="time.sleep(600)")), (tmp_path / "child").exists),
        Program("weak", python("import time; print('no more memory', flush=True); time.sleep(1); raise SystemExit(3)")),
    ]
    with pytest.raises(ProgramEndedError, match=r"(?s)the weak ended unasked \(exit code 3\).*no more memory"):
        supervise(tmp_path, programs, on_ready=lambda: ready.append(True))
    assert ready == [True]
    wait_for(lambda: not is_alive(int((tmp_path / "child").read_text())))


def test_the_next_program_starts_only_when_the_one_before_is_ready(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    programs = [
        Program(
            "first",
            python(f"import pathlib, time; time.sleep(1); pathlib.Path({str(first)!r}).touch(); time.sleep(600)"),
            first.exists,
        ),
        Program(
            "second",
            python(
                f"import pathlib; assert pathlib.Path({str(first)!r}).exists(); pathlib.Path({str(second)!r}).touch()"
            ),
        ),
    ]
    with pytest.raises(ProgramEndedError, match=r"the second ended unasked \(exit code 0\)"):
        supervise(tmp_path, programs)
    assert second.exists()


def test_a_program_that_ends_before_it_is_ready_is_told(tmp_path):
    with pytest.raises(ProgramEndedError, match=r"(?s)the broken ended unasked \(exit code 1\).*ZeroDivisionError"):
        supervise(tmp_path, [Program("broken", python("1 / 0"), is_ready=lambda: False)])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_stop_ends_everything_in_good_order(tmp_path, number):
    programs = [Program("parent", python(PARENT.format(then="time.sleep(600)")), (tmp_path / "child").exists)]
    supervise(tmp_path, programs, on_ready=lambda: os.kill(os.getpid(), number))
    wait_for(lambda: not is_alive(int((tmp_path / "child").read_text())))


def test_the_handlers_of_the_caller_are_back_afterwards(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    supervise(tmp_path, [Program("sleep", SLEEP)], on_ready=lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_program_that_does_not_listen_is_killed(tmp_path):
    """A draining gRPC server ignores SIGTERM for a minute; the next start would find its port taken."""
    started = time.monotonic()
    programs = [Program("stubborn", python(STUBBORN), (tmp_path / "deaf").exists)]
    supervise(tmp_path, programs, on_ready=lambda: os.kill(os.getpid(), signal.SIGTERM), stop_seconds=1)
    assert time.monotonic() - started < 15


def test_when_the_supervisor_is_killed_nothing_stays_behind(tmp_path):
    """A daemon that outlives `marketing up` would run every schedule twice beside the next one."""
    code = f"""
        import os, pathlib, sys
        from orchestration.processes import Program, run
        folder = pathlib.Path({str(tmp_path)!r})
        program = Program("parent", [sys.executable, "-c", {PARENT.format(then="time.sleep(600)")!r}])
        run([program], logs=folder, environ=os.environ, directory=folder, on_ready=lambda: None)
    """
    supervisor = subprocess.Popen(python(textwrap.dedent(code)), cwd=REPOSITORY)
    wait_for((tmp_path / "child").exists)
    child = int((tmp_path / "child").read_text())
    assert is_alive(child)
    supervisor.kill()
    supervisor.wait()
    wait_for(lambda: not is_alive(child))


def listener(*options: int) -> socket.socket:
    found = socket.socket()
    for option in options:
        found.setsockopt(socket.SOL_SOCKET, option, 1)
    found.bind(("127.0.0.1", 0))
    found.listen()
    return found


def test_a_port_in_use_is_told_with_the_setting_that_names_another():
    with listener() as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ProcessError, match=rf"port {port} is taken .* set DAGSTER_PORT"):
            check_port_is_free(port, "DAGSTER_PORT")


def test_a_port_whose_listener_would_share_it_is_in_use_all_the_same():
    """With SO_REUSEPORT two servers listen on one port without an error, and each gets half of the calls."""
    with listener(socket.SO_REUSEPORT) as taken, pytest.raises(ProcessError, match="is taken"):
        check_port_is_free(taken.getsockname()[1], "DAGSTER_PORT")


def test_a_port_that_was_just_given_back_is_free():
    """Its last connections stay in TIME_WAIT for a minute, in which `make up` must start again."""
    with listener(socket.SO_REUSEADDR) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            server.accept()[0].close()
            assert client.recv(1) == b""
    check_port_is_free(port, "DAGSTER_PORT")


def test_one_installation_runs_once_and_again_after_its_end(tmp_path):
    lock = tmp_path / "home" / "up.lock"
    with (
        only_one(lock),
        pytest.raises(ProcessError, match=rf"already up here \(process {os.getpid()}\)"),
        only_one(lock),
    ):
        pass
    with only_one(lock):
        pass


def test_a_socket_is_listened_to_or_not(tmp_path):
    path = tmp_path / "a.sock"
    assert not listens(path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        assert not listens(path)
        server.listen()
        assert listens(path)
    assert not listens(path)
