"""What was signed verifies after as before: S/MIME by openssl, PGP by gpg, DKIM by dkimpy.

None of the three has a line in common with the product.
"""

import base64
import itertools
import quopri
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dkim
import pytest

from ledger.address import parse_address
from ledger.mode import TrackingMode
from ledger.token import TokenKey
from relay.compile import compile_template
from relay.judge import judge
from relay.mail import Client, Envelope, Submission
from relay.mime.entity import parse_entity
from relay.policy import Policy
from relay.split import split_copies
from relay.stamp import stamp_copy
from relay.verdict import Accept

pytestmark = pytest.mark.daemon

_KEY = TokenKey(3, b"k" * 32)
_POLICY = Policy(
    "relay.example",
    "https://t.example",
    unknown_consent=TrackingMode.INDIVIDUAL,
    text_clicks=True,
)
_PEOPLE = ("b@b.example", "c@c.example", "d@d.example")
_HTML = (
    '<html><body><p>Grüße, see <a href="https://shop.example/offer?a=1&amp;b=2">our offer</a>'
    ".\r\n.dot\r\n-- \r\n</p></body></html>\r\n"
)
_PLAIN = b"Content-Type: text/plain; charset=utf-8\r\n\r\nSee https://shop.example/ \r\n.\r\n"


def _part(encoding: str) -> bytes:
    text = _HTML.encode()
    if encoding == "base64":
        text = base64.encodebytes(text).replace(b"\n", b"\r\n")
    elif encoding == "quoted-printable":
        text = quopri.encodestring(text.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    head = f"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n"
    return head.encode() + b"\r\n" + text


_ENCODINGS = ("8bit", "quoted-printable", "base64")
_CONTENTS = {
    **{encoding: _part(encoding) for encoding in _ENCODINGS},
    "alternative": b"Content-Type: multipart/alternative; boundary=alt\r\n\r\n--alt\r\n"
    + _PLAIN
    + b"\r\n--alt\r\n"
    + _part("quoted-printable")
    + b"\r\n--alt--\r\n",
    "plain": _PLAIN,
}


def _head(*more: str) -> bytes:
    fields = (
        "From: Ann <ann@a.example>",
        "To: b@b.example",
        "Cc: c@c.example",
        "Bcc: d@d.example",
        "Subject:  Our   offer",
        "Message-ID: <1@a.example>",
        "Date: Tue, 24 Nov 2026 08:00:00 +0000",
        "X-Indicia-Tag: spring",
        "MIME-Version: 1.0",
        *more,
    )
    return "".join(f"{line}\r\n" for line in fields).encode()


def _copies(raw: bytes) -> list[bytes]:
    """What each recipient gets."""
    client = Client("192.0.2.1", "pc.example")
    envelope = Envelope(parse_address("ann@a.example"), tuple(map(parse_address, _PEOPLE)))
    sent_at = datetime(2026, 11, 24, 8, tzinfo=UTC)
    submission = Submission("01ARZ3NDEKTSV4RRFFQ69G5FAV", envelope, raw, sent_at, client)
    entity = parse_entity(raw)
    verdict = judge(submission, entity, _POLICY)
    assert isinstance(verdict, Accept)
    template = compile_template(submission, entity, verdict, _POLICY)
    copies = split_copies(submission.send_id, verdict, template, _KEY.key_id, itertools.count(1))
    assert sum(len(copy.recipients) for copy in copies) == len(_PEOPLE)
    return [re.sub(rb"(?m)^\.", b"", stamp_copy(template, copy, _KEY)) for copy in copies]


def _run(folder: Path, *words: str | Path, given: bytes = b"") -> bytes:
    done = subprocess.run(words, cwd=folder, input=given, capture_output=True, check=False)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


def _fails(folder: Path, *words: str | Path, given: bytes = b"") -> bool:
    done = subprocess.run(words, cwd=folder, input=given, capture_output=True, check=False)
    return done.returncode != 0


def _crlf(raw: bytes) -> bytes:
    return re.sub(rb"\r?\n", b"\r\n", raw)


@dataclass(frozen=True)
class Smime:
    """Ann's certificate, and openssl."""

    folder: Path

    def sign(self, content: bytes, *how: str) -> bytes:
        words = ("openssl", "cms", "-sign", "-signer", "crt.pem", "-inkey", "key.pem")
        signed = _run(self.folder, *words, "-binary", "-crlfeol", *how, given=content)
        return _head() + _crlf(signed).replace(b"MIME-Version: 1.0\r\n", b"", 1)

    def verify(self, message: bytes) -> tuple[str, ...]:
        """The words of a command that tells whether a message, which it is given, verifies."""
        (self.folder / "mail.eml").write_bytes(message)
        words = ("openssl", "cms", "-verify", "-CAfile", "crt.pem", "-in", "mail.eml")
        return (*words, "-out", "content.bin")


@pytest.fixture(scope="module")
def smime(tmp_path_factory: pytest.TempPathFactory) -> Smime:
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("smime")
    words = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out crt.pem -days 2"
    subject = ("-subj", "/CN=Ann/emailAddress=ann@a.example")
    _run(folder, *words.split(), *subject, "-addext", "extendedKeyUsage=emailProtection")
    return Smime(folder)


@pytest.mark.parametrize("how", [(), ("-nodetach",)], ids=["detached", "opaque"])
@pytest.mark.parametrize("content", _CONTENTS)
def test_smime_verifies_after_as_before(smime: Smime, content: str, how: tuple[str, ...]) -> None:
    raw = smime.sign(_CONTENTS[content], *how)
    _run(smime.folder, *smime.verify(raw))
    for copy in _copies(raw):
        _run(smime.folder, *smime.verify(copy))
        assert (smime.folder / "content.bin").read_bytes() == _CONTENTS[content]


def test_openssl_would_see_a_byte_that_changed(smime: Smime) -> None:
    raw = smime.sign(_CONTENTS["8bit"])
    assert _fails(smime.folder, *smime.verify(raw.replace(b"our offer", b"our Offer")))


@dataclass(frozen=True)
class Pgp:
    """Ann's key, and gpg."""

    folder: Path

    @property
    def gpg(self) -> tuple[str, ...]:
        return ("gpg", "--homedir", str(self.folder), "--batch", "--quiet")

    def sign(self, content: bytes) -> bytes:
        signature = _run(self.folder, *self.gpg, "-a", "--detach-sign", given=content)
        kind = 'Content-Type: multipart/signed; micalg=pgp-sha512; boundary="s"'
        protocol = '\tprotocol="application/pgp-signature"'
        return b"".join(
            (
                _head(f"{kind};", protocol),
                b"\r\n--s\r\n",
                content,
                b"\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\n",
                _crlf(signature),
                b"\r\n--s--\r\n",
            )
        )

    def verify(self, message: bytes) -> tuple[str, ...]:
        content, signature = message.partition(b"\r\n--s\r\n")[2].split(b"\r\n--s\r\n")
        (self.folder / "content").write_bytes(content)
        (self.folder / "content.asc").write_bytes(signature.partition(b"\r\n\r\n")[2])
        return (*self.gpg, "--verify", "content.asc", "content")


@pytest.fixture(scope="module")
def pgp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgp]:
    if not shutil.which("gpg"):
        pytest.skip("needs gpg (Debian package gnupg)")
    folder = tmp_path_factory.mktemp("g")
    folder.chmod(0o700)
    made = Pgp(folder)
    _run(folder, *made.gpg, "--passphrase", "", "--quick-gen-key", "ann@a.example", "ed25519")
    yield made
    _run(folder, "gpgconf", "--homedir", folder, "--kill", "gpg-agent")


