"""The embedded server's settings: bulk builds on a small machine, safe against a crash.

To change one on a machine: ALTER SYSTEM by the superuser, which wins over the file that is written from here.
"""

import os
from pathlib import Path

MB = 1024 * 1024
SHARED_MEMORY = Path("/dev/shm")
CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def settings_text(*, port: int) -> str:
    """postgresql.conf lines for this machine."""
    memory = machine_memory_bytes()
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "password_encryption": "scram-sha-256",
        "max_connections": 150,
        # An incremental build writes all over the indexes of all touches: what does not fit is read and written twice.
        "shared_buffers": _mb(memory // 8, least=64, most=4096),
        "effective_cache_size": _mb(memory // 2, least=128, most=32_768),
        "work_mem": _mb(memory // 256, least=8, most=96),
        "maintenance_work_mem": _mb(memory // 32, least=64, most=512),
        "dynamic_shared_memory_type": _shared_memory_type(),
        # Backups are dumps and no replica reads the log: rows that go into a table made in the same transaction
        # need not be logged (2 M rows: 1.4 s for 2.3 s, and no log for 214 MB).
        "wal_level": "minimal",
        "max_wal_senders": 0,
        "max_wal_size": "4GB",
        # pglz made the writes of an incremental build cost seven times the CPU, for a third less log.
        "wal_compression": "off",
        "checkpoint_timeout": "15min",
        "synchronous_commit": "on",
        "autovacuum": "on",
        "random_page_cost": 1.1,
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "lc_messages": "C",
        "log_line_prefix": "%m [%p] %a ",
    }
    return "".join(f"{name} = '{value}'\n" for name, value in settings.items())


def machine_memory_bytes() -> int:
    """Memory of the machine, or of the container where that is less."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in CGROUP_LIMITS:
        if limit.is_file() and (text := limit.read_text().strip()).isdigit():
            memory = min(memory, int(text))
    return memory


def _mb(size: int, *, least: int, most: int) -> str:
    return f"{min(max(size // MB, least), most)}MB"


def _shared_memory_type() -> str:
    """posix, or mmap in containers: their /dev/shm (64 MB by default) is too small for parallel joins."""
    if not SHARED_MEMORY.is_dir():
        return "posix"
    room = os.statvfs(SHARED_MEMORY)
    return "posix" if room.f_frsize * room.f_blocks >= 512 * MB else "mmap"
