"""The private keys that sign copies anew, from their files."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from config.settings import Dkim
from ledger.keys import KeyFileError
from relay.configured import signing_of
from relay.mail import Signing
from relay.sign import MakeSignature

_FEWEST_BITS = 1024
"""RFC 8301 3.2: no verifier takes less; signers should have 2048."""
_MAKE = "openssl genrsa -out FILE 2048"


def load_signers(tables: tuple[Dkim, ...]) -> Mapping[Signing, MakeSignature]:
    """Return what signs for each `[[dkim]]`.

    Raises KeyFileError where a file can not be read, or is no RSA key of 1024 bits or more.
    """
    return {signing_of(table): _signer(table.private_key_file) for table in tables}


def _signer(file: Path) -> MakeSignature:
    return partial(_sign, _read_key(file))


def _sign(key: RSAPrivateKey, text: bytes) -> bytes:
    return key.sign(text, PKCS1v15(), SHA256())


def _read_key(file: Path) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(file.read_bytes(), None)
    except OSError as error:
        msg = f"{file} can not be read ({error.strerror}); let the relay's user read it"
        raise KeyFileError(msg) from error
    except (ValueError, TypeError) as error:
        msg = f"{file} is no private key in PEM without a passphrase; make one: {_MAKE}"
        raise KeyFileError(msg) from error
    if not isinstance(key, RSAPrivateKey) or key.key_size < _FEWEST_BITS:
        msg = f"{file} is no RSA key of {_FEWEST_BITS} bits or more; make one: {_MAKE}"
        raise KeyFileError(msg)
    return key
