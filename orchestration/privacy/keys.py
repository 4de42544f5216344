"""Where the two keys come from: the environment, or, for the embedded warehouse, files made once.

A key is never made anew where pseudonyms exist already: that would silently tear every person in two.
"""

import base64
import binascii
import contextlib
import os
import secrets
import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

KEY_BYTES = 32


class KeyProblem(Exception):
    """A key is missing, malformed, readable by others or not the warehouse's; the message says what to do."""


@dataclass(frozen=True)
class Keys:
    """The pseudonym key and the vault key, 32 bytes each; version: of the pair, 1 until one is replaced."""

    pseudonym: bytes = field(repr=False)
    vault: bytes = field(repr=False)
    version: int = 1


def find_keys(directory: Path, *, pseudonym_key: bytes | None, vault_key: bytes | None, may_create: bool) -> Keys:
    """The keys in force: those given, else the files in `directory`, else new files.

    directory: MARKETING_HOME/keys. pseudonym_key, vault_key: MARKETING_PSEUDONYM_KEY and MARKETING_VAULT_KEY,
    None when not set. may_create: whether missing files may be made: False once the warehouse holds pseudonyms,
    and for an external warehouse, whose keys must not hang on one machine's disk.
    Raises KeyProblem.
    """
    return Keys(
        pseudonym=pseudonym_key or _from_file(directory / "pseudonym.key", "MARKETING_PSEUDONYM_KEY", may_create),
        vault=vault_key or _from_file(directory / "vault.key", "MARKETING_VAULT_KEY", may_create),
    )


def _from_file(path: Path, variable: str, may_create: bool) -> bytes:
    if not path.exists():
        if not may_create:
            raise KeyProblem(
                f"{variable} is not set and {path} does not exist, but the warehouse needs the key that it was "
                f"filled with: set {variable}, or put the file back from a backup"
            )
        _create(path)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise KeyProblem(f"{path} has mode {mode:04o}, so that others can read the key: run  chmod 600 '{path}'")
    try:
        key = base64.b64decode(path.read_bytes().strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise KeyProblem(f"{path} does not hold {KEY_BYTES} bytes in base64: put it back from a backup")
    return key


def _create(path: Path) -> None:
    """Write a new key; of two starters at once one file wins, and both use it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, never replaces the key that another starter has just made.
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        os.unlink(name)