@pytest.mark.parametrize("content", _CONTENTS)
def test_pgp_mime_verifies_after_as_before(pgp: Pgp, content: str) -> None:
    raw = pgp.sign(_CONTENTS[content])
    _run(pgp.folder, *pgp.verify(raw))
    for copy in _copies(raw):
        _run(pgp.folder, *pgp.verify(copy))
    assert _fails(pgp.folder, *pgp.verify(raw.replace(b"shop.example", b"t.example", 1))) or (
        content == "base64"  # where the name is not to be seen
    )


def test_inline_pgp_verifies_after_as_before_with_html_beside_it(pgp: Pgp) -> None:
    text = b"See https://shop.example/ \r\n- dash\r\n.dot\r\n"
    signed = _crlf(_run(pgp.folder, *pgp.gpg, "-a", "--clearsign", given=text))
    kind = "Content-Type: multipart/mixed; boundary=m"
    plain = b"\r\n--m\r\nContent-Type: text/plain\r\n\r\n" + signed
    raw = _head(kind) + plain + b"\r\n--m\r\n" + _part("8bit") + b"\r\n--m--\r\n"
    for message in (raw, *_copies(raw)):
        armour = message[
            message.index(b"-----BEGIN") : message.index(b"\r\n--m\r\nContent-Type: text/html")
        ]
        _run(pgp.folder, *pgp.gpg, "--verify", given=armour)


@dataclass(frozen=True)
class Dkim:
    """The key of a.example."""

    private: bytes
    record: bytes

    def look_up(self, name: bytes, **_: object) -> bytes:
        assert name == b"s1._domainkey.a.example."
        return self.record

    def verifies(self, message: bytes) -> bool:
        return bool(dkim.verify(message, dnsfunc=self.look_up))


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Dkim:
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("dkim")
    private = _run(folder, "openssl", "genrsa", "-traditional", "2048")
    public = _run(folder, *["openssl", "rsa", "-pubout", "-outform", "DER"], given=private)
    return Dkim(private, b"v=DKIM1; k=rsa; p=" + base64.b64encode(public))


_FIELDS = [
    b"from",
    b"to",
    b"cc",
    b"subject",
    b"date",
    b"message-id",
    b"mime-version",
    b"content-type",
]
_CANONICAL = tuple(itertools.product((b"simple", b"relaxed"), repeat=2))


@pytest.mark.parametrize("canonical", _CANONICAL, ids=str)
@pytest.mark.parametrize("content", _CONTENTS)
@pytest.mark.parametrize("length", [False, True])
def test_dkim_verifies_after_as_before(
    signer: Dkim, content: str, canonical: tuple[bytes, bytes], *, length: bool
) -> None:
    raw = _head() + _CONTENTS[content]
    raw = _signed(signer, raw, canonicalize=canonical, include_headers=_FIELDS, length=length)
    assert signer.verifies(raw)
    assert all(map(signer.verifies, _copies(raw)))
    assert not signer.verifies(raw.replace(b"1.0\r\n", b"1.1\r\n", 1))


def _signed(signer: Dkim, raw: bytes, **how: object) -> bytes:
    signature: bytes = dkim.sign(raw, b"s1", b"a.example", signer.private, **how)
    return signature + raw


def test_dkim_of_fields_said_twice_and_of_our_own_verifies(signer: Dkim) -> None:
    """A field that is listed once more than it is there may not be added (RFC 6376 5.4.2)."""
    raw = _head() + _CONTENTS["8bit"]
    twice = [*_FIELDS, b"from", b"subject", b"reply-to"]
    signed = _signed(signer, raw, include_headers=twice)
    assert all(map(signer.verifies, (signed, *_copies(signed))))
