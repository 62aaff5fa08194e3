"""Signing keys on disk: one file a key, its number in the name, 0600.

Keys are shared between machines by copying the folder; a key that is no longer current is kept,
for links in mail already sent are read with it.
"""

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ledger.token import MAX_KEY_ID, MIN_SECRET_BYTES, TokenKey

_NAME = re.compile(r"token-(0|[1-9][0-9]{0,2})\.key")


class KeyFileError(Exception):
    """A key file can not be used; the text says which, why, and the mend."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """All keys that are read, and the one that signs: the highest number."""

    keys: Mapping[int, TokenKey]
    current: TokenKey


def load_keys(folder: Path) -> KeyRing:
    """Return the keys in a folder, making the first one where there is none.

    Raises KeyFileError where a file is no key, or others may read it, or we may not.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = {key_id: _read_key(path, key_id) for key_id, path in _key_files(folder)}
    if not keys:
        key = _write_key(folder, 0)
        keys = {key.key_id: key}
    return KeyRing(keys, keys[max(keys)])


def add_key(folder: Path) -> TokenKey:
    """Make the next key, which signs from the next start on.

    Raises KeyFileError where all 256 numbers are taken.
    """
    ring = load_keys(folder)
    if ring.current.key_id == MAX_KEY_ID:
        msg = f"{folder}: all 256 key numbers are used; remove keys whose mail is read no more"
        raise KeyFileError(msg)
    return _write_key(folder, ring.current.key_id + 1)


def load_audit_key(folder: Path) -> bytes:
    """Return the key of the audit log's pseudonyms, making it where there is none.

    It is never changed: entries made with another one could not be found by address any more.
    Raises KeyFileError as load_keys does.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "audit.key"
    if not path.exists():
        _write_secret(path)
    return _read_key(path, 0).secret


def _key_files(folder: Path) -> list[tuple[int, Path]]:
    named = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir())
    return sorted((int(match[1]), path) for match, path in named if match)


def _read_key(path: Path, key_id: int) -> TokenKey:
    try:
        if path.stat().st_mode & 0o077:
            msg = f"{path}: others may read this key; run: chmod 600 {path}"
            raise KeyFileError(msg)
        return TokenKey(key_id, bytes.fromhex(path.read_text(encoding="ascii").strip()))
    except (OSError, ValueError) as error:
        msg = f"{path}: not a key ({error}); restore it from a backup, or remove it"
        raise KeyFileError(msg) from error


def _write_key(folder: Path, key_id: int) -> TokenKey:
    path = folder / f"token-{key_id}.key"
    secret = _write_secret(path)
    return _read_key(path, key_id) if secret is None else TokenKey(key_id, secret)


def _write_secret(path: Path) -> bytes | None:
    """Write a new secret, flushed, for its owner alone; None where the file was there before."""
    secret = secrets.token_bytes(MIN_SECRET_BYTES)
    # The name is random: a process id comes again after a crash, in a container always.
    fresh = path.with_name(f".{path.stem}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secret.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        # Two first starts at once must agree on one key: the link fails for the later one.
        path.hardlink_to(fresh)
    except FileExistsError:
        return None
    finally:
        fresh.unlink(missing_ok=True)
    _flush_folder(path.parent)
    return secret


def _flush_folder(folder: Path) -> None:
    # A key whose name is lost with the power leaves every token signed with it unreadable.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
