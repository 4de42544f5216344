"""The embedded server: whatever was killed, however it was called, the next start gives one working server."""

import json
import multiprocessing
import os
import pwd
import random
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest

from orchestration.warehouse import WarehouseError, binaries, locks, postmaster
from orchestration.warehouse.account import Account
from orchestration.warehouse.server import EmbeddedServer

START = """
import pathlib, sys
from orchestration.warehouse.server import EmbeddedServer
EmbeddedServer(pathlib.Path(sys.argv[1])).start()
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a server that was started once: copying it is faster than initdb."""
    server = EmbeddedServer(tmp_path_factory.mktemp("prepared") / "home")
    server.start()
    try:
        with psycopg.connect(server.admin_url(), autocommit=True) as connection:
            connection.execute("alter system set fsync = off")
    finally:
        server.stop()
    return server.home


@pytest.fixture
def server(prepared: Path, tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server that ran before and is down now."""
    subprocess.run(["cp", "-a", prepared, tmp_path / "home"], check=True)
    server = EmbeddedServer(tmp_path / "home")
    yield server
    server.stop()


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server that nobody started yet."""
    server = EmbeddedServer(tmp_path / "new")
    yield server
    server.stop()


def starter(server: EmbeddedServer) -> subprocess.Popen:
    """A process of its own that starts the server and ends."""
    return subprocess.Popen([sys.executable, "-c", START, str(server.home)], start_new_session=True)


def pid_of(server: EmbeddedServer) -> int:
    running = postmaster.living(server.data_dir, Account.for_data(server.data_dir))
    assert running is not None
    return running.pid


def times_started(server: EmbeddedServer) -> int:
    return server.log_file.read_text().count("database system is ready to accept connections")


def put_pid(server: EmbeddedServer, pid: int) -> None:
    """Make the stale pid file name another process."""
    file = server.data_dir / "postmaster.pid"
    _, _, rest = file.read_text().partition("\n")
    file.write_text(f"{pid}\n{rest}")


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)


def test_three_starters_at_once_give_one_server(new_server):
    """make up starts several processes at once; two servers on one directory would destroy it."""
    starters = [starter(new_server) for _ in range(3)]
    assert [process.wait(timeout=60) for process in starters] == [0, 0, 0]
    assert times_started(new_server) == 1
    assert new_server.is_running()


def test_the_server_outlives_whoever_started_it_and_ends_with_stop(server):
    process = starter(server)
    assert process.wait(timeout=60) == 0
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    assert server.is_running()
    url = server.url
    assert server.stop() is True
    assert server.stop() is False
    assert not server.is_running()
    server.start()
    assert server.url == url


