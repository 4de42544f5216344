"""Where keys come from, and what is sealed under them."""

import base64
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestration.privacy.keys import KeyProblem, find_keys
from orchestration.privacy.vault import Cipher, WrongKeyError
from tests.feed_records import KEY

GIVEN = bytes(range(32))


def found(
    directory: Path, *, may_create: bool = True, pseudonym_key: bytes | None = None, vault_key: bytes | None = None
):
    return find_keys(directory, pseudonym_key=pseudonym_key, vault_key=vault_key, may_create=may_create)


def test_keys_are_made_once_and_only_for_their_owner(tmp_path: Path):
    first = found(tmp_path / "keys")
    assert found(tmp_path / "keys", may_create=False) == first
    assert first.pseudonym != first.vault
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "keys").iterdir()} == {0o600}
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == ["pseudonym.key", "vault.key"]


def test_two_starters_use_the_same_keys(tmp_path: Path):
    """With a key of its own each, one of them would give everybody a second pseudonym."""
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: found(tmp_path), range(40)))
    assert len({(one.pseudonym, one.vault) for one in keys}) == 1


def test_given_keys_go_before_files(tmp_path: Path):
    found(tmp_path)
    assert found(tmp_path, pseudonym_key=GIVEN).pseudonym == GIVEN


def test_a_lost_key_is_never_made_anew(tmp_path: Path):
    """The persons of the warehouse would all become strangers, and nobody would see why."""
    (tmp_path / "vault.key").write_bytes(base64.b64encode(GIVEN))
    (tmp_path / "vault.key").chmod(0o600)
    with pytest.raises(KeyProblem, match=r"MARKETING_PSEUDONYM_KEY is not set and .*pseudonym\.key does not exist"):
        found(tmp_path, may_create=False)
    assert not (tmp_path / "pseudonym.key").exists()


def test_a_key_that_others_can_read_is_refused(tmp_path: Path):
    found(tmp_path)
    (tmp_path / "vault.key").chmod(0o640)
    with pytest.raises(KeyProblem, match="mode 0640"):
        found(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not base64!", base64.b64encode(b"short")])
def test_a_damaged_key_file_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "vault.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyProblem, match="does not hold 32 bytes in base64"):
        found(tmp_path)


def test_what_was_sealed_opens_again_and_never_looks_the_same():
    cipher = Cipher(KEY, purpose="vault")
    first, second = cipher.seal(b"ada@example.com", b"row"), cipher.seal(b"ada@example.com", b"row")
    assert cipher.open(first, b"row") == cipher.open(second, b"row") == b"ada@example.com"
    assert first != second
    assert b"ada" not in first


@pytest.mark.parametrize(
    ("cipher", "context"),
    [
        (Cipher(b"some other key of 32 bytes or more", purpose="vault"), b"row"),
        (Cipher(KEY, purpose="quarantine"), b"row"),
        (Cipher(KEY, purpose="vault"), b"another row"),
    ],
)
def test_nothing_opens_under_another_key_purpose_or_row(cipher: Cipher, context: bytes):
    """An entry copied from one row, or one table, to another must not pass for that one's."""
    sealed = Cipher(KEY, purpose="vault").seal(b"ada@example.com", b"row")
    with pytest.raises(WrongKeyError, match=f"a sealed {cipher.purpose} entry does not open"):
        cipher.open(sealed, context)
    with pytest.raises(WrongKeyError):
        Cipher(KEY, purpose="vault").open(sealed[:5], b"row")
