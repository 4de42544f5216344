"""Sealing what may hold an address: the vault's addresses and quarantined records. Pure.

The tables that keep the sealed bytes are written by warehouse/vault.py and warehouse/bulk.py.
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
NONCE_BYTES = 12


class WrongKeyError(ValueError):
    """Sealed bytes do not open: they were sealed under another key or for another purpose, or were changed."""


class Cipher:
    """AES-256-GCM for one purpose: nonce (12 bytes), then ciphertext and tag.

    key: 32 bytes or more; each purpose ("vault", "quarantine") gets a key of its own derived from it, so that
    bytes moved from one table to the other do not open. version: kept beside what was sealed.
    Raises ValueError for a shorter key.
    """

    def __init__(self, key: bytes, *, purpose: str, version: int = 1) -> None:
        if len(key) < KEY_BYTES:
            raise ValueError(f"the vault key has {len(key)} bytes, at least {KEY_BYTES} are needed")
        derived = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose.encode()).derive(key)
        self.purpose = purpose
        self.version = version
        self._aead = AESGCM(derived)

    def seal(self, content: bytes, context: bytes = b"") -> bytes:
        """Encrypt; open() wants the same context (such as the row's key), which is not stored here."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, content, context)

    def open(self, sealed: bytes, context: bytes = b"") -> bytes:
        """Decrypt. Raises WrongKeyError."""
        try:
            return self._aead.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context)
        except (InvalidTag, ValueError) as error:
            raise WrongKeyError(
                f"a sealed {self.purpose} entry does not open with this key: MARKETING_VAULT_KEY is not the one "
                "it was sealed under, or the entry was changed"
            ) from error