def test_only_the_password_lets_in_and_only_from_this_machine(new_server):
    """Other users of the machine share 127.0.0.1: trust, or a readable password, would be theirs too."""
    new_server.start()
    assert stat.S_IMODE((new_server.directory / "server.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(new_server.data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE(new_server.log_file.stat().st_mode) == 0o600
    port = json.loads((new_server.directory / "server.json").read_text())["port"]
    for user in ("postgres", "marketing"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(host="127.0.0.1", port=port, user=user, dbname="marketing", password="guess")
    with psycopg.connect(new_server.admin_url()) as connection:
        methods = connection.execute("select distinct auth_method from pg_hba_file_rules").fetchall()
        assert methods == [("scram-sha-256",)]
        assert connection.execute("show listen_addresses").fetchone() == ("127.0.0.1",)
        assert connection.execute("show unix_socket_directories").fetchone() == ("",)
        assert connection.execute("show data_checksums").fetchone() == ("on",)
        rights = "select rolsuper, rolcreatedb, rolcreaterole from pg_roles where rolname = 'marketing'"
        assert connection.execute(rights).fetchone() == (False, True, True)


def test_a_killed_server_starts_again_with_its_data(server):
    server.start()
    with psycopg.connect(server.url) as connection:
        connection.execute("create table public.kept as select 1 as one")
    kill(pid_of(server))
    server.start()
    with psycopg.connect(server.url) as connection:
        assert connection.execute("select one from public.kept").fetchone() == (1,)


def test_a_query_that_outlives_its_killed_server_does_not_block_the_start(server, monkeypatch):
    """A build's query runs on for minutes after kill -9, and PostgreSQL starts no server beside it."""
    monkeypatch.setattr(postmaster, "ORPHAN_GRACE_SECONDS", 0.3)
    server.start()
    with psycopg.connect(server.url) as connection:
        backend = connection.info.backend_pid
        connection.pgconn.send_query(b"select count(*) from generate_series(1, 20000000000)")
        time.sleep(0.3)
        kill(pid_of(server))
        assert psutil.pid_exists(backend)
        server.start()
        assert not psutil.pid_exists(backend) or psutil.Process(backend).status() == psutil.STATUS_ZOMBIE
        connection.close()
    assert server.is_running()


def test_a_zombie_in_the_pid_file_does_not_block_the_start(server, tmp_path):
    """In a container without an init nobody reaps a killed server, and kill(pid, 0) says that it lives."""
    server.start()
    kill(pid_of(server))
    (tmp_path / "postgres").symlink_to(shutil.which("true"))
    with subprocess.Popen([tmp_path / "postgres"]) as zombie:
        while psutil.Process(zombie.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        put_pid(server, zombie.pid)
        server.start()
    assert server.is_running()


def test_a_pid_that_another_program_has_now_does_not_block_the_start(server):
    """After a reboot the server's pid is anybody's, perhaps one of the same user."""
    server.start()
    account = Account.for_data(server.data_dir)
    kill(pid_of(server))
    with subprocess.Popen(["sleep", "60"], user=account.uid) as other:
        put_pid(server, other.pid)
        server.start()
        other.kill()
    assert server.is_running()


def test_a_pid_that_another_server_has_now_does_not_block_the_start(server, new_server):
    server.start()
    new_server.start()
    kill(pid_of(server))
    put_pid(server, pid_of(new_server))
    server.start()
    assert server.is_running()
    assert new_server.is_running()
    assert pid_of(server) != pid_of(new_server)


@pytest.mark.parametrize("content", ["", "12"])
def test_a_pid_file_cut_off_by_a_kill_does_not_block_the_start(server, content):
    server.start()
    kill(pid_of(server))
    (server.data_dir / "postmaster.pid").write_text(content)
    server.start()
    assert server.is_running()


def test_a_start_killed_at_any_instant_leaves_the_next_one_working(new_server):
    """The first start makes passwords, files, roles and databases: a half of any of these must not last."""
    instants = random.Random(20)
    for _ in range(8):
        process = starter(new_server)
        time.sleep(instants.uniform(0.15, 1.2))
        doomed = [process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))]
        for pid in instants.sample(doomed, k=instants.randint(1, len(doomed))):
            if psutil.pid_exists(pid):
                os.kill(pid, signal.SIGKILL)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    new_server.start()
    with psycopg.connect(new_server.url) as connection:
        assert connection.execute("select current_user, current_database()").fetchone() == ("marketing", "marketing")
    assert not list(new_server.directory.glob("initdb-*"))


def test_the_last_statement_of_a_killed_starter_is_waited_for(server):
    """Its backend goes on creating the database, and finds out only then that nobody listens."""
    server.start()
    with psycopg.connect(server.admin_url("postgres"), autocommit=True) as leftover, ThreadPoolExecutor() as threads:
        leftover.execute("drop database marketing")
        with locks.starting(leftover):
            start = threads.submit(server.start)
            with pytest.raises(TimeoutError):
                start.result(timeout=0.5)
            leftover.execute("create database marketing owner marketing")
        start.result(timeout=30)
    assert server.is_running()


def test_a_taken_port_is_left_for_another(server):
    """Nothing reserves a port while the server is down."""
    server.start()
    server.stop()
    access = server.directory / "server.json"
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        port = squatter.getsockname()[1]
        access.write_text(json.dumps({**json.loads(access.read_text()), "port": port}))
        server.start()
        assert server.is_running()
        assert f":{port}/" not in server.url


@pytest.mark.parametrize("name", ["with a space, 'quotes' and ü", "/".join(["a_rather_long_name_of_a_directory"] * 7)])
def test_any_path_will_do(tmp_path, name):
    """A socket's path ends at 107 bytes, and shells split at spaces."""
    server = EmbeddedServer(tmp_path / name)
    server.start()
    try:
        assert server.is_running()
    finally:
        server.stop()


def test_data_and_programs_may_lie_where_only_their_owner_may_enter(monkeypatch):
    """PostgreSQL refuses root, its account cannot enter /root, and most clones by root lie there."""
    with tempfile.TemporaryDirectory() as closed, tempfile.TemporaryDirectory() as copies:
        assert stat.S_IMODE(Path(closed).stat().st_mode) == 0o700
        Path(copies).chmod(0o755)
        original = binaries.installation()
        programs = Path(closed) / original.parent.name / original.name
        shutil.copytree(original, programs, symlinks=True)
        libraries = original.parent.with_name(f"{binaries.PACKAGE}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, Path(closed) / libraries.name)
        monkeypatch.setattr(binaries, "installation", lambda major=18: programs)
        monkeypatch.setattr(binaries, "COPIES", Path(copies) / "copies")
        server = EmbeddedServer(Path(closed) / "home")
        try:
            server.start()
            assert server.is_running()
            kill(pid_of(server))
            server.start()
            assert server.is_running()
            assert server.data_dir.stat().st_uid != 0
        finally:
            server.stop()


def as_ordinary_user(home: Path) -> tuple | str:
    """What comes of a start and a stop by an ordinary user: of nobody, when the tests run as root."""
    uid = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()
    account = Account(uid, uid) if os.geteuid() == 0 else Account()
    os.chown(home.parent, uid, -1)
    programs = binaries.reachable_installation(account)
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_start_and_stop, args=(home, uid, programs, answers))
    child.start()
    answer = answers.get(timeout=60)
    child.join()
    return answer


def _start_and_stop(home: Path, uid: int, programs: Path, answers: multiprocessing.Queue) -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    binaries.installation = lambda major=18: programs
    server = EmbeddedServer(home)
    try:
        server.start()
        answers.put((server.is_running(), server.data_dir.stat().st_uid == uid, server.stop()))
    except WarehouseError as error:
        answers.put(str(error))


def test_an_ordinary_user_runs_a_server_alone():
    with tempfile.TemporaryDirectory() as directory:
        assert as_ordinary_user(Path(directory) / "home") == (True, True, True)


def test_a_home_that_one_may_not_use_is_named():
    """A first start with sudo leaves files that a later one without it may not read."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o500)
        answer = as_ordinary_user(Path(directory) / "home")
    assert answer.startswith(f"this user may not use {Path(directory).resolve() / 'home'}")


def test_a_lost_password_file_is_named(server):
    """Making a new one would lock everybody out of the old data for good."""
    server.start()
    server.stop()
    (server.directory / "server.json").unlink()
    with pytest.raises(WarehouseError, match=r"server\.json, which holds the passwords of .* is gone"):
        server.start()
    server.data_dir.rename(server.directory / "aside")
    server.start()
    assert server.is_running()
    assert (server.directory / "aside" / "PG_VERSION").exists()


def test_a_server_that_cannot_start_says_why(server):
    server.start()
    server.stop()
    with (server.data_dir / "postgresql.auto.conf").open("a") as settings:
        settings.write("shared_buffers = 'plenty'\n")
    with pytest.raises(WarehouseError, match='invalid value for parameter "shared_buffers": "plenty"'):
        server.start()
    (server.data_dir / "postgresql.auto.conf").write_text("")


def test_a_server_whose_sessions_are_all_taken_counts_as_running(server):
    server.start()
    with psycopg.connect(server.admin_url(), autocommit=True) as connection:
        connection.execute("alter system set max_connections = 8")
    server.stop()
    server.start()
    sessions = [psycopg.connect(server.url) for _ in range(5)]
    try:
        with pytest.raises(psycopg.OperationalError, match="slots are reserved"):
            psycopg.connect(server.url)
        assert server.is_running()
    finally:
        for session in sessions:
            session.close()
