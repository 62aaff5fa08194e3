from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from config.settings import Dkim
from ledger.keys import KeyFileError
from relay.mail import Signing
from relay.signers import load_signers

_KEY = generate_private_key(65537, 1024)
_PLAIN = NoEncryption()


def _table(file: Path, domain: str = "a.example") -> Dkim:
    return Dkim(domain=domain, selector="s1", private_key_file=file)


@pytest.mark.parametrize("layout", [PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8])
def test_a_key_of_either_layout_signs(tmp_path: Path, layout: PrivateFormat) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(_KEY.private_bytes(Encoding.PEM, layout, _PLAIN))
    signers = load_signers((_table(file), _table(file, "bücher.example")))
    assert set(signers) == {Signing("a.example", "s1"), Signing("xn--bcher-kva.example", "s1")}
    signature = signers[Signing("a.example", "s1")](b"text")
    _KEY.public_key().verify(signature, b"text", PKCS1v15(), SHA256())
    assert signers[Signing("a.example", "s1")](b"text") == signature


def test_no_table_is_no_signer() -> None:
    assert load_signers(()) == {}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"no key", "is no private key in PEM"),
        (
            _KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
            "without a passphrase",
        ),
        (
            generate_ec(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, _PLAIN),
            "is no RSA key of 1024 bits or more",
        ),
    ],
)
def test_a_file_that_is_no_key_is_told_with_the_mend(
    tmp_path: Path, content: bytes, told: str
) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(content)
    with pytest.raises(KeyFileError, match=told) as raised:
        load_signers((_table(file),))
    assert str(raised.value).startswith(str(file))
    assert str(raised.value).endswith("openssl genrsa -out FILE 2048")


def test_a_file_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="can not be read"):
        load_signers((_table(tmp_path / "missing.pem"),))
